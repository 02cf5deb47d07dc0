//! The connections of the owner's tools, and the answers to them.
//!
//! Not the socket ([`OwnerSocket`]). Invariants: nothing waits for a client; a connection carries one request and is
//! over after a bounded time, whatever the client does.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;

use mio::unix::SourceFd;
use mio::{Interest, Registry};

use super::{Supervisor, tokens};
use crate::agent::access::PolicySource as _;
use crate::agent::ipc::{Frames, FrontCounts, ToFront};
use crate::agent::owner::limits::{ACCEPTS, CONNECTION, CONNECTIONS, COUNTS, RELOAD, REQUEST};
use crate::agent::owner::{
    Commands, Datagrams, DroppedRecords, Handshakes, KeyView, OwnerSocket, Reply, Request,
    Sessions, Status,
};
use crate::net::Clock;
use crate::session::Drop;
use crate::time::Instant;

/// Facts about an agent that its supervisor does not need otherwise.
pub struct About {
    /// Name of the agent.
    pub name: String,
    /// Public key of the agent.
    pub key: String,
    /// Addresses that it listens on.
    pub listening: Vec<String>,
    /// Addresses of the configuration that are not bound, with the reasons.
    pub unbound: Vec<String>,
    /// Number of jobs that the configuration allows.
    pub jobs: usize,
    /// Command of the bot, if there is one.
    pub on_message: Option<String>,
}

/// The socket and its connections.
pub struct Owner {
    socket: OwnerSocket,
    about: About,
    connections: [Option<Connection>; CONNECTIONS],
    /// True if connections may wait to be accepted.
    waiting: bool,
}

/// A connection.
struct Connection {
    frames: Frames<Reply, Request>,
    opened: Instant,
    /// True if the socket may have become readable or writable.
    ready: bool,
    phase: Phase,
}

impl Connection {
    fn deadline(&self) -> Instant {
        let time = match self.phase {
            Phase::Reloading { .. } => RELOAD,
            Phase::Asking | Phase::Counting { .. } | Phase::Answering => CONNECTION,
        };
        self.opened + time
    }
}

/// Phase of a connection.
#[derive(Clone, Copy)]
enum Phase {
    /// The request is not complete.
    Asking,
    /// The front was asked for its counters.
    Counting {
        /// Number of the question.
        number: u64,
        /// Time at which the last counters are told instead.
        until: Instant,
    },
    /// The program is to be replaced.
    Reloading {
        /// Number of replacements that had failed before.
        failed: u64,
    },
    /// The answer is queued.
    Answering,
}

/// The connection is over.
struct Over;

impl Owner {
    fn new(socket: OwnerSocket, about: About) -> Self {
        Self {
            socket,
            about,
            connections: [const { None }; CONNECTIONS],
            waiting: true,
        }
    }

    fn on_ready(&mut self, connection: Option<usize>) {
        match connection {
            None => self.waiting = true,
            Some(index) => {
                if let Some(Some(connection)) = self.connections.get_mut(index) {
                    connection.ready = true;
                }
            }
        }
    }

    /// Returns the next deadline of a connection.
    pub fn next_deadline(&self) -> Option<Instant> {
        let deadlines = self.connections.iter().flatten().map(|connection| {
            let over = connection.deadline();
            match connection.phase {
                Phase::Counting { until, .. } => over.min(until),
                Phase::Asking | Phase::Reloading { .. } | Phase::Answering => over,
            }
        });
        deadlines.min()
    }

    /// Accepts connections. Returns true if more may wait.
    fn accept(&mut self, now: Instant, registry: &Registry) -> bool {
        for _ in 0..ACCEPTS {
            if !self.waiting {
                return false;
            }
            match self.socket.accept() {
                Ok(Some(stream)) => {
                    if let Err(error) = self.enter(now, stream, registry) {
                        tracing::debug!(%error, "cannot serve a connection of the owner");
                    }
                }
                Ok(None) => self.waiting = false,
                Err(error) => match error.kind() {
                    io::ErrorKind::PermissionDenied => {
                        tracing::debug!("refused another user's connection");
                    }
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => {}
                    _ => self.waiting = false,
                },
            }
        }
        self.waiting
    }

