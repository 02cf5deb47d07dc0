//! A running agent: a supervisor and its front, as two processes or as threads of an embedding program.
//!
//! Only their construction: sockets are bound, files are opened, and both sides are connected. Invariant: the two are
//! connected in the same way in both cases, so that an embedded agent behaves as the real one.

pub mod listening;
mod start_error;

#[cfg(test)]
mod tests;

pub use self::start_error::StartError;
pub use crate::agent::supervisor::{ChatHistorySettings as History, Stopper, Trust, unix_now};

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread::JoinHandle;

use rustix::io::Errno;

use super::config::LogFormat;
use super::front;
use super::ipc::limits::{INPUT_RING, OUTPUT_RING};
pub use super::ipc::{ChatOutput, Plain};
use super::ipc::{Frames, RingFile, Setup, ToFront};
use super::jobs;
use super::owner::OwnerSocket;
use super::recorder::{AuditSender, LogSender, RecorderProcess};
use super::sandbox::{self, InForce};
use super::service_manager::ServiceManager;
use super::supervisor::guard::Guard;
use super::supervisor::handover::{Inherited, Program};
use super::supervisor::{self, About, FrontProcess, ReplayLog, Run, Signals, Store, Supervisor};
use super::switch::Switch;
use crate::bot;
use crate::crypto::{PublicKey, SecretKey};
use crate::net::{self, Carrier, UdpCarrier, UdpSockets};
use crate::process::{self, CgroupLimits, CgroupParent, Limit};
use crate::saved_mode;

/// The log of an agent in processes of its own.
pub struct Log {
    /// Sender of the supervisor.
    pub sender: LogSender,
    /// Socket of the fronts.
    pub fronts: OwnedFd,
    /// Format.
    pub format: LogFormat,
    /// Number of `-v`.
    pub verbose: u8,
    /// The chat on standard output.
    pub chat: ChatOutput,
    /// File of the lines typed at the prompt.
    pub typed: PathBuf,
}

/// Configuration of an agent.
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
    /// Sessions of one key.
    pub sessions_per_key: usize,
    /// Treatment of plain text.
    pub plain: Plain,
    /// Command that answers messages of the chat, for an agent in processes of its own.
    pub bot: Option<bot::Command>,
    /// File of the fingerprints of answered INITs, which survives a restart.
    pub replay_log: Option<PathBuf>,
    /// History of the chat.
    pub history: History,
    /// Resource limits of each process of a command.
    pub resources: Vec<Limit>,
    /// Process that ends the jobs if this one dies, for an agent in processes of its own.
    pub guard: Option<Guard>,
    /// Limits of the cgroup of each job, unless its key has others.
    pub cgroup_limits: CgroupLimits,
    /// The recorder, if it is a child of this program.
    pub recorder: Option<RecorderProcess>,
    /// Place of the cgroups of the jobs.
    pub cgroup_parent: CgroupParent,
    /// Sender of audit records, if any are kept.
    pub audit: Option<AuditSender>,
    /// The log; `None` if it is that of an embedding program.
    pub log: Option<Log>,
}

/// An agent whose sockets are bound, before it serves.
pub struct Bound {
    /// Public key.
    pub key: PublicKey,
    /// Bound addresses, with their actual ports.
    pub addresses: Vec<SocketAddr>,
    /// Addresses that could not be bound.
    pub unbound: Vec<(SocketAddr, io::Error)>,
    supervisor: Supervisor,
    sockets: Vec<std::net::UdpSocket>,
    /// True if the service manager has bound them.
    activated: bool,
    signals: Option<Signals>,
    front_log: Option<Log>,
    bot: Option<bot::Command>,
    setup: SetupParts,
}

/// Parts of the first message to a front, besides the state of the supervisor.
struct SetupParts {
    identity: SecretKey,
    name: String,
    jobs: jobs::Config,
    sessions_per_key: usize,
    exec: Switch,
    plain: Plain,
    sandbox: sandbox::Plan,
}

impl SetupParts {
    fn setup(&self, supervisor: &Supervisor) -> Setup {
        Setup {
            identity: self.identity.to_text().to_string(),
            name: self.name.clone(),
            jobs: jobs::Config {
                services: supervisor.services(),
                ..self.jobs
            },
            sessions_per_key: self.sessions_per_key,
            exec: self.exec,
            plain: self.plain.clone(),
            sandbox: self.sandbox,
            ..supervisor.setup()
        }
    }
}

