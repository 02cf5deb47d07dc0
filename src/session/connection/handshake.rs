//! The controller's side of a handshake: outstanding INITs, and the RETRY or RESP that answers them.
//!
//! An INIT is repeated byte for byte. After [`limits::INIT_REPEATS`] repeats, or on a RETRY, a new one is
//! made and the older ones stay outstanding, so that neither a forged RETRY or RESP nor a late RESP can
//! prevent the handshake. All INITs of a session carry the same early data and the same time, so that the
//! agent accepts that data once.

use bytes::Bytes;
use zeroize::Zeroizing;

use crate::crypto::{AgentMac, Initiator, PublicKey, TrafficKeys};
use crate::rng::Rng;
use crate::session::{Config, Ticket, limits};
use crate::time::{Instant, micros};
use crate::wire::limits::{INIT_HEADER, INVITE, MAC, MIN_DATAGRAM, TOKEN};
use crate::wire::{self, CallId, Early, Frame, Frames, Hello, Lane, Resp, SessionId, StreamId};

/// An outstanding INIT.
struct InitFlight {
    id: SessionId,
    initiator: Initiator,
    datagram: Vec<u8>,
    created: Instant,
    repeats: u32,
}

/// State of a controller's session before it is established.
pub(in crate::session) struct Connecting {
    agent: PublicKey,
    mac: AgentMac,
    ticket: Option<Ticket>,
    invite: Option<Zeroizing<[u8; INVITE]>>,
    first: Bytes,
    /// Newest last; at most [`limits::INITS`].
    flights: Vec<InitFlight>,
    /// Time at which the first INIT was created.
    began: Option<Instant>,
    /// Token for the next INIT.
    token: Option<[u8; TOKEN]>,
    /// Number of RETRYs followed.
    retries: u32,
    /// Number of stateless resets followed.
    resets: u32,
    /// True if an INIT is to be sent now.
    pub(in crate::session) due: bool,
    /// DATA datagrams received before the RESP whose keys open them.
    pub(in crate::session) undecryptable: Vec<Vec<u8>>,
}

