//! The controller's side of a handshake: outstanding INITs, and the RETRY or RESP that answers them.
//!
//! An INIT is repeated byte for byte. After [`limits::INIT_REPEATS`] repeats, or on a RETRY, a new one is
//! made and the older ones stay outstanding, so that neither a forged RETRY or RESP nor a late RESP can
//! prevent the handshake. All INITs of a session, to whichever address of the agent, carry the same early data and
//! the same time, so that the agent accepts that data once.

use std::time::Duration;

use bytes::Bytes;
use zeroize::Zeroizing;

use super::attempts::Attempts;
use super::init_flight::InitFlight;
use crate::crypto::{AgentMac, Initiator, PublicKey, TrafficKeys};
use crate::peer_addr::PeerAddr;
use crate::rng::Rng;
use crate::session::rtt::RttEstimator;
use crate::session::{Config, Connect, Drop, Ecn, Path, Ticket, limits};
use crate::time::{Instant, micros};
use crate::wire::limits::{INIT_HEADER, INVITE, MAC, MIN_DATAGRAM, TOKEN};
use crate::wire::{self, CallId, Early, Frame, Hello, Lane, Resp, Retry, SessionId, StreamId};

/// Session id of a new INIT.
#[derive(Clone, Copy)]
pub(in crate::session) struct NewId {
    pub(in crate::session) id: SessionId,
    /// Id of the INIT that was discarded for it.
    pub(in crate::session) replaces: Option<SessionId>,
}

/// State of a controller's session before it is established.
pub(in crate::session) struct Connecting {
    agent: PublicKey,
    mac: AgentMac,
    ticket: Option<Ticket>,
    invite: Option<Zeroizing<[u8; INVITE]>>,
    first: Bytes,
    pub(super) attempts: Attempts,
    /// Largest datagram that this endpoint accepts.
    max_datagram: usize,
    /// Time at which the first INIT was created.
    began: Option<Instant>,
    /// DATA datagrams received before the RESP whose keys open them.
    pub(in crate::session) undecryptable: Vec<(Option<Ecn>, Vec<u8>)>,
}

/// Result of a successful handshake.
pub(in crate::session) struct Established {
    pub(in crate::session) keys: TrafficKeys,
    pub(in crate::session) local: SessionId,
    pub(in crate::session) remote: SessionId,
    /// Path of the INIT that was answered.
    pub(in crate::session) path: Path,
    pub(in crate::session) hello: Hello,
    /// Frames behind the HELLO of the RESP.
    pub(in crate::session) payload: Vec<u8>,
    /// Time at which the INIT was sent, if it was sent only once: the start of a round-trip sample.
    pub(in crate::session) sent_once: Option<Instant>,
    /// Number of bytes of the first call's control lane in the INIT.
    pub(in crate::session) early: u64,
}

impl Connecting {
    pub(in crate::session) fn new(
        now: Instant,
        connect: Connect,
        earlier: usize,
        max_datagram: usize,
    ) -> Self {
        let mut attempts = Attempts::new(now, connect.path, connect.further, connect.timeout);
        attempts.wait_behind(earlier);
        Self {
            agent: connect.agent,
            mac: AgentMac::new(&connect.agent),
            ticket: connect.ticket,
            invite: connect.invite.map(Zeroizing::new),
            first: connect.first,
            max_datagram,
            attempts,
            began: None,
            undecryptable: Vec::new(),
        }
    }

    /// Returns the INIT to send now, its path, and its session id if it is a new one. `pto` is the time for an answer.
    /// `None` if none is due, or if the agent's key is of low order, so that no handshake is possible.
    pub(in crate::session) fn datagram(
        &mut self,
        now: Instant,
        pto: Duration,
        config: &Config,
        rng: &mut Rng,
    ) -> Option<(&[u8], Path, Option<NewId>)> {
        let index = self.attempts.due()?;
        let least = self.attempts.least_timeout;
        let attempt = &mut self.attempts.begun[index];
        let path = attempt.path;
        if attempt.take_copy() {
            let flight = self.attempts.begun[index].flights.last()?;
            return Some((&flight.datagram, path, None));
        }
        attempt.on_sent(now, pto.max(least));
        let stale = attempt
            .flights
            .last()
            .is_none_or(|flight| flight.repeats >= limits::INIT_REPEATS);
        let mut new_id = None;
        if stale {
            let token = attempt.token.take();
            let flight = self.new_flight(now, token, config, rng)?;
            self.began.get_or_insert(now);
            let flights = &mut self.attempts.begun[index].flights;
            let replaces = (flights.len() == limits::INITS).then(|| flights.remove(0).id);
            let id = flight.id;
            new_id = Some(NewId { id, replaces });
            flights.push(flight);
        } else if let Some(flight) = attempt.flights.last_mut() {
            flight.repeats += 1;
        }
        let attempt = &self.attempts.begun[index];
        let flight = attempt.flights.last()?;
        Some((&flight.datagram, attempt.path, new_id))
    }

    /// Makes the repeats due whose time has come. Where another timeout costs the user most, and a datagram is more
    /// likely lost than late, a repeat is two datagrams, as a probe is.
    pub(in crate::session) fn on_init_timeout(&mut self, now: Instant) {
        let is_long = |ticket: Ticket| ticket.rtt >= limits::COPIED_RTT;
        let datagrams = if self.ticket.is_some_and(is_long) {
            limits::PROBES
        } else {
            1
        };
        self.attempts.handle_timeout(now, datagrams);
    }

