//! Received datagrams of a session: RESP, RETRY, DATA and the frames in it.
//!
//! Invariants: before the AEAD has opened a datagram, only the count of forgeries changes; every field is
//! checked where it is used, and a violation of the peer closes the session with a reason.

use super::acks::Arrival;
use super::handshake::{Connecting, Established};
use super::path::PathState;
use super::recovery::AckOutcome;
use super::sent::SentFrame;
use super::timers::Timer;
use super::{Session, State};
use crate::crypto::ResetToken;
use crate::session::streams::Side;
use crate::session::{AddressRule, Closed, Drop, Ecn, Event, Fault, Path, Violation, limits};
use crate::time::Instant;
use crate::wire::limits::DATA_HEADER;
use crate::wire::{self, CallId, CloseCode, Datagram, Early, Frame, Frames, Lane, StreamId};

/// Counter and ECN codepoint of a datagram whose frames are handled.
#[derive(Clone, Copy, Debug)]
struct Receipt {
    /// 0 for INIT and RESP, which are not acknowledged.
    counter: u64,
    ecn: Option<Ecn>,
}

impl Receipt {
    const HANDSHAKE: Self = Self {
        counter: 0,
        ecn: None,
    };
}

impl Session {
    /// Opens a RESP for this session, which must come from the address that the INIT was sent to.
    pub(in crate::session) fn open_resp(
        &mut self,
        path: Path,
        resp: &wire::Resp<'_>,
    ) -> Result<Established, Drop> {
        let State::Connecting(connecting) = &mut self.state else {
            return Err(Drop::Unexpected);
        };
        connecting.on_resp(path.remote, resp)
    }

    /// Handles a RETRY for this session.
    pub(in crate::session) fn on_retry(
        &mut self,
        path: Path,
        retry: &wire::Retry<'_>,
    ) -> Result<(), Drop> {
        let State::Connecting(connecting) = &mut self.state else {
            return Err(Drop::Unexpected);
        };
        connecting.on_retry(path.remote, retry)
    }

    /// Controller: handles a stateless reset. Before the RESP has brought the token, it only causes a new INIT.
    pub(in crate::session) fn on_stateless_reset(
        &mut self,
        path: Path,
        reset: &wire::StatelessReset<'_>,
    ) -> Result<(), Drop> {
        if let State::Connecting(connecting) = &mut self.state {
            return connecting.on_stateless_reset(path.remote, reset.receiver);
        }
        if self.side == Side::Agent || path.remote != self.path.path.remote {
            return Err(Drop::Unexpected);
        }
        let token = self.reset_token.ok_or(Drop::Unexpected)?;
        token.verify(reset.token).map_err(|_| Drop::Forged)?;
        match self.state {
            State::Established => self.end(Closed::Reset),
            // Nobody is left who would need the CLOSE.
            State::Closing { .. } => self.state = State::Gone,
            State::Connecting(_) | State::Gone => {}
        }
        Ok(())
    }

    /// Agent: handles the accepted early frames of the INIT.
    pub(in crate::session) fn on_early(&mut self, now: Instant, payload: &[u8]) {
        if let Err(violation) = self.on_frames(now, self.path.path, payload, Receipt::HANDSHAKE) {
            self.violate(now, violation);
        }
    }

