//! News about delivery and about a silent agent, for a person.
//!
//! Not the receipts themselves. Invariants: a line that is delivered alone is marked, and of several the number is shown; one that is not delivered within [`limits::RECEIPT_LATE`] is named, and its
//! delivery, too; while the agent is silent for longer than [`limits::SILENCE_NOTED`], the time since it was heard is shown.

use std::collections::VecDeque;
use std::mem::take;
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
    /// Messages with a receipt since all were delivered, and the last one that was sent, as it was typed.
    delivered: u64,
    last: (u64, String),
    silence: Option<Silence>,
}

/// Silence of the agent.
#[derive(Clone, Copy, Debug)]
struct Silence {
    /// Time at which the agent was heard last.
    heard: Instant,
    /// True once the user was told.
    is_told: bool,
}

/// News about delivery.
#[derive(PartialEq, Eq, Debug)]
enum News {
    None,
    /// All are delivered that were named as late; their number.
    Late(u64),
    /// The only message under way is delivered; as it was typed.
    One(String),
    /// All messages under way are delivered; their number.
    Several(u64),
}

impl Delivery {
    /// Notes a message, as it was typed.
    pub(super) fn on_sent(&mut self, number: u64, typed: String, now: Instant) {
        self.sent.push_back((number, now));
        self.last = (number, typed);
    }

    /// Forgets what has a receipt. `oldest` is the oldest message without one. Returns what is to be shown of it.
    fn on_receipt(&mut self, oldest: Option<u64>) -> News {
        let is_done = |number: u64| oldest.is_none_or(|oldest| number < oldest);
        let mut newest = None;
        while let Some(&(number, _)) = self.sent.front().filter(|(number, _)| is_done(*number)) {
            self.sent.pop_front();
            self.delivered += 1;
            newest = Some(number);
        }
        if self.late > 0 && is_done(self.late_to - 1) {
            self.delivered = 0;
            return News::Late(take(&mut self.late));
        }
        if !self.sent.is_empty() || self.delivered == 0 {
            return News::None;
        }
        match take(&mut self.delivered) {
            1 if newest == Some(self.last.0) => News::One(take(&mut self.last.1)),
            lines => News::Several(lines),
        }
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

    /// Notes that the agent is silent.
    fn on_silent(&mut self, heard: Instant) {
        let is_told = false;
        self.silence.get_or_insert(Silence { heard, is_told });
    }

    /// Returns the time since the agent was heard, if it is to be shown: a session that is replaced at once is no silence.
    fn take_silence(&mut self, now: Instant) -> Option<Duration> {
        let silence = self.silence.as_mut()?;
        let time = now.saturating_duration_since(silence.heard);
        silence.is_told |= time >= limits::SILENCE_NOTED;
        silence.is_told.then_some(time)
    }

    /// Notes that the agent answers again. Returns the time of a silence that the user was told of.
    fn on_back(&mut self, now: Instant) -> Option<Duration> {
        let silence = self.silence.take().filter(|silence| silence.is_told)?;
        Some(now.saturating_duration_since(silence.heard))
    }
}

impl ChatLoop<'_> {
    /// Handles a receipt, or a refusal.
    pub(super) fn on_receipt(&mut self) {
        let news = self.delivery.on_receipt(self.chat.oldest());
        if !self.screen.is_terminal() {
            return;
        }
        match news {
            News::None => {}
            News::Late(1) => self.screen.note("the line is delivered now"),
            News::Late(lines) => {
                let words = format!("the {lines} lines are delivered now");
                self.screen.note(&words);
            }
            News::One(line) => self.screen.delivered(line, self.style.delivered()),
            News::Several(1) => self.screen.status("1 line is delivered"),
            News::Several(lines) => self.screen.status(&format!("{lines} lines are delivered")),
        }
    }

    /// Names lines that are late, and the time of a silence.
    pub(super) fn on_tick(&mut self) {
        let now = Instant::now();
        let late = self.delivery.take_late(now);
        let count = late.len();
        let most = if count > NAMED { 1 } else { NAMED };
        let numbers = self.delivery.sent.range(late).take(most);
        let texts = numbers.filter_map(|(number, _)| self.chat.typed_of(*number));
        let shown: Vec<_> = texts
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
        self.delivery.on_silent(heard);
        self.show_silence(now);
    }

