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
use super::connecting::{Connecting, Established};
use super::recovery::{Expired, Recovery, Settled};
use super::route::Route;
use super::sent::Content;
use super::streams::{Side, StreamEvent, Streams, Violation};
use super::timers::{Timer, Timers};
use super::{Closed, Command, Config, Connect, ConnectionId, Drop, Event, Path, limits};
use crate::crypto::{ReplayWindow, TrafficKeys};
use crate::rng::Rng;
use crate::time::Instant;
use crate::wire::limits::{DATA_HEADER, MIN_DATAGRAM};
use crate::wire::{self, CallId, Datagram, Early, Frame, Frames, Lane, SessionId, StreamId};

/// The code of a CLOSE that a violation causes; 0 is "done" and the rest belongs to the application.
pub(super) const CLOSE_VIOLATION: u64 = 1;

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

pub(super) struct Connection {
    pub(super) id: ConnectionId,
    pub(super) side: Side,
    pub(super) state: State,
    pub(super) keys: Option<TrafficKeys>,
    /// Our name for the session, and the peer's.
    pub(super) local: SessionId,
    pub(super) remote: SessionId,
    pub(super) route: Route,
    /// The route before a move that is not proved yet.
    pub(super) former: Option<Route>,
    /// A PATH_RESPONSE owed to an address.
    pub(super) echo: Option<(Path, [u8; 8])>,
    pub(super) recovery: Recovery,
    pub(super) acks: Acks,
    pub(super) streams: Streams,
    pub(super) timers: Timers,
    /// Agent: the RESP, kept to answer a repeated INIT.
    pub(super) resp: Option<Resp>,
    /// Agent: the print of the INIT, until the endpoint knows that it was confirmed.
    pub(super) init_print: Option<u64>,
    pub(super) ping_due: bool,
    replay: ReplayWindow,
    newest: u64,
    forgeries: u64,
    last_heard: Instant,
    watch: Option<Watch>,
    silent: bool,
    handshake_repeats: u32,
    events: VecDeque<Event>,
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

impl Connection {
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
        let route = Route::proved(connect.path);
        let mut this = Self::new(
            now,
            connect.connection,
            Side::Controller,
            state,
            ids,
            route,
            rtt,
            config,
            rng,
        );
        this.streams.write(
            StreamId::new(CallId(0), Lane::Control),
            connect.first,
            false,
        );
        this.timers.set(Timer::Contact, now + connect.timeout);
        this
    }

