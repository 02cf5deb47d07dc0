//! State that the network thread and its handles share: wake-ups and counters, no data.
//!
//! Invariant: a command that is sent, or an event that is taken, while the thread sleeps or is about to
//! sleep wakes it; otherwise no system call is made.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

use mio::{Registry, Token, Waker};

/// Token of the wake-up by another thread.
const WAKER: Token = Token(usize::MAX);

/// State on both sides of the channels.
pub(super) struct Shared {
    waker: Waker,
    /// The thread sleeps, or is about to: a command must wake it.
    asleep: AtomicBool,
    /// The thread has events for which the channel is full: the next one that is taken must wake it.
    wants_room: AtomicBool,
    /// The last handle was dropped.
    abandoned: AtomicBool,
    /// Datagrams that the carriers refused to send.
    unsent: AtomicU64,
}

impl Shared {
    pub(super) fn new(registry: &Registry) -> io::Result<Self> {
        Ok(Self {
            waker: Waker::new(registry, WAKER)?,
            asleep: AtomicBool::new(false),
            wants_room: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
            unsent: AtomicU64::new(0),
        })
    }

    /// Announces that the thread is about to sleep. It must check its command channel after this.
    pub(super) fn fall_asleep(&self) {
        self.asleep.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// Announces that the thread is awake, so that commands need not wake it.
    pub(super) fn awake(&self) {
        self.asleep.store(false, Ordering::SeqCst);
    }

    /// Announces that the thread waits for room in the event channel. It must try once more after this.
    pub(super) fn wait_for_room(&self) {
        self.wants_room.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// Records that the last handle was dropped.
    pub(super) fn abandon(&self) {
        self.abandoned.store(true, Ordering::SeqCst);
        self.wake();
    }

    /// True if no further command can come.
    pub(super) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::SeqCst)
    }

    /// Counts datagrams that could not be sent.
    pub(super) fn count_unsent(&self, datagrams: u64) {
        self.unsent.fetch_add(datagrams, Ordering::Relaxed);
    }

    /// Number of datagrams that could not be sent.
    pub(super) fn unsent(&self) -> u64 {
        self.unsent.load(Ordering::Relaxed)
    }

    /// Wakes the thread if it sleeps, after a command was sent.
    pub(super) fn command_sent(&self) {
        // Pairs with the fence in `fall_asleep`: either this sees it asleep, or it sees the command.
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::SeqCst) {
            self.wake();
        }
    }

    /// Wakes the thread if it waits for room, after an event was taken.
    pub(super) fn event_taken(&self) {
        // Pairs with the fence in `wait_for_room`: either this sees the wish, or the thread the room.
        fence(Ordering::SeqCst);
        if self.wants_room.load(Ordering::Relaxed) && self.wants_room.swap(false, Ordering::SeqCst)
        {
            self.wake();
        }
    }

    fn wake(&self) {
        // It can only fail when the eventfd's counter is full, and then the thread is being woken.
        let _ = self.waker.wake();
    }
}
