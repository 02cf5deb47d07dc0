//! A carrier of the network thread with its state of readiness.
//!
//! Not what is sent or received, which is the driver's. Invariant: the interest in writable events lasts as long as a
//! transmit waits for one.

use std::io;

use mio::{Registry, Token};

use super::carrier::Carrier;
use super::event::Event;
use super::event_queue::EventQueue;

/// A carrier and its readiness, which is edge-triggered.
pub(super) struct BoundCarrier {
    pub(super) carrier: Box<dyn Carrier>,
    /// [`Path::socket`] of its datagrams, and its token.
    pub(super) number: u16,
    /// A transmit waits until it is writable.
    pub(super) blocked: bool,
    /// It may hold datagrams.
    pub(super) readable: bool,
    /// Errors since the last datagram.
    pub(super) errors: u32,
    pub(super) failed: bool,
}

impl BoundCarrier {
    pub(super) fn register(
        mut carrier: Box<dyn Carrier>,
        number: u16,
        registry: &Registry,
    ) -> io::Result<Self> {
        carrier.register(registry, Token(usize::from(number)))?;
        Ok(Self {
            carrier,
            number,
            blocked: false,
            readable: true,
            errors: 0,
            failed: false,
        })
    }

    pub(super) fn set_blocked(&mut self, registry: &Registry, blocked: bool) {
        let token = Token(usize::from(self.number));
        let set = self.carrier.set_writable_interest(registry, token, blocked);
        // Without the interest no event would unblock it; trying again in every iteration is the lesser evil.
        self.blocked = blocked && set.is_ok();
    }

    /// Queues the reports of undelivered datagrams while there is room.
    pub(super) fn report_refusals(&mut self, event_queue: &mut EventQueue) {
        while event_queue.has_room()
            && let Some(refusal) = self.carrier.poll_refusal()
        {
            event_queue.push(Event::Refused(refusal));
        }
    }
}
