//! The agents and controllers of a scenario, and their settings.

use std::cell::RefCell;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use udpagent::agent::access::{Policy, PolicyBuilder, authorization};
use udpagent::crypto::PublicKey;
use udpagent::peer_addr::PeerAddr;
use udpagent::session::{Authorization, Authorizer, Config, Run, SessionHandle, Ticket};
use udpagent::wire::limits::INVITE;

use crate::caller::Caller;
use crate::echo::Echo;
use crate::invariants::Role;
use crate::network::HostId;
use crate::simulation::Simulation;
use crate::task::Task;

/// An agent of a scenario.
#[derive(Clone)]
pub struct Agent {
    /// Its host.
    pub host: HostId,
    /// Its public key.
    pub key: PublicKey,
    /// Its address.
    pub address: SocketAddr,
    /// Its application.
    pub app: Rc<RefCell<Echo>>,
}

impl Agent {
    /// Replaces the agent's endpoint by one that continues its run and resets its sessions. The register of tasks
    /// stays, as if another process kept it.
    pub fn replace_endpoint(&self, sim: &mut Simulation) {
        let epoch = sim.endpoint(self.host).epoch();
        let start = sim.started(self.host);
        let mut app = self.app.borrow_mut();
        app.end_sessions();
        let lost: Vec<_> = app.resets.drain().map(|(_, reset)| reset).collect();
        app.lost.extend(lost);
        let resets = app.lost.clone();
        let seen = app.seen_at.clone();
        drop(app);
        sim.start_with(self.host, |config| {
            config.resets = resets;
            config.run = Some(Run { epoch, start, seen });
        });
    }
}

/// A controller of a scenario.
#[derive(Clone)]
pub struct Controller {
    /// Its host.
    pub host: HostId,
    /// Its address before any NAT.
    pub address: SocketAddr,
    /// Its application.
    pub app: Rc<RefCell<Caller>>,
}

impl Simulation {
    /// Adds an agent that answers tasks.
    pub fn agent(&mut self) -> Agent {
        let app = Rc::new(RefCell::new(Echo::default()));
        let (host, key, address) = self.add_host(Role::Agent, Box::new(Rc::clone(&app)));
        Agent {
            host,
            key,
            address,
            app,
        }
    }

    /// Adds a controller that the agents admit.
    pub fn controller(&mut self) -> Controller {
        self.caller(Role::Controller)
    }

    /// Adds a controller whose key no agent knows.
    pub fn unauthorized_controller(&mut self) -> Controller {
        self.caller(Role::Unauthorized)
    }

    fn caller(&mut self, role: Role) -> Controller {
        let app = Rc::new(RefCell::new(Caller::default()));
        let (host, _, address) = self.add_host(role, Box::new(Rc::clone(&app)));
        Controller { host, address, app }
    }

    /// Kills the agent's process.
    pub fn kill(&mut self, agent: &Agent) {
        self.stop(agent.host);
        agent.app.borrow_mut().crash();
    }

    /// Restarts the agent's process; state on disk is kept.
    pub fn restart(&mut self, agent: &Agent) {
        self.kill(agent);
        let seen = agent.app.borrow().seen.clone();
        self.start(agent.host, seen);
    }

    /// Opens a session from a controller to an agent.
    pub fn connect(
        &mut self,
        controller: &Controller,
        agent: &Agent,
        ticket: Option<Ticket>,
        first: Option<Task>,
    ) -> SessionHandle {
        let to = (agent.key, agent.address);
        self.connect_to(controller, to, ticket, first, Duration::from_secs(60))
    }

    /// Opens a session to a key at an address, in a time.
    pub fn connect_to(
        &mut self,
        controller: &Controller,
        to: (PublicKey, SocketAddr),
        ticket: Option<Ticket>,
        first: Option<Task>,
        timeout: Duration,
    ) -> SessionHandle {
        let now = self.local(controller.host);
        let mut app = controller.app.borrow_mut();
        let (session, commands) = app.connect(now, to, ticket, first, timeout);
        drop(app);
        self.act(controller.host, commands);
        session
    }

