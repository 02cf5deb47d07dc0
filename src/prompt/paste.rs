//! Lines that arrive at once: a pasted text, or lines typed ahead.
//!
//! Not the lines of a pipe, which are sent as they are. Invariants: lines leave in the order in which they were typed; of
//! more than [`limits::PASTE_UNASKED`] at once, none leaves before the user has agreed.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::time::Instant;

use super::activity::Activity;
use super::command::{Command, Typed};
use super::limits;

/// Lines between the prompt and the chat.
#[derive(Default, Debug)]
pub struct Paste {
    /// Activity at the prompt; `None` without a prompt, where nothing is held.
    activity: Option<Activity>,
    /// Input that may go on.
    held: VecDeque<Typed>,
    /// Time of the last of it.
    last: Option<Instant>,
    state: State,
    /// Lines behind the bound, which are not kept.
    excess: usize,
    /// Lines in the place of an answer, which are not kept, and the time of the last one.
    others: usize,
    last_other: Option<Instant>,
    ready: VecDeque<Typed>,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum State {
    #[default]
    Collecting,
    /// The user was asked whether to send what is held.
    Asked,
}

/// Decision about lines that were held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    /// There is nothing to decide, or the lines are ready.
    None,
    /// The user has to be asked.
    Ask,
    /// Number of lines that came in the place of an answer.
    AskAgain(usize),
    /// The lines are dropped, as the user has decided, or left without an answer.
    Dropped(usize),
    /// The lines are dropped because there are too many.
    TooMany(usize),
}

impl Decision {
    /// Returns true if the user is to answer.
    pub const fn is_question(self) -> bool {
        matches!(self, Self::Ask | Self::AskAgain(_))
    }

    /// Returns the words about `held` lines that the user reads.
    pub fn words(self, held: usize) -> Option<String> {
        let most = limits::PASTE_LINES;
        Some(match self {
            Self::None => return None,
            Self::Ask => {
                format!("{held} lines at once: type \"y\" to send them, \"n\" to drop them")
            }
            Self::AskAgain(others) => {
                let others = match others {
                    1 => "not sent".to_owned(),
                    others => format!("{others} lines are not sent"),
                };
                format!(
                    "{others}; first type \"y\" to send the {held} lines before, or \"n\" to drop them"
                )
            }
            Self::Dropped(lines) => format!("{lines} lines are not sent"),
            Self::TooMany(lines) => format!(
                "{lines} lines are not sent: at most {most} at once, or any number through a pipe"
            ),
        })
    }
}

impl Paste {
    /// Holds the lines of a prompt. Without one, lines pass.
    pub fn new(activity: Option<Activity>) -> Self {
        Self {
            activity,
            ..Self::default()
        }
    }

    /// Adds input.
    pub fn push(&mut self, now: Instant, typed: Typed) -> Decision {
        if self.activity.is_none() {
            self.ready.push_back(typed);
            return Decision::None;
        }
        if typed == Typed::Discarded {
            return Decision::None;
        }
        if typed == Typed::Refused {
            return self.refuse();
        }
        let is_end = !matches!(
            typed,
            Typed::Line(_) | Typed::Command(_) | Typed::Unknown(_)
        );
        if is_end {
            let dropped = if self.is_long() {
                self.drop_all()
            } else {
                Decision::None
            };
            self.release();
            self.ready.push_back(typed);
            return dropped;
        }
        if self.state == State::Asked {
            match answer(&typed) {
                // A line of another paste is no answer.
                Some(_) if self.others > 0 => {}
                Some(true) => {
                    self.release();
                    return Decision::None;
                }
                Some(false) => return self.drop_all(),
                None => {}
            }
            // Further lines of a paste may arrive late, as over a slow link.
            let is_late = |last| now < last + limits::PASTE_LATE;
            if self.others > 0 || !self.last.is_some_and(is_late) {
                self.others += 1;
                self.last_other = Some(now);
                return Decision::None;
            }
        }
        self.set_state(State::Collecting);
        self.last = Some(now);
        if self.held.len() < limits::PASTE_LINES {
            self.held.push_back(typed);
        } else {
            self.excess += 1;
        }
        Decision::None
    }

    /// Returns the time at which lines that arrive at once are complete, unless more arrive.
    pub fn deadline(&self) -> Option<Instant> {
        if self.state == State::Asked {
            return self.last_other.map(|last| last + limits::PASTE_PAUSE);
        }
        if self.held.is_empty() {
            return None;
        }
        let key = self.activity.as_ref().and_then(Activity::last_key);
        self.last.max(key).map(|last| last + limits::PASTE_PAUSE)
    }

