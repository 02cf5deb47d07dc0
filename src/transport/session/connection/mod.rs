//! One session: its state, and its reaction to commands and timers.
//!
//! ```text
//!   controller: connecting --RESP--> established --close or violation--> closing --linger--> gone
//!   agent:            INIT --------> established --CLOSE, idle-----------------------------> gone
//! ```
//!
//! Received datagrams are in `receive`, datagrams to send in `transmit`, the handshake in `handshake` and
//! `endpoint::admission`. Invariant: a session that is gone sends nothing, and `Closed` is its last event.

mod acks;
mod attempts;
mod closing;
mod datagram_size;
mod ecn;
mod events;
mod handshake;
mod init_flight;
mod loss;
mod migration;
mod path;
mod receive;
mod recovery;
mod reordering;
mod sent;
mod skipped;
mod timers;
mod transmit;

use std::collections::VecDeque;
use std::time::Duration;

use crate::crypto::{PublicKey, ReplayWindow, ResetToken, TrafficKeys};
use crate::rng::Rng;
use crate::session::rtt::RttEstimator;
use crate::session::streams::{Pace, Side, Streams};
use crate::session::{
    Account, AddressRule, Closed, Command, Config, Connect, Event, Held, InitFingerprint, Path,
    SessionHandle, Ticket, limits,
};
use crate::time::Instant;
use crate::wire::limits::{INVITE, MIN_DATAGRAM};
use crate::wire::{CallId, Lane, SessionId, StreamId};
use acks::Acks;
use datagram_size::DatagramSize;
use handshake::Connecting;
pub(super) use handshake::NewId;
pub(super) use path::PathState;
use recovery::{Expired, Recovery};
use timers::{Timer, Timers};

pub(in crate::session) enum State {
    Connecting(Box<Connecting>),
    Established,
    /// A CLOSE is to be sent; it is repeated a few times for datagrams that still arrive.
    Closing {
        code: u64,
        reason: String,
        due: bool,
        repeats: u32,
    },
    Gone,
}

pub(in crate::session) struct Session {
    pub(in crate::session) id: SessionHandle,
    pub(in crate::session) side: Side,
    pub(in crate::session) state: State,
    pub(in crate::session) keys: Option<TrafficKeys>,
    /// Bytes sealed with them, each datagram rounded up to blocks.
    pub(in crate::session) sealed: u64,
    /// Session id that this endpoint chose, and the peer's.
    pub(in crate::session) local: SessionId,
    pub(in crate::session) remote: SessionId,
    pub(in crate::session) path: PathState,
    /// The path in use before a migration that is not validated yet.
    pub(in crate::session) previous_path: Option<PathState>,
    /// PATH_RESPONSE to send, and its path.
    pub(in crate::session) path_response: Option<(Path, [u8; 8])>,
    pub(in crate::session) recovery: Recovery,
    pub(in crate::session) datagram_size: DatagramSize,
    pub(in crate::session) acks: Acks,
    pub(in crate::session) streams: Streams,
    pub(in crate::session) timers: Timers,
    /// Agent: the RESP, kept until the session is confirmed to answer a repeated INIT.
    pub(in crate::session) resp: Option<Resp>,
    /// Agent: the fingerprint of the INIT, until the endpoint has taken it (see `take_fingerprint`).
    pub(in crate::session) init_fingerprint: Option<InitFingerprint>,
    /// Controller: token of a stateless reset.
    pub(in crate::session) reset_token: Option<ResetToken>,
    /// Agent: the controller, for its bounds.
    pub(in crate::session) identity: Option<Identity>,
    /// Agent: rule for the address of the datagram that is processed.
    pub(in crate::session) address_rule: AddressRule,
    /// Address of the remembered path that the endpoint has lent to the session.
    pub(in crate::session) known_path_of: Option<std::net::IpAddr>,
    /// Agent: true if another address was validated, until the endpoint has asked the authorizer.
    pub(in crate::session) moved: bool,
    /// Memory of streams as it was last accounted to the key.
    pub(in crate::session) accounted: Held,
    pub(in crate::session) ping_due: bool,
    pub(in crate::session) replay: ReplayWindow,
    /// The largest counter received.
    pub(in crate::session) newest: u64,
    /// Number of datagrams that did not open.
    pub(in crate::session) forgeries: u64,
    /// Time of the last authentic datagram.
    pub(in crate::session) last_heard: Instant,
    watch: Option<Watch>,
    /// True between the events `Silent` and `Heard`.
    pub(in crate::session) silent: bool,
    pub(in crate::session) events: VecDeque<Event>,
}

