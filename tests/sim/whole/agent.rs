//! The agent's service above an endpoint.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use udpagent::agent::access::{Accounts, InviteRefused, Policy, PolicySource, Registration};
use udpagent::agent::audit::{Audit, Event, Record, Unwritten};
use udpagent::agent::chat::SavedHistory;
use udpagent::agent::core::{Config, Service};
use udpagent::agent::jobs::{self};
use udpagent::crypto::PublicKey;
use udpagent::message::OsText;
use udpagent::process::{AccountError, RefusedVariable};
use udpagent::session::{self, Closed, Command, InitFingerprint, ResetRecord, Run, SessionHandle};
use udpagent::time::Instant;
use udpagent::wire::limits::INVITE;

use super::supervisor::{Handle, Log, Supervisor, exit_code};
use crate::host::App;
use crate::invariants::Role;
use crate::network::HostId;
use crate::nodes::Members;
use crate::rng::SimRng;
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

    fn register(&mut self, _: &PublicKey, _: &[u8; INVITE], _: &str) -> Registration {
        Registration::Decided(Err(InviteRefused))
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

/// Crashes of a front: before and after any event, report or command, by chance.
struct Crashes {
    rng: SimRng,
    chance: f64,
    /// Crashes to come at most, so that a run ends.
    left: u32,
}

/// The application of its host: a front over its supervisor.
struct ServiceApp {
    service: Service<Handle>,
    supervisor: Rc<RefCell<Supervisor>>,
    now: Instant,
    seen: Vec<InitFingerprint>,
    /// The same with the times of their arrival, for an endpoint of the same run.
    seen_at: Vec<(Instant, InitFingerprint)>,
    /// Records of the open sessions, and of those whose endpoint is gone.
    resets: HashMap<SessionHandle, ResetRecord>,
    lost: Vec<ResetRecord>,
    crashes: Option<Crashes>,
    /// True after a crash, until the front is started anew.
    crashed: bool,
}

/// A whole agent in the simulation.
#[derive(Clone)]
pub struct WholeAgent {
    /// Its host.
    pub host: HostId,
    /// Its public key.
    pub key: PublicKey,
    /// Its addresses, in the order in which a controller tries them.
    pub addresses: Vec<SocketAddr>,
    /// Record of every start.
    pub log: Rc<RefCell<Log>>,
    app: Rc<RefCell<ServiceApp>>,
    /// Run of the supervisor, as the sessions of all its fronts name it.
    run: Rc<Cell<(u64, Instant)>>,
}

/// Returns a front over a supervisor, with the jobs of earlier ones.
fn front(
    log: &Rc<RefCell<Log>>,
    supervisor: &Rc<RefCell<Supervisor>>,
    members: Members,
    now: Instant,
) -> Service<Handle> {
    let config = Config {
        name: "agent".into(),
        jobs: jobs::Config {
            services: true.into(),
            ..jobs::Config::default()
        },
        reply: None,
    };
    let origin = supervisor.borrow().origin();
    let mut service = Service::new(
        config,
        Box::new(ListedPolicy(members)) as Box<dyn PolicySource>,
        Handle(Rc::clone(supervisor)),
        Box::new(Recorder(Arc::clone(&log.borrow().accepted))),
        origin,
    );
    let forgotten = supervisor.borrow().forgotten();
    for (key, request, digest, at) in forgotten {
        service.remember(key, request, digest, at);
    }
    let history = SavedHistory {
        most: WholeAgent::CHAT_HISTORY,
        ..SavedHistory::default()
    };
    service.chat().0.restore_history(now, history);
    let restored = supervisor.borrow_mut().restored();
    for job in restored {
        service.restore(now, job);
    }
    service
}

impl WholeAgent {
    /// Messages of a room that are kept for those who join later.
    pub const CHAT_HISTORY: usize = 100;

    /// Adds an agent to the simulation.
    pub fn new(sim: &mut Simulation) -> Self {
        let log: Rc<RefCell<Log>> = Rc::default();
        let supervisor = Supervisor::new(Rc::clone(&log), Instant::ZERO);
        let supervisor = Rc::new(RefCell::new(supervisor));
        let app = Rc::new(RefCell::new(ServiceApp {
            service: front(&log, &supervisor, sim.members(), Instant::ZERO),
            supervisor,
            now: Instant::ZERO,
            seen: Vec::new(),
            seen_at: Vec::new(),
            resets: HashMap::new(),
            lost: Vec::new(),
            crashes: None,
            crashed: false,
        }));
        let (host, key, address) = sim.add_host(Role::Agent, Box::new(Rc::clone(&app)));
        let run = Rc::new(Cell::new((0, Instant::ZERO)));
        let agent = Self {
            host,
            key,
            addresses: vec![address],
            log,
            app,
            run,
        };
        agent.begin(sim);
        agent
    }

    /// Gives the agent another address, which controllers try after the others.
    pub fn add_address(&mut self, sim: &mut Simulation, address: SocketAddr) {
        sim.add_address(self.host, address);
        self.addresses.push(address);
    }

    /// Replaces the supervisor; its jobs end with it.
    fn begin(&self, sim: &Simulation) {
        let now = sim.local(self.host);
        let supervisor = Supervisor::new(Rc::clone(&self.log), now);
        let supervisor = Rc::new(RefCell::new(supervisor));
        let mut app = self.app.borrow_mut();
        app.service = front(&self.log, &supervisor, sim.members(), now);
        app.supervisor = supervisor;
        app.crashed = false;
        self.run.set((sim.endpoint(self.host).epoch(), now));
    }

    /// Restarts the whole agent; state on disk is kept.
    pub fn restart(&self, sim: &mut Simulation) {
        let seen = self.app.borrow().seen.clone();
        sim.start(self.host, seen);
        self.begin(sim);
    }

    /// Lets the front crash by chance, at most so many times.
    pub fn let_crash(&self, rng: SimRng, chance: f64, left: u32) {
        self.app.borrow_mut().crashes = Some(Crashes { rng, chance, left });
    }

    /// Starts a front anew that has crashed. Returns true if it had.
    pub fn revive(&self, sim: &mut Simulation) -> bool {
        let mut app = self.app.borrow_mut();
        if !app.crashed {
            return false;
        }
        let now = sim.local(self.host);
        app.service = front(&self.log, &app.supervisor, sim.members(), now);
        app.crashed = false;
        let lost: Vec<_> = app.resets.drain().map(|(_, reset)| reset).collect();
        app.lost.extend(lost);
        let (resets, seen) = (app.lost.clone(), app.seen_at.clone());
        drop(app);
        let (epoch, start) = self.run.get();
        sim.start_with(self.host, |config| {
            config.resets = resets;
            config.run = Some(Run { epoch, start, seen });
        });
        true
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

    /// Frees the endpoint until a datagram arrives, unless it has a session. Returns true if there is none now.
    pub fn unload(&self, sim: &mut Simulation) -> bool {
        if !sim.is_loaded(self.host) {
            return true;
        }
        if sim.endpoint(self.host).sessions() > 0 {
            return false;
        }
        let (epoch, start) = self.run.get();
        let seen = self.app.borrow().seen_at.clone();
        sim.unload(self.host, Run { epoch, start, seen });
        true
    }

    /// The exit code of a task.
    pub const fn exit_code(id: u64) -> u8 {
        exit_code(id)
    }

    /// Processes that run.
    pub fn processes(&self) -> usize {
        self.app.borrow().supervisor.borrow().count()
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

    /// Crashes by chance. Returns true if the front is dead.
    fn may_crash(&mut self) -> bool {
        if let Some(crashes) = self.crashes.as_mut().filter(|crashes| crashes.left > 0)
            && !self.crashed
            && crashes.rng.chance(crashes.chance)
        {
            crashes.left -= 1;
            self.crashed = true;
        }
        self.crashed
    }

    fn pump(&mut self, now: Instant, out: &mut Vec<Command>) {
        self.now = now;
        if self.may_crash() {
            return;
        }
        if self.service.poll_timeout().is_some_and(|at| at <= now) {
            self.service.on_timeout(now);
        }
        self.take_commands(out);
        loop {
            if self.may_crash() {
                return;
            }
            let next = self.supervisor.borrow_mut().next(now);
            let Some((job, status)) = next else {
                return;
            };
            self.service.on_status(now, job, status);
            self.take_commands(out);
        }
    }

    fn take_commands(&mut self, out: &mut Vec<Command>) {
        while self.service.poll_note().is_some() {}
        let chat = self.service.chat().0;
        while chat.poll_history().is_some() || chat.poll_line().is_some() {}
        while !self.may_crash()
            && let Some(command) = self.service.poll_command()
        {
            out.push(command);
        }
    }
}

impl App for Rc<RefCell<ServiceApp>> {
    fn on_event(&mut self, now: Instant, event: session::Event, out: &mut Vec<Command>) {
        let mut app = self.borrow_mut();
        app.keep(now, &event);
        if app.may_crash() {
            return;
        }
        app.service.on_session_event(now, event);
        app.take_commands(out);
        app.pump(now, out);
    }

    fn on_time(&mut self, now: Instant, out: &mut Vec<Command>) {
        self.borrow_mut().pump(now, out);
    }

    fn next_time(&self) -> Option<Instant> {
        let app = self.borrow();
        if app.crashed {
            return None;
        }
        let process = app.supervisor.borrow().next_time(app.now);
        app.service.poll_timeout().into_iter().chain(process).min()
    }
}
