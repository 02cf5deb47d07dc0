//! Code of others that may panic on what it is given, run so that its panic is a result.
//!
//! Not for our own code, of which a panic ends the program. The panic hook of the programs asks
//! [`is_contained`] to tell the two apart.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Runs `work`. `None` if it has panicked: what it changed may be in any state, and must not be used again.
pub fn contain<T>(work: impl FnOnce() -> T) -> Option<T> {
    DEPTH.set(DEPTH.get().saturating_add(1));
    let result = catch_unwind(AssertUnwindSafe(work));
    DEPTH.set(DEPTH.get().saturating_sub(1));
    result.ok()
}

/// True if a panic of this thread would be caught by [`contain`].
#[must_use]
pub fn is_contained() -> bool {
    DEPTH.get() > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_result() {
        assert_eq!(contain(is_contained), Some(true));
        assert_eq!(contain(|| -> u8 { panic!("expected here") }), None);
        assert!(!is_contained());
    }
}
