//! Ten thousand targets of one controller, with the window of a fleet: under loss, and among targets that never answer,
//! answer slowly, or restart.
//!
//! Each agent is whole: a real endpoint, the real service, and modelled processes. Its endpoint is unloaded while it has
//! no session, which its peers cannot observe. The controller has the parts that decide, in a loop of [`Fleet`]. Not the
//! load of its machine: its receive buffer counts for the window and never overflows. Not a measurement: all times are
//! virtual.

use std::time::Duration;

use udpagent::control::exec::Report;
use udpagent::control::limits;
use udpagent::message::Outcome;

use super::{MS, SECOND};
use crate::link::Link;
use crate::rng::SimRng;
use crate::seeds;
use crate::simulation::Simulation;
use crate::task::Task;
use crate::whole::{FIRST_CONTACTS, Fleet, Target, WholeAgent, WholeController};

/// Targets of a run.
const TARGETS: u64 = 10_000;

/// One-way delay of most links.
const LATENCY: Duration = Duration::from_millis(20);

/// Time between two actions of the scenario.
const STEP: Duration = Duration::from_millis(10);

/// Behaviour of a target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// It answers at once.
    Prompt,
    /// Its command takes seconds.
    SlowCommand,
    /// Its link has a long round trip and a low rate.
    SlowLink,
    /// Its agent restarts so long after the beginning.
    Restarts(Duration),
    /// Its agent does not run.
    Silent,
    /// Its agent runs, but nothing that it sends arrives.
    Unheard,
}

impl Kind {
    /// True if its agent never answers.
    const fn is_dead(self) -> bool {
        matches!(self, Self::Silent | Self::Unheard)
    }
}

/// A planned target.
#[derive(Clone, Copy, Debug)]
struct Plan {
    kind: Kind,
    task: Task,
}

/// Returns the task of a target, whose exit code is 0.
fn task(number: u64) -> Task {
    let task = Task::echo(number * 251);
    assert_eq!(WholeAgent::exit_code(task.id), 0);
    task
}

/// Plans targets that all answer at once.
fn prompt() -> Vec<Plan> {
    let kind = Kind::Prompt;
    let plan = |number| Plan {
        kind,
        task: task(number),
    };
    (1..=TARGETS).map(plan).collect()
}

/// Plans targets of which one in twenty is dead, and some are slow or restart.
fn mixed(seed: u64) -> Vec<Plan> {
    let mut rng = SimRng::new(seed, "targets");
    let mut plan = |number| {
        let mut task = Task {
            err: rng.below(200),
            ..task(number)
        };
        let kind = match rng.below(100) {
            0..3 => Kind::Silent,
            3..5 => Kind::Unheard,
            5..7 => Kind::SlowCommand,
            7..9 => Kind::SlowLink,
            9..11 => Kind::Restarts(rng.between(MS, MS * 600)),
            _ => Kind::Prompt,
        };
        match kind {
            Kind::SlowCommand => task.takes = rng.between(SECOND, SECOND * 5),
            Kind::SlowLink => task.out = rng.below(20_000),
            Kind::Restarts(_) => task.takes = rng.duration_below(MS * 600),
            Kind::Prompt | Kind::Silent | Kind::Unheard => {}
        }
        Plan { kind, task }
    };
    (1..=TARGETS).map(&mut plan).collect()
}

/// Result of a target.
#[derive(Clone, Debug)]
struct TargetResult {
    plan: Plan,
    report: Report,
    /// Bytes of each output that were written.
    written: [u64; 2],
    /// Number of starts of its command, in all runs of its agent.
    starts: u32,
    /// Time of its beginning, from that of the run.
    begun: Duration,
    /// Time of its end.
    ended: Duration,
}

/// Results of a run.
struct Run {
    /// Results of all targets, in their order.
    results: Vec<TargetResult>,
    /// Time until the last has ended.
    took: Duration,
    /// The most targets that were in progress at a time.
    most_open: usize,
}

/// Targets, and the controller that runs commands on them.
struct Trial {
    sim: Simulation,
    fleet: Fleet,
    agents: Vec<WholeAgent>,
    plans: Vec<Plan>,
}

