//! News about delivery and about a silent agent, for a person.
//!
//! Not the receipts themselves. Invariants: a line that is not delivered within [`limits::RECEIPT_LATE`] is named, and its
//! delivery, too; while the agent is silent, the time since it was heard is shown.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::ChatLoop;
use crate::control::limits;
use crate::escape;

/// Late lines that are named each; of more at once, the first one and the number.
const NAMED: usize = 3;

/// State of delivery, as far as it was shown.
#[derive(Default, Debug)]
pub(super) struct Delivery {
    /// Messages without a receipt, oldest first: number and time of sending.
    sent: VecDeque<(u64, Instant)>,
    /// Number behind the last message that was named as late.
    late_to: u64,
    /// Messages named as late since all were delivered.
    late: u64,
    /// Time at which the agent was heard last, while it is silent.
    last_heard: Option<Instant>,
}

impl Delivery {
    /// Notes a message.
    pub(super) fn on_sent(&mut self, number: u64, now: Instant) {
        self.sent.push_back((number, now));
    }

    /// Forgets what has a receipt. `oldest` is the oldest message without one. Returns the number of messages that were
    /// named as late, once all of them have receipts.
    fn on_receipt(&mut self, oldest: Option<u64>) -> Option<u64> {
        let is_done = |number: u64| oldest.is_none_or(|oldest| number < oldest);
        while self
            .sent
            .front()
            .is_some_and(|(number, _)| is_done(*number))
        {
            self.sent.pop_front();
        }
        (self.late > 0 && is_done(self.late_to - 1)).then(|| std::mem::take(&mut self.late))
    }

    /// Forgets a message that is not delivered.
    pub(super) fn on_refused(&mut self, number: u64) {
        let mut sent = self.sent.iter();
        let Some(index) = sent.position(|(sent, _)| *sent == number) else {
            return;
        };
        self.sent.remove(index);
        if number < self.late_to {
            self.late = self.late.saturating_sub(1);
        }
    }

    /// Returns the range of messages that have become late, by their position among those without a receipt.
    fn take_late(&mut self, now: Instant) -> std::ops::Range<usize> {
        let is_late = |at: &Instant| now.saturating_duration_since(*at) >= limits::RECEIPT_LATE;
        let named = self
            .sent
            .partition_point(|(number, _)| *number < self.late_to);
        let late = self.sent.partition_point(|(_, at)| is_late(at)).max(named);
        if late > named {
            self.late_to = self.sent[late - 1].0 + 1;
            self.late += (late - named) as u64;
        }
        named..late
    }
}

impl ChatLoop<'_> {
    /// Handles a receipt, or a refusal.
    pub(super) fn on_receipt(&mut self) {
        let delivered = self.delivery.on_receipt(self.chat.oldest());
        if let Some(lines) = delivered
            && self.screen.is_terminal()
        {
            self.screen.note(&match lines {
                1 => "the line is delivered now".to_owned(),
                lines => format!("the {lines} lines are delivered now"),
            });
        }
    }

    /// Names lines that are late, and the time of a silence.
    pub(super) fn on_tick(&mut self) {
        let now = Instant::now();
        let late = self.delivery.take_late(now);
        let count = late.len();
        let texts = self.chat.undelivered().skip(late.start).take(count);
        let shown = texts.take(if count > NAMED { 1 } else { NAMED });
        let shown: Vec<_> = shown
            .map(|text| escape::line(text.as_bytes(), limits::UNDELIVERED_TEXT).into_owned())
            .collect();
        if let ([first], true) = (&shown[..], count > NAMED) {
            self.screen.note(&format!(
                "{count} lines are not delivered yet, from: {first}"
            ));
        } else {
            for text in shown {
                self.screen.note(&format!("not delivered yet: {text}"));
            }
        }
        self.show_silence(now);
    }

    /// Handles the beginning of a silence.
    pub(super) fn on_silent(&mut self, silence: Duration) {
        let now = Instant::now();
        if !self.screen.is_terminal() {
            let label = &self.label;
            return self.screen.note(&format!("{label} does not answer"));
        }
        let heard = now.checked_sub(silence).unwrap_or(now);
        self.delivery.last_heard.get_or_insert(heard);
        self.show_silence(now);
    }

    /// Handles the end of a silence.
    pub(super) fn on_back(&mut self) {
        let label = &self.label;
        let words = match self.delivery.last_heard.take() {
            Some(heard) => format!("{label} answers again, after {}", words(heard.elapsed())),
            None => format!("{label} answers again"),
        };
        self.screen.note(&words);
    }

    fn show_silence(&mut self, now: Instant) {
        if let Some(heard) = self.delivery.last_heard {
            let (label, time) = (&self.label, words(now.saturating_duration_since(heard)));
            self.screen
                .status(&format!("{label}: last heard {time} ago"));
        }
    }
}

/// Returns a time in its largest unit, so that the smaller one changes only while it matters.
fn words(time: Duration) -> String {
    match time.as_secs() {
        seconds @ ..120 => format!("{seconds} s"),
        seconds @ ..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_line_is_named_once_and_its_delivery_too() {
        let start = Instant::now();
        let late = start + limits::RECEIPT_LATE;
        let mut delivery = Delivery::default();
        for number in 0..3 {
            delivery.on_sent(number, start);
        }
        assert_eq!(delivery.take_late(start), 0..0);
        assert_eq!(delivery.on_receipt(Some(1)), None);
        assert_eq!(delivery.take_late(late), 0..2);
        assert_eq!(delivery.take_late(late), 2..2);
        delivery.on_sent(3, late);
        assert_eq!(delivery.on_receipt(Some(2)), None);
        assert_eq!(delivery.take_late(late), 1..1);
        assert_eq!(delivery.on_receipt(Some(3)), Some(2));
        assert_eq!(delivery.on_receipt(None), None);
        assert_eq!(delivery.take_late(late + limits::RECEIPT_LATE), 0..0);
    }

    #[test]
    fn a_late_line_that_is_refused_is_not_told_as_delivered() {
        let start = Instant::now();
        let late = start + limits::RECEIPT_LATE;
        let mut delivery = Delivery::default();
        for number in 0..2 {
            delivery.on_sent(number, start);
        }
        assert_eq!(delivery.take_late(late), 0..2);
        delivery.on_refused(0);
        assert_eq!(delivery.on_receipt(Some(1)), None);
        assert_eq!(delivery.on_receipt(None), Some(1));
        delivery.on_sent(2, start);
        assert_eq!(delivery.take_late(late), 0..1);
        delivery.on_refused(2);
        assert_eq!(delivery.on_receipt(None), None);
    }

    #[test]
    fn a_time_is_told_in_its_largest_unit() {
        let told = [12, 119, 120, 7199, 7200, 90_000].map(|n| words(Duration::from_secs(n)));
        assert_eq!(told, ["12 s", "119 s", "2 min", "119 min", "2 h", "25 h"]);
    }
}
