//! A running agent: the thread that feeds the service from the network, pipes and pidfds, the terminal and
//! changed files.
//!
//! The only part of the agent with threads, a clock and files; decisions are made by the sans-IO modules.
//! Invariant: the thread sleeps in one place, and nothing wakes it while there is nothing to do.

mod child_io;
mod end_of_input;
mod in_process;
mod limits;
pub mod listening;
mod log;
mod policy;
mod replay_log;
mod supervisor;
mod terminal;
mod thread;
mod watch;

#[cfg(test)]
mod tests;

pub use policy::{Trust, unix_now};

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use mio::{Poll, Waker};

use super::audit::{self, Audit};
use super::chat::{PlainLimiter, ReplyTemplate};
use super::core::{self, Service};
use super::jobs;
use super::switch::Switch;
use crate::crypto::{PublicKey, SecretKey};
use crate::net::{self, Clock, PlainSink};
use crate::peer_addr::PeerAddr;
use crate::process::{self, Limit};
use crate::session;
use in_process::InProcess;
use policy::SharedPolicy;
use replay_log::ReplayLog;
use supervisor::Supervisor;
use thread::{Thread, tokens};

/// Treatment of plain text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Plain {
    /// Plain text is dropped.
    Off,
    /// Plain text is shown, and answered if there is a template.
    Shown(Option<ReplyTemplate>),
}

/// Terminal of the agent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Terminal {
    /// The chat is shown on stdout, and lines typed on stdin are sent to it.
    Standard,
    /// No terminal; the agent is part of another program.
    None,
}

/// Configuration of an agent.
#[derive(Clone)]
pub struct Config {
    /// Secret key.
    pub identity: SecretKey,
    /// Name of the agent.
    pub name: String,
    /// Addresses to bind.
    pub binds: Vec<SocketAddr>,
    /// Origin of the policy.
    pub trust: Trust,
    /// Off if no key may run a command (`--no-exec`).
    pub exec: Switch,
    /// Configuration of the jobs.
    pub jobs: jobs::Config,
    /// Treatment of plain text.
    pub plain: Plain,
    /// Terminal of the agent.
    pub terminal: Terminal,
    /// File of the fingerprints of answered INITs, which survives a restart.
    pub replay_log: Option<PathBuf>,
    /// Resource limits of each process of a command.
    pub resources: Vec<Limit>,
    /// Configuration of the audit records; `None` for no records.
    pub audit: Option<audit::Config>,
}

/// Error of [`start`].
#[derive(Debug)]
pub enum StartError {
    /// None of its addresses could be bound.
    Bind(io::Error),
    /// The file of answered INITs cannot be used.
    ReplayLog(PathBuf, io::Error),
    /// The file of required records cannot be appended to.
    Audit(PathBuf, audit::OpenError),
    /// The system provides no descriptor, thread or random number.
    System(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind(error) => write!(f, "cannot listen: {error}"),
            Self::ReplayLog(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Audit(path, error) => write!(
                f,
                "{}: {error}; audit = \"required\" lets nothing run without a record",
                path.display()
            ),
            Self::System(error) => write!(f, "cannot start: {error}"),
        }
    }
}

// The text contains that of the cause, so there is no `source`.
impl std::error::Error for StartError {}

/// A running agent. Dropping it stops it.
pub struct Agent {
    key: PublicKey,
    addresses: Vec<SocketAddr>,
    unbound: Vec<(SocketAddr, io::Error)>,
    stopper: Stopper,
    thread: Option<JoinHandle<()>>,
}

/// Handle that stops an agent: its jobs are ended, their results delivered, its sessions closed.
#[derive(Clone, Debug)]
pub struct Stopper {
    stop: Arc<AtomicBool>,
    waker: Arc<Waker>,
}

impl Stopper {
    /// Starts the shutdown and returns at once. The agent ends within eight seconds.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
        // A waker fails only after its poll is closed.
        let _ = self.waker.wake();
    }
}