impl Trial {
    fn new(seed: u64, loss: f64, plans: Vec<Plan>) -> Self {
        let mut sim = Simulation::new(seed, Link::lossy(LATENCY, loss));
        let fleet = Fleet::new(&mut sim);
        let mut rng = SimRng::new(seed, "slow links");
        let mut agents = Vec::new();
        for plan in &plans {
            let agent = WholeAgent::new(&mut sim);
            agent.unload(&mut sim);
            let (there, back) = ((fleet.host, agent.host), (agent.host, fleet.host));
            match plan.kind {
                Kind::Silent => sim.stop(agent.host),
                Kind::Unheard => {
                    let link = Link::lossy(LATENCY, 1.0);
                    sim.network.set_link(back.0, back.1, link);
                }
                Kind::SlowLink => {
                    let latency = rng.between(MS * 150, MS * 400);
                    for (from, to) in [there, back] {
                        let link = Link {
                            loss,
                            ..Link::narrow(latency, 20_000, 30_000)
                        };
                        sim.network.set_link(from, to, link);
                    }
                }
                Kind::Prompt | Kind::SlowCommand | Kind::Restarts(_) => {}
            }
            agents.push(agent);
        }
        Self {
            sim,
            fleet,
            agents,
            plans,
        }
    }

    /// Runs to the end.
    fn run(mut self) -> Run {
        let target = |(agent, plan): (&WholeAgent, &Plan)| Target {
            key: agent.key,
            address: agent.addresses[0],
            task: plan.task,
        };
        let targets = self.agents.iter().zip(&self.plans).map(target).collect();
        // The agents are older than the run.
        self.sim.run_for(SECOND * 60);
        let begun = self.sim.now();
        self.fleet.run(&mut self.sim, targets);
        let mut restarts: Vec<usize> = (0..self.plans.len())
            .filter(|&index| matches!(self.plans[index].kind, Kind::Restarts(_)))
            .collect();
        let mut loaded = Vec::new();
        while !self.fleet.is_done() {
            self.sim.run_for(STEP);
            restarts.retain(|&index| !self.restart(index));
            loaded.append(&mut self.fleet.app.borrow_mut().ends);
            loaded.retain(|&index: &usize| !self.agents[index].unload(&mut self.sim));
            assert!(
                self.sim.now().since(begun) < SECOND * 120,
                "it does not end"
            );
        }
        self.results()
    }

    /// Restarts the agent of a target if it is due. Returns true if it was.
    fn restart(&mut self, index: usize) -> bool {
        let Kind::Restarts(after) = self.plans[index].kind else {
            return true;
        };
        let begun = self.fleet.app.borrow().times[index].begun;
        let now = self.sim.local(self.fleet.host);
        let is_due = begun.is_some_and(|begun| begun + after <= now);
        if is_due {
            self.agents[index].restart(&mut self.sim);
        }
        is_due
    }

    fn results(&self) -> Run {
        let app = self.fleet.app.borrow();
        assert_eq!(app.runner.reports.len(), self.plans.len());
        let first = app.times[0].begun.expect("it has begun");
        let result = |(index, plan): (usize, &Plan)| {
            let (times, id) = (app.times[index], plan.task.id);
            let starts = &self.agents[index].log.borrow().starts;
            assert!(starts.keys().all(|&started| started == id), "of another");
            TargetResult {
                plan: *plan,
                report: app.runner.reports[&id].clone(),
                written: app.runner.written[&id],
                starts: starts.get(&id).copied().unwrap_or_default(),
                begun: times.begun.expect("it has begun").since(first),
                ended: times.ended.expect("it has ended").since(first),
            }
        };
        let results: Vec<_> = self.plans.iter().enumerate().map(result).collect();
        let ends = results.iter().map(|result| result.ended);
        Run {
            took: ends.max().expect("there are targets"),
            most_open: app.most_open,
            results,
        }
    }
}

/// Checks that a command was started once and returned 0, and that its output is whole.
fn check_exited(result: &TargetResult) {
    let TargetResult { report, plan, .. } = result;
    let outcome = Some(Outcome::Exited { code: 0 });
    assert_eq!(report.outcome, outcome, "{result:?}");
    assert_eq!(result.starts, 1, "{result:?}");
    // Each byte was compared when it was written.
    let lengths = [plan.task.out, plan.task.err];
    assert_eq!(result.written, lengths, "{result:?}");
    assert_eq!((report.lengths, report.missing), (lengths, [0, 0]));
}

