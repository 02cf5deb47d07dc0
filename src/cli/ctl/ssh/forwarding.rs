//! Forwarded connections of a command line: their listeners, and the thread that serves them beside a command or alone.
//!
//! Invariant: everything is bound before anything is sent.

use std::os::fd::OwnedFd;
use std::thread::JoinHandle;

use anyhow::{Context as _, Result};
use crossbeam_channel::{Receiver, bounded, select};

use super::options::{LogLevel, Options};
use crate::cli::ctl::context::{Context, note, note_of};
use crate::cli::ctl::exec::exec_args;
use crate::cli::ctl::family::Family;
use crate::control::client::Client;
use crate::control::forward::{self, Config, Listener, Pipe, Stopper};
use crate::control::host_resolver::{Host, HostResolver};
use crate::control::signals;
use crate::message::ForwardTarget;
use crate::message::status::{SUCCESS, UDPCTL_FAILURE, interrupted};
use crate::net::Target;

/// Bound listeners of a command line.
pub struct Bound {
    listeners: Vec<Listener>,
}

impl Bound {
    /// Binds the listeners of the options. What cannot be bound is said, and is an error only if that was asked for.
    pub fn of(options: &Options) -> Result<Self> {
        let mut listeners = Vec::new();
        let settings = options.place_settings();
        for local in options.forwards() {
            match local.place(settings).bind(&local.to) {
                Ok(bound) => listeners.extend(bound),
                Err(error) if options.exit_on_forward_failure == Some(true) => {
                    return Err(error.into());
                }
                Err(error) => {
                    if options.log_level != Some(LogLevel::Quiet) {
                        note(&format!("udpctl: {error}"));
                    }
                }
            }
        }
        Ok(Self { listeners })
    }

    /// Returns true if there is nothing to serve.
    pub fn is_empty(&self) -> bool {
        self.listeners.is_empty()
    }
}

/// The thread that serves forwarded connections.
pub struct Forwarding {
    stopper: Stopper,
    thread: Option<JoinHandle<()>>,
    /// Number of failed connections, once it has ended.
    done: Receiver<Result<u64>>,
}

impl Forwarding {
    /// Begins to serve listeners and connected streams. The names of the host are looked up before.
    pub fn start(
        options: &Options,
        target: &Target,
        bound: Bound,
        streams: Vec<(OwnedFd, ForwardTarget)>,
    ) -> Result<Self> {
        let mut context = Context::new()?;
        let family = options.family.unwrap_or_default();
        let (client, resolver, host) = network(&mut context, target, family)?;
        let label = target.label().to_owned();
        // With the defaults of `udpctl exec`, which variables set.
        let exec = exec_args(target, Vec::new())?;
        let is_quiet = options.log_level == Some(LogLevel::Quiet);
        let config = Config {
            host,
            user: options.user.clone(),
            contact_timeout: options
                .connect_timeout
                .filter(|timeout| !timeout.is_zero())
                .unwrap_or(exec.contact.timeout.contact_timeout),
            lease: exec.lease,
            rng: context.rng,
            say: Box::new(move |words| {
                if !is_quiet {
                    note_of(&label, words);
                }
            }),
        };
        let (poll, stopper) = forward::stopper().context("a poll")?;
        let (sender, done) = bounded(1);
        let loop_stopper = stopper.clone();
        let thread = std::thread::Builder::new()
            .name("forwards".into())
            .spawn(move || {
                let agent = config.host.agent;
                let poll = (poll, loop_stopper);
                let finish = forward::run(&client, config, poll, bound.listeners, streams);
                client.close();
                let failed = finish.map(|finish| {
                    if let Some(ticket) = finish.ticket {
                        resolver.learn(&agent, &ticket);
                    }
                    finish.failed
                });
                drop(resolver);
                let _ = sender.send(failed.context("forwarded connections"));
            })
            .context("a thread")?;
        Ok(Self {
            stopper,
            thread: Some(thread),
            done,
        })
    }

    /// Waits until the last connection has ended, or a signal ends them. Returns the exit status.
    pub fn wait(mut self, signals: &Receiver<i32>) -> Result<u8> {
        let (mut status, done) = (SUCCESS, self.done.clone());
        let failed = loop {
            select! {
                recv(done) -> failed => break failed.context("forwarded connections")??,
                recv(signals) -> signal => if let Ok(signal) = signal
                    && signals::ENDING.contains(&signal)
                {
                    status = interrupted(signal);
                    self.stopper.stop();
                },
            }
        };
        self.join();
        if status == SUCCESS && failed > 0 {
            return Ok(UDPCTL_FAILURE);
        }
        Ok(status)
    }

    /// Accepts no further connections, and ends with the last one.
    pub fn drain(&self) {
        self.stopper.drain();
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Forwarding {
    fn drop(&mut self) {
        self.stopper.stop();
        self.join();
    }
}

/// Forwards standard input and output, and returns the exit status.
pub fn forward_stdio(options: &Options, target: &Target, to: ForwardTarget) -> Result<u8> {
    let signals = signals::catch(&[])?;
    let nothing = Bound {
        listeners: Vec::new(),
    };
    let (pipe, socket) = Pipe::start().context("standard streams")?;
    let forwarding = Forwarding::start(options, target, nothing, vec![(socket, to)])?;
    let status = forwarding.wait(&signals)?;
    pipe.finish();
    Ok(status)
}

/// Opens the network to a target.
fn network(
    context: &mut Context,
    target: &Target,
    family: Family,
) -> Result<(Client, HostResolver, Host)> {
    let target = context.target(target)?;
    let identity = context.identity()?;
    let resolver = context.resolver()?;
    let resolved = family.resolve(&target).unwrap_or_else(|| target.resolve());
    let addresses = resolved.as_deref().unwrap_or_default();
    let client =
        Client::open_with_refusals(identity, addresses).context("cannot open a UDP socket")?;
    let mut hosts = resolver.hosts(std::slice::from_ref(&target), vec![resolved], &client);
    let host = hosts.pop().expect("one target, one host");
    let host = host.with_context(|| target.label().to_owned())?;
    Ok((client, resolver, host))
}
