//! Ten thousand commands over a network that loses three datagrams in ten, from controllers that die and
//! come back, on agents that stay or do not: each starts once at most, and what is told of it is true.

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

/// Commands that a laptop has under way.
const AT_ONCE: usize = 16;

/// Whether agents die as well.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Agents {
    Stay,
    Restart,
}

/// How often things happened.
#[derive(Clone, Copy, Default, Debug)]
struct Counts {
    jobs: u64,
    whole: u64,
    unknown: u64,
    lost: u64,
    started: u64,
    /// Attempts that died without a word.
    crashed: u64,
    attached: u64,
    repeated: u64,
    /// Attempts from which the last word of a dead one has taken the command away.
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

/// A way that loses, repeats and mixes up.
fn any_bad_link(rng: &mut SimRng) -> Link {
    let latency = rng.between(MS, MS * 60);
    Link {
        jitter: rng.duration_below(latency / 2),
        duplicate: 0.1,
        reorder: 0.15,
        ..Link::lossy(latency, 0.3)
    }
}

/// Mostly little; now and then more than a pipe or the first credit hold.
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
    /// Of each work: itself, its agent, its laptop.
    plan: Vec<(Task, usize, usize)>,
    /// When each work was first asked for.
    asked: HashMap<u64, Instant>,
    /// Which agent restarted, and when.
    restarts: Vec<(usize, Instant)>,
    counts: Counts,
}

impl Trial {
    fn new(seed: u64, jobs: u64) -> Self {
        let mut rng = SimRng::new(seed, "ten thousand");
        let link = any_bad_link(&mut rng);
        let mut sim = Simulation::new(seed, link);
        let agents: Vec<_> = (0..=rng.below(3))
            .map(|_| WholeAgent::new(&mut sim))
            .collect();
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
        // So that the agents have begun before all that they are asked for, beyond the doubt of a round trip.
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

    /// A laptop's process dies, and comes back.
    fn crash(&mut self) {
        let controller = self.rng.index(self.controllers.len());
        let tasks = self.controllers[controller].crash(&mut self.sim);
        let pause = self.rng.duration_below(SECOND * 2);
        self.sim.run_for(pause);
        for task in tasks {
            self.take_up(task);
        }
    }

    /// One attempt is forgotten, and its work taken up again, perhaps while the other session still lives.
    fn abandon(&mut self, begun: usize) {
        let (task, _, controller) = self.plan[self.rng.index(begun)];
        if self.controllers[controller].abandon(task) {
            let pause = self.rng.duration_below(MS * 300);
            self.sim.run_for(pause);
            self.take_up(task);
        }
    }

    /// A request of a dead attempt may arrive after its successor's, and the agent gives the command to
    /// whoever asked last. The one that lost it says so and knows no result, and its user asks again.
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

    /// The agent has restarted since the command was first asked for, or may have as far as one can tell
    /// that has measured a round trip with its losses.
    fn may_be_unknown(&self, task: Task, agent: usize) -> bool {
        let asked = self.asked[&task.id];
        self.restarts
            .iter()
            .any(|&(which, at)| which == agent && at + SECOND * 5 > asked)
    }

    /// What was told against what was.
    fn invariants(&mut self, agents: Agents) -> Counts {
        for &(task, agent, controller) in &self.plan {
            let app = self.controllers[controller].app.borrow();
            let log = self.agents[agent].log.borrow();
            let report = &app.reports[&task.id];
            // That it is not more than one is judged at the start itself.
            let starts = log.starts.get(&task.id).copied().unwrap_or_default();
            self.counts.started += u64::from(starts);
            match report.outcome {
                Some(Outcome::Exited { code }) => {
                    assert_eq!(starts, 1, "{task:?} is told to have run");
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
    let counts = trial.invariants(agents);
    total.lock().expect("nobody panicked").add(counts);
    // Nobody is left waiting for anything: the longest lease has passed, and the longest silence.
    trial.sim.run_for(SECOND * 400);
    for agent in &trial.agents {
        assert_eq!(agent.processes(), 0, "something still runs");
    }
}

fn tell(what: &str, counts: &Counts) {
    println!("{what}: {counts:?}");
}

#[test]
fn ten_thousand_commands_at_30_percent_loss_are_each_told_as_they_were() {
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
