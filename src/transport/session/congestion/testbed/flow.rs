//! A sender of equal packets without data: pacer, delivery-rate sampler, controller and the loss
//! detection of RFC 9002.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::{Fate, Path};
use crate::session::congestion::{self, Acked, Controller, DeliveryRate, Lost, Pacer, PacketState};
use crate::session::limits::{PACKET_THRESHOLD, TIME_THRESHOLD};
use crate::session::rtt::RttEstimator;
use crate::time::Instant;

pub const DATAGRAM: u64 = 1200;

/// Data that the application offers.
#[derive(Clone, Copy, Debug)]
pub enum Demand {
    Endless,
    /// Bytes per second, offered every 10 ms.
    Rate(u64),
}

/// Bytes counted since the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub sent: u64,
    pub dropped: u64,
    pub delivered: u64,
}

#[derive(Debug)]
struct Sent {
    at: Instant,
    state: PacketState,
}

#[derive(Clone, Copy, Debug)]
struct Arrival {
    at: Instant,
    packet: u64,
    ce: bool,
}

pub struct Flow {
    pub controller: Box<dyn Controller>,
    pub demand: Demand,
    pub tally: Tally,
    rtt: RttEstimator,
    pacer: Pacer,
    rate: DeliveryRate,
    next: u64,
    flight: BTreeMap<u64, Sent>,
    in_flight: u64,
    largest_acked: Option<u64>,
    /// Largest packet number acknowledged before the ACK being processed.
    largest_acked_before: Option<u64>,
    acks: VecDeque<Arrival>,
    offered: u64,
    pto_backoff: u32,
}

impl Flow {
    pub fn new(now: Instant, seed: u64) -> Self {
        Self {
            controller: congestion::new(now, DATAGRAM, seed),
            demand: Demand::Endless,
            tally: Tally::default(),
            rtt: RttEstimator::new(Duration::from_millis(100)),
            pacer: Pacer::new(now),
            rate: DeliveryRate::default(),
            next: 0,
            flight: BTreeMap::new(),
            in_flight: 0,
            largest_acked: None,
            largest_acked_before: None,
            acks: VecDeque::new(),
            offered: 0,
            pto_backoff: 0,
        }
    }

    /// Does everything that is due now. Returns the time of the next event.
    pub fn turn(&mut self, now: Instant, path: &mut Path) -> Option<Instant> {
        if self.acks.front().is_some_and(|ack| ack.at <= now) {
            self.receive(now);
        }
        if self.timer().is_some_and(|at| at <= now) {
            self.expired(now, path);
        }
        let ready = self.send(now, path);
        let ack = self.acks.front().map(|ack| ack.at);
        [ready, ack, self.timer()].into_iter().flatten().min()
    }

    /// Sends as much as may leave. Returns the time to try again, if it is known.
    fn send(&mut self, now: Instant, path: &mut Path) -> Option<Instant> {
        loop {
            if self.in_flight + DATAGRAM > self.controller.window() {
                return None;
            }
            if let Demand::Rate(rate) = self.demand {
                let tick = now.as_micros() / 10_000 - 100;
                if self.offered + DATAGRAM > rate * tick / 100 {
                    self.rate.on_app_limited(self.in_flight);
                    return Some(Instant::from_micros((tick + 101) * 10_000));
                }
            }
            let rate = self.controller.pacing_rate();
            if self.pacer.allowance(now, rate) < DATAGRAM {
                let at = self.pacer.ready_at(now, DATAGRAM, rate);
                assert!(at > now, "a sender that waits must not spin");
                return Some(at);
            }
            self.send_one(now, path);
        }
    }

