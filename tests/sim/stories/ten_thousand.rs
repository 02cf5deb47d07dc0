//! Ten thousand commands over a network that loses three datagrams in ten, from controllers that die and
//! come back, on agents that stay or do not: each starts once at most, and what is told of it is true.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use udpagent::control::exec::Report;
use udpagent::message::Outcome;
use udpagent::time::Instant;

use super::{MS, SECOND};
use crate::dice::Dice;
use crate::link::Link;
use crate::seeds;
use crate::whole::{Again, WholeAgent, WholeLaptop};
use crate::work::Work;
use crate::world::World;

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
    haunted: u64,
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
        self.haunted += other.haunted;
        self.restarts += other.restarts;
    }
}

/// A way that loses, repeats and mixes up.
fn storm(dice: &mut Dice) -> Link {
    let latency = dice.between(MS, MS * 60);
    Link {
        jitter: dice.upto(latency / 2),
        duplicate: 0.1,
        reorder: 0.15,
        ..Link::lossy(latency, 0.3)
    }
}

/// Mostly little; now and then more than a pipe or the first credit hold.
fn any_work(dice: &mut Dice, id: u64) -> Work {
    let mut bytes = |most: u64| match dice.below(20) {
        0..6 => 0,
        6..19 => dice.below(1_500),
        _ => dice.below(most),
    };
    let (out, err, stdin) = (bytes(100_000), bytes(20_000), bytes(40_000));
    Work {
        id,
        out,
        err,
        stdin: if dice.chance(0.25) { stdin } else { 0 },
        takes: if dice.chance(0.5) {
            dice.upto(SECOND)
        } else {
            Duration::ZERO
        },
        bound: 0,
    }
}

struct Stage {
    world: World,
    dice: Dice,
    agents: Vec<WholeAgent>,
    laptops: Vec<WholeLaptop>,
    /// Of each work: itself, its agent, its laptop.
    plan: Vec<(Work, usize, usize)>,
    /// When each work was first asked for.
    asked: HashMap<u64, Instant>,
    /// Which agent restarted, and when.
    restarts: Vec<(usize, Instant)>,
    counts: Counts,
}

impl Stage {
    fn new(seed: u64, jobs: u64) -> Self {
        let mut dice = Dice::new(seed, "ten thousand");
        let link = storm(&mut dice);
        let mut world = World::new(seed, link);
        let agents: Vec<_> = (0..=dice.below(3))
            .map(|_| WholeAgent::new(&mut world))
            .collect();
        let laptops: Vec<_> = (0..=dice.below(3))
            .map(|_| WholeLaptop::new(&mut world))
            .collect();
        for agent in &agents {
            for laptop in &laptops {
                let links = (storm(&mut dice), storm(&mut dice));
                world.network.set_link(agent.host, laptop.host, links.0);
                world.network.set_link(laptop.host, agent.host, links.1);
            }
        }
        let plan = (1..=jobs)
            .map(|id| {
                let work = any_work(&mut dice, id);
                (work, dice.index(agents.len()), dice.index(laptops.len()))
            })
            .collect();
        let counts = Counts {
            jobs,
            ..Counts::default()
        };
        Self {
            world,
            dice,
            agents,
            laptops,
            plan,
            asked: HashMap::new(),
            restarts: Vec::new(),
            counts,
        }
    }

    fn run(&mut self, fate: Agents) {
        let mut next = 0;
        // So that the agents have begun before all that they are asked for, beyond the doubt of a round trip.
        self.world.run_for(SECOND * 60);
        let began = self.world.now();
        loop {
            while let Some(&(work, agent, laptop)) = self.plan.get(next)
                && self.laptops[laptop].pending() < AT_ONCE
            {
                self.asked.insert(work.id, self.world.now());
                self.laptops[laptop].run(&mut self.world, &self.agents[agent], work);
                next += 1;
            }
            if next == self.plan.len() && self.laptops.iter().all(|l| l.pending() == 0) {
                return;
            }
            let pause = self.dice.upto(MS * 400);
            self.world.run_for(pause);
            self.exorcise();
            if self.dice.chance(0.15) {
                self.crash();
            }
            if self.dice.chance(0.3) {
                self.abandon(next);
            }
            if fate == Agents::Restart && self.dice.chance(0.03) {
                let agent = self.dice.index(self.agents.len());
                self.agents[agent].restart(&mut self.world);
                self.restarts.push((agent, self.world.now()));
                self.counts.restarts += 1;
            }
            let took = self.world.now().since(began);
            assert!(took < SECOND * 3_600, "still not through after {took:?}");
        }
    }

    /// A laptop's process dies, and comes back.
    fn crash(&mut self) {
        let laptop = self.dice.index(self.laptops.len());
        let works = self.laptops[laptop].crash(&mut self.world);
        let pause = self.dice.upto(SECOND * 2);
        self.world.run_for(pause);
        for work in works {
            self.take_up(work);
        }
    }