    /// Creates an INIT. A token is used for one INIT and its repeats only: if they are not answered, it may
    /// have expired or be forged.
    fn new_flight(
        &self,
        now: Instant,
        token: Option<[u8; TOKEN]>,
        config: &Config,
        rng: &mut Rng,
    ) -> Option<InitFlight> {
        let id = SessionId(rng.u64());
        let mut datagram = Vec::with_capacity(MIN_DATAGRAM);
        wire::encode_init(id, token.as_ref(), &mut datagram);
        let prologue = datagram.clone();
        let size = MIN_DATAGRAM - prologue.len() - Initiator::OVERHEAD - MAC;
        let payload = Zeroizing::new(self.payload(now, id, size));
        let initiator = Initiator::start_with(
            &config.identity,
            &config.secrets,
            &self.agent,
            &prologue,
            &payload,
            rng,
            &mut datagram,
        )
        .ok()?;
        let mac = self.mac.tag(&datagram);
        datagram.extend_from_slice(&mac);
        debug_assert_eq!(datagram.len(), MIN_DATAGRAM);
        Some(InitFlight {
            id,
            initiator,
            datagram,
            created: now,
            repeats: 0,
        })
    }

    /// Returns HELLO, early data if there is a ticket, and padding up to `size`.
    fn payload(&self, now: Instant, id: SessionId, size: usize) -> Vec<u8> {
        let mut payload = Vec::with_capacity(size);
        // All INITs of a session carry the time of the first, by which the agent recognizes them as equal.
        let began = self.began.unwrap_or(now);
        let agent_time = self.ticket.map_or(0, |ticket| {
            began.as_micros().saturating_add_signed(ticket.offset)
        });
        let agent_time = Duration::from_micros(agent_time);
        Frame::Hello(self.hello(agent_time, id)).encode(&mut payload);
        let early = usize::try_from(self.early()).expect("less than a datagram");
        if early > 0 {
            let stream = StreamId::new(CallId(0), Lane::Control);
            Frame::Stream {
                stream,
                offset: 0,
                fin: false,
                data: &self.first[..early],
            }
            .encode(&mut payload);
        }
        payload.resize(size, 0);
        payload
    }

    fn hello(&self, agent_time: Duration, id: SessionId) -> Hello {
        Hello {
            epoch: self.ticket.map_or(0, |ticket| ticket.epoch),
            agent_time,
            session: id,
            early: Early::Accepted,
            invite: self.invite.as_deref().copied(),
            reset_token: None,
            max_datagram: self.max_datagram as u64,
        }
    }

    /// Returns the number of early bytes in each INIT, which does not depend on a token.
    fn early(&self) -> u64 {
        if self.ticket.is_none() {
            return 0;
        }
        let fixed = INIT_HEADER + TOKEN + Initiator::OVERHEAD + MAC;
        let hello = Frame::Hello(self.hello(Duration::ZERO, SessionId(0)));
        let stream = StreamId::new(CallId(0), Lane::Control);
        let space =
            MIN_DATAGRAM - fixed - hello.size() - wire::stream_overhead(stream, 0, MIN_DATAGRAM);
        self.first.len().min(space) as u64
    }

    /// Handles a RETRY for one of the INITs.
    pub(in crate::session) fn on_retry(
        &mut self,
        from: PeerAddr,
        retry: &Retry<'_>,
    ) -> Result<(), Drop> {
        let attempt = self.attempts.answered(retry.receiver, from)?;
        let genuine = self.mac.verify(retry.covered, retry.mac).is_ok();
        let followed = genuine && attempt.on_retry(*retry.token);
        followed.then_some(()).ok_or(Drop::Unexpected)
    }

    /// Handles a stateless reset for one of the INITs. An endpoint of the agent that answered the INIT is gone, and the
    /// next one may take a repeat for a replay.
    pub(in crate::session) fn on_stateless_reset(
        &mut self,
        from: PeerAddr,
        receiver: SessionId,
    ) -> Result<(), Drop> {
        let followed = self
            .attempts
            .answered(receiver, from)?
            .on_stateless_reset(receiver);
        followed.then_some(()).ok_or(Drop::Unexpected)
    }

    /// Handles a RESP. If it is forged, the INITs stay outstanding.
    pub(in crate::session) fn on_resp(
        &mut self,
        from: PeerAddr,
        resp: &Resp<'_>,
    ) -> Result<Established, Drop> {
        let early = self.early();
        let attempt = self.attempts.answered(resp.receiver, from)?;
        let path = attempt.path;
        let flight = attempt.flight(resp.receiver).ok_or(Drop::Forged)?;
        let opened = flight.open_resp(resp).ok_or(Drop::Forged)?;
        Ok(Established {
            keys: opened.keys,
            local: flight.id,
            remote: resp.sender,
            path,
            hello: opened.hello,
            payload: opened.payload,
            sent_once: (flight.repeats == 0).then_some(flight.created),
            early,
        })
    }

    /// Returns true if an earlier run of the agent may have accepted the early data that this run refuses:
    /// that is, unless this run had started when the data was first sent.
    pub(in crate::session) fn may_be_taken(&self, now: Instant, hello: &Hello) -> bool {
        let same_run = self.ticket.map(|ticket| ticket.epoch) == Some(hello.epoch);
        self.early() > 0
            && hello.early == Early::Refused
            && !same_run
            && self
                .began
                .is_none_or(|began| hello.agent_time < now.since(began))
    }

    /// Returns the ticket for the next session.
    pub(in crate::session) fn ticket(now: Instant, hello: &Hello, rtt: &RttEstimator) -> Ticket {
        let variation = rtt.var();
        let rtt = rtt.smoothed();
        // The agent's time was read half a round trip ago.
        let agent_now = micros(hello.agent_time).saturating_add(micros(rtt / 2));
        let offset =
            i64::try_from(i128::from(agent_now) - i128::from(now.as_micros())).unwrap_or(0);
        Ticket {
            epoch: hello.epoch,
            offset,
            rtt,
            variation,
        }
    }
}