    /// An agent's session, about to send `resp`.
    pub(super) fn accept(
        now: Instant,
        id: ConnectionId,
        ids: (SessionId, SessionId),
        keys: TrafficKeys,
        route: Route,
        resp: Vec<u8>,
        config: &Config,
        rng: &mut Rng,
    ) -> Self {
        let mut this = Self::new(
            now,
            id,
            Side::Agent,
            State::Established,
            ids,
            route,
            limits::INITIAL_RTT,
            config,
            rng,
        );
        this.keys = Some(keys);
        this.resp = Some(Resp {
            datagram: resp,
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
        id: ConnectionId,
        side: Side,
        state: State,
        (local, remote): (SessionId, SessionId),
        route: Route,
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
            route,
            former: None,
            echo: None,
            recovery,
            acks: Acks::new(),
            streams: Streams::new(side, config.stream_window, config.session_window),
            timers: Timers::default(),
            resp: None,
            init_print: None,
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

    /// Agent: the print of the INIT, once, when the controller has proved that it has the keys, or
    /// the session is over.
    pub(super) fn take_print(&mut self) -> Option<u64> {
        if self.resp.is_some() && !self.is_gone() {
            return None;
        }
        self.init_print.take()
    }

    pub(super) fn push_event(&mut self, event: Event) {
        self.events.push_back(event);
    }

    // What arrives.

    /// A RESP for this session: opens it if it is from the agent that was asked.
    pub(super) fn open_resp(
        &mut self,
        path: Path,
        resp: &wire::Resp<'_>,
    ) -> Result<Established, Drop> {
        let State::Connecting(connecting) = &mut self.state else {
            return Err(Drop::Unexpected);
        };
        if path.remote != self.route.path.remote {
            return Err(Drop::Unexpected);
        }
        connecting.on_resp(resp).ok_or(Drop::Forged)
    }

    /// A RETRY for this session.
    pub(super) fn on_retry(&mut self, path: Path, retry: &wire::Retry<'_>) -> Result<(), Drop> {
        let State::Connecting(connecting) = &mut self.state else {
            return Err(Drop::Unexpected);
        };
        if path.remote != self.route.path.remote {
            return Err(Drop::Unexpected);
        }
        connecting
            .on_retry(retry.covered, *retry.token, retry.mac)
            .then_some(())
            .ok_or(Drop::Unexpected)
    }

    /// Agent: frames that came inside the INIT and may be taken.
    pub(super) fn on_early(&mut self, now: Instant, payload: &[u8]) {
        if let Err(violation) = self.on_frames(now, self.route.path, payload, 0) {
            self.violate(now, violation);
        }
    }

    /// RESP completed the handshake.
    pub(super) fn on_established(&mut self, now: Instant, established: Established) {
        let State::Connecting(connecting) = std::mem::replace(&mut self.state, State::Established)
        else {
            return;
        };
        self.keys = Some(established.keys);
        self.local = established.local;
        self.remote = established.remote;
        self.last_heard = now;
        self.timers.stop(Timer::Init);
        self.timers.stop(Timer::Contact);
        if let Some(sent) = established.sent_once {
            self.recovery.rtt.on_sample(now.since(sent), Duration::ZERO);
        }
        if established.early > 0 && established.hello.early == Early::Accepted {
            self.streams
                .on_early_accepted(StreamId::new(CallId(0), Lane::Control), established.early);
        }
        let ticket = Connecting::ticket(now, &established.hello, self.recovery.rtt.smoothed());
        self.events.push_back(Event::Connected {
            connection: self.id,
            ticket,
            early: established.hello.early,
        });
        // Confirms to the agent, reliably, that its answer has come.
        self.ping_due = true;
        let outcome = self.on_frames(now, self.route.path, &established.payload, 0);
        if let Err(violation) = outcome {
            self.violate(now, violation);
        }
        for mut datagram in connecting.waiting {
            let _ = self.on_sealed(now, self.route.path, &mut datagram);
        }
        self.rearm(now);
    }

    /// A DATA datagram for this session.
    pub(super) fn on_data(
        &mut self,
        now: Instant,
        path: Path,
        datagram: &mut [u8],
    ) -> Result<(), Drop> {
        match &mut self.state {
            State::Connecting(connecting) => {
                if connecting.waiting.len() >= limits::EARLY_DATAGRAMS {
                    return Err(Drop::Full);
                }
                connecting.waiting.push(datagram.to_vec());
                Ok(())
            }
            State::Established | State::Closing { .. } => {
                let outcome = self.on_sealed(now, path, datagram);
                self.rearm(now);
                outcome
            }
            State::Gone => Err(Drop::UnknownSession),
        }
    }

    fn on_sealed(&mut self, now: Instant, path: Path, datagram: &mut [u8]) -> Result<(), Drop> {
        let size = datagram.len();
        if self.side == Side::Controller && path.remote != self.route.path.remote {
            return Err(Drop::Unexpected);
        }
        let Ok(Some(Datagram::Data(header))) = Datagram::parse(datagram) else {
            return Err(Drop::Malformed);
        };
        if header.receiver != self.local || header.phase != 0 {
            return Err(Drop::UnknownSession);
        }
        if !self.replay.check(header.counter) {
            return Err(Drop::Duplicate);
        }
        let keys = self.keys.as_ref().ok_or(Drop::UnknownSession)?;
        let (clear, sealed) = datagram.split_at_mut(DATA_HEADER);
        let Ok(payload) = keys.open.open(header.counter, clear, sealed) else {
            self.forgeries += 1;
            if self.forgeries >= limits::FORGERIES {
                self.violate(now, "too many forged datagrams");
            }
            return Err(Drop::Forged);
        };
        self.replay.mark(header.counter);
        if let State::Closing { due, repeats, .. } = &mut self.state {
            *due |= *repeats < limits::CLOSE_REPEATS;
            return Ok(());
        }
        self.on_heard(now);
        self.on_route(now, path, header.counter, size);
        self.newest = self.newest.max(header.counter);
        if let Err(violation) = self.on_frames(now, path, payload, header.counter) {
            self.violate(now, violation);
        }
        Ok(())
    }

    fn on_heard(&mut self, now: Instant) {
        self.last_heard = now;
        if std::mem::take(&mut self.silent) {
            self.events.push_back(Event::Heard {
                connection: self.id,
            });
        }
        if let Some(resp) = self.resp.take() {
            self.timers.stop(Timer::Unconfirmed);
            self.route.proved = true;
            if let Some(sent) = resp.sent_once {
                self.recovery.rtt.on_sample(now.since(sent), Duration::ZERO);
            }
        }
    }

    /// Follows a controller that has moved: its newest datagram came from another address.
    fn on_route(&mut self, now: Instant, path: Path, counter: u64, bytes: usize) {
        if path == self.route.path {
            self.route.on_received(bytes);
            return;
        }
        if self.side == Side::Controller || counter < self.newest {
            return;
        }
        if path.remote == self.route.path.remote {
            // The same peer, writing to another of our addresses.
            self.route.path = path;
            return;
        }
        let former = self.former.take();
        let new = match former {
            // Back where it came from before the move was proved.
            Some(former) if former.path.remote == path.remote => former,
            _ => Route::unproved(path, bytes),
        };
        let old = std::mem::replace(&mut self.route, new);
        if self.route.proved {
            self.timers.stop(Timer::Path);
        } else {
            self.route.challenge_due = true;
            self.timers.set(Timer::Path, now + self.recovery.pto() * 3);
            self.former = if old.proved { Some(old) } else { former };
        }
    }

    fn on_frames(
        &mut self,
        now: Instant,
        path: Path,
        payload: &[u8],
        counter: u64,
    ) -> Result<(), Violation> {
        let mut eliciting = counter == 0;
        for frame in Frames::new(payload) {
            let frame = frame.map_err(|_| "malformed frame")?;
            eliciting |= frame.is_ack_eliciting();
            match frame {
                Frame::Padding | Frame::Ping => {}
                Frame::Ack(ack) => {
                    let settled = self.recovery.on_ack(now, &ack)?;
                    self.settle(settled);
                }
                Frame::Stream {
                    stream,
                    offset,
                    fin,
                    data,
                } => self.streams.on_stream(stream, offset, data, fin)?,
                Frame::MaxData(max) => self.streams.on_max_data(max),
                Frame::MaxStreamData {
                    stream,
                    consumed,
                    max,
                } => self.streams.on_max_stream_data(stream, consumed, max)?,
                Frame::Reset {
                    stream,
                    code,
                    final_size,
                } => self.streams.on_reset(stream, code, final_size)?,
                Frame::Stop { stream, code } => self.streams.on_stop(stream, code)?,
                Frame::PathChallenge(data) => self.echo = Some((path, data)),
                Frame::PathResponse(data) => self.on_path_response(now, path, data),
                Frame::Close { code, reason } => {
                    self.end(Closed::ByPeer {
                        code,
                        reason: reason.to_owned(),
                    });
                    return Ok(());
                }
                Frame::Hello(_) => return Err("HELLO outside a handshake"),
                Frame::Rekey { .. } => return Err("REKEY is not spoken in this version"),
            }
        }
        if counter > 0 {
            self.acks
                .on_received(now, counter, eliciting, self.recovery.rtt.smoothed());
        }
        Ok(())
    }

    fn on_path_response(&mut self, now: Instant, path: Path, data: [u8; 8]) {
        if self.route.challenge != Some(data)
            || self.route.path.remote != path.remote
            || self.route.proved
        {
            return;
        }
        self.route.proved = true;
        self.timers.stop(Timer::Path);
        let former = self.former.take();
        // A port-only change keeps what was learnt: it is the same path behind another NAT binding.
        if former.is_none_or(|former| former.path.remote.ip() != path.remote.ip()) {
            self.recovery
                .on_new_path(now, MIN_DATAGRAM as u64, u64::from_be_bytes(data));
        }
        self.recovery.forget_backoff();
        self.events.push_back(Event::Moved {
            connection: self.id,
            path,
        });
    }

    fn settle(&mut self, settled: Settled) {
        for packet in settled.acked {
            for content in packet.content {
                match content {
                    Content::Chunk(stream, chunk) => self.streams.on_chunk_acked(stream, &chunk),
                    Content::Frame(frame) => self.streams.on_frame_acked(frame),
                    Content::Ack(largest) => self.acks.on_ack_arrived(largest),
                    Content::MaxData => {}
                }
            }
        }
        for packet in settled.lost {
            self.on_lost(packet.content);
        }
    }

    fn on_lost(&mut self, contents: Vec<Content>) {
        for content in contents {
            match content {
                Content::Chunk(stream, chunk) => self.streams.on_chunk_lost(stream, &chunk),
                Content::Frame(frame) => self.streams.on_frame_lost(frame),
                Content::MaxData => self.streams.on_max_data_lost(),
                Content::Ack(_) => {}
            }
        }
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
                Expired::Lost(settled) => self.settle(settled),
                Expired::Probe(contents) => self.on_lost(contents),
            },
            Timer::Path => {
                if let Some(former) = self.former.take() {
                    self.route = former;
                }
            }
            Timer::KeepAlive => self.ping_due = true,
            Timer::Silence => {
                self.silent = true;
                self.events.push_back(Event::Silent {
                    connection: self.id,
                });
            }
            // They only wake the driver: what is due is seen when datagrams are built.
            Timer::Ack | Timer::Pacing => {}
        }
    }

    /// Not even one datagram may go to the address before more has come from it.
    pub(super) fn is_over_budget(&self) -> bool {
        self.route.budget() < MIN_DATAGRAM as u64
    }

    /// How long to wait for RESP before INIT is sent again.
    pub(super) fn init_timeout(&self) -> Duration {
        (self.recovery.pto() * 2_u32.saturating_pow(self.handshake_repeats.min(16)))
            .min(limits::MAX_PTO)
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
                    connection: self.id,
                    reason: Closed::Local,
                });
            }
        }
        self.rearm(now);
    }

    fn close(&mut self, now: Instant, code: u64, reason: String) {
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

    fn violate(&mut self, now: Instant, violation: Violation) {
        if !matches!(self.state, State::Established) {
            return;
        }
        self.close(now, CLOSE_VIOLATION, violation.to_owned());
        self.events.push_back(Event::Closed {
            connection: self.id,
            reason: Closed::Violation(violation),
        });
    }

    pub(super) fn end(&mut self, reason: Closed) {
        self.state = State::Gone;
        self.timers.stop_all();
        self.take_stream_events();
        self.events.push_back(Event::Closed {
            connection: self.id,
            reason,
        });
    }

    // What the application learns.

    fn take_stream_events(&mut self) {
        while let Some(event) = self.streams.poll_event() {
            let event = self.stream_event(event);
            self.events.push_back(event);
        }
    }

    pub(super) fn poll_event(&mut self) -> Option<Event> {
        if let Some(event) = self.events.pop_front() {
            return Some(event);
        }
        if self.is_gone() || matches!(self.state, State::Closing { .. }) {
            return None;
        }
        self.streams
            .poll_event()
            .map(|event| self.stream_event(event))
    }

    pub(super) fn has_events(&self) -> bool {
        !self.events.is_empty() || (self.is_established() && self.streams.has_events())
    }

    fn stream_event(&self, event: StreamEvent) -> Event {
        let connection = self.id;
        match event {
            StreamEvent::Data {
                stream,
                offset,
                data,
                fin,
            } => Event::Data {
                connection,
                stream,
                offset,
                data,
                fin,
            },
            StreamEvent::Writable {
                stream,
                consumed,
                limit,
            } => Event::Writable {
                connection,
                stream,
                consumed,
                limit,
            },
            StreamEvent::Delivered { stream } => Event::Delivered { connection, stream },
            StreamEvent::Reset { stream, code } => Event::Reset {
                connection,
                stream,
                code,
            },
            StreamEvent::Stopped { stream, code } => Event::Stopped {
                connection,
                stream,
                code,
            },
            StreamEvent::CallEnded { call } => Event::CallEnded { connection, call },
        }
    }
}