    /// Handles the completion of the handshake by a RESP.
    pub(in crate::session) fn on_established(&mut self, now: Instant, established: Established) {
        let State::Connecting(connecting) = std::mem::replace(&mut self.state, State::Established)
        else {
            return;
        };
        self.keys = Some(established.keys);
        self.datagram_size
            .on_peer_limit(established.hello.max_datagram);
        self.reset_token = established.hello.reset_token.map(ResetToken::from_bytes);
        self.local = established.local;
        self.remote = established.remote;
        self.path = PathState::validated(established.path);
        self.last_heard = now;
        self.timers.stop(Timer::Init);
        self.timers.stop(Timer::Contact);
        if let Some(sent) = established.sent_once {
            self.recovery.on_handshake_rtt(now.since(sent));
        }
        if established.early > 0 && established.hello.early == Early::Accepted {
            self.streams
                .on_early_accepted(StreamId::new(CallId(0), Lane::Control), established.early);
        }
        if connecting.may_be_taken(now, &established.hello) {
            // Nothing was sent in this session, so the close needs no error code.
            self.close(now, CloseCode::Done as u64, String::new());
            self.push_event(Event::Closed {
                session: self.id,
                reason: Closed::Restarted,
            });
            return;
        }
        let ticket = Connecting::ticket(now, &established.hello, &self.recovery.rtt);
        self.events.push_back(Event::Connected {
            session: self.id,
            path: self.path.path,
            at: now,
            ticket,
            early: established.hello.early,
        });
        // A PING confirms the handshake to the agent, and is repeated if it is lost.
        self.ping_due = true;
        let outcome = self.on_frames(
            now,
            self.path.path,
            &established.payload,
            Receipt::HANDSHAKE,
        );
        if let Err(violation) = outcome {
            self.violate(now, violation);
        }
        for (ecn, mut datagram) in connecting.undecryptable {
            let _ = self.on_sealed(now, self.path.path, ecn, &mut datagram);
        }
        self.rearm(now);
    }

    /// Handles a DATA datagram for this session.
    pub(in crate::session) fn on_data(
        &mut self,
        now: Instant,
        path: Path,
        ecn: Option<Ecn>,
        datagram: &mut [u8],
    ) -> Result<(), Drop> {
        match &mut self.state {
            State::Connecting(connecting) => {
                if connecting.undecryptable.len() >= limits::UNDECRYPTABLE {
                    return Err(Drop::Full);
                }
                connecting.undecryptable.push((ecn, datagram.to_vec()));
                Ok(())
            }
            State::Established | State::Closing { .. } => {
                let outcome = self.on_sealed(now, path, ecn, datagram);
                self.rearm(now);
                outcome
            }
            State::Gone => Err(Drop::UnknownSession),
        }
    }

