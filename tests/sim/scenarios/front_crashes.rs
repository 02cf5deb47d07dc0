//! The front of an agent crashes at any step, its supervisor stays: nothing starts twice, no job is lost, and every
//! byte arrives once in both directions.

use std::sync::Mutex;
use std::time::Duration;

use udpagent::message::Outcome;

use super::{MS, SECOND};
use crate::link::Link;
use crate::rng::SimRng;
use crate::seeds;
use crate::simulation::Simulation;
use crate::task::Task;
use crate::whole::{WholeAgent, WholeController};

/// Commands of one seed.
const JOBS: u64 = 6;

/// Crashes of one seed at most.
const CRASHES: u32 = 12;

/// Counts over all seeds.
#[derive(Clone, Copy, Default, Debug)]
struct Counts {
    jobs: u64,
    crashes: u64,
}

fn any_task(rng: &mut SimRng, id: u64) -> Task {
    let mut bytes = |most: u64| match rng.below(4) {
        0 => 0,
        1 => rng.below(most),
        _ => rng.below(2_000),
    };
    let (out, err, stdin) = (bytes(150_000), bytes(20_000), bytes(60_000));
    Task {
        id,
        out,
        err,
        stdin: if rng.chance(0.5) { stdin } else { 0 },
        takes: if rng.chance(0.5) {
            rng.duration_below(SECOND * 3)
        } else {
            Duration::ZERO
        },
        bound: 0,
    }
}

/// Runs for a time, and starts a crashed front at once. Returns the number of crashes.
fn run_for(sim: &mut Simulation, agent: &WholeAgent, time: Duration) -> u64 {
    let end = sim.now() + time;
    let mut crashes = 0;
    while sim.step(end) {
        crashes += u64::from(agent.revive(sim));
    }
    // Nothing is due any more; only the time passes.
    sim.run_for(end.since(sim.now()));
    crashes
}

fn scenario(seed: u64, total: &Mutex<Counts>) {
    let mut rng = SimRng::new(seed, "front crashes");
    let latency = rng.between(MS, MS * 40);
    let loss = if rng.chance(0.5) { 0.0 } else { 0.1 };
    let mut sim = Simulation::new(seed, Link::lossy(latency, loss));
    let agent = WholeAgent::new(&mut sim);
    let controller = WholeController::new(&mut sim);
    // Agents refuse early commands that may be older than they are, so give them an age first.
    sim.run_for(SECOND * 60);
    let chance = [0.2, 0.05, 0.02, 0.005][rng.index(4)];
    agent.let_crash(SimRng::new(seed, "crashes"), chance, CRASHES);
    let mut crashes = 0;
    let tasks: Vec<Task> = (1..=JOBS).map(|id| any_task(&mut rng, id)).collect();
    for &task in &tasks {
        controller.run(&mut sim, &agent, task);
        let pause = rng.duration_below(MS * 500);
        crashes += run_for(&mut sim, &agent, pause);
    }
    let began = sim.now();
    while controller.pending() > 0 {
        crashes += run_for(&mut sim, &agent, SECOND);
        assert!(sim.now().since(began) < SECOND * 1_200, "not through");
    }
    let app = controller.app.borrow();
    for task in &tasks {
        let report = &app.reports[&task.id];
        let code = WholeAgent::exit_code(task.id);
        let exited = Some(Outcome::Exited { code });
        assert_eq!(report.outcome, exited, "{task:?}: {report:?}");
        assert_eq!(report.lengths, [task.out, task.err], "{task:?}");
        assert_eq!(report.missing, [0, 0], "{task:?}");
        let written = app.written.get(&task.id).copied().unwrap_or_default();
        assert_eq!(written, [task.out, task.err], "{task:?}");
    }
    let log = agent.log.borrow();
    assert_eq!(log.starts.len(), tasks.len());
    let mut total = total.lock().expect("nobody panicked");
    total.jobs += JOBS;
    total.crashes += crashes;
}

#[test]
fn a_front_that_crashes_at_any_step_loses_and_doubles_nothing() {
    let total = Mutex::default();
    seeds::each(60, |seed| scenario(seed, &total));
    let counts = total.into_inner().expect("nobody panicked");
    println!("{counts:?}");
    assert!(counts.crashes > 0);
}
