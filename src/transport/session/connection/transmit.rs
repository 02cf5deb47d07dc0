//! Datagrams to send: choice and order of their frames, within the limits.
//!
//! ACK, PATH_CHALLENGE and PATH_RESPONSE are sent regardless of the congestion window; all other frames
//! wait for window and pacer. Nothing exceeds the budget of an address that is not validated. Invariant:
//! every sealed datagram takes a counter above all before.

use bytes::Bytes;

use super::recovery::Allowance;
use super::sent::{SentFrame, SentFrames};
use super::timers::Timer;
use super::{NewId, Session, State};
use crate::rng::Rng;
use crate::session::streams::StreamFrame;
use crate::session::{Config, Ecn, Transmit, limits};
use crate::time::Instant;
use crate::wire::limits::{AEAD_TAG, CLOSE_REASON, DATA_HEADER, MAX_DATAGRAM};
use crate::wire::{self, Data, Frame};

/// Maximum size of an ACK frame, so that it leaves space for data.
const ACK_SPACE: usize = 128;

/// Size of the largest frame about credit or the end of a stream: a type and three integers.
const SMALL_FRAME: usize = 1 + 3 * 8;

impl Session {
    /// Writes the next datagrams to `buf`. The second value is the session id of a new INIT.
    pub(in crate::session) fn poll_transmit(
        &mut self,
        now: Instant,
        config: &Config,
        rng: &mut Rng,
        buf: &mut Vec<u8>,
    ) -> (Option<Transmit>, Option<NewId>) {
        let mut new_id = None;
        let transmit = match &self.state {
            State::Connecting(_) => {
                let (transmit, id) = self.transmit_init(now, config, rng, buf);
                new_id = id;
                transmit
            }
            State::Established => self.transmit_established(now, config, rng, buf),
            // If early frames caused the CLOSE, the peer needs the RESP to open it.
            State::Closing { .. } => self
                .transmit_resp(now, buf)
                .or_else(|| self.transmit_close(now, buf)),
            State::Gone => None,
        };
        self.rearm(now);
        (transmit, new_id)
    }

    fn transmit_init(
        &mut self,
        now: Instant,
        config: &Config,
        rng: &mut Rng,
        buf: &mut Vec<u8>,
    ) -> (Option<Transmit>, Option<NewId>) {
        let State::Connecting(connecting) = &mut self.state else {
            return (None, None);
        };
        let sent = connecting
            .datagram(now, self.recovery.pto(), config, rng)
            .map(|(datagram, path, new_id)| {
                buf.extend_from_slice(datagram);
                (Transmit::single(path), new_id)
            });
        self.timers.put(Timer::Init, connecting.attempts.timeout());
        let new_id = sent.and_then(|(_, new_id)| new_id);
        (sent.map(|(transmit, _)| transmit), new_id)
    }

    fn transmit_established(
        &mut self,
        now: Instant,
        config: &Config,
        rng: &mut Rng,
        buf: &mut Vec<u8>,
    ) -> Option<Transmit> {
        if self.sealed >= config.bytes_per_key {
            self.retire_key(now);
            return self.transmit_close(now, buf);
        }
        if let Some(transmit) = self.transmit_resp(now, buf) {
            return Some(transmit);
        }
        self.recovery.begin_batch();
        self.streams.begin_batch();
        let mut transmit = self.transmit_frames(now, config, rng, buf)?;
        transmit.ecn = self.recovery.ecn.is_marking().then_some(Ecn::Ect0);
        Some(transmit)
    }

    fn transmit_frames(
        &mut self,
        now: Instant,
        config: &Config,
        rng: &mut Rng,
        buf: &mut Vec<u8>,
    ) -> Option<Transmit> {
        if let Some(transmit) = self.transmit_path_frames(now, rng, buf) {
            return Some(transmit);
        }
        self.adopt_datagram_size();
        self.transmit_size_probe(now, rng, buf)
            .or_else(|| self.transmit_batch(now, config, rng, buf))
    }

    fn transmit_resp(&mut self, now: Instant, buf: &mut Vec<u8>) -> Option<Transmit> {
        let resp = self.resp.as_mut().filter(|resp| resp.due)?;
        resp.due = false;
        if self.path.budget() < resp.datagram.len() as u64 {
            return None;
        }
        // A second RESP makes the round-trip sample ambiguous (Karn's algorithm).
        resp.sent_once = (!resp.sent).then_some(now);
        resp.sent = true;
        buf.extend_from_slice(&resp.datagram);
        self.path.on_sent(resp.datagram.len());
        Some(Transmit::single(self.path.path))
    }