    fn on_sealed(
        &mut self,
        now: Instant,
        path: Path,
        ecn: Option<Ecn>,
        datagram: &mut [u8],
    ) -> Result<(), Drop> {
        let size = datagram.len();
        if self.side == Side::Controller && path.remote != self.path.path.remote {
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
                let fault = Fault::Forgeries;
                self.violate(now, Violation { frame: None, fault });
            }
            return Err(Drop::Forged);
        };
        self.replay.mark(header.counter);
        if self.repeat_close() {
            return Ok(());
        }
        self.on_heard(now);
        self.on_path(now, path, header.counter, size);
        self.newest = self.newest.max(header.counter);
        if self.address_rule == AddressRule::Validated && !self.is_validated(path.remote) {
            self.on_path_frames(now, path, payload);
            return Ok(());
        }
        let receipt = Receipt {
            counter: header.counter,
            ecn,
        };
        if let Err(violation) = self.on_frames(now, path, payload, receipt) {
            self.violate(now, violation);
        }
        Ok(())
    }

    /// Schedules the CLOSE again, a few times, for a peer that may not have received it; returns false if
    /// the session is not closing.
    pub(in crate::session) fn repeat_close(&mut self) -> bool {
        let State::Closing { due, repeats, .. } = &mut self.state else {
            return false;
        };
        *due |= *repeats < limits::CLOSE_REPEATS;
        true
    }

    fn on_heard(&mut self, now: Instant) {
        self.last_heard = now;
        if std::mem::take(&mut self.silent) {
            self.push_heard();
        }
        if let Some(resp) = self.resp.take() {
            self.timers.stop(Timer::Unconfirmed);
            // The keys follow from the RESP, so the RESP has arrived at the address of the INIT. A first DATA
            // from another address does not validate that address: `on_path` challenges it.
            self.path.validated = true;
            self.events.push_back(Event::Confirmed { session: self.id });
            if let Some(sent) = resp.sent_once {
                self.recovery.on_handshake_rtt(now.since(sent));
            }
        }
    }

    /// Handles only the frames that validate the path of a datagram. The others wait: they are not acknowledged, and
    /// the peer sends them again.
    fn on_path_frames(&mut self, now: Instant, path: Path, payload: &[u8]) {
        for frame in Frames::new(payload) {
            match frame {
                Ok(Frame::PathChallenge(data)) => self.path_response = Some((path, data)),
                Ok(Frame::PathResponse(data)) => self.on_path_response(now, path, data),
                Ok(_) => {}
                Err(_) => return,
            }
        }
    }

    fn on_frames(
        &mut self,
        now: Instant,
        path: Path,
        payload: &[u8],
        Receipt { counter, ecn }: Receipt,
    ) -> Result<(), Violation> {
        let mut eliciting = counter == 0;
        for frame in Frames::new(payload) {
            let frame = frame.map_err(|_| Violation {
                frame: None,
                fault: Fault::Malformed,
            })?;
            eliciting |= frame.is_ack_eliciting();
            self.on_frame(now, path, &frame)
                .map_err(|fault| Violation {
                    frame: Some(frame.frame_type()),
                    fault,
                })?;
            if self.is_gone() {
                return Ok(());
            }
        }
        // A datagram of which a part did not fit is not acknowledged.
        if !self.streams.take_refused() && counter > 0 {
            let arrival = Arrival {
                counter,
                eliciting: eliciting.then_some(payload.len()),
                ecn,
            };
            self.acks
                .on_received(now, arrival, self.recovery.rtt.smoothed());
        }
        Ok(())
    }

    fn on_frame(&mut self, now: Instant, path: Path, frame: &Frame<'_>) -> Result<(), Fault> {
        match *frame {
            Frame::Padding | Frame::Ping => {}
            Frame::Ack(ref ack) => {
                let outcome = self.recovery.on_ack(now, ack)?;
                self.apply_ack_outcome(outcome);
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
            Frame::PathChallenge(data) => self.path_response = Some((path, data)),
            Frame::PathResponse(data) => self.on_path_response(now, path, data),
            Frame::Close { code, reason } => self.end(Closed::ByPeer {
                code,
                reason: reason.to_owned(),
            }),
            Frame::Hello(_) | Frame::Rekey { .. } => return Err(Fault::NotAllowed),
        }
        Ok(())
    }

    /// Tells streams and acknowledgements which of their frames were acknowledged or lost.
    pub(in crate::session) fn apply_ack_outcome(&mut self, mut outcome: AckOutcome) {
        for packet in outcome.acked.drain(..) {
            self.datagram_size.on_acked(&packet);
            for frame in packet.frames {
                match frame {
                    SentFrame::Chunk(stream, chunk) => self.streams.on_chunk_acked(stream, &chunk),
                    SentFrame::Frame(frame) => self.streams.on_frame_acked(frame),
                    SentFrame::Ack(largest) => self.acks.on_ack_arrived(largest),
                    SentFrame::MaxData | SentFrame::SizeProbe => {}
                }
            }
        }
        for packet in outcome.lost.drain(..) {
            self.datagram_size.on_lost(&packet);
            self.on_lost(packet.frames);
        }
        self.recovery.reuse(outcome);
    }

    pub(in crate::session) fn on_lost(&mut self, frames: impl IntoIterator<Item = SentFrame>) {
        for frame in frames {
            match frame {
                SentFrame::Chunk(stream, chunk) => self.streams.on_chunk_lost(stream, &chunk),
                SentFrame::Frame(frame) => self.streams.on_frame_lost(frame),
                SentFrame::MaxData => self.streams.on_max_data_lost(),
                SentFrame::Ack(_) | SentFrame::SizeProbe => {}
            }
        }
    }
}
