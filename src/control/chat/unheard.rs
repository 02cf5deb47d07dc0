//! Lines of plain text that were sent since the peer was heard: for its next address, and for the words about a refusal.
//!
//! Not their sending. Invariant: a line leaves as one that was heard, or is among those that are named or counted.

use std::collections::VecDeque;
use std::mem::take;

use crate::control::limits;

/// Lines that were sent and may not have arrived.
#[derive(Default, Debug)]
pub(super) struct Unheard {
    /// Lines that are not kept, and the first of them.
    excess: u64,
    first: String,
    kept: VecDeque<String>,
}

impl Unheard {
    /// Adds a line that was sent. Of many, the newest are kept.
    pub(super) fn push(&mut self, text: String) {
        if self.kept.len() >= limits::TYPED_LINES
            && let Some(oldest) = self.kept.pop_front()
        {
            if self.excess == 0 {
                self.first = oldest;
            }
            self.excess += 1;
        }
        self.kept.push_back(text);
    }

    /// Returns the lines that are kept, oldest first.
    pub(super) fn kept(&self) -> impl Iterator<Item = &str> {
        self.kept.iter().map(|text| &text[..])
    }

    /// Removes all, as the peer was heard.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Removes the lines that are not kept. Returns words for them; not escaped.
    pub(super) fn take_excess(&mut self) -> Option<String> {
        let first = take(&mut self.first);
        words(take(&mut self.excess), first)
    }

    /// Removes all lines. Returns words for them; not escaped.
    pub(super) fn take_all(&mut self) -> Option<String> {
        let Self {
            excess,
            first,
            kept,
        } = take(self);
        let lines = excess + kept.len() as u64;
        let oldest = kept.into_iter().next().filter(|_| excess == 0);
        words(lines, oldest.unwrap_or(first))
    }
}

/// Returns a line, or the number of several and the first one.
fn words(lines: u64, first: String) -> Option<String> {
    match lines {
        0 => None,
        1 => Some(first),
        lines => Some(format!("{lines} lines, from: {first}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_named_and_several_are_counted_also_those_that_are_not_kept() {
        let mut unheard = Unheard::default();
        assert_eq!(unheard.take_all(), None);
        unheard.push("hello".into());
        assert_eq!(unheard.take_excess(), None);
        assert_eq!(unheard.take_all().as_deref(), Some("hello"));
        let most = limits::TYPED_LINES;
        for number in 1..=most + 3 {
            unheard.push(number.to_string());
        }
        assert_eq!(unheard.kept().next(), Some("4"));
        let excess = unheard.take_excess();
        assert_eq!(excess.as_deref(), Some("3 lines, from: 1"));
        unheard.push("last".into());
        assert_eq!(unheard.take_excess().as_deref(), Some("4"));
        unheard.push("again".into());
        let all = unheard.take_all();
        let wanted = format!("{} lines, from: 5", most + 1);
        assert_eq!(all, Some(wanted));
        assert_eq!(unheard.take_all(), None);
        unheard.push("heard".into());
        unheard.clear();
        assert_eq!(unheard.take_all(), None);
    }
}