    fn send_one(&mut self, now: Instant, path: &mut Path) {
        let state = self.rate.on_sent(now, self.in_flight);
        self.pacer.on_sent(DATAGRAM);
        self.offered += DATAGRAM;
        self.in_flight += DATAGRAM;
        self.controller.on_sent(now, DATAGRAM, self.in_flight);
        let packet = self.next;
        self.next += 1;
        self.flight.insert(packet, Sent { at: now, state });
        self.tally.sent += DATAGRAM;
        match path.send(now) {
            Fate::Dropped => self.tally.dropped += DATAGRAM,
            Fate::Lost => {}
            Fate::Acknowledged { at, ce } => {
                self.tally.delivered += DATAGRAM;
                self.acks.push_back(Arrival { at, packet, ce });
            }
        }
    }

    /// Processes all acknowledgements that have arrived by now as one ACK.
    fn receive(&mut self, now: Instant) {
        let (mut bytes, mut ce, mut newest) = (0, false, None);
        self.largest_acked_before = self.largest_acked;
        while self.acks.front().is_some_and(|ack| ack.at <= now) {
            let ack = self.acks.pop_front().unwrap();
            let Some(sent) = self.flight.remove(&ack.packet) else {
                continue;
            };
            self.rate.on_acked(now, &sent.state, sent.at, DATAGRAM);
            self.in_flight -= DATAGRAM;
            bytes += DATAGRAM;
            ce |= ack.ce;
            newest = Some(now.since(sent.at));
            self.largest_acked = self.largest_acked.max(Some(ack.packet));
        }
        if let Some(rtt) = newest {
            self.rtt.on_sample(rtt, Duration::ZERO);
            self.pto_backoff = 0;
        }
        let rate = self.rate.take_sample(self.rtt.min());
        let acked = Acked {
            bytes,
            in_flight: self.in_flight,
            rtt: newest,
            min_rtt: self.rtt.min(),
            rate,
            app_limited: false,
            ce,
        };
        if bytes > 0 {
            self.controller.on_acked(now, &acked);
        }
        self.detect_lost(now);
    }

    /// Declares packets lost by packet and time threshold (RFC 9002 §6.1).
    fn detect_lost(&mut self, now: Instant) {
        let Some(largest) = self.largest_acked else {
            return;
        };
        let delay = self.rtt.loss_delay(TIME_THRESHOLD);
        let lost: Vec<u64> = self
            .flight
            .range(..largest)
            .take_while(|(packet, sent)| {
                **packet + PACKET_THRESHOLD <= largest || sent.at + delay <= now
            })
            .map(|(packet, _)| *packet)
            .collect();
        self.lose(now, &lost);
    }

    fn lose(&mut self, now: Instant, lost: &[u64]) {
        let Some(newest) = lost.last() else {
            return;
        };
        let newest_sent = self.flight[newest].at;
        // Nothing arrived between packets acknowledged earlier and those acknowledged now (RFC 9002
        // §7.6).
        let silent = lost
            .iter()
            .find(|packet| Some(**packet) > self.largest_acked_before)
            .map_or(Duration::ZERO, |packet| {
                newest_sent.since(self.flight[packet].at)
            });
        for packet in lost {
            self.flight.remove(packet);
            self.in_flight -= DATAGRAM;
        }
        self.controller.on_lost(
            now,
            &Lost {
                bytes: DATAGRAM * lost.len() as u64,
                in_flight: self.in_flight,
                newest_sent,
                persistent: silent > self.rtt.pto() * 3,
            },
        );
    }

    /// Expiry of the loss timer or the PTO (RFC 9002 §6.2).
    fn timer(&self) -> Option<Instant> {
        let (packet, first) = self.flight.first_key_value()?;
        if self.largest_acked.is_some_and(|largest| *packet < largest) {
            return Some(first.at + self.rtt.loss_delay(TIME_THRESHOLD));
        }
        let newest = self.flight.last_key_value()?.1;
        Some(newest.at + self.rtt.pto() * 2u32.pow(self.pto_backoff.min(5)))
    }

    fn expired(&mut self, now: Instant, path: &mut Path) {
        let before = self.flight.len();
        self.detect_lost(now);
        if self.flight.len() == before {
            self.pto_backoff += 1;
            self.send_one(now, path);
        }
    }
}