    /// Handles the end of a silence.
    pub(super) fn on_back(&mut self) {
        let label = &self.label;
        if !self.screen.is_terminal() {
            return self.screen.note(&format!("{label} answers again"));
        }
        if let Some(silence) = self.delivery.on_back(Instant::now()) {
            let time = words(silence);
            self.screen
                .note(&format!("{label} answers again, after {time}"));
        }
    }

    fn show_silence(&mut self, now: Instant) {
        if let Some(silence) = self.delivery.take_silence(now) {
            let (label, time) = (&self.label, words(silence));
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
            delivery.on_sent(number, number.to_string(), start);
        }
        assert_eq!(delivery.take_late(start), 0..0);
        assert_eq!(delivery.on_receipt(Some(1)), News::None);
        assert_eq!(delivery.take_late(late), 0..2);
        assert_eq!(delivery.take_late(late), 2..2);
        delivery.on_sent(3, "3".into(), late);
        assert_eq!(delivery.on_receipt(Some(2)), News::None);
        assert_eq!(delivery.take_late(late), 1..1);
        assert_eq!(delivery.on_receipt(Some(3)), News::Late(2));
        assert_eq!(delivery.on_receipt(None), News::One("3".into()));
        assert_eq!(delivery.on_receipt(None), News::None);
        assert_eq!(delivery.take_late(late + limits::RECEIPT_LATE), 0..0);
    }

    #[test]
    fn a_line_alone_is_shown_as_delivered_and_several_are_counted_when_all_are() {
        let now = Instant::now();
        let mut delivery = Delivery::default();
        let send = |delivery: &mut Delivery, number: u64| {
            delivery.on_sent(number, number.to_string(), now);
        };
        send(&mut delivery, 0);
        assert_eq!(delivery.on_receipt(None), News::One("0".into()));
        for number in 1..4 {
            send(&mut delivery, number);
        }
        assert_eq!(delivery.on_receipt(Some(2)), News::None);
        assert_eq!(delivery.on_receipt(None), News::Several(3));
        // One that is refused is not marked in the place of another.
        send(&mut delivery, 4);
        send(&mut delivery, 5);
        assert_eq!(delivery.on_receipt(Some(5)), News::None);
        delivery.on_refused(5);
        assert_eq!(delivery.on_receipt(None), News::Several(1));
    }

    #[test]
    fn a_late_line_that_is_refused_is_not_told_as_delivered() {
        let start = Instant::now();
        let late = start + limits::RECEIPT_LATE;
        let mut delivery = Delivery::default();
        for number in 0..2 {
            delivery.on_sent(number, number.to_string(), start);
        }
        assert_eq!(delivery.take_late(late), 0..2);
        delivery.on_refused(0);
        assert_eq!(delivery.on_receipt(Some(1)), News::None);
        assert_eq!(delivery.on_receipt(None), News::Late(1));
        delivery.on_sent(2, "2".into(), start);
        assert_eq!(delivery.take_late(late), 0..1);
        delivery.on_refused(2);
        assert_eq!(delivery.on_receipt(None), News::None);
    }

    #[test]
    fn the_end_of_a_silence_is_told_only_if_the_silence_was() {
        let start = Instant::now();
        let mut delivery = Delivery::default();
        assert_eq!(delivery.on_back(start), None);
        // As after a reload: the session is replaced at once.
        delivery.on_silent(start);
        assert_eq!(delivery.take_silence(start), None);
        assert_eq!(delivery.on_back(start), None);
        let told = start + limits::SILENCE_NOTED;
        assert_eq!(delivery.take_silence(told), None);
        delivery.on_silent(start);
        // From one second on.
        let soon = told.checked_sub(Duration::from_millis(1)).unwrap();
        assert_eq!(told, start + Duration::from_secs(1));
        assert_eq!(delivery.take_silence(soon), None);
        assert_eq!(delivery.take_silence(told), Some(limits::SILENCE_NOTED));
        // Another session that fails does not begin another silence.
        delivery.on_silent(told);
        assert_eq!(delivery.on_back(told), Some(limits::SILENCE_NOTED));
        assert_eq!(delivery.on_back(told), None);
    }

    #[test]
    fn a_time_is_told_in_its_largest_unit() {
        let told = [12, 119, 120, 7199, 7200, 90_000].map(|n| words(Duration::from_secs(n)));
        assert_eq!(told, ["12 s", "119 s", "2 min", "119 min", "2 h", "25 h"]);
    }
}
