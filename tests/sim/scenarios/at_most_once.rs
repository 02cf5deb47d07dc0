//! Ten thousand commands at 30 % loss, from controllers that crash and resume, on agents that stay or
//! restart: each starts at most once, and its report is true.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use udpagent::control::exec::Report;
use udpagent::message::Outcome;
use udpagent::time::Instant;

use super::{MS, SECOND};
use crate::link::Link;
use crate::rng::SimRng;
use crate::seeds;
use crate::simulation::Simulation;
use crate::task::Task;
use crate::whole::{Again, WholeAgent, WholeController};

/// Commands of one seed.
const JOBS: u64 = 200;

/// Concurrent commands of a controller.
const AT_ONCE: usize = 16;

/// Lifetime of the agents.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Agents {
    Stay,
    Restart,
}

/// Counts of results and faults.
#[derive(Clone, Copy, Default, Debug)]
struct Counts {
    jobs: u64,
    whole: u64,
    unknown: u64,
    lost: u64,
    started: u64,
    /// Remote jobs that were killed.
    crashed: u64,
    attached: u64,
    repeated: u64,
    /// Jobs that lost their command to a delayed request of a killed one.
    superseded: u64,
    restarts: u64,
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.jobs += other.jobs;
        self.whole += other.whole;
        self.unknown += other.unknown;
        self.lost += other.lost;
        self.started += other.started;
        self.crashed += other.crashed;
        self.attached += other.attached;
        self.repeated += other.repeated;
        self.superseded += other.superseded;
        self.restarts += other.restarts;
    }
}

/// A link with loss, duplication and reordering.
fn any_bad_link(rng: &mut SimRng) -> Link {
    let latency = rng.between(MS, MS * 60);
    Link {
        jitter: rng.duration_below(latency / 2),
        duplicate: 0.1,
        reorder: 0.15,
        ..Link::lossy(latency, 0.3)
    }
}

/// A task with little data, sometimes with more than a pipe or the initial credit hold.
fn any_task(rng: &mut SimRng, id: u64) -> Task {
    let mut bytes = |most: u64| match rng.below(20) {
        0..6 => 0,
        6..19 => rng.below(1_500),
        _ => rng.below(most),
    };
    let (out, err, stdin) = (bytes(100_000), bytes(20_000), bytes(40_000));
    Task {
        id,
        out,
        err,
        stdin: if rng.chance(0.25) { stdin } else { 0 },
        takes: if rng.chance(0.5) {
            rng.duration_below(SECOND)
        } else {
            Duration::ZERO
        },
        bound: 0,
    }
}

struct Trial {
    sim: Simulation,
    rng: SimRng,
    agents: Vec<WholeAgent>,
    controllers: Vec<WholeController>,
    /// Each task with the indexes of its agent and its controller.
    plan: Vec<(Task, usize, usize)>,
    /// Time of the first request of each task.
    asked: HashMap<u64, Instant>,
    /// Restarted agents, and when.
    restarts: Vec<(usize, Instant)>,
    counts: Counts,
}

impl Trial {
    fn new(seed: u64, jobs: u64) -> Self {
        let mut rng = SimRng::new(seed, "ten thousand");
        let link = any_bad_link(&mut rng);
        let mut sim = Simulation::new(seed, link);
        let mut agents: Vec<_> = (0..=rng.below(3))
            .map(|_| WholeAgent::new(&mut sim))
            .collect();
        // Some agents have a second address, to which the INIT of a session may be sent too.
        for (number, agent) in agents.iter_mut().enumerate() {
            if rng.chance(0.5) {
                let address = format!("203.0.113.{number}:7000");
                agent.add_address(&mut sim, address.parse().expect("an address"));
            }
        }
        let controllers: Vec<_> = (0..=rng.below(3))
            .map(|_| WholeController::new(&mut sim))
            .collect();
        for agent in &agents {
            for controller in &controllers {
                let links = (any_bad_link(&mut rng), any_bad_link(&mut rng));
                sim.network.set_link(agent.host, controller.host, links.0);
                sim.network.set_link(controller.host, agent.host, links.1);
            }
        }
        let plan = (1..=jobs)
            .map(|id| {
                let task = any_task(&mut rng, id);
                (task, rng.index(agents.len()), rng.index(controllers.len()))
            })
            .collect();
        let counts = Counts {
            jobs,
            ..Counts::default()
        };
        Self {
            sim,
            rng,
            agents,
            controllers,
            plan,
            asked: HashMap::new(),
            restarts: Vec::new(),
            counts,
        }
    }

    fn run(&mut self, agents: Agents) {
        let mut next = 0;
        // Agents refuse early commands that may be older than they are, so give them an age first.
        self.sim.run_for(SECOND * 60);
        let began = self.sim.now();
        loop {
            while let Some(&(task, agent, controller)) = self.plan.get(next)
                && self.controllers[controller].pending() < AT_ONCE
            {
                self.asked.insert(task.id, self.sim.now());
                self.controllers[controller].run(&mut self.sim, &self.agents[agent], task);
                next += 1;
            }
            if next == self.plan.len() && self.controllers.iter().all(|l| l.pending() == 0) {
                return;
            }
            let pause = self.rng.duration_below(MS * 400);
            self.sim.run_for(pause);
            self.retry_superseded();
            if self.rng.chance(0.15) {
                self.crash();
            }
            if self.rng.chance(0.3) {
                self.abandon(next);
            }
            if agents == Agents::Restart && self.rng.chance(0.03) {
                let agent = self.rng.index(self.agents.len());
                self.agents[agent].restart(&mut self.sim);
                self.restarts.push((agent, self.sim.now()));
                self.counts.restarts += 1;
            }
            let took = self.sim.now().since(began);
            assert!(took < SECOND * 3_600, "still not through after {took:?}");
        }
    }