    /// Writes as many datagrams of one size as limits and frames allow.
    fn transmit_batch(
        &mut self,
        now: Instant,
        config: &Config,
        rng: &mut Rng,
        buf: &mut Vec<u8>,
    ) -> Option<Transmit> {
        self.timers.stop(Timer::Pacing);
        let size = self.next_size();
        let most = config.segments.min(MAX_DATAGRAM / size).max(1);
        let mut segments = 0;
        while segments < most {
            let before = buf.len();
            self.build(now, size, rng, buf);
            if buf.len() == before {
                break;
            }
            let length = buf.len() - before;
            self.path.on_sent(length);
            self.datagram_size.on_sent(length);
            segments += 1;
            if length < size {
                break;
            }
        }
        let segment = (segments > 1).then_some(size);
        (segments > 0).then_some(Transmit {
            segment,
            ..Transmit::single(self.path.path)
        })
    }

    /// Returns true if there is anything to send that is subject to congestion control.
    fn wants_window(&mut self) -> bool {
        self.ping_due
            || self.streams.has_pending_frames()
            || self.streams.can_send()
            || self.recovery.is_probe_due()
    }

    /// Writes one datagram of at most `size` bytes, if there is anything to send.
    fn build(&mut self, now: Instant, size: usize, rng: &mut Rng, buf: &mut Vec<u8>) {
        let wanted = self.wants_window();
        if !wanted {
            self.recovery.on_app_limited();
        }
        // An address that is not validated has a budget, of which less than a datagram still holds an ACK.
        let space = usize::try_from(self.path.budget()).map_or(size, |budget| budget.min(size));
        let allowed = wanted && space == size && self.may_send(now, size);
        if !allowed && (!self.acks.is_due(now) || self.recovery.sent.is_overfull()) {
            return;
        }
        if space < DATA_HEADER + AEAD_TAG {
            return;
        }
        self.recovery.skip_at_random(rng);
        let start = self.begin(buf);
        let end = start + space - AEAD_TAG;
        let mut frames = SentFrames::new();
        if self.acks.is_pending()
            && let Some(largest) = self.acks.write(now, ACK_SPACE.min(end - buf.len()), buf)
        {
            frames.push(SentFrame::Ack(largest));
        }
        let mut eliciting = false;
        let mut tail = Bytes::new();
        if allowed {
            eliciting |= self.write_pending_frames(buf, end, &mut frames);
            let before = buf.len();
            tail = self.write_streams(buf, end, &mut frames);
            eliciting |= buf.len() > before;
            // Any other ack-eliciting frame serves as a PING or probe as well.
            if !eliciting && (self.ping_due || self.recovery.is_probe_due()) {
                Frame::Ping.encode(buf);
                eliciting = true;
            }
            self.ping_due = false;
        }
        if buf.len() == start + DATA_HEADER {
            buf.truncate(start);
            return;
        }
        self.seal(now, buf, start, &tail, eliciting, frames);
    }

    /// Returns true if window and pacer allow a datagram now; sets the timer if the pacer allows it later.
    fn may_send(&mut self, now: Instant, size: usize) -> bool {
        match self.recovery.allowance(now, size as u64) {
            Allowance::Bytes(_) => true,
            Allowance::Window => false,
            Allowance::Paced(at) => {
                self.timers.set(Timer::Pacing, at);
                false
            }
        }
    }

    /// Writes pending frames about credit and the end of streams; returns true if there were any.
    fn write_pending_frames(
        &mut self,
        buf: &mut Vec<u8>,
        end: usize,
        frames: &mut SentFrames,
    ) -> bool {
        let before = buf.len();
        if end - buf.len() >= SMALL_FRAME
            && let Some(max) = self.streams.take_max_data()
        {
            Frame::MaxData(max).encode(buf);
            frames.push(SentFrame::MaxData);
        }
        while end - buf.len() >= SMALL_FRAME
            && let Some(frame) = self.streams.take_frame()
        {
            match frame {
                StreamFrame::Credit {
                    stream,
                    consumed,
                    max,
                } => Frame::MaxStreamData {
                    stream,
                    consumed,
                    max,
                },
                StreamFrame::Reset {
                    stream,
                    code,
                    final_size,
                } => Frame::Reset {
                    stream,
                    code,
                    final_size,
                },
                StreamFrame::Stop { stream, code } => Frame::Stop { stream, code },
            }
            .encode(buf);
            frames.push(SentFrame::Frame(frame));
        }
        buf.len() > before
    }