    /// Handles the time of [`Self::deadline`].
    pub fn on_deadline(&mut self, now: Instant) -> Decision {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return Decision::None;
        }
        if self.state == State::Asked {
            self.last_other = None;
            return Decision::AskAgain(std::mem::take(&mut self.others));
        }
        if self.excess > 0 {
            let dropped = Decision::TooMany(self.len());
            self.drop_all();
            return dropped;
        }
        if self.is_long() {
            self.set_state(State::Asked);
            return Decision::Ask;
        }
        self.release();
        Decision::None
    }

    /// Returns the next input that is ready.
    pub fn next(&mut self) -> Option<Typed> {
        self.ready.pop_front()
    }

    /// Returns true if nothing is ready, so that further input may be added.
    pub fn has_room(&self) -> bool {
        self.ready.is_empty()
    }

    /// Returns the number of lines that are held.
    pub fn len(&self) -> usize {
        self.held.len() + self.excess
    }

    /// Takes the lines that are complete and not processed, in their order, for another prompt. Returns also the decision about
    /// those that are not among them.
    pub fn take_lines(&mut self) -> (Vec<String>, Decision) {
        let decision = match (self.excess, self.others) {
            (0, 0) => Decision::None,
            (0, others) => Decision::Dropped(others),
            _ => Decision::TooMany(self.len()),
        };
        let mut all = std::mem::take(&mut self.ready);
        if self.excess == 0 {
            all.append(&mut self.held);
        }
        self.drop_all();
        (all.iter().filter_map(Typed::to_line).collect(), decision)
    }

    /// Returns the lines that have not left, in their order.
    pub fn unsent(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let all = self.ready.iter().chain(&self.held);
        all.filter_map(|typed| match typed {
            Typed::Line(line) => Some(line.into()),
            Typed::Command(Command::Me(text)) => Some(format!("/me {text}").into()),
            Typed::Command(Command::Msg { to, text }) => Some(format!("/msg {to} {text}").into()),
            Typed::Command(Command::Who | Command::Exec(_) | Command::Cancel | Command::Help)
            | Typed::Unknown(_)
            | Typed::Leave
            | Typed::End
            | Typed::Interrupted
            | Typed::Discarded
            | Typed::Refused
            | Typed::Failed(_) => None,
        })
    }

    /// Returns the words of the question, while it is open.
    pub fn question(&self) -> Option<String> {
        let is_asked = self.state == State::Asked;
        is_asked.then(|| Decision::Ask.words(self.len())).flatten()
    }

    /// Drops what the user was asked about.
    fn refuse(&mut self) -> Decision {
        if self.len() + self.others == 0 {
            return Decision::None;
        }
        self.drop_all()
    }

    fn is_long(&self) -> bool {
        self.held.len() > limits::PASTE_UNASKED
    }

    fn release(&mut self) {
        self.ready.append(&mut self.held);
        self.last = None;
        (self.others, self.last_other) = (0, None);
        self.set_state(State::Collecting);
    }

    fn set_state(&mut self, state: State) {
        self.state = state;
        if let Some(activity) = &self.activity {
            activity.set_paste_asked(state == State::Asked);
        }
    }

    fn drop_all(&mut self) -> Decision {
        let dropped = self.len() + self.others;
        (self.held, self.excess) = (VecDeque::new(), 0);
        self.release();
        Decision::Dropped(dropped)
    }
}

/// Returns the answer to the question whether to send.
fn answer(typed: &Typed) -> Option<bool> {
    match typed {
        Typed::Line(line) => answer_of(line),
        _ => None,
    }
}