    /// Kills and restarts a controller, and resumes its tasks.
    fn crash(&mut self) {
        let controller = self.rng.index(self.controllers.len());
        let tasks = self.controllers[controller].crash(&mut self.sim);
        let pause = self.rng.duration_below(SECOND * 2);
        self.sim.run_for(pause);
        for task in tasks {
            self.take_up(task);
        }
    }

    /// Drops one remote job and resumes its task, perhaps while the other session is still open.
    fn abandon(&mut self, begun: usize) {
        let (task, _, controller) = self.plan[self.rng.index(begun)];
        if self.controllers[controller].abandon(task) {
            let pause = self.rng.duration_below(MS * 300);
            self.sim.run_for(pause);
            self.take_up(task);
        }
    }

    /// Resumes tasks that were taken over. A request of a killed job may arrive after its successor's, and
    /// the agent gives the command to the latest request. The other reports that it lost the command.
    fn retry_superseded(&mut self) {
        for &(task, _, controller) in &self.plan.clone() {
            let mut app = self.controllers[controller].app.borrow_mut();
            let is_superseded = |report: &Report| {
                let note = report.note.as_deref().unwrap_or_default();
                report.outcome == Some(Outcome::Lost {}) && note.starts_with("another controller")
            };
            if app.taken_up.contains(&task.id)
                && app.reports.get(&task.id).is_some_and(is_superseded)
            {
                app.reports.remove(&task.id);
                drop(app);
                self.counts.superseded += 1;
                self.take_up(task);
            }
        }
    }

    fn take_up(&mut self, task: Task) {
        let &(_, agent, controller) = self.plan.iter().find(|plan| plan.0 == task).expect("ours");
        let (agent, controller) = (&self.agents[agent], &self.controllers[controller]);
        self.counts.crashed += 1;
        let how = if controller.can_attach(task) && self.rng.chance(0.7) {
            self.counts.attached += 1;
            Again::Attach
        } else {
            self.counts.repeated += 1;
            Again::Repeat
        };
        controller.again(&mut self.sim, agent, task, how);
    }

    /// True if the agent has restarted since the first request of the task, or may have within the error of
    /// the controller's clock estimate.
    fn may_be_unknown(&self, task: Task, agent: usize) -> bool {
        let asked = self.asked[&task.id];
        self.restarts
            .iter()
            .any(|&(which, at)| which == agent && at + SECOND * 5 > asked)
    }

    /// Compares reports with what happened.
    fn check(&mut self, agents: Agents) -> Counts {
        for &(task, agent, controller) in &self.plan {
            let app = self.controllers[controller].app.borrow();
            let log = self.agents[agent].log.borrow();
            let report = &app.reports[&task.id];
            // A second start panics in the simulated processes.
            let starts = log.starts.get(&task.id).copied().unwrap_or_default();
            self.counts.started += u64::from(starts);
            match report.outcome {
                Some(Outcome::Exited { code }) => {
                    assert_eq!(starts, 1, "{task:?} is reported to have run");
                    assert_eq!(log.returned.get(&task.id), Some(&code), "{task:?}");
                    assert_eq!(report.lengths, [task.out, task.err], "{task:?}");
                    assert_eq!(app.written[&task.id], [task.out, task.err], "{task:?}");
                    self.counts.whole += 1;
                }
                Some(Outcome::Unknown {}) if self.may_be_unknown(task, agent) => {
                    self.counts.unknown += 1;
                }
                Some(Outcome::Lost {}) if agents == Agents::Restart => self.counts.lost += 1,
                outcome => panic!("{task:?} came to {outcome:?}: {report:?}"),
            }
        }
        self.counts
    }
}

fn scenario(seed: u64, agents: Agents, total: &Mutex<Counts>) {
    let mut trial = Trial::new(seed, JOBS);
    trial.run(agents);
    let counts = trial.check(agents);
    total.lock().expect("nobody panicked").add(counts);
    // After the longest lease and the longest silence nothing runs any more.
    trial.sim.run_for(SECOND * 400);
    for agent in &trial.agents {
        assert_eq!(agent.processes(), 0, "something still runs");
    }
}

fn tell(what: &str, counts: &Counts) {
    println!("{what}: {counts:?}");
}

#[test]
fn ten_thousand_commands_at_30_percent_loss_are_each_reported_truly() {
    let total = Mutex::default();
    seeds::each(10_000 / JOBS, |seed| scenario(seed, Agents::Stay, &total));
    let counts = total.into_inner().expect("nobody panicked");
    tell("agents stay", &counts);
    assert_eq!(counts.whole, counts.jobs);
    assert_eq!(counts.started, counts.jobs);
    assert!(counts.attached > 0 && counts.repeated > 0);
}

#[test]
fn commands_on_agents_that_restart_never_start_twice() {
    let total = Mutex::default();
    seeds::each(10, |seed| scenario(seed, Agents::Restart, &total));
    let counts = total.into_inner().expect("nobody panicked");
    tell("agents restart", &counts);
    assert_eq!(counts.whole + counts.unknown + counts.lost, counts.jobs);
}
