//! Slot for one value, from one thread to another that sleeps until it is there.
//!
//! A channel would spin before it sleeps, for every value: its waits are made for values that come soon. Invariant: every
//! value that was put is taken, unless the receiving end is gone.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

struct State<T> {
    value: Option<T>,
    /// True if one of the ends is gone.
    closed: bool,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }
}

/// The end that puts values.
pub(super) struct Putter<T>(Arc<Shared<T>>);

/// The end that takes them.
pub(super) struct Taker<T>(Arc<Shared<T>>);

/// Creates an empty slot.
pub(super) fn slot<T>() -> (Putter<T>, Taker<T>) {
    let state = State {
        value: None,
        closed: false,
    };
    let shared = Arc::new(Shared {
        state: Mutex::new(state),
        changed: Condvar::new(),
    });
    (Putter(Arc::clone(&shared)), Taker(shared))
}

impl<T> Putter<T> {
    /// Puts a value. Returns false if the other end is gone. The value before must have been taken.
    pub(super) fn put(&self, value: T) -> bool {
        let mut state = self.0.lock();
        if state.closed {
            return false;
        }
        debug_assert!(state.value.is_none(), "the value before was not taken");
        state.value = Some(value);
        drop(state);
        self.0.changed.notify_one();
        true
    }
}

impl<T> Iterator for Taker<T> {
    type Item = T;

    /// Waits for the next value; `None` if the other end is gone and has left none.
    fn next(&mut self) -> Option<T> {
        let waits = |state: &mut State<T>| state.value.is_none() && !state.closed;
        let state = self.0.changed.wait_while(self.0.lock(), waits);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        state.value.take()
    }
}

impl<T> Drop for Putter<T> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl<T> Drop for Taker<T> {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_taken_and_the_end_is_told() {
        let (putter, taker) = slot();
        let (taken, tell) = crossbeam_channel::bounded(0);
        let thread = std::thread::spawn(move || {
            for value in taker {
                taken.send(value).unwrap();
            }
        });
        for value in 0..100 {
            assert!(putter.put(value));
            assert_eq!(tell.recv(), Ok(value));
        }
        // The last one is taken although its sender is gone by then.
        putter.put(100);
        drop(putter);
        assert_eq!(tell.recv(), Ok(100));
        thread.join().unwrap();
    }

    #[test]
    fn a_value_for_nobody_is_refused() {
        let (putter, taker) = slot();
        drop(taker);
        assert!(!putter.put(1));
    }
}
