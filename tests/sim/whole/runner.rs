//! The controller's attempts on the machine: each runs one command to its report.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use udpagent::control::exec::{Action, Attempt, Config, Goal, Opening, Output, Report};

use udpagent::message::{Exec, RequestId};
use udpagent::session::{Command, Event, Path, Ticket};
use udpagent::time::Instant;
use udpagent::wire::Lane;

use super::agent::WholeAgent;
use crate::contract::connection_of;
use crate::host::App;
use crate::invariants::Standing;
use crate::network::HostId;
use crate::work::{Pattern, Work};
use crate::world::World;

/// Bytes of stdin handed over at once.
const INPUT: u64 = 4 << 10;

struct Running {
    attempt: Attempt,
    work: Work,
    /// Where the next byte of each output stands.
    outputs: [u64; 2],
    stdin: u64,
    stdin_ended: bool,
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
    /// What was learnt of the agent.
    pub ticket: Option<Ticket>,
}

/// A controller in the world.
#[derive(Clone)]
pub struct WholeLaptop {
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

fn exec(work: &Work) -> Exec {
    let hex = work.encode().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    let argv = vec!["work".into(), hex.as_str().into()];
    Exec {
        stdin: work.stdin > 0,
        ..Exec::new(request_id(work.id), argv)
    }
}

impl WholeLaptop {
    /// Adds one to the world.
    pub fn new(world: &mut World) -> Self {
        let app = Rc::new(RefCell::new(Runner::default()));
        let (host, _, address) = world.settle(Standing::Controller, Box::new(Rc::clone(&app)));
        Self { host, address, app }
    }

    /// Runs a work.
    pub fn run(&self, world: &mut World, agent: &WholeAgent, work: Work) {
        self.attempt(world, agent, work, Opening::Exec(exec(&work)));
    }

    /// Attaches to a work, from the byte after the last that was written out.
    pub fn attach(&self, world: &mut World, agent: &WholeAgent, work: Work) {
        let [stdout, stderr] = self.app.borrow().written[&work.id];
        let opening = Opening::Attach {
            keyboard: false,
            id: request_id(work.id),
            stdout: Some(stdout),
            stderr: Some(stderr),
        };
        self.attempt(world, agent, work, opening);
    }

    /// The process ends without a word; what it had written out stays written.
    pub fn crash(&self, world: &mut World) {
        self.app.borrow_mut().running.clear();
        world.start(self.host, Vec::new());
    }

    fn attempt(&self, world: &mut World, agent: &WholeAgent, work: Work, opening: Opening) {
        let now = world.local(self.host);
        let mut app = self.app.borrow_mut();
        app.slots += 1;
        let slot = app.slots;
        let outputs = *app.written.entry(work.id).or_default();
        let config = Config {
            slot,
            opening,
            goal: Goal::Result,
            agent: agent.key,
            paths: vec![Path {
                socket: 0,
                local: None,
                remote: agent.address,
            }],
            ticket: app.ticket,
            begun: now,
            contact_timeout: Duration::from_secs(30),
            patience: Duration::from_secs(60),
        };
        let running = Running {
            attempt: Attempt::new(config),
            work,
            outputs,
            stdin: 0,
            stdin_ended: false,
        };
        app.running.insert(slot, running);
        let mut out = Vec::new();
        app.pump(slot, &mut out);
        drop(app);
        world.act(self.host, out);
    }

    /// Works whose attempt has not ended.
    pub fn pending(&self) -> usize {
        self.app.borrow().running.len()
    }
}

impl Runner {
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
                    self.written.insert(running.work.id, running.outputs);
                }
                Action::Learned(ticket) => self.ticket = Some(ticket),
                Action::Accepted { .. } | Action::Gap(..) | Action::Screen(_) | Action::Flush => {}
                Action::Ended(report) => {
                    assert!(running.attempt.poll().is_none(), "nothing follows the end");
                    let before = self.reports.insert(running.work.id, report);
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
            let end = self.work.stdin.min(self.stdin + INPUT);
            let data: Bytes = Pattern::stdin(self.work.id).bytes(self.stdin, end);
            self.stdin = end;
            self.stdin_ended = end == self.work.stdin;
            self.attempt.on_stdin(data, self.stdin_ended);
        }
    }

    fn write(&mut self, output: Output, data: &[u8]) {
        let lane = match output {
            Output::Stdout => Lane::Main,
            Output::Stderr => Lane::Error,
        };
        let pattern = Pattern::output(self.work.id, lane);
        let offset = &mut self.outputs[output as usize];
        for &byte in data {
            assert_eq!(byte, pattern.at(*offset), "byte {offset} of {output:?}");
            *offset += 1;
        }
        self.attempt.on_written(output, data.len() as u64);
    }
}

impl App for Rc<RefCell<Runner>> {
    fn on_event(&mut self, _: Instant, event: Event, out: &mut Vec<Command>) {
        let Some(connection) = connection_of(&event) else {
            return;
        };
        let mut runner = self.borrow_mut();
        let slot = Attempt::slot_of(connection);
        if let Some(running) = runner.running.get_mut(&slot) {
            running.attempt.on_event(event);
        }
        runner.pump(slot, out);
    }
}
