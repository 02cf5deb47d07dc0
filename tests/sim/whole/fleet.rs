//! A run of one command on many hosts, from one controller: the real schedule and window above the remote jobs of a
//! [`Runner`].
//!
//! It stands for the loop of `control::exec::run`, which has a clock and threads. It leaves out the lookup of names, the
//! queues of the outputs, further attempts, and signals. Invariants, each checked at every beginning from its own
//! records and not from those of the window: a target begins once; the targets that have answered or began a moment ago
//! have places; all in progress are bounded.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use udpagent::control::contact::Contact;
use udpagent::control::exec::JobRequest;
use udpagent::control::fleet::{Rules, Schedule};
use udpagent::control::limits;
use udpagent::control::window::{Places, Window};
use udpagent::crypto::PublicKey;
use udpagent::message::Outcome;
use udpagent::session::{Command, Event};
use udpagent::time::Instant;

use super::runner::{Begin, Runner, exec};
use crate::contract::session_of;
use crate::host::App;
use crate::invariants::Role;
use crate::network::HostId;
use crate::simulation::Simulation;
use crate::task::Task;

/// First answers that a receive buffer of the usual size holds: `net.core.rmem_max` of 212 992 octets, which the kernel
/// doubles.
pub const FIRST_CONTACTS: u32 = 184;
const _: () = assert!(2 * 212_992 / limits::ANSWER_MEMORY == FIRST_CONTACTS as u64);

/// One target of a run.
#[derive(Clone, Debug)]
pub struct Target {
    /// Key of its agent.
    pub key: PublicKey,
    /// Address of its agent.
    pub address: SocketAddr,
    /// Its command.
    pub task: Task,
}

/// Times of one target, by the controller's clock.
#[derive(Clone, Copy, Default, Debug)]
pub struct Times {
    /// Its beginning.
    pub begun: Option<Instant>,
    /// Its first answer.
    pub answered: Option<Instant>,
    /// Its end.
    pub ended: Option<Instant>,
}

/// The application of a fleet's controller.
pub struct Run {
    targets: Vec<Target>,
    schedule: Schedule,
    window: Window,
    /// Number of its places, counted here.
    places: usize,
    /// The jobs and their reports.
    pub runner: Runner,
    /// Times of each target.
    pub times: Vec<Times>,
    /// Targets in progress.
    open: BTreeSet<usize>,
    /// Target of each slot.
    slots: HashMap<u32, usize>,
    /// Targets that have ended since this was last emptied.
    pub ends: Vec<usize>,
    /// The most targets that were in progress at a time.
    pub most_open: usize,
}

/// A controller that runs commands on a fleet.
#[derive(Clone)]
pub struct Fleet {
    /// Its host.
    pub host: HostId,
    /// Its application.
    pub app: Rc<RefCell<Run>>,
}

impl Fleet {
    /// Adds the controller of a fleet to the simulation.
    pub fn new(sim: &mut Simulation) -> Self {
        let app = Rc::new(RefCell::new(Run::new(Vec::new())));
        let (host, ..) = sim.add_host(Role::Controller, Box::new(Rc::clone(&app)));
        Self { host, app }
    }

    /// Begins a run over all targets.
    pub fn run(&self, sim: &mut Simulation, targets: Vec<Target>) {
        let mut out = Vec::new();
        let mut app = self.app.borrow_mut();
        *app = Run::new(targets);
        app.begin_some(sim.local(self.host), &mut out);
        drop(app);
        sim.act(self.host, out);
    }

    /// True if every target has its outcome.
    pub fn is_done(&self) -> bool {
        let app = self.app.borrow();
        app.open.is_empty() && app.schedule.is_done()
    }
}