    /// Enters a connection, in place of the oldest one if there are enough.
    fn enter(&mut self, now: Instant, stream: UnixStream, registry: &Registry) -> io::Result<()> {
        let age = |&index: &usize| self.connections[index].as_ref().map(|one| one.opened);
        // `None`, a free place, is the least.
        let index = (0..CONNECTIONS).min_by_key(age).expect("there are some");
        self.remove(index, registry);
        let frames = Frames::new(stream)?.with_most(REQUEST);
        let interest = Interest::READABLE | Interest::WRITABLE;
        let token = tokens::connection(index);
        registry.register(&mut SourceFd(&frames.raw_fd()), token, interest)?;
        self.connections[index] = Some(Connection {
            frames,
            opened: now,
            ready: true,
            phase: Phase::Asking,
        });
        Ok(())
    }

    fn remove(&mut self, index: usize, registry: &Registry) {
        if let Some(connection) = self.connections[index].take() {
            // A child on its way to its program may hold a duplicate.
            let _ = registry.deregister(&mut SourceFd(&connection.frames.raw_fd()));
        }
    }
}

impl Supervisor {
    /// Answers the owner's tools on a socket.
    ///
    /// # Errors
    /// The socket cannot be polled.
    pub fn open_owner(&mut self, socket: OwnerSocket, about: About) -> io::Result<()> {
        let descriptor = socket.as_fd().as_raw_fd();
        let mut source = SourceFd(&descriptor);
        self.registry
            .register(&mut source, tokens::OWNER, Interest::READABLE)?;
        // As many as the descriptors suffice for: the log has told what is missing to the configured number.
        let jobs = super::possible_jobs(about.jobs);
        self.owner = Some(Owner::new(socket, About { jobs, ..about }));
        Ok(())
    }

    /// Processes a readiness event of the owner's socket, or of a connection.
    pub(super) fn on_owner_ready(&mut self, connection: Option<usize>) {
        if let Some(owner) = &mut self.owner {
            owner.on_ready(connection);
        }
    }

    /// Serves the connections of the owner. Returns true if something is left.
    pub(super) fn serve_owner(&mut self, now: Instant) -> bool {
        let Some(mut owner) = self.owner.take() else {
            return false;
        };
        let more = owner.accept(now, &self.registry);
        for index in 0..CONNECTIONS {
            let Some(connection) = &mut owner.connections[index] else {
                continue;
            };
            if let Err(Over) = self.serve_connection(now, &owner.about, connection) {
                owner.remove(index, &self.registry);
            }
        }
        self.owner = Some(owner);
        more
    }

    fn serve_connection(
        &mut self,
        now: Instant,
        about: &About,
        connection: &mut Connection,
    ) -> Result<(), Over> {
        if now >= connection.deadline() {
            return Err(Over);
        }
        if let Phase::Asking = connection.phase
            && std::mem::take(&mut connection.ready)
            && let Some(request) = connection.frames.receive().map_err(|_| Over)?
        {
            connection.phase = match request {
                Request::Status => self.ask_front(now),
                Request::Keys => {
                    self.queue_keys(&mut connection.frames);
                    Phase::Answering
                }
                Request::Reload => {
                    self.reloads.ordered = true;
                    let failed = self.reloads.failed;
                    Phase::Reloading { failed }
                }
            };
        }
        if let Phase::Reloading { failed } = connection.phase
            && self.reloads.failed > failed
        {
            let reason = self.reloads.reason.clone();
            connection.frames.queue(&Reply::NotReloaded { reason });
            connection.phase = Phase::Answering;
        }
        if let Phase::Counting { number, until } = connection.phase
            && (self.tally.has_answer(number) || until <= now)
        {
            let status = self.status(about, self.tally.has_answer(number));
            connection.frames.queue(&Reply::Status(Box::new(status)));
            connection.phase = Phase::Answering;
        }
        if let Phase::Answering = connection.phase {
            connection.frames.flush().map_err(|_| Over)?;
            if connection.frames.queued() == 0 {
                return Err(Over);
            }
        }
        Ok(())
    }