/// Binds the sockets and opens the files of an agent.
///
/// # Errors
/// [`StartError`]
pub fn bind(config: Config) -> Result<Bound, StartError> {
    let binds = config.binds.clone();
    open(config, None, || net::bind_sockets(&binds))
}

/// Opens the files of an agent whose sockets are bound. Its addresses are not bound.
///
/// # Errors
/// [`StartError`]
pub fn adopt(config: Config, sockets: Vec<std::net::UdpSocket>) -> Result<Bound, StartError> {
    let unbound = Vec::new();
    let mut bound = open(config, None, || Ok(UdpSockets { sockets, unbound }))?;
    bound.activated = true;
    Ok(bound)
}

/// Continues the work of the program that was executed before in this process. An address that it has bound stays
/// bound.
///
/// # Errors
/// [`StartError`]
pub fn take_over(config: Config, mut inherited: Inherited) -> Result<Bound, StartError> {
    let (sockets, activated) = inherited.take_sockets();
    let binds = config.binds.clone();
    let mark = inherited.mark();
    let mut bound = open(config, mark, || {
        Ok(if activated {
            let unbound = Vec::new();
            UdpSockets { sockets, unbound }
        } else {
            net::rebind_sockets(&binds, sockets)
        })
    })?;
    bound.activated = activated;
    let restored = bound.supervisor.restore(inherited);
    restored.map_err(StartError::System)?;
    Ok(bound)
}

fn open(
    config: Config,
    mark: Option<u64>,
    sockets: impl FnOnce() -> io::Result<UdpSockets>,
) -> Result<Bound, StartError> {
    let system = StartError::System;
    let mut rng = net::rng().map_err(system)?;
    let replay_log = match config.replay_log {
        None => None,
        Some(path) => match ReplayLog::open(&path) {
            Ok(log) => Some(log),
            // The jobs are worth more.
            Err(error) if mark.is_some() => {
                tracing::warn!("{}: {error}", path.display());
                None
            }
            Err(error) => return Err(StartError::ReplayLog(path, error)),
        },
    };
    let UdpSockets { sockets, unbound } = sockets().map_err(StartError::Bind)?;
    let addresses = sockets.iter().map(std::net::UdpSocket::local_addr);
    let addresses = addresses.collect::<io::Result<_>>().map_err(system)?;
    let mut supervisor = Supervisor::new(supervisor::Config {
        trust: config.trust,
        exec: config.exec,
        max_jobs: config.jobs.max_jobs,
        max_output: config.jobs.max_output,
        resources: config.resources,
        replay_log,
        guard: config.guard,
        audit: config.audit,
        log: config.log.as_ref().map(|log| log.sender.clone()),
        recorder: config.recorder,
        takes_over: mark.is_some(),
        cgroup_limits: config.cgroup_limits,
        cgroup_parent: config.cgroup_parent,
        mark: mark.unwrap_or_else(|| rng.u64()),
        epoch: rng.u64().max(1),
    })
    .map_err(system)?;
    supervisor.set_chat_history(&config.history);
    Ok(Bound {
        key: config.identity.public(),
        addresses,
        unbound,
        supervisor,
        sockets,
        activated: false,
        signals: None,
        front_log: config.log,
        bot: config.bot,
        setup: SetupParts {
            identity: config.identity,
            name: config.name,
            jobs: config.jobs,
            sessions_per_key: config.sessions_per_key,
            exec: config.exec,
            plain: config.plain,
            sandbox: sandbox::Plan::OFF,
        },
    })
}

/// Returns the line about an address that is not bound. That a machine lacks an address family is no fault of an address
/// that stands for all.
fn unbound_line((address, error): &(SocketAddr, io::Error)) -> Option<String> {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    let has_no_family = matches!(errno, Some(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL));
    let is_expected = address.ip().is_unspecified() && has_no_family;
    (!is_expected).then(|| format!("bind {address}: {error}"))
}

impl Bound {
    /// Lets the service manager keep descriptors of the jobs.
    pub fn set_store(&mut self, store: Option<Store>) {
        self.supervisor.set_store(store);
    }

    /// Answers the tools of the owner on a socket.
    ///
    /// # Errors
    /// The socket cannot be polled.
    pub fn open_owner(&mut self, socket: OwnerSocket) -> io::Result<()> {
        let about = About {
            name: self.setup.name.clone(),
            key: self.key.to_string(),
            listening: self.addresses.iter().map(SocketAddr::to_string).collect(),
            unbound: self.unbound.iter().filter_map(unbound_line).collect(),
            jobs: self.setup.jobs.max_jobs,
            on_message: self.bot.as_ref().map(|bot| bot.words.to_string()),
        };
        self.supervisor.open_owner(socket, about)
    }