    /// Writes STREAM frames. If the last one fills the datagram, the last piece of its bytes is not written but returned,
    /// to be sealed from where it is.
    fn write_streams(&mut self, buf: &mut Vec<u8>, end: usize, frames: &mut SentFrames) -> Bytes {
        // In less space than this, the header outweighs the data.
        while end.saturating_sub(buf.len()) > SMALL_FRAME {
            let space = end - buf.len();
            let next = self
                .streams
                .next_chunk(|stream, offset| space - wire::stream_overhead(stream, offset, space));
            let Some((stream, chunk)) = next else { break };
            let length = usize::try_from(chunk.range.end - chunk.range.start)
                .expect("a chunk fits a datagram");
            wire::encode_stream_header(stream, chunk.range.start, length, chunk.fin, buf);
            let left = end.saturating_sub(buf.len() + length);
            let tail = self.streams.copy(stream, &chunk, buf);
            frames.push(SentFrame::Chunk(stream, chunk));
            if left <= SMALL_FRAME {
                return tail;
            }
            buf.extend_from_slice(&tail);
        }
        Bytes::new()
    }

    fn transmit_close(&mut self, now: Instant, buf: &mut Vec<u8>) -> Option<Transmit> {
        let State::Closing {
            code,
            reason,
            due,
            repeats,
        } = &mut self.state
        else {
            return None;
        };
        if !std::mem::take(due) {
            return None;
        }
        *repeats += 1;
        let (code, mut reason) = (*code, std::mem::take(reason));
        let mut cut = reason.len().min(CLOSE_REASON);
        while !reason.is_char_boundary(cut) {
            cut -= 1;
        }
        reason.truncate(cut);
        let frame = Frame::Close {
            code,
            reason: &reason,
        };
        // The CLOSE acknowledges what came last, so that a peer that sent a result learns of its arrival.
        let mut ack = Vec::new();
        if self.acks.is_pending() {
            self.acks.write(now, ACK_SPACE, &mut ack);
        }
        let length = DATA_HEADER + ack.len() + frame.size() + AEAD_TAG;
        if self.path.budget() < length as u64 {
            return None;
        }
        self.path.on_sent(length);
        let start = self.begin(buf);
        buf.extend_from_slice(&ack);
        frame.encode(buf);
        self.finish(now, buf, start, false, SentFrames::new());
        if let State::Closing { reason: kept, .. } = &mut self.state {
            *kept = reason;
        }
        Some(Transmit::single(self.path.path))
    }

    /// Writes the header of the next datagram; returns the position of its first byte.
    pub(in crate::session) fn begin(&mut self, buf: &mut Vec<u8>) -> usize {
        let start = buf.len();
        let header = Data {
            phase: 0,
            receiver: self.remote,
            counter: self.recovery.sent.next_counter(),
        };
        buf.extend_from_slice(&header.encode());
        start
    }

    /// Seals the frames behind the header and records the datagram as sent.
    pub(in crate::session) fn finish(
        &mut self,
        now: Instant,
        buf: &mut Vec<u8>,
        start: usize,
        eliciting: bool,
        frames: SentFrames,
    ) {
        self.seal(now, buf, start, &[], eliciting, frames);
    }

    /// Does so with the bytes of `tail` behind those that are written.
    fn seal(
        &mut self,
        now: Instant,
        buf: &mut Vec<u8>,
        start: usize,
        tail: &[u8],
        eliciting: bool,
        frames: SentFrames,
    ) {
        let counter = self.recovery.sent.next_counter();
        let mut header = [0; DATA_HEADER];
        header.copy_from_slice(&buf[start..start + DATA_HEADER]);
        let keys = self.keys.as_ref().expect("established sessions have keys");
        keys.seal
            .seal_with_tail(counter, &header, buf, start + DATA_HEADER, tail);
        let size = (buf.len() - start) as u64;
        self.sealed += size.next_multiple_of(limits::BLOCK);
        self.recovery.on_sent(now, size, eliciting, frames);
    }
}
