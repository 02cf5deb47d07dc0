//! Loop of the forwarded connections: accepts, and passes readiness and events on.
//!
//! One thread for all of them. Invariant: at most [`CONNECTIONS`] are there at a time.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Interest, Poll, Token};
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with, sockopt};

use super::connection::{Connection, End};
use super::events::Events;
use super::limits::{CONNECTIONS, EVENTS, LEAVE, PAUSE, READ};
use super::listener::Listener;
use super::stopper::{Order, Stopper, WAKER};
use crate::control::client::Client;
use crate::control::contact::Contact;
use crate::control::exec::{Config as JobConfig, Goal, JobRequest, RemoteJob, summary};
use crate::control::host_resolver::Host;
use crate::message::{Exec, ForwardTarget, RequestId, Service};
use crate::net::{self, Clock};
use crate::rng::Rng;
use crate::session::Ticket;

/// Parameters of the connections.
pub struct Config<'a> {
    /// The agent.
    pub host: Host,
    /// Name of the user there, if one was asked for.
    pub user: Option<String>,
    /// Time after which an agent that does not answer is given up.
    pub contact_timeout: Duration,
    /// Time for which a silent agent is retried, and the lease of the connections.
    pub lease: Duration,
    /// Source of the ids of requests.
    pub rng: Rng,
    /// Says what has failed, in words without the name of the host.
    pub say: Box<dyn FnMut(&str) + Send + 'a>,
}

/// Result of a run.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Finish {
    /// Number of connections that were not made, or broken off.
    pub failed: u64,
    /// Ticket that was learned last.
    pub ticket: Option<Ticket>,
}

struct Run<'a> {
    config: Config<'a>,
    client: &'a Client,
    poll: Poll,
    stopper: Stopper,
    listeners: Vec<Listener>,
    /// Listeners with connections that may wait.
    waiting: Vec<bool>,
    /// Time until which nothing is accepted.
    pause: Option<Instant>,
    /// Connections by the slot of their sessions.
    connections: BTreeMap<u32, Connection>,
    /// Slots of those that may have something to do.
    ready: Vec<u32>,
    /// Bytes of one read.
    buffer: Box<[u8]>,
    finish: Finish,
    /// Time at which canceled connections are given up.
    deadline: Option<Instant>,
}

/// Tokens of listeners begin here; those of connections are their slots.
const LISTENERS: usize = 1 << 40;

/// Forwards connections of `listeners`, and `streams` that are connected already, until it is stopped. Without listeners it
/// ends with the last connection.
///
/// # Errors
/// The system has no descriptor or thread left.
pub fn run(
    client: &Client,
    config: Config<'_>,
    (poll, stopper): (Poll, Stopper),
    listeners: Vec<Listener>,
    streams: Vec<(OwnedFd, ForwardTarget)>,
) -> io::Result<Finish> {
    std::thread::scope(|scope| {
        let events = Events::start(scope, client, stopper.clone())?;
        let mut run = Run {
            config,
            client,
            poll,
            stopper,
            waiting: vec![true; listeners.len()],
            listeners,
            pause: None,
            connections: BTreeMap::new(),
            ready: Vec::new(),
            buffer: vec![0; READ].into_boxed_slice(),
            finish: Finish::default(),
            deadline: None,
        };
        run.register()?;
        for (socket, to) in streams {
            run.begin(socket, to)?;
        }
        run.serve(&events)?;
        Ok(run.finish)
    })
}

