//! The controller's remote jobs above an endpoint: each runs one command to its report.

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
use udpagent::message::{Exec, ForwardTarget, OsText, RequestId, Service};
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
    /// Offset of the next byte of each output.
    outputs: [u64; 2],
    /// Bytes that earlier jobs wrote, from an offset that they did not learn before they were killed.
    unplaced: [u64; 2],
    /// The whole output, if its first offset is known only at the end.
    kept: Option<[Vec<u8>; 2]>,
    stdin: u64,
    stdin_ended: bool,
}

/// Way of resuming a task after its remote job was killed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Again {
    /// By its id, from the byte after the last that was written.
    Attach,
    /// By the same request under the same id.
    Repeat,
}

/// Job to begin.
pub struct Begin {
    /// Key of its agent.
    pub agent: PublicKey,
    /// Addresses of its agent, best first.
    pub addresses: Vec<SocketAddr>,
    /// Its task.
    pub task: Task,
    /// Its request.
    pub request: JobRequest,
    /// True if the first offsets of its outputs are known only at its end.
    pub is_repeat: bool,
    /// Time after which an agent that does not answer is given up.
    pub contact_timeout: Duration,
}

/// Changes of a job by one event.
#[derive(Clone, Copy, Default, Debug)]
pub struct Changes {
    /// True if its agent has answered.
    pub answered: bool,
    /// True if it has ended.
    pub ended: bool,
}

/// The application of its host.
#[derive(Default)]
pub struct Runner {
    running: BTreeMap<u32, Running>,
    slots: u32,
    /// Reports, by task id.
    pub reports: HashMap<u64, Report>,
    /// Bytes of each output that were written, by task id. A resumed task continues there.
    pub written: HashMap<u64, [u64; 2]>,
    /// Tasks that an agent is known to have accepted.
    pub accepted: HashSet<u64>,
    /// Tasks that were resumed.
    pub taken_up: HashSet<u64>,
    /// Tasks with a killed job that would have learnt its first offset only at its end, and the number of
    /// bytes that it had written.
    unplaced: HashMap<u64, [u64; 2]>,
    /// Time of the first request of each task, as a controller keeps it on disk.
    begun: HashMap<u64, Instant>,
    /// Tickets of the agents.
    tickets: HashMap<PublicKey, Ticket>,
}

/// A whole controller in the simulation.
#[derive(Clone)]
pub struct WholeController {
    /// Its host.
    pub host: HostId,
    /// Its address before any NAT.
    pub address: SocketAddr,
    /// Its application.
    pub app: Rc<RefCell<Runner>>,
}

/// The request id of a task.
fn request_id(id: u64) -> RequestId {
    RequestId(u128::from(id).to_be_bytes())
}

