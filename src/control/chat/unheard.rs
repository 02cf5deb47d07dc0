//! Lines of plain text that the peer may not have: for its next address, and for the words about a refusal.
//!
//! Not their sending. Plain text does not tell which line an answer is to. Invariants: an answer removes the oldest line and
//! those whose refusal would have come by then, and no other; each other line is among those that are named or counted.

use std::collections::VecDeque;
use std::mem::take;
use std::time::Instant;

use crate::control::limits;

/// Lines that were sent and may not have arrived.
#[derive(Default, Debug)]
pub(super) struct Unheard {
    /// Lines that are not kept, and the first of them.
    excess: u64,
    first: String,
    kept: VecDeque<Sent>,
    /// True if the peer was heard since some of them were sent.
    is_doubtful: bool,
    /// Lines that were named and whose own refusals may still come.
    named: u64,
}

/// A line that was sent.
#[derive(Debug)]
struct Sent {
    text: String,
    at: Instant,
}

/// Lines that a refusal is about.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Lost {
    /// The peer was not heard since they were sent; in words that are not escaped.
    Lines(String),
    /// The peer was heard since some of them were sent, and may have these.
    Doubtful(String),
    /// Lines that were named before.
    Named,
    /// A line of which nothing is known any more.
    Unknown,
}

impl Unheard {
    /// Adds a line that was sent. Of many, the newest are kept.
    pub(super) fn push(&mut self, text: String, now: Instant) {
        if self.kept.len() >= limits::TYPED_LINES
            && let Some(oldest) = self.kept.pop_front()
        {
            if self.excess == 0 {
                self.first = oldest.text;
            }
            self.excess += 1;
        }
        self.kept.push_back(Sent { text, at: now });
    }

    /// Returns the lines that are kept, oldest first, to be sent again.
    pub(super) fn again(&mut self, now: Instant) -> impl Iterator<Item = &str> {
        self.kept.iter_mut().map(move |sent| {
            sent.at = now;
            &sent.text[..]
        })
    }

    /// Returns the time by which a refusal of the oldest line has come, if no other line can be kept beside it.
    pub(super) fn full_until(&self) -> Option<Instant> {
        let oldest = self.kept.front()?.at;
        (self.kept.len() >= limits::TYPED_LINES).then(|| oldest + limits::PLAIN_CLOSED)
    }

    /// Handles a datagram of the peer: an answer to one line at least. Lines that are not kept count as answered.
    pub(super) fn on_heard(&mut self, now: Instant) {
        self.named = 0;
        if take(&mut self.excess) == 0 {
            self.kept.pop_front();
        }
        self.first.clear();
        let is_settled = |sent: &Sent| now.duration_since(sent.at) >= limits::PLAIN_REFUSAL;
        while self.kept.front().is_some_and(is_settled) {
            self.kept.pop_front();
        }
        self.is_doubtful = !self.kept.is_empty();
    }

    /// Removes the lines that are not kept. Returns words for them; not escaped.
    pub(super) fn take_excess(&mut self) -> Option<String> {
        let first = take(&mut self.first);
        words(take(&mut self.excess), first)
    }

    /// Removes all lines, because one of them was refused.
    pub(super) fn take_all(&mut self) -> Lost {
        let is_doubtful = take(&mut self.is_doubtful);
        let excess = take(&mut self.excess);
        let lines = excess + self.kept.len() as u64;
        let oldest = self.kept.pop_front().filter(|_| excess == 0);
        self.kept.clear();
        let first = take(&mut self.first);
        let first = oldest.map_or(first, |sent| sent.text);
        let Some(words) = words(lines, first) else {
            let is_named = self.named > 0;
            self.named = self.named.saturating_sub(1);
            return if is_named { Lost::Named } else { Lost::Unknown };
        };
        self.named = lines - 1;
        if is_doubtful {
            Lost::Doubtful(words)
        } else {
            Lost::Lines(words)
        }
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

    fn lines(words: &str) -> Lost {
        Lost::Lines(words.into())
    }

    #[test]
    fn a_line_is_named_and_several_are_counted_also_those_that_are_not_kept() {
        let mut unheard = Unheard::default();
        let now = Instant::now();
        assert_eq!(unheard.take_all(), Lost::Unknown);
        unheard.push("hello".into(), now);
        assert_eq!(unheard.take_excess(), None);
        assert_eq!(unheard.take_all(), lines("hello"));
        let most = limits::TYPED_LINES;
        for number in 1..=most + 3 {
            assert_eq!(unheard.full_until().is_some(), number > most);
            unheard.push(number.to_string(), now);
        }
        assert_eq!(unheard.full_until(), Some(now + limits::PLAIN_CLOSED));
        let later = now + limits::PLAIN_CLOSED;
        assert_eq!(unheard.again(later).next(), Some("4"));
        assert_eq!(unheard.full_until(), Some(later + limits::PLAIN_CLOSED));
        let excess = unheard.take_excess();
        assert_eq!(excess.as_deref(), Some("3 lines, from: 1"));
        unheard.push("last".into(), now);
        assert_eq!(unheard.take_excess().as_deref(), Some("4"));
        unheard.push("again".into(), now);
        let all = unheard.take_all();
        assert_eq!(all, lines(&format!("{} lines, from: 5", most + 1)));
        // The refusals of the other lines may still come.
        for _ in 0..most {
            assert_eq!(unheard.take_all(), Lost::Named);
        }
        assert_eq!(unheard.take_all(), Lost::Unknown);
    }

    #[test]
    fn an_answer_to_one_line_leaves_the_next_ones_in_doubt() {
        let mut unheard = Unheard::default();
        let now = Instant::now();
        for text in ["one", "two", "three"] {
            unheard.push(text.into(), now);
        }
        unheard.on_heard(now);
        let two = Lost::Doubtful("2 lines, from: two".into());
        assert_eq!(unheard.take_all(), two);
        unheard.push("four".into(), now);
        assert_eq!(unheard.take_all(), lines("four"));
        unheard.push("five".into(), now);
        unheard.on_heard(now);
        assert_eq!(unheard.take_all(), Lost::Unknown);
        // Each of many answers is to one line, and what is older is settled.
        let later = now + limits::PLAIN_REFUSAL;
        unheard.push("six".into(), now);
        unheard.push("seven".into(), now);
        unheard.push("eight".into(), later);
        unheard.on_heard(later);
        assert_eq!(unheard.again(later).collect::<Vec<_>>(), ["eight"]);
        unheard.on_heard(later);
        assert_eq!(unheard.take_all(), Lost::Unknown);
    }
}