impl Run<'_> {
    fn register(&self) -> io::Result<()> {
        for (number, listener) in self.listeners.iter().enumerate() {
            rustix::io::ioctl_fionbio(listener, true)?;
            let descriptor = listener.as_fd().as_raw_fd();
            let token = Token(LISTENERS + number);
            let registry = self.poll.registry();
            registry.register(&mut SourceFd(&descriptor), token, Interest::READABLE)?;
        }
        Ok(())
    }

    fn serve(&mut self, events: &Events) -> io::Result<()> {
        let mut polled = mio::Events::with_capacity(EVENTS);
        loop {
            self.obey();
            self.accept_all()?;
            self.proceed();
            let is_over = self.listeners.is_empty() && self.connections.is_empty();
            if is_over || self.deadline.is_some_and(|at| Instant::now() >= at) {
                return Ok(());
            }
            match self.poll.poll(&mut polled, self.timeout()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                polled => polled?,
            }
            for event in &polled {
                self.on_ready(event);
            }
            if !self.on_events(events) {
                return Err(io::Error::other("the network thread has ended"));
            }
        }
    }

    /// Carries an order out.
    fn obey(&mut self) {
        let order = self.stopper.order();
        if order >= Order::Drain {
            self.listeners.clear();
        }
        if order == Order::Stop && self.deadline.is_none() {
            self.deadline = Some(Instant::now() + LEAVE);
            for (&slot, connection) in &mut self.connections {
                connection.cancel();
                self.ready.push(slot);
            }
        }
    }

    fn timeout(&self) -> Option<Duration> {
        if !self.ready.is_empty() {
            return Some(Duration::ZERO);
        }
        let now = Instant::now();
        let times = self.pause.into_iter().chain(self.deadline);
        let left = times.map(|at| at.saturating_duration_since(now)).min();
        // The poll counts milliseconds.
        left.map(|left| left + Duration::from_millis(1))
    }

    fn on_ready(&mut self, event: &mio::event::Event) {
        let Token(token) = event.token();
        if event.token() == WAKER {
        } else if let Some(waiting) = token
            .checked_sub(LISTENERS)
            .and_then(|number| self.waiting.get_mut(number))
        {
            *waiting = true;
        } else if let Some((slot, connection)) = u32::try_from(token)
            .ok()
            .and_then(|slot| Some((slot, self.connections.get_mut(&slot)?)))
        {
            let is_readable = event.is_readable() || event.is_read_closed();
            let is_writable = event.is_writable() || event.is_write_closed();
            connection.on_ready(is_readable, is_writable, event.is_error());
            self.ready.push(slot);
        }
    }

    /// Handles the events that are there. Returns false if there will be none.
    fn on_events(&mut self, events: &Events) -> bool {
        for _ in 0..EVENTS {
            match events.channel.try_recv() {
                Ok(event) => {
                    self.client.taken();
                    self.on_event(event);
                }
                Err(error) => return error.is_empty(),
            }
        }
        // There may be more, of which no wake-up tells.
        self.stopper.wake();
        true
    }

    fn on_event(&mut self, event: net::Event) {
        match event {
            net::Event::Session(event) => {
                let slot = event.session().map(Contact::slot_of);
                if let Some(slot) = slot
                    && let Some(connection) = self.connections.get_mut(&slot)
                {
                    connection.on_event(event);
                    self.ready.push(slot);
                }
            }
            net::Event::Refused(refusal) => {
                let refused = self.connections.iter_mut();
                let words = refused.filter_map(|(_, connection)| connection.on_refused(refusal));
                // They concern the host, not the connection.
                if let Some(words) = words.last() {
                    (self.config.say)(&words);
                }
            }
            net::Event::Failed { address, error } => {
                (self.config.say)(&format!("{address}: {error}"));
            }
            net::Event::Plain { .. }
            | net::Event::Suppressed { .. }
            | net::Event::Counted { .. } => {}
        }
    }

    /// Accepts the connections that wait, as far as there is room.
    fn accept_all(&mut self) -> io::Result<()> {
        if self.pause.is_some_and(|at| Instant::now() < at) {
            return Ok(());
        }
        self.pause = None;
        for number in 0..self.listeners.len() {
            while self.waiting[number] && self.connections.len() < CONNECTIONS {
                let listener = &self.listeners[number];
                let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
                match accept_with(listener, flags) {
                    Ok(socket) => {
                        if listener.is_tcp {
                            let _ = sockopt::set_tcp_nodelay(&socket, true);
                        }
                        let to = listener.to().clone();
                        self.begin(socket, to)?;
                    }
                    Err(Errno::AGAIN) => self.waiting[number] = false,
                    Err(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                        self.pause = Some(Instant::now() + PAUSE);
                        return Ok(());
                    }
                    // The connection was given up while it waited.
                    Err(_) => {}
                }
            }
        }
        Ok(())
    }

    fn begin(&mut self, socket: OwnedFd, to: ForwardTarget) -> io::Result<()> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        let slot = self.client.reserve(1);
        let id = RequestId(self.config.rng.bytes());
        let mut request = Exec::of_service(id, Service::Forward(to));
        request.user.clone_from(&self.config.user);
        let lease = self.config.lease.as_millis();
        request.lease_ms = Some(u64::try_from(lease).unwrap_or(u64::MAX));
        let host = &self.config.host;
        let job = RemoteJob::new(JobConfig {
            slot,
            request: JobRequest::Exec(request),
            goal: Goal::Result,
            agent: host.agent,
            paths: host.paths.clone(),
            ticket: self.finish.ticket.or(host.ticket),
            begun: Clock.now(),
            contact_timeout: self.config.contact_timeout,
            retry_for: self.config.lease,
        });
        let connection = Connection::new(socket, job);
        let token = Token(usize::try_from(slot).map_err(io::Error::other)?);
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registry = self.poll.registry();
        registry.register(&mut SourceFd(&connection.raw_fd()), token, interest)?;
        self.connections.insert(slot, connection);
        self.ready.push(slot);
        Ok(())
    }

    /// Lets each connection that may have something to do have its turn.
    fn proceed(&mut self) {
        let mut ready = std::mem::take(&mut self.ready);
        ready.sort_unstable();
        ready.dedup();
        for slot in ready {
            let Some(connection) = self.connections.get_mut(&slot) else {
                continue;
            };
            let learned = &mut self.finish.ticket;
            let has_more = connection.proceed(self.client, learned, &mut self.buffer);
            let end = connection.end(summary::words_of_one);
            if has_more && end.is_none() {
                self.ready.push(slot);
            }
            let Some(end) = end else { continue };
            if let Some(connection) = self.connections.remove(&slot) {
                let registry = self.poll.registry();
                let _ = registry.deregister(&mut SourceFd(&connection.raw_fd()));
            }
            if let End::Failed(words) = end {
                self.finish.failed += 1;
                (self.config.say)(&words);
            }
        }
    }
}