/// Checks the result of a target of any kind.
fn check(result: &TargetResult) {
    match (result.plan.kind, result.report.outcome) {
        (Kind::Silent | Kind::Unheard, outcome) => {
            assert_eq!(outcome, Some(Outcome::Unreachable {}), "{result:?}");
            assert_eq!(result.starts, 0, "{result:?}");
            let waited = result.ended.checked_sub(result.begun);
            assert_eq!(waited, Some(limits::CONTACT_TIMEOUT), "{result:?}");
        }
        // A second start panics in the simulated processes, in whichever run of the agent.
        (Kind::Restarts(_), Some(Outcome::Unknown {} | Outcome::Lost {})) => {}
        (Kind::Prompt | Kind::SlowCommand | Kind::SlowLink | Kind::Restarts(_), _) => {
            check_exited(result);
        }
    }
}

/// Checks that some commands ended with their agents, and that others had ended before or began afterwards.
fn check_restarts(run: &Run) {
    let results = run.results.iter();
    let restarted = results.filter(|result| matches!(result.plan.kind, Kind::Restarts(_)));
    let (exited, unknown): (Vec<_>, Vec<_>) =
        restarted.partition(|result| matches!(result.report.outcome, Some(Outcome::Exited { .. })));
    assert!(exited.len() > 50, "{} exited", exited.len());
    assert!(unknown.len() > 50, "{} did not", unknown.len());
    assert!(unknown.iter().any(|result| result.starts == 1));
}

#[test]
fn ten_thousand_targets_at_1_percent_loss_take_at_most_three_times_as_long_as_without() {
    seeds::each(1, |seed| {
        let [perfect, lossy] = [0.0, 0.01].map(|loss| {
            let run = Trial::new(seed, loss, prompt()).run();
            run.results.iter().for_each(check_exited);
            run.took
        });
        assert!(lossy <= 3 * perfect, "{lossy:?} instead of {perfect:?}");
    });
}

#[test]
fn among_ten_thousand_targets_the_dead_delay_nobody_and_each_has_its_outcome() {
    seeds::each(1, |seed| {
        let all = mixed(seed);
        let living = all.iter().copied().filter(|plan| !plan.kind.is_dead());
        let living: Vec<Plan> = living.collect();
        let dead = all.len() - living.len();
        assert!(dead > 400, "{dead} dead targets");
        let without = Trial::new(seed, 0.01, living).run();
        let with = Trial::new(seed, 0.01, all).run();
        without.results.iter().chain(&with.results).for_each(check);
        check_restarts(&with);
        let (took, without_dead) = (with.took, without.took);
        let timeout = limits::CONTACT_TIMEOUT;
        assert!(
            took <= without_dead + timeout,
            "{took:?} instead of {without_dead:?}"
        );
        // More targets are in progress than the window has places, but only those that do not answer.
        assert!(with.most_open > limits::WINDOW + dead / 2);
        assert!(with.most_open <= without.most_open + dead);
        // Each of the dead may take one place for the time in which an answer is expected.
        let most = limits::ANSWER_TIME * u32::try_from(dead).expect("few") / FIRST_CONTACTS;
        let results = with.results.iter();
        let of_living = results.filter(|result| !result.plan.kind.is_dead());
        for (with, without) in of_living.zip(&without.results) {
            assert_eq!(with.plan.task, without.plan.task);
            let delay = with.begun.saturating_sub(without.begun);
            assert!(delay <= most, "delayed by {delay:?}: {with:?}");
        }
    });
}

#[test]
fn an_unloaded_agent_answers_as_an_idle_one() {
    let mut sim = Simulation::new(0, Link::perfect(LATENCY));
    let agent = WholeAgent::new(&mut sim);
    let controller = WholeController::new(&mut sim);
    let mut took = Vec::new();
    for id in 1..=3 {
        let begun = sim.now();
        controller.run(&mut sim, &agent, Task::echo(id));
        sim.run_until(SECOND, "reported", |_| controller.pending() == 0);
        took.push(sim.now().since(begun));
        sim.run_for(SECOND);
        assert!(agent.unload(&mut sim));
        sim.run_for(SECOND);
    }
    // A ticket is valid in the same run only, and makes a command one round trip long.
    assert_eq!(took, [4, 2, 2].map(|ways| LATENCY * ways));
    let app = controller.app.borrow();
    let outcome = |id: u64| app.reports[&id].outcome;
    for id in 1..=3 {
        let code = WholeAgent::exit_code(id);
        assert_eq!(outcome(id), Some(Outcome::Exited { code }));
        assert_eq!(agent.log.borrow().starts[&id], 1);
    }
}