    /// Handles signals from now on: `stops` end the agent, `reloads` replace its program. Call it before
    /// [`serve`](Self::serve).
    ///
    /// # Errors
    /// A signal cannot be handled, or the system has no descriptor left.
    pub fn handle_signals(&mut self, stops: &[i32], reloads: &[i32]) -> io::Result<()> {
        let (signals, _) = Signals::new(self.supervisor.registry(), stops, reloads)?;
        self.signals = Some(signals);
        process::unblock_signals();
        saved_mode::go_on_in_background();
        Ok(())
    }

    /// Serves with a front in a process of its own, which executes `front` and restricts itself by `sandbox`, until the
    /// agent ends, and reports to a service manager. `program` is executed in its place when it is replaced.
    ///
    /// # Errors
    /// The system has no descriptor left, or no signals are handled.
    pub fn serve(
        mut self,
        front: PathBuf,
        program: Program,
        sandbox: sandbox::Plan,
        service_manager: ServiceManager,
    ) -> io::Result<()> {
        let signals = self.signals.ok_or(io::ErrorKind::InvalidInput)?;
        self.supervisor.set_program(front.clone());
        let sockets = self.sockets.into_iter().map(OwnedFd::from);
        let log = self.front_log.ok_or(io::ErrorKind::InvalidInput)?;
        self.supervisor.set_typed_lines(&log.typed);
        let (format, verbose, chat) = (log.format, log.verbose, log.chat);
        let descriptors = [log.fronts].into_iter().chain(sockets).collect();
        let parts = SetupParts {
            sandbox,
            ..self.setup
        };
        let front = FrontProcess::new(front, descriptors, self.bot, move |supervisor| Setup {
            log: (format, verbose),
            chat,
            ..parts.setup(supervisor)
        });
        let addresses = self.addresses.iter().map(SocketAddr::to_string).collect();
        Run::new(self.supervisor, Some(front), signals)?
            .with_service_manager(service_manager)
            .with_program(program, self.activated)
            .run(addresses);
        Ok(())
    }

    /// Serves on threads of this program.
    ///
    /// # Errors
    /// The system has no descriptor or thread left.
    pub fn embed(self) -> io::Result<Agent> {
        let (signals, stopper) = Signals::new(self.supervisor.registry(), &[], &[])?;
        let (own, other) = UnixStream::pair()?;
        let carriers = self
            .sockets
            .into_iter()
            .map(|socket| Ok(Box::new(UdpCarrier::adopt(socket)?) as Box<dyn Carrier>))
            .collect::<io::Result<Vec<_>>>()?;
        let (outputs, inputs) = self.supervisor.rings()?;
        let parts = front::Parts {
            connection: Frames::new(other)?,
            outputs: RingFile::adopt(outputs, OUTPUT_RING).for_reading(),
            inputs: RingFile::adopt(inputs, INPUT_RING),
            carriers,
            bot: None,
            log: None,
            terminal: false,
        };
        let mut connection = Frames::new(own)?;
        connection.queue(&ToFront::Setup(Box::new(
            self.setup.setup(&self.supervisor),
        )));
        let mut run = Run::new(self.supervisor, None, signals)?;
        run.connect(connection)?;
        let supervisor = spawn("supervisor", move || run.run(Vec::new()))?;
        let front = spawn("agent", move || {
            // The supervisor notices the end.
            // Its process is that of another program, which is not restricted.
            let _ = front::serve(parts, |_, _| Ok(InForce::NOTHING));
        })?;
        Ok(Agent {
            key: self.key,
            addresses: self.addresses,
            stopper,
            threads: vec![front, supervisor],
        })
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.into()).spawn(run)
}

/// An agent on threads of this program. Dropping it stops it.
pub struct Agent {
    key: PublicKey,
    addresses: Vec<SocketAddr>,
    stopper: Stopper,
    threads: Vec<JoinHandle<()>>,
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

    /// Returns a handle that stops the agent.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Stops the agent and waits until it has ended.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.stopper.stop();
        for thread in self.threads.drain(..) {
            // A panic there has been reported already.
            let _ = thread.join();
        }
    }
}

/// Starts an agent on threads of this program.
///
/// # Errors
/// [`StartError`]
pub fn start(config: Config) -> Result<Agent, StartError> {
    bind(config)?.embed().map_err(StartError::System)
}
