//! The controller's attempts on the machine: each runs one command to its report.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use udpagent::control::contact::Contact;
use udpagent::control::exec::{Action, Config, Goal, JobRequest, Output, RemoteJob, Report};

use udpagent::crypto::PublicKey;
use udpagent::message::{Exec, RequestId};
use udpagent::session::{Command, Event, Path, Ticket};
use udpagent::time::Instant;
use udpagent::wire::Lane;

use super::agent::WholeAgent;
use crate::contract::session_of;
use crate::host::App;
use crate::invariants::Role;
use crate::network::HostId;
use crate::simulation::Simulation;
use crate::task::{Pattern, Task};

/// Bytes of stdin handed over at once.
const INPUT: u64 = 4 << 10;

struct Running {
    attempt: RemoteJob,
    agent: PublicKey,
    task: Task,
    /// Where the next byte of each output stands.
    outputs: [u64; 2],
    /// Bytes that attempts which died had written out, from an offset that they did not live to learn.
    unplaced: [u64; 2],
    /// All of it, where it is not known before the end with which byte it began.
    kept: Option<[Vec<u8>; 2]>,
    stdin: u64,
    stdin_ended: bool,
}

/// How a work is taken up again after its attempt died.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Again {
    /// By its id, from the byte after the last that was written out.
    Attach,
    /// By the same request under the same id.
    Repeat,
}

/// The application of its host.
#[derive(Default)]
pub struct Runner {
    running: BTreeMap<u32, Running>,
    slots: u32,
    /// Reports, by the work's id.
    pub reports: HashMap<u64, Report>,
    /// Bytes of each output that were written out, by the work's id; attempts at the same work go on
    /// where the one before was.
    pub written: HashMap<u64, [u64; 2]>,
    /// Works that an agent is known to have taken.
    pub accepted: HashSet<u64>,
    /// Works that were taken up again.
    pub taken_up: HashSet<u64>,
    /// Works of which an attempt died that would have learnt at its end only which bytes it has had, and how
    /// many it had written out.
    unplaced: HashMap<u64, [u64; 2]>,
    /// When each work was first asked for, as a controller keeps it on disk.
    begun: HashMap<u64, Instant>,
    /// What was learnt of the agents.
    tickets: HashMap<PublicKey, Ticket>,
}

/// A controller in the world.
#[derive(Clone)]
pub struct WholeController {
    /// Its host.
    pub host: HostId,
    /// Its address before any NAT.
    pub address: SocketAddr,
    /// Its application.
    pub app: Rc<RefCell<Runner>>,
}

/// The request id of a work.
fn request_id(id: u64) -> RequestId {
    RequestId(u128::from(id).to_be_bytes())
}

fn exec(task: &Task) -> Exec {
    let hex = task.encode().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    let argv = vec!["work".into(), hex.as_str().into()];
    Exec {
        stdin: task.stdin > 0,
        ..Exec::new(request_id(task.id), argv)
    }
}

impl WholeController {
    /// Adds one to the world.
    pub fn new(sim: &mut Simulation) -> Self {
        let app = Rc::new(RefCell::new(Runner::default()));
        let (host, _, address) = sim.add_host(Role::Controller, Box::new(Rc::clone(&app)));
        Self { host, address, app }
    }

    /// Runs a work.
    pub fn run(&self, sim: &mut Simulation, agent: &WholeAgent, task: Task) {
        self.attempt(sim, agent, task, JobRequest::Exec(exec(&task)), None);
    }

    /// Takes a work up again.
    pub fn again(&self, sim: &mut Simulation, agent: &WholeAgent, task: Task, how: Again) {
        self.app.borrow_mut().taken_up.insert(task.id);
        if how == Again::Attach {
            return self.attach(sim, agent, task);
        }
        let since = self.app.borrow().begun[&task.id];
        let age = sim.local(self.host).since(since);
        let age_ms = u64::try_from(age.as_millis())
            .expect("a short story")
            .max(1);
        let request = JobRequest::Exec(Exec {
            age_ms,
            ..exec(&task)
        });
        self.attempt(sim, agent, task, request, Some(Default::default()));
    }

    /// Attaches to a work, from the byte after the last that was written out.
    pub fn attach(&self, sim: &mut Simulation, agent: &WholeAgent, task: Task) {
        let [stdout, stderr] = self.app.borrow().written[&task.id];
        let request = JobRequest::Attach {
            keyboard: false,
            id: request_id(task.id),
            stdout: Some(stdout),
            stderr: Some(stderr),
        };
        self.attempt(sim, agent, task, request, None);
    }

    /// The process ends without a word; what it had written out stays written. Returns the works that it
    /// was at.
    pub fn crash(&self, sim: &mut Simulation) -> Vec<Task> {
        let mut app = self.app.borrow_mut();
        let running = std::mem::take(&mut app.running).into_values();
        let tasks = running.map(|running| app.on_crash(running)).collect();
        drop(app);
        sim.start(self.host, Vec::new());
        tasks
    }

    /// The attempt at a work is forgotten without a word, while its session goes on as a machine does whose
    /// application has stopped.
    pub fn abandon(&self, task: Task) -> bool {
        let mut app = self.app.borrow_mut();
        let slot = app.running.iter().find(|entry| entry.1.task == task);
        let Some(slot) = slot.map(|entry| *entry.0) else {
            return false;
        };
        let running = app.running.remove(&slot).expect("just found");
        app.on_crash(running);
        true
    }