impl Run {
    fn new(targets: Vec<Target>) -> Self {
        let mut schedule = Schedule::new(targets.len(), Rules::default());
        for index in 0..targets.len() {
            schedule.ready(index);
        }
        Self {
            times: vec![Times::default(); targets.len()],
            schedule,
            window: Window::new(Places::default()).with_first_contacts(FIRST_CONTACTS as usize),
            places: limits::WINDOW,
            runner: Runner::default(),
            open: BTreeSet::new(),
            slots: HashMap::new(),
            ends: Vec::new(),
            most_open: 0,
            targets,
        }
    }

    /// Begins targets as long as there is one to begin and a place for it.
    fn begin_some(&mut self, now: Instant, out: &mut Vec<Command>) {
        while self.window.has_room(now)
            && let Some(index) = self.schedule.next(now)
        {
            let Target { key, address, task } = self.targets[index];
            let before = self.times[index].begun.replace(now);
            assert!(before.is_none(), "target {index} begins again");
            let begin = Begin {
                agent: key,
                addresses: vec![address],
                task,
                request: JobRequest::Exec(exec(&task)),
                is_repeat: false,
                contact_timeout: limits::CONTACT_TIMEOUT,
            };
            let slot = self.runner.begin(now, begin, out);
            self.slots.insert(slot, index);
            self.open.insert(index);
            self.window.begin(now, slot);
            self.check(now);
        }
    }

    /// Checks the number of targets in progress.
    fn check(&mut self, now: Instant) {
        self.most_open = self.most_open.max(self.open.len());
        assert_eq!(self.open.len(), self.window.in_progress());
        let answered = self.running();
        let is_young = |index: &&usize| {
            let times = self.times[**index];
            let age = times.begun.map_or(Duration::ZERO, |begun| now.since(begun));
            times.answered.is_none() && age < limits::ANSWER_TIME_MIN
        };
        let young = self.open.iter().filter(is_young).count();
        assert!(young <= FIRST_CONTACTS as usize, "{young} first contacts");
        assert!(answered + young <= self.places, "{answered} + {young}");
        assert!(self.open.len() < self.places + limits::OVERDUE);
    }

    /// Returns the number of targets that have answered and not ended.
    fn running(&self) -> usize {
        let open = self.open.iter();
        open.filter(|&&index| self.times[index].answered.is_some())
            .count()
    }

    fn on_job_event(&mut self, now: Instant, event: Event, out: &mut Vec<Command>) {
        let Some(session) = session_of(&event) else {
            return;
        };
        let slot = Contact::slot_of(session);
        let changes = self.runner.on_job_event(slot, event, out);
        let Some(&index) = self.slots.get(&slot) else {
            return;
        };
        if changes.answered {
            let is_first = self.times[index].answered.is_none();
            self.times[index].answered.get_or_insert(now);
            self.window.answered(slot);
            let grows = is_first && 2 * self.running() > self.places;
            self.places += usize::from(grows && self.places < limits::WINDOW_MOST);
        }
        if changes.ended {
            self.times[index].ended = Some(now);
            self.open.remove(&index);
            self.ends.push(index);
            self.window.ended(slot);
            assert_eq!(self.open.len(), self.window.in_progress());
            let report = &self.runner.reports[&self.targets[index].task.id];
            let is_ok = report.outcome == Some(Outcome::Exited { code: 0 });
            self.schedule.ended(index, is_ok, now);
        }
        self.begin_some(now, out);
    }
}

impl App for Rc<RefCell<Run>> {
    fn on_event(&mut self, now: Instant, event: Event, out: &mut Vec<Command>) {
        self.borrow_mut().on_job_event(now, event, out);
    }

    fn on_time(&mut self, now: Instant, out: &mut Vec<Command>) {
        self.borrow_mut().begin_some(now, out);
        let next = self.next_time();
        assert!(next.is_none_or(|next| next > now), "busy loop: {next:?}");
    }

    fn next_time(&self) -> Option<Instant> {
        let run = self.borrow();
        let deadline = run.window.next_deadline();
        deadline.filter(|_| !run.schedule.is_begun())
    }
}
