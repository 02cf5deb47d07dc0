//! One session: what it knows, and what it does with what arrives and with passing time.
//!
//! ```text
//!   controller: connecting --RESP--> established --close or violation--> closing --linger--> gone
//!   agent:            INIT --------> established --CLOSE, idle-----------------------------> gone
//! ```
//!
//! Building datagrams is in `transmit`, the handshake in `connecting` and `endpoint`. Invariant: once
//! gone, nothing is sent and no event but the last one is told.

use std::collections::VecDeque;
use std::time::Duration;

use super::acks::Acks;
use super::connecting::Connecting;
use super::path::PathState;
use super::recovery::{Expired, Recovery};
use super::streams::{Side, Streams, Violation};
use super::timers::{Timer, Timers};
use super::{Closed, Command, Config, Connect, Event, Path, SessionHandle, limits};
use crate::crypto::{ReplayWindow, TrafficKeys};
use crate::rng::Rng;
use crate::time::Instant;
use crate::wire::limits::MIN_DATAGRAM;
use crate::wire::{CallId, Lane, SessionId, StreamId};

/// The code of a CLOSE that a violation causes; 0 is "done" and the rest belongs to the application.
pub(super) const CLOSE_VIOLATION: u64 = 1;

/// The code of a CLOSE because the key has sealed as many datagrams as are safe.
pub(super) const CLOSE_KEY_USED_UP: u64 = 4;

/// The code of a CLOSE for a session that its controller does not want: nothing was asked in it.
pub(super) const CLOSE_UNWANTED: u64 = 0;

pub(super) enum State {
    Connecting(Box<Connecting>),
    Established,
    /// CLOSE was sent; echoes of the peer are answered with it a few times.
    Closing {
        code: u64,
        reason: String,
        due: bool,
        repeats: u32,
    },
    Gone,
}

pub(super) struct Session {
    pub(super) id: SessionHandle,
    pub(super) side: Side,
    pub(super) state: State,
    pub(super) keys: Option<TrafficKeys>,
    /// Our name for the session, and the peer's.
    pub(super) local: SessionId,
    pub(super) remote: SessionId,
    pub(super) path: PathState,
    /// The route before a move that is not validated yet.
    pub(super) previous_path: Option<PathState>,
    /// A PATH_RESPONSE owed to an address.
    pub(super) echo: Option<(Path, [u8; 8])>,
    pub(super) recovery: Recovery,
    pub(super) acks: Acks,
    pub(super) streams: Streams,
    pub(super) timers: Timers,
    /// Agent: the RESP, kept to answer a repeated INIT.
    pub(super) resp: Option<Resp>,
    /// Agent: the fingerprint of the INIT, until the endpoint knows that it was confirmed.
    pub(super) init_fingerprint: Option<u64>,
    pub(super) ping_due: bool,
    pub(super) replay: ReplayWindow,
    pub(super) newest: u64,
    pub(super) forgeries: u64,
    pub(super) last_heard: Instant,
    watch: Option<Watch>,
    pub(super) silent: bool,
    handshake_repeats: u32,
    pub(super) events: VecDeque<Event>,
}

/// What an agent's session starts with.
pub(super) struct Accept {
    pub(super) id: SessionHandle,
    /// Our name for the session, and the controller's.
    pub(super) local: SessionId,
    pub(super) remote: SessionId,
    pub(super) keys: TrafficKeys,
    pub(super) path: PathState,
    /// The answer to its INIT.
    pub(super) resp: Vec<u8>,
}

/// The answer to an INIT.
pub(super) struct Resp {
    pub(super) datagram: Vec<u8>,
    pub(super) due: bool,
    pub(super) sent: bool,
    /// When it was sent, if once: the controller's first datagram gives a round-trip sample.
    pub(super) sent_once: Option<Instant>,
}

#[derive(Clone, Copy)]
struct Watch {
    silence: Duration,
    ping: Option<Duration>,
}

impl Session {
    /// A controller's session, about to send INIT.
    pub(super) fn connect(now: Instant, connect: Connect, config: &Config, rng: &mut Rng) -> Self {
        let rtt = connect.ticket.map_or(limits::INITIAL_RTT, |ticket| {
            ticket.rtt.max(limits::GRANULARITY)
        });
        let connecting = Connecting::new(
            connect.agent,
            connect.ticket,
            connect.invite,
            connect.first.clone(),
        );
        let state = State::Connecting(Box::new(connecting));
        let ids = (SessionId(0), SessionId(0));
        let path = PathState::validated(connect.path);
        let mut this = Self::new(
            now,
            connect.session,
            Side::Controller,
            state,
            ids,
            path,
            rtt,
            config,
            rng,
        );
        // An empty write would open the call, and an open call asks whether the peer is there.
        if !connect.first.is_empty() {
            this.streams.write(
                StreamId::new(CallId(0), Lane::Control),
                connect.first,
                false,
            );
        }
        this.timers.set(Timer::Contact, now + connect.timeout);
        this
    }

