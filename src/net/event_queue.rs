//! Events on their way to the application: a bounded channel, and what waits for room in it.
//!
//! Never blocks. Invariant: events leave in the order they came; whoever sleeps is told.

use std::collections::VecDeque;

use crossbeam_channel::{Sender, TrySendError};

use super::handle::Shared;
use super::{Event, limits};

/// The thread's end of the event channel.
pub(super) struct EventQueue {
    channel: Sender<Event>,
    waiting: VecDeque<Event>,
    wake: Option<Box<dyn Fn() + Send>>,
    /// The application may have seen an empty channel before the last event was put there.
    wake_due: bool,
}

impl EventQueue {
    pub(super) const fn new(channel: Sender<Event>, wake: Option<Box<dyn Fn() + Send>>) -> Self {
        Self {
            channel,
            waiting: VecDeque::new(),
            wake,
            wake_due: false,
        }
    }

    /// An event for the application.
    pub(super) fn push(&mut self, event: Event) {
        if self.waiting.is_empty() {
            if let Err(event) = self.offer(event) {
                self.waiting.push_back(event);
            }
        } else {
            self.waiting.push_back(event);
        }
    }

    /// Moves what waits into the channel, and wakes the application if it may sleep.
    pub(super) fn flush(&mut self, shared: &Shared) {
        self.drain();
        if !self.waiting.is_empty() {
            shared.wait_for_room();
            self.drain();
        }
        if std::mem::take(&mut self.wake_due)
            && let Some(wake) = &self.wake
        {
            wake();
        }
    }

    /// Events wait: whatever can be lost had better be.
    pub(super) fn is_congested(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// So much waits that nothing more may be received.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= limits::EVENTS_WAITING
    }

    fn drain(&mut self) {
        while let Some(event) = self.waiting.pop_front() {
            if let Err(event) = self.offer(event) {
                self.waiting.push_front(event);
                return;
            }
        }
    }

    fn offer(&mut self, event: Event) -> Result<(), Event> {
        match self.channel.try_send(event) {
            Ok(()) => {
                // With more than this one in it, the application has yet to take one and look again.
                self.wake_due |= self.channel.len() <= 1;
                Ok(())
            }
            Err(TrySendError::Full(event)) => Err(event),
            // Nobody wants to know any more.
            Err(TrySendError::Disconnected(_)) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::net::handle::Events;

    #[test]
    fn what_finds_no_room_waits_and_leaves_in_order_when_there_is_some() {
        let mut poll = mio::Poll::new().unwrap();
        let shared = Arc::new(Shared::new(poll.registry()).unwrap());
        let (sender, receiver) = crossbeam_channel::bounded(limits::EVENTS);
        let taker = Events::new(receiver, Arc::clone(&shared));
        let all = 3 * limits::EVENTS as u64;
        let thread = std::thread::spawn(move || {
            let mut event_queue = EventQueue::new(sender, None);
            for datagrams in 0..all {
                event_queue.push(Event::Suppressed { datagrams });
            }
            let mut ready = mio::Events::with_capacity(1);
            loop {
                event_queue.flush(&shared);
                if !event_queue.is_congested() {
                    return;
                }
                let timeout = Some(Duration::from_secs(60));
                poll.poll(&mut ready, timeout).unwrap();
                assert!(!ready.is_empty(), "there is room, and nobody says so");
            }
        });
        for number in 0..all {
            let event = taker.channel().recv_timeout(Duration::from_secs(60));
            taker.taken();
            assert!(matches!(event, Ok(Event::Suppressed { datagrams }) if datagrams == number));
        }
        thread.join().unwrap();
    }
}