/// Result of a successful handshake.
pub(in crate::session) struct Established {
    pub(in crate::session) keys: TrafficKeys,
    pub(in crate::session) local: SessionId,
    pub(in crate::session) remote: SessionId,
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
        agent: PublicKey,
        ticket: Option<Ticket>,
        invite: Option<[u8; INVITE]>,
        first: Bytes,
    ) -> Self {
        Self {
            agent,
            mac: AgentMac::new(&agent),
            ticket,
            invite: invite.map(Zeroizing::new),
            first,
            flights: Vec::new(),
            began: None,
            token: None,
            retries: 0,
            resets: 0,
            due: true,
            undecryptable: Vec::new(),
        }
    }

    /// Returns the INIT to send now, and its session id if it is a new one. `None` if the agent's key is of
    /// low order, so that no handshake is possible.
    pub(in crate::session) fn datagram(
        &mut self,
        now: Instant,
        config: &Config,
        rng: &mut Rng,
    ) -> Option<(&[u8], Option<SessionId>)> {
        self.due = false;
        let stale = self
            .flights
            .last()
            .is_none_or(|flight| flight.repeats >= limits::INIT_REPEATS);
        if !stale {
            let flight = self.flights.last_mut()?;
            flight.repeats += 1;
            return Some((&flight.datagram, None));
        }
        let flight = self.new_flight(now, config, rng)?;
        self.began.get_or_insert(now);
        if self.flights.len() == limits::INITS {
            self.flights.remove(0);
        }
        self.flights.push(flight);
        self.flights
            .last()
            .map(|flight| (&flight.datagram[..], Some(flight.id)))
    }

    /// Creates an INIT. A token is used for one INIT and its repeats only: if they are not answered, it may
    /// have expired or be forged.
    fn new_flight(&mut self, now: Instant, config: &Config, rng: &mut Rng) -> Option<InitFlight> {
        let id = SessionId(rng.u64());
        let mut datagram = Vec::with_capacity(MIN_DATAGRAM);
        wire::encode_init(id, self.token.take().as_ref(), &mut datagram);
        let prologue = datagram.clone();
        let size = MIN_DATAGRAM - prologue.len() - Initiator::OVERHEAD - MAC;
        let payload = Zeroizing::new(self.payload(now, id, size));
        let initiator = Initiator::start(
            &config.identity,
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
        let hello = Hello {
            epoch: self.ticket.map_or(0, |ticket| ticket.epoch),
            agent_time: std::time::Duration::from_micros(agent_time),
            session: id,
            early: Early::Accepted,
            invite: self.invite.as_deref().copied(),
            reset_token: None,
        };
        Frame::Hello(hello).encode(&mut payload);
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

    /// Returns the number of early bytes in each INIT, which does not depend on a token.
    fn early(&self) -> u64 {
        if self.ticket.is_none() {
            return 0;
        }
        let fixed = INIT_HEADER + TOKEN + Initiator::OVERHEAD + MAC;
        let hello = Frame::Hello(Hello {
            epoch: 0,
            agent_time: std::time::Duration::ZERO,
            session: SessionId(0),
            early: Early::Accepted,
            invite: self.invite.as_deref().copied(),
            reset_token: None,
        });
        let stream = StreamId::new(CallId(0), Lane::Control);
        let space =
            MIN_DATAGRAM - fixed - hello.size() - wire::stream_overhead(stream, 0, MIN_DATAGRAM);
        self.first.len().min(space) as u64
    }

    /// Handles a RETRY for one of the INITs; returns true if it is followed.
    pub(in crate::session) fn on_retry(
        &mut self,
        covered: &[u8],
        token: [u8; TOKEN],
        mac: &[u8; MAC],
    ) -> bool {
        if self.retries >= limits::RETRIES || self.mac.verify(covered, mac).is_err() {
            return false;
        }
        self.retries += 1;
        self.token = Some(token);
        self.renew();
        true
    }

    /// True if the agent has answered with RETRY.
    pub(in crate::session) const fn has_followed_retry(&self) -> bool {
        self.retries > 0
    }

    /// Handles a stateless reset for one of the INITs; returns true if it is followed. An endpoint of the agent
    /// that answered the INIT is gone, and the next one may take a repeat for a replay.
    pub(in crate::session) fn on_stateless_reset(&mut self, receiver: SessionId) -> bool {
        let newest = self.flights.last().map(|flight| flight.id);
        if newest != Some(receiver) || self.resets >= limits::RESETS_FOLLOWED {
            return false;
        }
        self.resets += 1;
        self.renew();
        true
    }

    /// Has a new INIT sent now, in place of further repeats.
    fn renew(&mut self) {
        if let Some(flight) = self.flights.last_mut() {
            flight.repeats = limits::INIT_REPEATS;
        }
        self.due = true;
    }

    /// Handles a RESP. `None` if it is forged; the INITs then stay outstanding.
    pub(in crate::session) fn on_resp(&mut self, resp: &Resp<'_>) -> Option<Established> {
        let early = self.early();
        let flight = self
            .flights
            .iter_mut()
            .find(|flight| flight.id == resp.receiver)?;
        let mut payload = Vec::new();
        let keys = flight.initiator.finish(resp.noise, &mut payload).ok()?;
        let mut frames = Frames::new(&payload);
        let Some(Ok(Frame::Hello(hello))) = frames.next() else {
            return None;
        };
        if hello.session != resp.sender {
            return None;
        }
        let rest = frames.rest().to_vec();
        Some(Established {
            keys,
            local: flight.id,
            remote: resp.sender,
            hello,
            payload: rest,
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
    pub(in crate::session) fn ticket(
        now: Instant,
        hello: &Hello,
        rtt: std::time::Duration,
    ) -> Ticket {
        // The agent's time was read half a round trip ago.
        let agent_now = micros(hello.agent_time).saturating_add(micros(rtt / 2));
        let offset =
            i64::try_from(i128::from(agent_now) - i128::from(now.as_micros())).unwrap_or(0);
        Ticket {
            epoch: hello.epoch,
            offset,
            rtt,
        }
    }
}