    /// An agent's session, about to send its RESP.
    pub(super) fn accept(now: Instant, accept: Accept, config: &Config, rng: &mut Rng) -> Self {
        let ids = (accept.local, accept.remote);
        let mut this = Self::new(
            now,
            accept.id,
            Side::Agent,
            State::Established,
            ids,
            accept.path,
            limits::INITIAL_RTT,
            config,
            rng,
        );
        this.keys = Some(accept.keys);
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
        rtt: Duration,
        config: &Config,
        rng: &mut Rng,
    ) -> Self {
        let mut recovery = Recovery::new(now, rtt, MIN_DATAGRAM as u64, rng.u64());
        // Counter 0 is the handshake message's.
        recovery.sent.skip();
        Self {
            id,
            side,
            state,
            keys: None,
            local,
            remote,
            path,
            previous_path: None,
            echo: None,
            recovery,
            acks: Acks::new(),
            streams: Streams::new(side, config.stream_window, config.session_window),
            timers: Timers::default(),
            resp: None,
            init_fingerprint: None,
            ping_due: false,
            replay: ReplayWindow::new(),
            newest: 0,
            forgeries: 0,
            last_heard: now,
            watch: None,
            silent: false,
            handshake_repeats: 0,
            events: VecDeque::new(),
        }
    }

    pub(super) fn is_gone(&self) -> bool {
        matches!(self.state, State::Gone)
    }

    pub(super) fn is_established(&self) -> bool {
        matches!(self.state, State::Established)
    }

    /// Agent: the fingerprint of the INIT, once, when the controller has validated that it has the keys, or
    /// the session is over.
    pub(super) fn take_fingerprint(&mut self) -> Option<u64> {
        if self.resp.is_some() && !self.is_gone() {
            return None;
        }
        self.init_fingerprint.take()
    }

    pub(super) fn push_event(&mut self, event: Event) {
        self.events.push_back(event);
    }

    // Time.

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.take_expired(now) {
            self.expired(now, timer);
        }
        self.rearm(now);
    }

    fn expired(&mut self, now: Instant, timer: Timer) {
        match timer {
            Timer::Init => {
                self.handshake_repeats += 1;
                if let State::Connecting(connecting) = &mut self.state {
                    connecting.due = true;
                }
            }
            Timer::Contact => self.end(Closed::Unreachable),
            Timer::Unconfirmed | Timer::Idle => self.end(Closed::Lost),
            Timer::Linger => self.state = State::Gone,
            Timer::Recovery => match self.recovery.expired(now) {
                Expired::Lost(outcome) => self.apply_ack_outcome(outcome),
                Expired::Probe(frames) => self.on_lost(frames),
            },
            Timer::Path => {
                if let Some(previous_path) = self.previous_path.take() {
                    self.path = previous_path;
                }
            }
            Timer::KeepAlive => self.ping_due = true,
            Timer::Silence => {
                self.silent = true;
                self.events.push_back(Event::Silent { session: self.id });
            }
            // They only wake the driver: what is due is seen when datagrams are built.
            Timer::Ack | Timer::Pacing => {}
        }
    }

    /// Not even one datagram may go to the address before more has come from it.
    pub(super) fn is_over_budget(&self) -> bool {
        self.path.budget() < MIN_DATAGRAM as u64
    }

    /// How long to wait for RESP before INIT is sent again.
    pub(super) fn init_timeout(&self) -> Duration {
        (self.recovery.pto() * 2_u32.saturating_pow(self.handshake_repeats.min(16)))
            .min(limits::MAX_INIT_TIMEOUT)
    }

    /// Sets the timers that follow from the state.
    pub(super) fn rearm(&mut self, now: Instant) {
        if !self.is_established() {
            return;
        }
        self.timers.put(Timer::Recovery, self.recovery.timeout());
        // One that is due already needs no timer: the next drain sends it, or the budget forbids it.
        self.timers
            .put(Timer::Ack, self.acks.timeout().filter(|&due| due > now));
        self.timers.set(Timer::Idle, self.last_heard + limits::IDLE);
        let ping = match self.watch.and_then(|watch| watch.ping) {
            Some(ping) => Some(ping),
            None => (self.side == Side::Controller && self.streams.open_calls() > 0)
                .then_some(limits::KEEPALIVE),
        };
        // While something is under way the probe timer asks already.
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
    }

    // What the application asks.

    pub(super) fn apply(&mut self, now: Instant, command: Command) {
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
            Command::Consumed { stream, bytes, .. } => self.streams.consumed(stream, bytes),
            Command::Reset { stream, code, .. } => self.streams.reset(stream, code),
            Command::Stop { stream, code, .. } => self.streams.stop(stream, code),
            Command::Release { call, .. } => self.streams.release(call),
            Command::Watch { silence, ping, .. } => self.watch = Some(Watch { silence, ping }),
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

    pub(super) fn close(&mut self, now: Instant, code: u64, reason: String) {
        self.state = State::Closing {
            code,
            reason,
            due: true,
            repeats: 0,
        };
        self.timers.stop_all();
        self.timers
            .set(Timer::Linger, now + self.recovery.pto() * 3);
    }

    /// As many datagrams were sealed as are safe under one key.
    pub(super) fn retire_key(&mut self, now: Instant) {
        self.close(
            now,
            CLOSE_KEY_USED_UP,
            "the session's key is used up".to_owned(),
        );
        self.take_stream_events();
        self.events.push_back(Event::Closed {
            session: self.id,
            reason: Closed::KeyUsedUp,
        });
    }

    pub(super) fn violate(&mut self, now: Instant, violation: Violation) {
        if !matches!(self.state, State::Established) {
            return;
        }
        self.close(now, CLOSE_VIOLATION, violation.to_owned());
        self.events.push_back(Event::Closed {
            session: self.id,
            reason: Closed::Violation(violation),
        });
    }

    pub(super) fn end(&mut self, reason: Closed) {
        self.state = State::Gone;
        self.timers.stop_all();
        self.take_stream_events();
        self.events.push_back(Event::Closed {
            session: self.id,
            reason,
        });
    }
}
