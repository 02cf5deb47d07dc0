//! Containment of panics in third-party code that may panic on its input.
//!
//! Not for this crate's own code, whose panics end the program. The panic hook of the programs calls
//! [`is_contained`] to distinguish the two.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Runs `work` and returns its result, or `None` if it panicked. Values that it changed may then be in any state
/// and must not be used again.
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
    fn a_contained_panic_returns_none() {
        assert_eq!(contain(is_contained), Some(true));
        assert_eq!(contain(|| -> u8 { panic!("contained by this test") }), None);
        assert!(!is_contained());
    }
}