    /// One attempt is forgotten, and its work taken up again, perhaps while the other session still lives.
    fn abandon(&mut self, begun: usize) {
        let (work, _, laptop) = self.plan[self.dice.index(begun)];
        if self.laptops[laptop].abandon(work) {
            let pause = self.dice.upto(MS * 300);
            self.world.run_for(pause);
            self.take_up(work);
        }
    }

    /// A request of a dead attempt may arrive after its successor's, and the agent gives the command to
    /// whoever asked last. The one that lost it says so and knows no result, and its user asks again.
    fn exorcise(&mut self) {
        for &(work, _, laptop) in &self.plan.clone() {
            let mut app = self.laptops[laptop].app.borrow_mut();
            let is_haunted = |report: &Report| {
                let note = report.note.as_deref().unwrap_or_default();
                report.outcome == Some(Outcome::Lost {}) && note.starts_with("another controller")
            };
            if app.taken_up.contains(&work.id) && app.reports.get(&work.id).is_some_and(is_haunted)
            {
                app.reports.remove(&work.id);
                drop(app);
                self.counts.haunted += 1;
                self.take_up(work);
            }
        }
    }

    fn take_up(&mut self, work: Work) {
        let &(_, agent, laptop) = self.plan.iter().find(|plan| plan.0 == work).expect("ours");
        let (agent, laptop) = (&self.agents[agent], &self.laptops[laptop]);
        self.counts.crashed += 1;
        let how = if laptop.can_attach(work) && self.dice.chance(0.7) {
            self.counts.attached += 1;
            Again::Attach
        } else {
            self.counts.repeated += 1;
            Again::Repeat
        };
        laptop.again(&mut self.world, agent, work, how);
    }

    /// The agent has restarted since the command was first asked for, or may have as far as one can tell
    /// that has measured a round trip with its losses.
    fn may_be_unknown(&self, work: Work, agent: usize) -> bool {
        let asked = self.asked[&work.id];
        self.restarts
            .iter()
            .any(|&(which, at)| which == agent && at + SECOND * 5 > asked)
    }

    /// What was told against what was.
    fn judge(&mut self, fate: Agents) -> Counts {
        for &(work, agent, laptop) in &self.plan {
            let app = self.laptops[laptop].app.borrow();
            let log = self.agents[agent].log.borrow();
            let report = &app.reports[&work.id];
            // That it is not more than one is judged at the start itself.
            let starts = log.starts.get(&work.id).copied().unwrap_or_default();
            self.counts.started += u64::from(starts);
            match report.outcome {
                Some(Outcome::Exited { code }) => {
                    assert_eq!(starts, 1, "{work:?} is told to have run");
                    assert_eq!(log.returned.get(&work.id), Some(&code), "{work:?}");
                    assert_eq!(report.lengths, [work.out, work.err], "{work:?}");
                    assert_eq!(app.written[&work.id], [work.out, work.err], "{work:?}");
                    self.counts.whole += 1;
                }
                Some(Outcome::Unknown {}) if self.may_be_unknown(work, agent) => {
                    self.counts.unknown += 1;
                }
                Some(Outcome::Lost {}) if fate == Agents::Restart => self.counts.lost += 1,
                outcome => panic!("{work:?} came to {outcome:?}: {report:?}"),
            }
        }
        self.counts
    }
}

fn story(seed: u64, fate: Agents, total: &Mutex<Counts>) {
    let mut stage = Stage::new(seed, JOBS);
    stage.run(fate);
    let counts = stage.judge(fate);
    total.lock().expect("nobody panicked").add(counts);
    // Nobody is left waiting for anything: the longest lease has passed, and the longest silence.
    stage.world.run_for(SECOND * 400);
    for agent in &stage.agents {
        assert_eq!(agent.processes(), 0, "something still runs");
    }
}

fn tell(what: &str, counts: &Counts) {
    println!("{what}: {counts:?}");
}

#[test]
fn ten_thousand_commands_at_30_percent_loss_are_each_told_as_they_were() {
    let total = Mutex::default();
    seeds::each(10_000 / JOBS, |seed| story(seed, Agents::Stay, &total));
    let counts = total.into_inner().expect("nobody panicked");
    tell("agents stay", &counts);
    assert_eq!(counts.whole, counts.jobs);
    assert_eq!(counts.started, counts.jobs);
    assert!(counts.attached > 0 && counts.repeated > 0);
}

#[test]
fn commands_on_agents_that_restart_never_start_twice() {
    let total = Mutex::default();
    seeds::each(10, |seed| story(seed, Agents::Restart, &total));
    let counts = total.into_inner().expect("nobody panicked");
    tell("agents restart", &counts);
    assert_eq!(counts.whole + counts.unknown + counts.lost, counts.jobs);
}
