//! The front: sessions, jobs as their controllers see them, and the chat. The part of the agent that speaks with the
//! network.
//!
//! It starts nothing and opens nothing: the [`supervisor`](super::supervisor) has the rights and the processes, and
//! gives it sockets, shared rings and the texts of the policy. It runs as a process of its own, which may be killed and
//! replaced at any time, or as threads of an embedding program. Invariant: nothing that only this process knows is
//! needed after its end.

mod above_prompt;
mod at_prompt;
mod audit;
mod bot;
mod busy;
mod chat;
mod hand_over;
mod interruption;
mod last_lines;
mod limits;
mod own_commands;
mod paced;
mod policy;
mod process;
mod prompt;
mod remote;
mod session_denials;
mod styled_line;
mod terminal;
mod thread;
mod typed_line;
mod typed_lines;

pub use process::main;
pub use thread::End;

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant as Deadline;

use mio::{Poll, Waker};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::chat::PlainLimiter;
use super::config::LogFormat;
use super::core::{self, Service};
use super::ipc::{Frames, Plain, RingFile, Setup, ToFront, ToSupervisor};
use super::jobs;
use super::log;
use super::recorder::limits::LAST_LINES;
use super::recorder::{LogSender, SharedLog};
use super::sandbox::InForce;
use super::switch::Switch;
use crate::crypto::SecretKey;
use crate::net::{self, Carrier, Clock, PlainSink};
use crate::session;
use policy::FrontPolicy;
use prompt::Prepared;
use remote::Remote;
use thread::{Thread, tokens};

/// Parts of a front.
pub struct Parts {
    /// Connection to the supervisor.
    pub connection: Frames<ToSupervisor, ToFront>,
    /// Rings of outputs.
    pub outputs: RingFile,
    /// Rings of inputs.
    pub inputs: RingFile,
    /// Carriers of datagrams.
    pub carriers: Vec<Box<dyn Carrier>>,
    /// Channel of the sockets of the bot's processes; `None` if there is no bot.
    pub bot: Option<OwnedFd>,
    /// Socket of log lines; `None` if the log is that of the embedding program.
    pub log: Option<OwnedFd>,
    /// True if the chat is on stdin and stdout.
    pub terminal: bool,
}

/// Serves until the agent ends or the supervisor is gone. `restrict` is called when everything is open, no thread has
/// been created and nothing of the network was read; on if there is to be a prompt.
///
/// # Errors
/// The supervisor is gone before, or the system has no descriptor, thread or random number left.
pub fn serve(
    parts: Parts,
    restrict: impl FnOnce(&Setup, Switch) -> io::Result<InForce>,
) -> io::Result<End> {
    let mut connection = parts.connection;
    let ToFront::Setup(setup) = wait(&mut connection)? else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    let now = Clock.now();
    let mut rng = net::rng()?;
    let event_poll = Poll::new()?;
    let waker = Arc::new(Waker::new(event_poll.registry(), tokens::WAKER)?);
    let wake = move || {
        // A waker fails only after its poll is closed.
        let _ = waker.wake();
    };
    let account = setup.account.clone();
    let policy = FrontPolicy::new(&setup.policy, setup.exec, account, Arc::new(wake.clone()));
    let remote = Remote::new(connection, parts.outputs, parts.inputs, setup.slots);
    let config = core::Config {
        name: setup.name.clone(),
        jobs: setup.jobs,
        reply: match &setup.plain {
            Plain::Off => None,
            Plain::Shown(reply) => reply.clone(),
        },
    };
    let (audit, records) = audit::channel();
    let origin = jobs::Origin {
        began: setup.began,
        next_job: setup.next_job,
    };
    let mut service = Service::new(config, policy.clone(), remote, Box::new(audit), origin);
    restore(&mut service, now)?;
    service.chat().0.restore_history(now, setup.history.clone());

    let identity = SecretKey::from_text(&setup.identity).map_err(io::Error::other)?;
    let config = session_config(identity, &setup, policy.clone());
    let sink: Option<Box<dyn PlainSink>> = match setup.plain {
        Plain::Off => None,
        Plain::Shown(_) => Some(Box::new(PlainLimiter::default())),
    };
    let prompt = parts.terminal.then(|| Prepared::new(&setup)).flatten();
    let in_force = restrict(&setup, Switch::from(prompt.is_some()))?;
    service.processes().send(&ToSupervisor::Serving(in_force));
    // Its thread must be restricted too.
    let log = match parts.log {
        Some(socket) => {
            let log = SharedLog::new(LogSender::new(socket, setup.log.0))?;
            log::start(setup.log.0, setup.log.1, log.clone());
            Some(log)
        }
        None => None,
    };
    let net = net::start(
        parts.carriers,
        config,
        rng.fork(),
        sink,
        Some(Box::new(wake.clone())),
    )?;
    let mut thread = Thread::new(event_poll, service, net, policy, records, log.clone())?;
    thread.open_bot(parts.bot, wake.clone())?;
    if parts.terminal {
        thread.open_terminal((setup.chat.format, setup.prompt), prompt, wake)?;
        thread.note_unsent(&setup);
        if setup.chat.format == LogFormat::Text {
            thread.restore_own(Clock.now());
        }
    }
    let end = thread.run();
    if let Some(log) = log {
        log.finish(LAST_LINES);
    }
    Ok(end)
}