/// Returns the answer of a line to the question whether to send. `None` if it is none.
pub fn answer_of(line: &str) -> Option<bool> {
    match &line.trim().to_lowercase()[..] {
        "y" | "yes" => Some(true),
        "n" | "no" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: usize) -> Typed {
        Typed::Line(number.to_string())
    }

    /// Returns a prompt with lines that were pasted, and the decision about them.
    fn pasted(count: usize) -> (Paste, Decision) {
        let mut paste = Paste::new(Some(Activity::default()));
        let now = Instant::now();
        for number in 0..count {
            assert!(paste.has_room());
            assert_eq!(paste.push(now, line(number)), Decision::None);
            assert_eq!(paste.next(), None);
        }
        assert_eq!(paste.on_deadline(now), Decision::None);
        let decision = paste.on_deadline(paste.deadline().unwrap());
        (paste, decision)
    }

    fn rest(mut paste: Paste) -> Vec<Typed> {
        std::iter::from_fn(|| paste.next()).collect()
    }

    #[test]
    fn twenty_lines_at_once_are_sent_in_order_and_more_are_asked_about() {
        let (paste, decision) = pasted(20);
        assert_eq!(decision, Decision::None);
        assert_eq!(rest(paste), (0..20).map(line).collect::<Vec<_>>());
        for (answer, all) in [("y", true), (" YES ", true), ("n", false), ("no", false)] {
            let (mut paste, decision) = pasted(21);
            assert_eq!(decision, Decision::Ask);
            let now = Instant::now() + limits::PASTE_LATE;
            let other = Typed::Line("yet another line".into());
            assert_eq!(paste.push(now, other), Decision::None);
            assert_eq!(paste.next(), None);
            let complete = paste.deadline().unwrap();
            assert_eq!(paste.on_deadline(complete), Decision::AskAgain(1));
            let expected = if all {
                Decision::None
            } else {
                Decision::Dropped(21)
            };
            assert_eq!(paste.push(now, Typed::Line(answer.into())), expected);
            let sent = if all { 21 } else { 0 };
            assert_eq!(rest(paste), (0..sent).map(line).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_end_of_input_sends_a_few_lines_and_drops_many_that_nobody_agreed_to() {
        let now = Instant::now();
        for (count, decision) in [(20, Decision::None), (21, Decision::Dropped(21))] {
            let mut paste = Paste::new(Some(Activity::default()));
            for number in 0..count {
                paste.push(now, line(number));
            }
            assert_eq!(paste.push(now, Typed::Leave), decision);
            let sent = if count > 20 { 0 } else { count };
            let expected = (0..sent).map(line).chain([Typed::Leave]);
            assert_eq!(rest(paste), expected.collect::<Vec<_>>());
        }
        let (mut paste, _) = pasted(21);
        assert_eq!(paste.push(now, Typed::Leave), Decision::Dropped(21));
        assert_eq!(rest(paste), [Typed::Leave]);
    }

    #[test]
    fn a_part_that_comes_late_belongs_to_the_paste_and_too_many_lines_are_dropped_as_a_whole() {
        let (mut paste, _) = pasted(30);
        let soon = Instant::now();
        assert_eq!(paste.push(soon, line(30)), Decision::None);
        assert_eq!(paste.next(), None);
        assert_eq!(paste.on_deadline(soon + limits::PASTE_PAUSE), Decision::Ask);
        assert_eq!(paste.len(), 31);
        let many = limits::PASTE_LINES + 5;
        let (mut paste, decision) = pasted(many);
        assert_eq!(decision, Decision::TooMany(many));
        assert_eq!((paste.next(), paste.deadline()), (None, None));
    }

    #[test]
    fn ctrl_c_and_ctrl_d_at_the_question_drop_the_lines_and_nothing_else() {
        let (mut paste, _) = pasted(21);
        assert!(paste.question().unwrap().starts_with("21 lines at once"));
        let now = Instant::now();
        assert_eq!(paste.push(now, Typed::Refused), Decision::Dropped(21));
        assert_eq!((paste.question(), paste.next()), (None, None));
        // The question was answered meanwhile.
        assert_eq!(paste.push(now, Typed::Refused), Decision::None);
        assert_eq!(paste.next(), None);
    }

    #[test]
    fn another_paste_in_the_place_of_an_answer_is_counted_as_a_whole() {
        let (mut paste, _) = pasted(21);
        let now = Instant::now() + limits::PASTE_LATE;
        for text in ["z", "y", "n", "last"] {
            let typed = Typed::Line(text.into());
            assert_eq!(paste.push(now, typed), Decision::None);
            assert_eq!(paste.on_deadline(now), Decision::None);
        }
        let again = paste.on_deadline(now + limits::PASTE_PAUSE);
        assert_eq!(again, Decision::AskAgain(4));
        let words = again.words(paste.len()).unwrap();
        assert!(
            words.starts_with("4 lines are not sent; first type"),
            "{words}"
        );
        assert_eq!(paste.deadline(), None);
        // Nothing of it is lost unsaid at the end.
        assert_eq!(paste.push(now, Typed::Line("x".into())), Decision::None);
        assert_eq!(paste.push(now, Typed::Leave), Decision::Dropped(22));
    }

    #[test]
    fn only_an_open_question_about_a_paste_has_answers() {
        let (mut paste, _) = pasted(21);
        let activity = paste.activity.clone().unwrap();
        assert!(activity.is_paste_asked());
        let yes = Typed::Line("y".into());
        paste.push(Instant::now(), yes);
        assert!(!activity.is_paste_asked());
    }

    #[test]
    fn lines_that_are_not_processed_are_taken_for_another_prompt() {
        let (mut paste, _) = pasted(21);
        let now = Instant::now() + limits::PASTE_LATE;
        paste.push(now, Typed::Line("another".into()));
        let (lines, decision) = paste.take_lines();
        let numbers: Vec<_> = (0..21).map(|number| number.to_string()).collect();
        assert_eq!((lines, decision), (numbers, Decision::Dropped(1)));
        assert_eq!(paste.next(), None);
        let mut paste = Paste::new(Some(Activity::default()));
        for number in 0..=limits::PASTE_LINES {
            paste.push(now, line(number));
        }
        let too_many = Decision::TooMany(limits::PASTE_LINES + 1);
        assert_eq!(paste.take_lines(), (Vec::new(), too_many));
    }

    #[test]
    fn lines_of_a_pipe_are_not_held() {
        let mut paste = Paste::new(None);
        for number in 0..100 {
            assert_eq!(paste.push(Instant::now(), line(number)), Decision::None);
            assert_eq!(paste.next(), Some(line(number)));
        }
        assert_eq!(paste.deadline(), None);
    }
}
