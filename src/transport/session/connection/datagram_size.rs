//! Size of the datagrams of a session: the largest that its path carries (RFC 8899).
//!
//! A session begins with [`MIN_DATAGRAM`]. Once it has sent bulk data, or on request, probes look for more: padded PINGs in
//! datagrams of their own, one at a time, first of the sizes of common links, then by bisection. A size is used
//! once a probe of it was acknowledged, and is given up for [`limits::SIZE_LIFETIME`] when
//! [`limits::SIZE_PROBES`] were lost. When large datagrams are lost while small ones arrive, the path does not
//! carry them any more: the session goes back to the minimum and searches anew.
//!
//! Not here: the loss of a probe is no sign of congestion (`recovery`). Invariant: the size is at least the minimum,
//! and at most what both endpoints accept.

use smallvec::smallvec;

use crate::peer_addr::PeerAddr;
use crate::rng::Rng;
use crate::session::connection::Session;
use crate::session::connection::sent::{SentFrame, SentPacket};
use crate::session::event::Event;
use crate::session::{Transmit, limits};
use crate::time::{Instant, micros};
use crate::wire::Frame;
use crate::wire::limits::{AEAD_TAG, MIN_DATAGRAM};

/// MTU of Ethernet.
const ETHERNET_MTU: usize = 1500;

/// MTUs of common links, in the order in which they are probed: Ethernet, jumbo frames, loopback, and, where Ethernet's
/// does not pass, a tunnel.
const COMMON_MTUS: [usize; 4] = [ETHERNET_MTU, 9000, 65_536, 1400];

const IPV4_HEADERS: usize = 20 + 8;
const IPV6_HEADERS: usize = 40 + 8;

/// A probe in flight.
#[derive(Clone, Copy, Debug)]
struct Probe {
    size: usize,
    counter: u64,
    sent: Instant,
}

impl Probe {
    fn is(&self, packet: &SentPacket) -> bool {
        self.sent == packet.time && self.size as u64 == packet.bytes
    }
}

/// A size that did not pass.
#[derive(Clone, Copy, Debug)]
struct Refused {
    size: usize,
    at: Instant,
}

#[derive(Debug)]
pub(in crate::session) struct DatagramSize {
    size: usize,
    /// Largest size that this endpoint sends and accepts.
    own_limit: usize,
    /// Largest size that both endpoints accept.
    limit: usize,
    /// Peer for whose path the state holds.
    remote: PeerAddr,
    /// Bytes sent, which begin the search.
    sent: u64,
    probe: Option<Probe>,
    /// Size of the last lost probe, and the number of lost ones of this size.
    lost_probes: (usize, u32),
    /// Smallest size that did not pass.
    refused: Option<Refused>,
    /// Time at which the newest large datagram was sent that has arrived.
    passed: Instant,
    /// Number of large datagrams sent later and lost.
    lost: u32,
    /// True if the application waits for the end of the search.
    is_awaited: bool,
}

impl DatagramSize {
    pub(in crate::session) fn new(own_limit: usize, remote: PeerAddr) -> Self {
        Self {
            size: MIN_DATAGRAM,
            own_limit,
            limit: MIN_DATAGRAM,
            remote,
            sent: 0,
            probe: None,
            lost_probes: (0, 0),
            refused: None,
            passed: Instant::ZERO,
            lost: 0,
            is_awaited: false,
        }
    }

    /// Begins the search at once.
    pub(in crate::session) const fn find(&mut self) {
        self.is_awaited = true;
    }

    /// Adopts the largest size that the peer accepts.
    pub(in crate::session) fn on_peer_limit(&mut self, bytes: u64) {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        self.limit = self.own_limit.min(bytes).max(MIN_DATAGRAM);
    }

    /// Returns the size to use at a pacing rate in bytes per second.
    pub(in crate::session) fn size_at(&self, rate: u64) -> usize {
        self.size.min(self.most_at(rate))
    }

    /// Returns the largest size worth using at a rate: on a slow path a large datagram holds all others up, and fills a
    /// queue that holds few of them. The loopback interface is never slow, however small the share of a session is.
    fn most_at(&self, rate: u64) -> usize {
        if self.remote.ip().is_some_and(|ip| ip.is_loopback()) {
            return usize::MAX;
        }
        let bytes = rate.saturating_mul(micros(limits::DATAGRAM_TIME)) / 1_000_000;
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        bytes.max(ETHERNET_MTU - self.headers())
    }

    /// Size of the headers of IP and UDP.
    fn headers(&self) -> usize {
        match self.remote.ip() {
            Some(ip) if ip.is_ipv4() => IPV4_HEADERS,
            Some(_) | None => IPV6_HEADERS,
        }
    }

    /// Follows the session to a path. Another host has another one, of which nothing is known (RFC 9000 §14.3).
    fn on_path(&mut self, remote: PeerAddr) {
        if !self.remote.is_same_host(&remote) {
            let limit = self.limit;
            *self = Self {
                limit,
                is_awaited: self.is_awaited,
                ..Self::new(self.own_limit, remote)
            };
        }
    }

    pub(in crate::session) fn on_sent(&mut self, bytes: usize) {
        self.sent = self.sent.saturating_add(bytes as u64);
    }