/// Returns the configuration of the sessions.
fn session_config(identity: SecretKey, setup: &Setup, policy: FrontPolicy) -> session::Config {
    let mut config = session::Config::new(identity, Some(Box::new(policy)));
    config.sessions_per_key = setup.sessions_per_key;
    let fingerprint = session::InitFingerprint;
    config.seen = setup.seen.iter().copied().map(fingerprint).collect();
    config.resets.clone_from(&setup.resets);
    let seen = setup.seen_by_run.iter();
    config.run = Some(session::Run {
        epoch: setup.epoch,
        start: setup.began,
        seen: seen.map(|&(at, seen)| (at, fingerprint(seen))).collect(),
    });
    config
}

/// Restores the jobs of an earlier front.
fn restore(
    service: &mut Service<Remote, FrontPolicy>,
    now: crate::time::Instant,
) -> io::Result<()> {
    loop {
        let message = match service.processes().receive() {
            Ok(Some(message)) => message,
            Ok(None) => {
                let until = Deadline::now() + limits::SETUP;
                readable(service.processes().socket(), until)?;
                continue;
            }
            Err(error) => return Err(io::Error::other(error)),
        };
        match message {
            ToFront::Restored {
                slot,
                extents,
                stdin_base,
                restored,
            } => {
                let processes = service.processes();
                processes.restore(slot, extents, stdin_base, &restored);
                service.restore(now, *restored);
            }
            ToFront::Remembered(all) => {
                for one in all {
                    service.remember(one.key, one.request, one.digest, one.entered);
                }
            }
            ToFront::Horizons(all) => {
                for (key, horizon) in all {
                    service.set_horizon(key, horizon);
                }
            }
            ToFront::Report(report) => service.on_status(now, report.job, report.status),
            ToFront::Ready => return Ok(()),
            ToFront::Setup(_)
            | ToFront::Policy(_)
            | ToFront::Redeemed { .. }
            | ToFront::Count(_)
            | ToFront::Interrupted
            | ToFront::ShutDown => {}
        }
    }
}

/// Waits for the next message.
fn wait(connection: &mut Frames<ToSupervisor, ToFront>) -> io::Result<ToFront> {
    let until = Deadline::now() + limits::SETUP;
    loop {
        match connection.receive() {
            Ok(Some(message)) => return Ok(message),
            Ok(None) => readable(connection.socket(), until)?,
            Err(error) => return Err(io::Error::other(error)),
        }
    }
}

fn readable(socket: &std::os::unix::net::UnixStream, until: Deadline) -> io::Result<()> {
    let left = until.saturating_duration_since(Deadline::now());
    let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
    match poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&timeout)) {
        Ok(0) => Err(io::ErrorKind::TimedOut.into()),
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
