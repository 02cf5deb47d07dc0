//! The agent's service above an endpoint.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use udpagent::agent::access::{Accounts, InviteRefused, Policy, PolicySource};
use udpagent::agent::audit::{Audit, Event, Record, Unwritten};
use udpagent::agent::core::{Config, Service};
use udpagent::agent::jobs::{self};
use udpagent::crypto::PublicKey;
use udpagent::message::OsText;
use udpagent::process::{AccountError, RefusedVariable};
use udpagent::session::{self, Closed, Command, InitFingerprint, ResetRecord, Run, SessionHandle};
use udpagent::time::Instant;
use udpagent::wire::limits::INVITE;

use super::processes::{Doing, Log, SimulatedProcesses, exit_code};
use crate::host::App;
use crate::invariants::Role;
use crate::network::HostId;
use crate::nodes::Members;
use crate::simulation::Simulation;

/// Every key of the simulation may run anything.
struct ListedPolicy(Members);

impl PolicySource for ListedPolicy {
    fn policy(&self) -> Arc<Policy> {
        self.0.policy()
    }

    fn accounts(&self) -> &dyn Accounts {
        self
    }

    fn unix_now(&self) -> u64 {
        0
    }

    fn register(
        &mut self,
        _: &PublicKey,
        _: &[u8; INVITE],
        _: &str,
    ) -> Result<String, InviteRefused> {
        Err(InviteRefused)
    }
}

impl Accounts for ListedPolicy {
    fn own_name(&self) -> String {
        "agent".into()
    }

    fn check_user(&self, _: &str) -> Result<(), AccountError> {
        Ok(())
    }

    fn check_variables(&self, _: &[(OsText, OsText)]) -> Result<(), RefusedVariable> {
        Ok(())
    }
}

/// Counts what was accepted.
struct Recorder(Arc<AtomicU64>);

impl Audit for Recorder {
    fn put(&mut self, record: &Record<'_>) -> Result<(), Unwritten> {
        if matches!(record.event, Event::Accepted(_)) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// The application of its host.
struct ServiceApp {
    service: Service<SimulatedProcesses>,
    now: Instant,
    seen: Vec<InitFingerprint>,
    /// The same with the times of their arrival, for an endpoint of the same run.
    seen_at: Vec<(Instant, InitFingerprint)>,
    /// Records of the open sessions, and of those whose endpoint is gone.
    resets: HashMap<SessionHandle, ResetRecord>,
    lost: Vec<ResetRecord>,
}

/// A whole agent in the simulation.
#[derive(Clone)]
pub struct WholeAgent {
    /// Its host.
    pub host: HostId,
    /// Its public key.
    pub key: PublicKey,
    /// Its address.
    pub address: SocketAddr,
    /// Record of every start.
    pub log: Rc<RefCell<Log>>,
    app: Rc<RefCell<ServiceApp>>,
}

fn service(log: &Rc<RefCell<Log>>, members: Members, now: Instant) -> Service<SimulatedProcesses> {
    let config = Config {
        name: "agent".into(),
        jobs: jobs::Config::default(),
        reply: None,
    };
    Service::new(
        config,
        Box::new(ListedPolicy(members)),
        SimulatedProcesses::new(Rc::clone(log)),
        Box::new(Recorder(Arc::clone(&log.borrow().accepted))),
        now,
    )
}

impl WholeAgent {
    /// Adds an agent to the simulation.
    pub fn new(sim: &mut Simulation) -> Self {
        let log = Rc::default();
        let app = Rc::new(RefCell::new(ServiceApp {
            service: service(&log, sim.members(), Instant::ZERO),
            now: Instant::ZERO,
            seen: Vec::new(),
            seen_at: Vec::new(),
            resets: HashMap::new(),
            lost: Vec::new(),
        }));
        let (host, key, address) = sim.add_host(Role::Agent, Box::new(Rc::clone(&app)));
        app.borrow_mut().service = service(&log, sim.members(), sim.local(host));
        Self {
            host,
            key,
            address,
            log,
            app,
        }
    }

    /// Restarts the process; state on disk is kept.
    pub fn restart(&self, sim: &mut Simulation) {
        let mut app = self.app.borrow_mut();
        app.service = service(&self.log, sim.members(), sim.local(self.host));
        let seen = app.seen.clone();
        app.resets.clear();
        drop(app);
        sim.start(self.host, seen);
    }

    /// Replaces the endpoint, while the service and its processes go on.
    pub fn replace_endpoint(&self, sim: &mut Simulation) {
        let (epoch, start) = (sim.endpoint(self.host).epoch(), sim.started(self.host));
        let now = sim.local(self.host);
        let mut app = self.app.borrow_mut();
        let sessions: Vec<_> = app.resets.drain().collect();
        for (session, reset) in sessions {
            app.lost.push(reset);
            let reason = Closed::Local;
            app.service
                .on_session_event(now, session::Event::Closed { session, reason });
        }
        // Commands to the endpoint that is gone.
        while app.service.poll_command().is_some() {}
        let (resets, seen) = (app.lost.clone(), app.seen_at.clone());
        drop(app);
        sim.start_with(self.host, |config| {
            config.resets = resets;
            config.run = Some(Run { epoch, start, seen });
        });
    }

    /// The exit code of a task.
    pub const fn exit_code(id: u64) -> u8 {
        exit_code(id)
    }

    /// Processes that run or are not yet closed.
    pub fn processes(&self) -> usize {
        self.app.borrow_mut().service.processes().count()
    }
}

impl ServiceApp {
    /// Keeps what a later endpoint needs, as another process would.
    fn keep(&mut self, now: Instant, event: &session::Event) {
        match event {
            session::Event::InitSeen { fingerprint } => {
                self.seen.push(*fingerprint);
                self.seen_at.push((now, *fingerprint));
            }
            session::Event::Accepted { session, reset, .. } => {
                self.resets.insert(*session, **reset);
            }
            session::Event::Moved { session, path } => {
                if let Some(reset) = self.resets.get_mut(session) {
                    reset.path = *path;
                }
            }
            session::Event::Closed { session, .. } => {
                self.resets.remove(session);
            }
            _ => {}
        }
    }

    fn pump(&mut self, now: Instant, out: &mut Vec<Command>) {
        self.now = now;
        if self.service.poll_timeout().is_some_and(|at| at <= now) {
            self.service.on_timeout(now);
        }
        while let Some(doing) = self.service.processes().next(now) {
            match doing {
                Doing::Output(job, output, data) => self.service.on_output(now, job, output, data),
                Doing::Eof(job, output) => self.service.on_eof(now, job, output),
                Doing::StdinWritten(job, bytes) => self.service.on_stdin_written(job, bytes),
                Doing::Exit(job, exit) => self.service.on_exit(now, job, exit),
            }
        }
        while self.service.poll_note().is_some() {}
        out.extend(std::iter::from_fn(|| self.service.poll_command()));
    }
}

impl App for Rc<RefCell<ServiceApp>> {
    fn on_event(&mut self, now: Instant, event: session::Event, out: &mut Vec<Command>) {
        let mut app = self.borrow_mut();
        app.keep(now, &event);
        app.service.on_session_event(now, event);
        app.pump(now, out);
    }

    fn on_time(&mut self, now: Instant, out: &mut Vec<Command>) {
        self.borrow_mut().pump(now, out);
    }

    fn next_time(&self) -> Option<Instant> {
        let mut app = self.borrow_mut();
        let now = app.now;
        let process = app.service.processes().next_time(now);
        app.service.poll_timeout().into_iter().chain(process).min()
    }
}