    /// Asks the front for its counters.
    fn ask_front(&mut self, now: Instant) -> Phase {
        let number = if self.front.is_some() {
            self.tally.ask()
        } else {
            None
        };
        match number {
            Some(number) => {
                self.send(&ToFront::Count(number));
                let until = now + COUNTS;
                Phase::Counting { number, until }
            }
            // The answer is due at once, with the last counters.
            None => Phase::Counting {
                number: u64::MAX,
                until: now,
            },
        }
    }

    fn queue_keys(&self, frames: &mut Frames<Reply, Request>) {
        let policy = self.policy.policy();
        let sessions = self.sessions.by_key();
        let mut members: Vec<_> = policy.members().collect();
        members.sort_by(|one, other| (&one.name, one.key.0).cmp(&(&other.name, other.key.0)));
        for member in members {
            frames.queue(&Reply::Key(KeyView {
                key: member.key,
                name: member.name.clone(),
                options: member.options.words(),
                expired: member.options.is_expired(self.policy.unix_now()),
                sessions: Some(sessions.get(&member.key).copied().unwrap_or(0)),
                last_seen: self.tally.last_seen(&member.key).cloned(),
            }));
        }
        let since = self.tally.since.clone();
        frames.queue(&Reply::Done { since });
    }

    /// Returns the settings that are not in force.
    fn not_in_force(&self, about: &About) -> Vec<String> {
        let mut lines = about.unbound.clone();
        if self.max_jobs < about.jobs {
            lines.push(format!(
                "jobs = {}: it is {} until the agent is restarted",
                about.jobs, self.max_jobs
            ));
        }
        lines
    }

    fn status(&self, about: &About, front_answers: bool) -> Status {
        let counts = self.tally.counts();
        let open = self.sessions.count() as u64;
        let opened = self.records.counts.sessions;
        let running = self.table.iter().filter(|(_, job)| job.counts()).count();
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            name: about.name.clone(),
            key: about.key.clone(),
            listening: about.listening.clone(),
            not_in_force: self.not_in_force(about),
            on_message: about.on_message.clone(),
            started: self.tally.since.clone(),
            uptime_ms: crate::time::micros(Clock.now().since(self.began)) / 1000,
            keys: self.policy.policy().members().count() as u64,
            sandbox: self.in_force.map(|in_force| in_force.to_string()),
            front_answers,
            replacements: self.tally.replacements,
            front_restarts: self.tally.front_restarts(),
            reloads: self.tally.reloads,
            sessions: Sessions {
                open,
                opened,
                closed: opened.saturating_sub(open),
            },
            commands: Commands {
                running: running as u64,
                accepted: self.records.counts.commands,
                denied: self.records.counts.denied,
                ended: self.tally.ended.clone(),
            },
            handshakes: handshakes(&counts),
            datagrams: datagrams(&counts),
            dropped_records: DroppedRecords {
                audit: self.lost()[0],
                log: self.lost()[1].saturating_add(counts.log_dropped),
            },
        }
    }
}

fn handshakes(counts: &FrontCounts) -> Handshakes {
    let session = &counts.net.session;
    Handshakes {
        received: session.inits,
        answered: session.handshakes,
        retries: session.retries,
        refused: dropped(counts, Drop::is_of_init),
    }
}

fn datagrams(counts: &FrontCounts) -> Datagrams {
    let net = &counts.net;
    let mut all = dropped(counts, |_| true);
    for (name, count) in [
        ("no_port", net.no_port),
        ("plain_suppressed", net.plain.suppressed),
        ("plain_unwanted", net.plain.unwanted),
    ] {
        all.insert(name.to_owned(), count);
    }
    Datagrams {
        received: net.received,
        received_bytes: net.received_bytes,
        sent: net.sent,
        sent_bytes: net.sent_bytes,
        unsent: net.unsent,
        plain: net.plain.admitted,
        resets: net.session.resets,
        dropped: all,
    }
}

/// Returns the number of dropped datagrams by reason.
fn dropped(counts: &FrontCounts, wanted: impl Fn(Drop) -> bool) -> BTreeMap<String, u64> {
    let reasons = Drop::ALL.into_iter().filter(|&reason| wanted(reason));
    let count = |reason: Drop| counts.net.session.dropped[reason as usize];
    reasons
        .map(|reason| (reason.name().to_owned(), count(reason)))
        .collect()
}
