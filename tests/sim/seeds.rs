//! Runs a scenario under many seeds, and prints how to repeat the one that failed.

use std::any::type_name;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Environment variable that selects a single seed.
pub const VARIABLE: &str = "UDPAGENT_SEED";

/// Environment variable with the number of seeds of every scenario, for longer runs.
pub const COUNT: &str = "UDPAGENT_SEEDS";

/// Runs `scenario` once for each of `count` seeds, on as many threads as there are cores. With
/// `UDPAGENT_SEED` set, runs that seed alone.
///
/// # Panics
/// With the scenario's own panic, after printing the command that repeats it.
pub fn each<F: Fn(u64) + Sync>(count: u64, scenario: F) {
    let name = scenario_name::<F>();
    if let Ok(text) = std::env::var(VARIABLE) {
        let seed = text
            .parse()
            .unwrap_or_else(|_| panic!("{VARIABLE} must be a number, not {text:?}"));
        return run(&name, seed, &scenario);
    }
    let given = std::env::var(COUNT).ok();
    let count = given.map_or(count, |text| {
        let parsed = text.parse();
        parsed.unwrap_or_else(|_| panic!("{COUNT} must be a number, not {text:?}"))
    });
    let next = AtomicU64::new(0);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= count {
                            return;
                        }
                        let done = catch_unwind(AssertUnwindSafe(|| run(&name, seed, &scenario)));
                        if let Err(panic) = done {
                            // One failure is enough: let the other workers stop at their next seed.
                            next.store(count, Ordering::Relaxed);
                            resume_unwind(panic);
                        }
                    }
                })
            })
            .collect();
        let failures: Vec<_> = workers.into_iter().filter_map(|w| w.join().err()).collect();
        if let Some(panic) = failures.into_iter().next() {
            resume_unwind(panic);
        }
    });
}

fn run(name: &str, seed: u64, scenario: &impl Fn(u64)) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| scenario(seed))) {
        eprintln!("repeat with: {VARIABLE}={seed} cargo test --test sim {name}");
        resume_unwind(panic);
    }
}

/// The test's name as the harness takes it, from the type of a closure inside it.
fn scenario_name<F>() -> String {
    let name = type_name::<F>();
    let name = name.strip_prefix("sim::").unwrap_or(name);
    name.split("::{{closure}}")
        .next()
        .unwrap_or(name)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    fn name_of<F: Fn(u64)>(_: &F) -> String {
        scenario_name::<F>()
    }

    #[test]
    fn every_seed_runs_once_and_a_scenario_knows_its_name() {
        if std::env::var(VARIABLE).is_ok() || std::env::var(COUNT).is_ok() {
            return;
        }
        let seen = Mutex::new(Vec::new());
        each(100, |seed| seen.lock().unwrap().push(seed));
        let mut seen = seen.into_inner().unwrap();
        seen.sort_unstable();
        assert_eq!(seen, (0..100).collect::<Vec<_>>());
        assert_eq!(
            name_of(&|_| ()),
            "seeds::tests::every_seed_runs_once_and_a_scenario_knows_its_name"
        );
    }

    #[test]
    fn a_failing_seed_fails_the_scenario() {
        if std::env::var(VARIABLE).is_ok() || std::env::var(COUNT).is_ok() {
            return;
        }
        let failed = catch_unwind(|| each(10, |seed| assert!(seed != 7, "seven")));
        assert!(failed.is_err());
    }
}
