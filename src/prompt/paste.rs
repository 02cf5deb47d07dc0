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

/// Lines between a person and the chat.
#[derive(Default, Debug)]
pub struct Paste {
    /// Activity of the person who types; `None` for a pipe, of which nothing is held.
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
    /// Holds the lines of a person. Without one, lines pass.
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

    /// Handles the time of [`Self::deadline`]. `has_more` returns true if further input has arrived that is not added yet: a
    /// program that was delayed itself, and not the user, makes no pause.
    pub fn on_deadline(&mut self, now: Instant, has_more: impl FnOnce() -> bool) -> Decision {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return Decision::None;
        }
        if has_more() {
            let last = if self.state == State::Asked {
                &mut self.last_other
            } else {
                &mut self.last
            };
            *last = Some(now);
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

    /// Asks about lines that are held, if they are many, without waiting for more.
    pub fn ask_about_many(&mut self) {
        if self.is_long() && self.excess == 0 {
            self.set_state(State::Asked);
        }
    }

    /// Releases what is held, unless the user is to agree to it.
    pub fn release_few(&mut self) {
        if !self.is_long() {
            self.release();
        }
    }

    /// Returns the input that [`next`](Self::next) returns.
    pub fn peek(&self) -> Option<&Typed> {
        self.ready.front()
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
    pub fn take_lines(&mut self) -> (Vec<Typed>, Decision) {
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
        (all.into_iter().filter(Typed::is_line).collect(), decision)
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

    /// Returns the input that this is where there is no prompt: the end of input in the place of an answer is the end, if it
    /// refuses nothing. The thread that reads does not know of an answer that was not taken yet.
    pub fn or_end(&self, typed: Typed, end: Typed) -> Typed {
        if typed == Typed::Refused && self.len() + self.others == 0 {
            end
        } else {
            typed
        }
    }

    /// Drops what the user was asked about.
    fn refuse(&mut self) -> Decision {
        if self.len() + self.others == 0 {
            return Decision::None;
        }
        self.drop_all()
    }

    /// Returns true if the user is to agree to what is held.
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
mod tests;
