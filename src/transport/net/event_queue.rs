//! Both ends of the event channel.
//!
//! The thread's end never blocks. Session events are taken from the machine only while there is room: the others stay
//! in their session, bounded by its windows, so that nothing waits here that a peer can multiply. Events of the thread
//! itself that find the channel full wait here: one for each carrier that fails, at most. Invariants: events leave in
//! the order in which they came, and an application that sleeps is woken for them.

use std::collections::VecDeque;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::event::Event;
use super::limits;
use super::shared::Shared;

/// The application's end of the event channel.
pub struct Events {
    channel: Receiver<Event>,
    shared: Arc<Shared>,
}

/// Creates an event channel. It takes memory for the events that are in it, unlike a bounded channel, which fills the
/// memory of all that it could hold when it is created. Its one sender, the [`EventQueue`], bounds it.
pub(super) fn channel() -> (Sender<Event>, Receiver<Event>) {
    unbounded()
}

impl Events {
    pub(super) const fn new(channel: Receiver<Event>, shared: Arc<Shared>) -> Self {
        Self { channel, shared }
    }

    /// The channel, for `select!`. After each value taken from it call [`Events::taken`].
    #[must_use]
    pub const fn channel(&self) -> &Receiver<Event> {
        &self.channel
    }

    /// Informs the network thread that there is room again, if it waits for that.
    pub fn taken(&self) {
        self.shared.event_taken();
    }
}

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

    /// Adds an event for the application. One of a session requires [`has_room`](Self::has_room).
    pub(super) fn push(&mut self, event: Event) {
        if self.waiting.is_empty() {
            if let Err(event) = self.offer(event) {
                self.waiting.push_back(event);
            }
        } else {
            self.waiting.push_back(event);
        }
    }

    /// Moves the events that wait here, and then those of `next`, into the channel while it has room, and wakes the
    /// application if it may sleep. Without room, the first event that the application takes wakes the thread. Returns
    /// true if `next` returned an event.
    pub(super) fn flush(
        &mut self,
        shared: &Shared,
        mut next: impl FnMut() -> Option<Event>,
    ) -> bool {
        let (mut moved, left) = self.fill(&mut next);
        if left {
            // Also if there is room by now: whoever has made it has not seen the wish.
            shared.wait_for_room();
            moved |= self.fill(&mut next).0;
        }
        if std::mem::take(&mut self.wake_due)
            && let Some(wake) = &self.wake
        {
            wake();
        }
        moved
    }

    /// True if the next event goes into the channel at once.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.is_empty() && self.channel.len() < limits::EVENTS
    }

    /// Returns whether `next` returned an event, and whether events may be left because there was no room.
    fn fill(&mut self, next: &mut impl FnMut() -> Option<Event>) -> (bool, bool) {
        self.drain();
        let mut moved = false;
        while self.has_room() {
            let Some(event) = next() else {
                return (moved, false);
            };
            self.push(event);
            moved = true;
        }
        (moved, true)
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
        if self.channel.len() >= limits::EVENTS {
            return Err(event);
        }
        // It fails if the application has dropped its end.
        if self.channel.send(event).is_ok() {
            // With more than this one in it, the application has yet to take one and will come again.
            self.wake_due |= self.channel.len() <= 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn events_that_find_the_channel_full_wait_and_leave_in_order() {
        let mut poll = mio::Poll::new().unwrap();
        let shared = Arc::new(Shared::new(poll.registry()).unwrap());
        let (sender, receiver) = channel();
        let taker = Events::new(receiver, Arc::clone(&shared));
        let all = 4 * limits::EVENTS as u64;
        let thread = std::thread::spawn(move || {
            let mut event_queue = EventQueue::new(sender, None);
            let mut numbers = 0..all;
            for datagrams in numbers.by_ref().take(2 * limits::EVENTS) {
                event_queue.push(Event::Suppressed { datagrams });
            }
            let mut ready = mio::Events::with_capacity(1);
            loop {
                event_queue.flush(&shared, || {
                    let datagrams = numbers.next()?;
                    Some(Event::Suppressed { datagrams })
                });
                if numbers.is_empty() {
                    return;
                }
                let timeout = Some(Duration::from_secs(60));
                poll.poll(&mut ready, timeout).unwrap();
                assert!(!ready.is_empty(), "there is room, and no wake-up");
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