impl Agent {
    /// Public key of the agent.
    #[must_use]
    pub const fn key(&self) -> PublicKey {
        self.key
    }

    /// Bound addresses, with their actual ports.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Addresses that could not be bound.
    #[must_use]
    pub fn unbound(&self) -> &[(SocketAddr, io::Error)] {
        &self.unbound
    }

    /// Returns a handle that stops the agent.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Waits until the agent has ended.
    pub fn join(mut self) {
        self.wait();
    }

    /// Stops the agent and waits until it has ended.
    pub fn stop(self) {
        drop(self);
    }

    fn wait(&mut self) {
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported already.
            let _ = thread.join();
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.stopper.stop();
        self.wait();
    }
}

/// Starts an agent.
///
/// # Errors
/// [`StartError`]
pub fn start(config: Config) -> Result<Agent, StartError> {
    let system = StartError::System;
    let now = Clock.now();
    let mut rng = net::rng().map_err(system)?;
    // Orphaned processes of jobs become children of the agent, so that they are found and reaped.
    process::become_subreaper().map_err(system)?;
    let (replay_log, seen) = match config.replay_log {
        None => (None, Vec::new()),
        Some(path) => {
            let (replay_log, seen) =
                ReplayLog::open(&path).map_err(|error| StartError::ReplayLog(path, error))?;
            (Some(replay_log), seen)
        }
    };

    let audit = open_audit(config.audit)?;

    let poll = Poll::new().map_err(system)?;
    let waker = Arc::new(Waker::new(poll.registry(), tokens::WAKER).map_err(system)?);
    let stop = Arc::new(AtomicBool::new(false));
    let stopper = Stopper {
        stop: Arc::clone(&stop),
        waker: Arc::clone(&waker),
    };
    let wake = move || {
        let _ = waker.wake();
    };

    let policy = SharedPolicy::new(config.trust, config.exec);
    let key = config.identity.public();
    let mut session = session::Config::new(config.identity, Some(Box::new(policy.clone())));
    session.seen = seen;
    let (sink, reply) = match config.plain {
        Plain::Off => (None, None),
        Plain::Shown(reply) => {
            let sink: Box<dyn PlainSink> = Box::new(PlainLimiter::default());
            (Some(sink), reply)
        }
    };
    let net_rng = rng.fork();
    let udp = net::bind_udp(&config.binds).map_err(StartError::Bind)?;
    let net = net::start(
        udp.carriers,
        session,
        net_rng,
        sink,
        Some(Box::new(wake.clone())),
    )
    .map_err(system)?;

    let registry = poll.registry().try_clone().map_err(system)?;
    let mark = format!("{:016x}", rng.u64());
    let supervisor = Supervisor::new(registry, mark, config.resources);
    let children = InProcess::new(supervisor, config.jobs.max_output);
    let setup = core::Config {
        name: config.name,
        jobs: config.jobs,
        reply,
    };
    let service = Service::new(
        setup,
        policy.clone(),
        children,
        audit,
        jobs::Origin::new(now),
    );
    let addresses = net.addresses.iter().filter_map(PeerAddr::socket_addr);
    let addresses = addresses.collect();
    let mut thread = Thread::new(poll, service, net, policy, replay_log, stop).map_err(system)?;
    if config.terminal == Terminal::Standard {
        thread.open_terminal(wake).map_err(system)?;
    }
    let thread = std::thread::Builder::new()
        .name("agent".into())
        .spawn(move || thread.run())
        .map_err(system)?;
    Ok(Agent {
        key,
        addresses,
        unbound: udp.unbound,
        stopper,
        thread: Some(thread),
    })
}

fn open_audit(config: Option<audit::Config>) -> Result<Box<dyn Audit + Send>, StartError> {
    let Some(config) = config else {
        return Ok(Box::new(audit::Off));
    };
    let path = config.file.clone().unwrap_or_default();
    match audit::Log::open(config) {
        Ok(log) => Ok(Box::new(log)),
        Err(error) => Err(StartError::Audit(path, error)),
    }
}