/// Controller of an agent's session.
pub(in crate::session) struct Identity {
    pub(in crate::session) key: PublicKey,
    pub(in crate::session) account: Account,
    pub(in crate::session) invite: Option<[u8; INVITE]>,
}

/// Parameters of an agent's new session.
pub(in crate::session) struct Accept {
    pub(in crate::session) id: SessionHandle,
    /// Session id that this endpoint chose, and the controller's.
    pub(in crate::session) local: SessionId,
    pub(in crate::session) remote: SessionId,
    pub(in crate::session) keys: TrafficKeys,
    pub(in crate::session) path: PathState,
    /// RESP to the INIT.
    pub(in crate::session) resp: Vec<u8>,
    /// Largest datagram that the controller accepts.
    pub(in crate::session) max_datagram: u64,
}

/// RESP of a session that is not confirmed yet.
pub(in crate::session) struct Resp {
    pub(in crate::session) datagram: Vec<u8>,
    pub(in crate::session) due: bool,
    pub(in crate::session) sent: bool,
    /// Time at which it was sent, if it was sent only once: the start of a round-trip sample that the
    /// controller's first datagram ends.
    pub(in crate::session) sent_once: Option<Instant>,
}

/// Parameters of [`Command::Watch`].
#[derive(Clone, Copy)]
struct Watch {
    silence: Duration,
    ping: Option<Duration>,
}

impl Session {
    /// Creates a controller's session, which is about to send INIT. `earlier` sessions wait for an answer already.
    pub(in crate::session) fn connect(
        now: Instant,
        connect: Connect,
        earlier: usize,
        config: &Config,
        rng: &mut Rng,
    ) -> Self {
        let remembered = connect
            .ticket
            .map(|Ticket { rtt, variation, .. }| RttEstimator::remembered(rtt, variation));
        let (session, timeout, first) = (connect.session, connect.timeout, connect.first.clone());
        let path = PathState::validated(connect.path);
        let connecting = Connecting::new(now, connect, earlier, config.max_datagram);
        let state = State::Connecting(Box::new(connecting));
        let ids = (SessionId(0), SessionId(0));
        let mut this = Self::new(
            now,
            session,
            Side::Controller,
            state,
            ids,
            path,
            config,
            rng,
        );
        if let Some(remembered) = remembered {
            this.recovery.rtt = remembered;
        }
        // An empty write would open the call, and an open call causes keep-alive PINGs.
        if !first.is_empty() {
            this.streams
                .write(StreamId::new(CallId(0), Lane::Control), first, false);
        }
        this.timers.set(Timer::Contact, now + timeout);
        this
    }

