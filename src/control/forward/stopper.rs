//! The order to end forwarded connections, from another thread than that of their loop.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use mio::{Poll, Token, Waker};

/// Token of the waker in the poll of the loop.
pub(super) const WAKER: Token = Token(usize::MAX);

/// Order to the loop; a later one is stronger.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Order {
    /// Go on.
    Serve,
    /// Accept no further connections, and end with the last one.
    Drain,
    /// Cancel all connections.
    Stop,
}

/// Sender of orders. Clones give orders to the same loop.
#[derive(Clone, Debug)]
pub struct Stopper {
    order: Arc<AtomicU8>,
    waker: Arc<Waker>,
}

/// Returns the poll of a loop that is yet to run, and the sender of orders to it.
///
/// # Errors
/// The system has no descriptor left.
pub fn stopper() -> io::Result<(Poll, Stopper)> {
    let poll = Poll::new()?;
    let waker = Waker::new(poll.registry(), WAKER)?;
    let order = Arc::new(AtomicU8::new(Order::Serve as u8));
    let waker = Arc::new(waker);
    Ok((poll, Stopper { order, waker }))
}

impl Stopper {
    /// Accepts no further connections. The loop ends with the last one.
    pub fn drain(&self) {
        self.give(Order::Drain);
    }

    /// Cancels all connections.
    pub fn stop(&self) {
        self.give(Order::Stop);
    }

    /// Wakes the loop.
    pub(super) fn wake(&self) {
        // The loop is gone if that fails.
        let _ = self.waker.wake();
    }

    pub(super) fn order(&self) -> Order {
        match self.order.load(Ordering::SeqCst) {
            order if order == Order::Serve as u8 => Order::Serve,
            order if order == Order::Drain as u8 => Order::Drain,
            _ => Order::Stop,
        }
    }

    fn give(&self, order: Order) {
        self.order.fetch_max(order as u8, Ordering::SeqCst);
        self.wake();
    }
}