    /// Requests a task in a session.
    pub fn ask(&mut self, controller: &Controller, session: SessionHandle, task: Task) {
        let now = self.local(controller.host);
        let commands = controller.app.borrow_mut().ask(now, session, task);
        self.act(controller.host, commands);
    }
}

/// Settings of an endpoint that scenarios vary.
#[derive(Clone, Copy, Default, Debug)]
pub struct Tuning {
    /// Replaces `Config::stream_window`.
    pub stream_window: Option<u64>,
    /// Replaces `Config::session_window`.
    pub session_window: Option<u64>,
    /// Replaces `Config::sessions_per_key`.
    pub sessions_per_key: Option<usize>,
    /// Replaces `Config::bytes_per_key`.
    pub bytes_per_key: Option<u64>,
    /// Replaces `Config::segments`.
    pub segments: Option<usize>,
}

impl Tuning {
    /// Changes a configuration as these settings say.
    pub fn apply(self, config: &mut Config) {
        let Self {
            stream_window,
            session_window,
            sessions_per_key,
            bytes_per_key,
            segments,
        } = self;
        config.stream_window = stream_window.unwrap_or(config.stream_window);
        config.max_stream_window = stream_window.unwrap_or(config.max_stream_window);
        config.session_window = session_window.unwrap_or(config.session_window);
        config.sessions_per_key = sessions_per_key.unwrap_or(config.sessions_per_key);
        config.bytes_per_key = bytes_per_key.unwrap_or(config.bytes_per_key);
        config.segments = segments.unwrap_or(config.segments);
    }
}

/// Keys that the agents of a simulation authorise.
#[derive(Clone, Default)]
pub struct Members(Arc<Mutex<Listed>>);

#[derive(Default)]
struct Listed {
    keys: HashSet<PublicKey>,
    /// Options of all keys.
    options: Option<String>,
    /// Policy of these keys; `None` until it is asked for.
    policy: Option<Arc<Policy>>,
}

impl Members {
    /// Lists another key.
    pub fn add(&self, key: PublicKey) {
        let mut listed = self.0.lock().expect("never poisoned");
        listed.keys.insert(key);
        listed.policy = None;
    }

    /// Restricts all keys to these networks.
    pub fn restrict(&self, from: &str) {
        let mut listed = self.0.lock().expect("never poisoned");
        listed.options = Some(format!("from={from}"));
        listed.policy = None;
    }

    /// Lets all keys forward connections to this destination only.
    pub fn restrict_forwards(&self, destination: &str) {
        let mut listed = self.0.lock().expect("never poisoned");
        listed.options = Some(format!("forward={destination}"));
        listed.policy = None;
    }

    /// Returns the policy of all keys.
    pub fn policy(&self) -> Arc<Policy> {
        let mut listed = self.0.lock().expect("never poisoned");
        let Listed {
            keys,
            options,
            policy,
        } = &mut *listed;
        let policy = policy.get_or_insert_with(|| {
            let keys: Vec<PublicKey> = keys.iter().copied().collect();
            let Some(options) = options else {
                return Arc::new(Policy::of_keys(&keys));
            };
            let lines = keys.iter().map(|key| format!("{key} k {options}\n"));
            let mut builder = PolicyBuilder::default();
            builder.add_keys(lines.collect::<String>(), Path::new("authorized_keys"));
            Arc::new(builder.finish().0)
        });
        Arc::clone(policy)
    }
}

impl Authorizer for Members {
    fn authorize_session(
        &mut self,
        key: &PublicKey,
        from: PeerAddr,
        invite: Option<&[u8; INVITE]>,
    ) -> Authorization {
        let policy = self.policy();
        authorization(&policy, key, from, invite, 0)
    }
}