    /// Whether attaching would give bytes that follow those that are known.
    pub fn can_attach(&self, task: Task) -> bool {
        let app = self.app.borrow();
        // What an agent has not taken cannot be attached to, and an attached call brings no input.
        app.accepted.contains(&task.id) && !app.unplaced.contains_key(&task.id) && task.stdin == 0
    }

    fn attempt(
        &self,
        sim: &mut Simulation,
        agent: &WholeAgent,
        task: Task,
        request: JobRequest,
        kept: Option<[Vec<u8>; 2]>,
    ) {
        let now = sim.local(self.host);
        let mut app = self.app.borrow_mut();
        app.begun.entry(task.id).or_insert(now);
        app.slots += 1;
        let slot = app.slots;
        let outputs = *app.written.entry(task.id).or_default();
        let config = Config {
            slot,
            request,
            goal: Goal::Result,
            agent: agent.key,
            paths: vec![Path {
                socket: 0,
                local: None,
                remote: agent.address.into(),
            }],
            ticket: app.tickets.get(&agent.key).copied(),
            begun: now,
            contact_timeout: Duration::from_secs(30),
            retry_for: Duration::from_secs(60),
        };
        let running = Running {
            attempt: RemoteJob::new(config),
            agent: agent.key,
            task,
            outputs,
            unplaced: app.unplaced.get(&task.id).copied().unwrap_or_default(),
            kept,
            stdin: 0,
            stdin_ended: false,
        };
        app.running.insert(slot, running);
        let mut out = Vec::new();
        app.pump(slot, &mut out);
        drop(app);
        sim.act(self.host, out);
    }

    /// Works whose attempt has not ended.
    pub fn pending(&self) -> usize {
        self.app.borrow().running.len()
    }
}

impl Runner {
    /// An attempt has died.
    fn on_crash(&mut self, running: Running) -> Task {
        if let Some(kept) = running.kept {
            let unplaced = self.unplaced.entry(running.task.id).or_default();
            for (unplaced, kept) in unplaced.iter_mut().zip(kept) {
                *unplaced += kept.len() as u64;
            }
        }
        running.task
    }

    fn pump(&mut self, slot: u32, out: &mut Vec<Command>) {
        let Some(running) = self.running.get_mut(&slot) else {
            return;
        };
        loop {
            running.feed();
            let Some(action) = running.attempt.poll() else {
                return;
            };
            match action {
                Action::Command(command) => out.push(command),
                Action::Output(output, _, data) => {
                    running.write(output, &data);
                    if running.kept.is_none() {
                        self.written.insert(running.task.id, running.outputs);
                    }
                }
                Action::Learned(ticket) => {
                    self.tickets.insert(running.agent, ticket);
                }
                Action::Accepted { .. } => {
                    self.accepted.insert(running.task.id);
                }
                Action::Gap(..) | Action::Screen(_) | Action::Flush => {}
                Action::Ended(report) => {
                    assert!(running.attempt.poll().is_none(), "nothing follows the end");
                    if let Some(outputs) = running.judge_kept(&report) {
                        self.written.insert(running.task.id, outputs);
                    }
                    let before = self.reports.insert(running.task.id, report);
                    assert!(before.is_none(), "two reports of one work");
                    self.running.remove(&slot);
                    return;
                }
            }
        }
    }
}

impl Running {
    fn feed(&mut self) {
        while !self.stdin_ended && self.attempt.wants_stdin() {
            let end = self.task.stdin.min(self.stdin + INPUT);
            let data: Bytes = Pattern::stdin(self.task.id).bytes(self.stdin, end);
            self.stdin = end;
            self.stdin_ended = end == self.task.stdin;
            self.attempt.on_stdin(data, self.stdin_ended);
        }
    }

    fn write(&mut self, output: Output, data: &[u8]) {
        let lane = match output {
            Output::Stdout => Lane::Data,
            Output::Stderr => Lane::Stderr,
        };
        if let Some(kept) = &mut self.kept {
            kept[output as usize].extend_from_slice(data);
        } else {
            let pattern = Pattern::output(self.task.id, lane);
            let offset = &mut self.outputs[output as usize];
            for &byte in data {
                assert_eq!(byte, pattern.at(*offset), "byte {offset} of {output:?}");
                *offset += 1;
            }
        }
        self.attempt.on_written(output, data.len() as u64);
    }

    /// Now that it is known how many bytes an earlier attempt has had: those of this one follow them, or
    /// begin before. Returns how far both together came.
    fn judge_kept(&self, report: &Report) -> Option<[u64; 2]> {
        let kept = self.kept.as_ref()?;
        Some([Lane::Data, Lane::Stderr].map(|lane| {
            let i = usize::from(lane == Lane::Stderr);
            let (begin, before) = (report.missing[i], self.outputs[i]);
            assert!(
                begin <= before + self.unplaced[i],
                "{begin} was never written"
            );
            let end = begin + kept[i].len() as u64;
            let wanted = Pattern::output(self.task.id, lane).bytes(begin, end);
            assert!(wanted == kept[i], "{lane:?} of {:?}", self.task);
            end.max(before)
        }))
    }
}

impl App for Rc<RefCell<Runner>> {
    fn on_event(&mut self, _: Instant, event: Event, out: &mut Vec<Command>) {
        let Some(session) = session_of(&event) else {
            return;
        };
        let mut runner = self.borrow_mut();
        let slot = Contact::slot_of(session);
        if let Some(running) = runner.running.get_mut(&slot) {
            running.attempt.on_event(event);
        }
        runner.pump(slot, out);
    }
}