    /// Creates an agent's session, which is about to send its RESP.
    pub(in crate::session) fn accept(
        now: Instant,
        accept: Accept,
        config: &Config,
        rng: &mut Rng,
    ) -> Self {
        let ids = (accept.local, accept.remote);
        let mut this = Self::new(
            now,
            accept.id,
            Side::Agent,
            State::Established,
            ids,
            accept.path,
            config,
            rng,
        );
        this.keys = Some(accept.keys);
        this.datagram_size.on_peer_limit(accept.max_datagram);
        this.resp = Some(Resp {
            datagram: accept.resp,
            due: true,
            sent: false,
            sent_once: None,
        });
        this.timers
            .set(Timer::Unconfirmed, now + limits::UNCONFIRMED);
        this.timers.set(Timer::Idle, now + limits::IDLE);
        this
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "the two constructors above are its only callers"
    )]
    fn new(
        now: Instant,
        id: SessionHandle,
        side: Side,
        state: State,
        (local, remote): (SessionId, SessionId),
        path: PathState,
        config: &Config,
        rng: &mut Rng,
    ) -> Self {
        let datagram = MIN_DATAGRAM as u64;
        let mut recovery = Recovery::new(now, limits::INITIAL_RTT, datagram, rng.u64());
        // Counter 0 stands for the handshake message.
        recovery.sent.skip();
        Self {
            id,
            side,
            state,
            keys: None,
            sealed: 0,
            local,
            remote,
            path,
            previous_path: None,
            path_response: None,
            recovery,
            datagram_size: DatagramSize::new(config.max_datagram, path.path.remote),
            acks: Acks::new(),
            streams: Streams::new(side, config),
            timers: Timers::default(),
            resp: None,
            init_fingerprint: None,
            reset_token: None,
            identity: None,
            address_rule: AddressRule::Any,
            moved: false,
            known_path_of: None,
            accounted: Held::default(),
            ping_due: false,
            replay: ReplayWindow::new(),
            newest: 0,
            forgeries: 0,
            last_heard: now,
            watch: None,
            silent: false,
            events: VecDeque::new(),
        }
    }

    pub(in crate::session) fn is_gone(&self) -> bool {
        matches!(self.state, State::Gone)
    }

    /// Returns true if the session waits for the answer to its INIT.
    pub(in crate::session) const fn is_connecting(&self) -> bool {
        matches!(self.state, State::Connecting(_))
    }

    pub(in crate::session) fn is_established(&self) -> bool {
        matches!(self.state, State::Established)
    }

    /// Agent: returns the fingerprint of the INIT once, as soon as the controller has confirmed that it has
    /// the keys or the session is over.
    pub(in crate::session) fn take_fingerprint(&mut self) -> Option<InitFingerprint> {
        if self.resp.is_some() && !self.is_gone() {
            return None;
        }
        self.init_fingerprint.take()
    }

    pub(in crate::session) fn push_event(&mut self, event: Event) {
        self.events.push_back(event);
    }

    // Timers.

    pub(in crate::session) fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.take_expired(now) {
            self.expired(now, timer);
        }
        self.rearm(now);
    }

    fn expired(&mut self, now: Instant, timer: Timer) {
        match timer {
            Timer::Init => {
                if let State::Connecting(connecting) = &mut self.state {
                    connecting.on_init_timeout(now);
                }
            }
            Timer::Contact => self.end(Closed::Unreachable),
            Timer::Unconfirmed | Timer::Idle => self.end(Closed::Lost),
            Timer::Linger => self.state = State::Gone,
            Timer::Recovery => match self.recovery.expired(now) {
                Expired::Lost(outcome) => self.apply_ack_outcome(outcome),
                Expired::Probe(frames) => self.on_lost(frames),
            },
            Timer::Path => self.on_validation_failed(),
            Timer::Challenge => self.repeat_challenges(now),
            Timer::KeepAlive => self.ping_due = true,
            Timer::Silence => {
                self.silent = true;
                self.events.push_back(Event::Silent { session: self.id });
            }
            // These only wake the driver: building datagrams finds out what is due.
            Timer::Ack | Timer::Pacing => {}
        }
    }

    /// Sets the timers that follow from the state.
    pub(in crate::session) fn rearm(&mut self, now: Instant) {
        if !self.is_established() {
            return;
        }
        self.timers.put(Timer::Recovery, self.recovery.timeout());
        // An ACK that is due needs no timer: the next drain sends it, unless the budget forbids it.
        self.timers
            .put(Timer::Ack, self.acks.timeout().filter(|&due| due > now));
        self.timers.set(Timer::Idle, self.last_heard + limits::IDLE);
        let ping = match self.watch.and_then(|watch| watch.ping) {
            Some(ping) => Some(ping),
            None => (self.side == Side::Controller && self.streams.open_calls() > 0)
                .then_some(limits::KEEPALIVE),
        };
        // While an ack-eliciting datagram is in flight, the probe timer does the same.
        let ping = ping.filter(|_| !self.recovery.sent.has_eliciting() && !self.ping_due);
        self.timers.put(
            Timer::KeepAlive,
            ping.map(|ping| (self.last_heard + ping).max(now + limits::GRANULARITY)),
        );
        let silence = self
            .watch
            .filter(|_| !self.silent)
            .map(|watch| self.last_heard + watch.silence);
        self.timers.put(Timer::Silence, silence);
        self.report_datagram_size(now);
    }

    // Commands.

    pub(in crate::session) fn apply(&mut self, now: Instant, command: Command) {
        if let Command::Release { call, .. } = command {
            self.discard_events(call);
        }
        if matches!(self.state, State::Closing { .. } | State::Gone) {
            return;
        }
        match command {
            Command::Connect(_) => {}
            Command::Write {
                stream, data, fin, ..
            } => self.streams.write(stream, data, fin),
            Command::Consumed { stream, bytes, .. } => {
                let rtt = self.recovery.rtt.smoothed();
                self.streams.consumed(stream, bytes, Pace { now, rtt });
            }
            Command::Reset { stream, code, .. } => self.streams.reset(stream, code),
            Command::Stop { stream, code, .. } => self.streams.stop(stream, code),
            Command::Release { call, .. } => self.streams.release(call),
            Command::Watch { silence, ping, .. } => self.watch = Some(Watch { silence, ping }),
            Command::FindDatagramSize { .. } => self.datagram_size.find(),
            Command::Close { code, reason, .. } => {
                if self.is_established() {
                    self.close(now, code, reason);
                } else {
                    self.state = State::Gone;
                }
                self.timers.stop(Timer::Contact);
                self.events.push_back(Event::Closed {
                    session: self.id,
                    reason: Closed::Local,
                });
            }
        }
        self.rearm(now);
    }
}