/// The name of a task.
fn name(task: &Task) -> String {
    task.encode().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// The request that starts a task.
pub fn exec(task: &Task) -> Exec {
    let argv = vec!["task".into(), name(task).as_str().into()];
    Exec {
        stdin: task.stdin > 0,
        ..Exec::new(request_id(task.id), argv)
    }
}

fn path(address: &SocketAddr) -> Path {
    Path {
        socket: 0,
        local: None,
        remote: (*address).into(),
    }
}

impl WholeController {
    /// Adds a controller to the simulation.
    pub fn new(sim: &mut Simulation) -> Self {
        let app = Rc::new(RefCell::new(Runner::default()));
        let (host, _, address) = sim.add_host(Role::Controller, Box::new(Rc::clone(&app)));
        Self { host, address, app }
    }

    /// Runs a task.
    pub fn run(&self, sim: &mut Simulation, agent: &WholeAgent, task: Task) {
        self.attempt(sim, agent, task, JobRequest::Exec(exec(&task)), false);
    }

    /// Forwards a connection to the Unix socket that a task stands for: it reads to the end of the input, and answers.
    pub fn forward(&self, sim: &mut Simulation, agent: &WholeAgent, task: Task) {
        let path = format!("/{}", name(&task));
        let target = ForwardTarget::unix(OsText::from(path.as_str())).expect("an absolute path");
        let exec = Exec::of_service(request_id(task.id), Service::Forward(target));
        self.attempt(sim, agent, task, JobRequest::Exec(exec), false);
    }

    /// Resumes a task.
    pub fn again(&self, sim: &mut Simulation, agent: &WholeAgent, task: Task, how: Again) {
        self.app.borrow_mut().taken_up.insert(task.id);
        if how == Again::Attach {
            return self.attach(sim, agent, task);
        }
        let since = self.app.borrow().begun[&task.id];
        let age = sim.local(self.host).since(since);
        let age_ms = u64::try_from(age.as_millis())
            .expect("a short scenario")
            .max(1);
        let request = JobRequest::Exec(Exec {
            age_ms,
            ..exec(&task)
        });
        self.attempt(sim, agent, task, request, true);
    }

    /// Attaches to a task, from the byte after the last that was written.
    pub fn attach(&self, sim: &mut Simulation, agent: &WholeAgent, task: Task) {
        let [stdout, stderr] = self.app.borrow().written[&task.id];
        let request = JobRequest::Attach {
            key: None,
            keyboard: false,
            id: request_id(task.id),
            stdout: Some(stdout),
            stderr: Some(stderr),
        };
        self.attempt(sim, agent, task, request, false);
    }

    /// Kills the process; its written output stays. Returns the tasks that were running.
    pub fn crash(&self, sim: &mut Simulation) -> Vec<Task> {
        let mut app = self.app.borrow_mut();
        let running = std::mem::take(&mut app.running).into_values();
        let tasks = running.map(|running| app.on_crash(running)).collect();
        drop(app);
        sim.start(self.host, Vec::new());
        tasks
    }

    /// Drops the remote job of a task while its session stays open, as if the application had hung. Returns true if
    /// there was one. A request that was written waits in its session, and may arrive after its successor.
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

    /// True if an attached job would continue at the known offset.
    pub fn can_attach(&self, task: Task) -> bool {
        let app = self.app.borrow();
        // Attaching needs an accepted request, and an attached call carries no input.
        app.accepted.contains(&task.id) && !app.unplaced.contains_key(&task.id) && task.stdin == 0
    }

    fn attempt(
        &self,
        sim: &mut Simulation,
        agent: &WholeAgent,
        task: Task,
        request: JobRequest,
        is_repeat: bool,
    ) {
        let now = sim.local(self.host);
        let begin = Begin {
            agent: agent.key,
            addresses: agent.addresses.clone(),
            task,
            request,
            is_repeat,
            contact_timeout: Duration::from_secs(30),
        };
        let mut out = Vec::new();
        self.app.borrow_mut().begin(now, begin, &mut out);
        sim.act(self.host, out);
    }

    /// Number of remote jobs that have not ended.
    pub fn pending(&self) -> usize {
        self.app.borrow().pending()
    }
}

impl Runner {
    /// Notes the bytes of a killed job.
    fn on_crash(&mut self, running: Running) -> Task {
        if let Some(kept) = running.kept {
            let unplaced = self.unplaced.entry(running.task.id).or_default();
            for (unplaced, kept) in unplaced.iter_mut().zip(kept) {
                *unplaced += kept.len() as u64;
            }
        }
        running.task
    }

    /// Begins a job. Returns its slot.
    pub fn begin(&mut self, now: Instant, begin: Begin, out: &mut Vec<Command>) -> u32 {
        let Begin {
            agent,
            addresses,
            task,
            request,
            is_repeat,
            contact_timeout,
        } = begin;
        self.begun.entry(task.id).or_insert(now);
        self.slots += 1;
        let slot = self.slots;
        let config = Config {
            slot,
            request,
            goal: Goal::Result,
            agent,
            paths: addresses.iter().map(path).collect(),
            ticket: self.tickets.get(&agent).copied(),
            begun: now,
            contact_timeout,
            retry_for: Duration::from_secs(60),
        };
        let running = Running {
            attempt: RemoteJob::new(config),
            agent,
            task,
            outputs: *self.written.entry(task.id).or_default(),
            unplaced: self.unplaced.get(&task.id).copied().unwrap_or_default(),
            kept: is_repeat.then(Default::default),
            stdin: 0,
            stdin_ended: false,
        };
        self.running.insert(slot, running);
        self.pump(slot, out);
        slot
    }

    /// Handles an event of a job's session.
    pub fn on_job_event(&mut self, slot: u32, event: Event, out: &mut Vec<Command>) -> Changes {
        if let Some(running) = self.running.get_mut(&slot) {
            running.attempt.on_event(event);
        }
        self.pump(slot, out)
    }

    /// Number of remote jobs that have not ended.
    pub fn pending(&self) -> usize {
        self.running.len()
    }

    fn pump(&mut self, slot: u32, out: &mut Vec<Command>) -> Changes {
        let mut changes = Changes::default();
        let Some(running) = self.running.get_mut(&slot) else {
            return changes;
        };
        loop {
            running.feed();
            let Some(action) = running.attempt.poll() else {
                return changes;
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
                    changes.answered = true;
                }
                Action::Accepted { .. } => {
                    self.accepted.insert(running.task.id);
                }
                Action::Answered(_) | Action::Gap(..) | Action::Screen(_) | Action::Flush => {}
                Action::Ended(report) => {
                    assert!(running.attempt.poll().is_none(), "nothing follows the end");
                    if let Some(outputs) = running.judge_kept(&report) {
                        self.written.insert(running.task.id, outputs);
                    }
                    let before = self.reports.insert(running.task.id, report);
                    assert!(before.is_none(), "two reports of one task");
                    self.running.remove(&slot);
                    changes.ended = true;
                    return changes;
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

    /// Checks a kept output, whose first offset the report tells: it follows the bytes of earlier jobs, or
    /// overlaps them. Returns the end of each output.
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
        let slot = Contact::slot_of(session);
        self.borrow_mut().on_job_event(slot, event, out);
    }
}