    /// Returns the size of the probe to send now. `rate` is the pacing rate in bytes per second.
    fn next_probe(&mut self, now: Instant, rate: u64) -> Option<usize> {
        let has_begun = self.is_awaited || self.sent >= limits::SIZE_PROBING_BYTES;
        if self.probe.is_some() || !has_begun {
            return None;
        }
        self.refused
            .take_if(|refused| now.since(refused.at) >= limits::SIZE_LIFETIME);
        let refused = self.refused.map_or(usize::MAX, |refused| refused.size);
        let common = COMMON_MTUS.map(|mtu| mtu - self.headers());
        let bound = refused.min(self.limit.min(self.most_at(rate)).saturating_add(1));

        let mut sizes = common.into_iter().chain([self.limit]);
        if let Some(size) = sizes.find(|&size| self.size < size && size < bound) {
            return Some(size);
        }
        let step = (self.size / 32).max(20);
        let range = bound.saturating_sub(self.size);
        if range <= step {
            return None;
        }
        // If the size of a common link passes, it is most likely the largest that does.
        let is_common = common.contains(&self.size);
        Some(self.size + if is_common { step } else { range / 2 })
    }

    /// Handles the arrival of a datagram.
    pub(in crate::session) fn on_acked(&mut self, packet: &SentPacket) {
        if self.probe.take_if(|probe| probe.is(packet)).is_some() {
            self.size = usize::try_from(packet.bytes).expect("it was sent");
        }
        if self.is_large(packet) {
            self.passed = self.passed.max(packet.time);
            self.lost = 0;
        }
    }

    /// Handles the loss of a datagram.
    pub(in crate::session) fn on_lost(&mut self, packet: &SentPacket) {
        if let Some(probe) = self.probe.take_if(|probe| probe.is(packet)) {
            self.on_probe_lost(probe);
        } else if self.is_large(packet) && packet.time > self.passed {
            // It was declared lost because one sent later has arrived, and that was a small one.
            self.lost += 1;
            if self.lost >= limits::BLACK_HOLE {
                self.start_over();
            }
        }
    }

    fn on_probe_lost(&mut self, probe: Probe) {
        let (size, lost) = self.lost_probes;
        let lost = if size == probe.size { lost + 1 } else { 1 };
        self.lost_probes = (probe.size, lost);
        if lost >= limits::SIZE_PROBES {
            self.refuse(probe.size, probe.sent);
        }
    }

    /// Handles the refusal of the system to send a datagram of this size. Returns the counter of the probe, if it
    /// was one.
    fn on_too_large(&mut self, now: Instant, size: usize) -> Option<u64> {
        let probe = self.probe.take_if(|probe| probe.size == size);
        if size <= self.size {
            self.start_over();
        }
        if size > MIN_DATAGRAM {
            self.refuse(size, now);
        }
        probe.map(|probe| probe.counter)
    }

    fn refuse(&mut self, size: usize, at: Instant) {
        self.refused = Some(Refused { size, at });
        self.lost_probes = (0, 0);
    }

    /// Returns true for a datagram of about the size in use, if that is more than the minimum.
    fn is_large(&self, packet: &SentPacket) -> bool {
        let (size, bytes) = (self.size as u64, packet.bytes);
        bytes > MIN_DATAGRAM as u64 && bytes > size - size / 8 && bytes <= size
    }

    /// Goes back to the minimum and forgets what was found.
    fn start_over(&mut self) {
        self.size = MIN_DATAGRAM;
        self.probe = None;
        self.lost_probes = (0, 0);
        self.refused = None;
        self.lost = 0;
    }
}

impl Session {
    /// Returns the size of the next datagram. Where it is not known that a large one passes, and when nothing has
    /// been acknowledged for a probe timeout, it is the minimum.
    pub(super) fn next_size(&self) -> usize {
        if self.path.validated && !self.recovery.is_probe_due() {
            self.datagram_size.size_at(self.recovery.pacing_rate())
        } else {
            MIN_DATAGRAM
        }
    }

    /// Follows the path, and tells congestion control and pacer the size.
    pub(super) fn adopt_datagram_size(&mut self) {
        self.datagram_size.on_path(self.path.path.remote);
        let size = self.datagram_size.size_at(self.recovery.pacing_rate());
        self.recovery.on_datagram_size(size as u64);
    }

    /// Writes a probe of a larger size, which waits for neither window nor pacer: there is only one at a time.
    pub(super) fn transmit_size_probe(
        &mut self,
        now: Instant,
        rng: &mut Rng,
        buf: &mut Vec<u8>,
    ) -> Option<Transmit> {
        if !self.path.validated || self.recovery.is_probe_due() {
            return None;
        }
        let rate = self.recovery.pacing_rate();
        let size = self.datagram_size.next_probe(now, rate)?;
        self.recovery.skip_at_random(rng);
        let counter = self.recovery.sent.next_counter();
        let start = self.begin(buf);
        Frame::Ping.encode(buf);
        buf.resize(start + size - AEAD_TAG, 0);
        self.finish(now, buf, start, true, smallvec![SentFrame::SizeProbe]);
        self.path.on_sent(size);
        self.datagram_size.probe = Some(Probe {
            size,
            counter,
            sent: now,
        });
        Some(Transmit::single(self.path.path))
    }

    /// Reports the size to an application that waits for it, once no larger one is left to try.
    pub(super) fn report_datagram_size(&mut self, now: Instant) {
        let size = &mut self.datagram_size;
        let is_due = size.is_awaited && size.probe.is_none() && self.path.validated;
        if is_due && size.next_probe(now, self.recovery.pacing_rate()).is_none() {
            size.is_awaited = false;
            self.events.push_back(Event::DatagramSize {
                session: self.id,
                bytes: size.size,
            });
        }
    }

    /// Handles the refusal of the system to send a datagram of this size. Returns true if it was a probe.
    pub(in crate::session) fn on_too_large(&mut self, now: Instant, size: usize) -> bool {
        let Some(counter) = self.datagram_size.on_too_large(now, size) else {
            return false;
        };
        self.recovery.sent.take(counter);
        self.rearm(now);
        true
    }
}

#[cfg(test)]
mod tests;
