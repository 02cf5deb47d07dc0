//! `udpctl explain`: the meaning of an exit status, an outcome or a class of outcomes, from the table behind messages and manual.
//!
//! Works offline: no agent is asked.

use std::fmt::Write as _;
use std::str::FromStr;

use anyhow::Result;
use clap::Args;
use clap_complete::engine::ArgValueCompleter;

use super::candidates;
use super::context::print;
use crate::message::Fate;
use crate::message::lookup;
use crate::message::outcome::{ALL, Outcome};
use crate::message::signal::signal_name;
use crate::message::status::{STATUSES, Scope};

const EXAMPLES: &str = "\
Examples:
  udpctl explain 137
  udpctl explain lost";

/// `udpctl explain`
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct ExplainArgs {
    /// Exit status such as 137, or name of an outcome or class such as lost or skipped
    #[arg(value_name = "STATUS", add = ArgValueCompleter::new(candidates::outcome))]
    pub word: Word,
}

/// A word that can be explained.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Word {
    /// An exit status.
    Number(u8),
    /// The name of an outcome.
    Named(Outcome),
    /// The name of a class of hosts, other than those that are outcomes.
    Class(Fate),
}

impl FromStr for Word {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(number) = text.parse() {
            return Ok(Self::Number(number));
        }
        if let Some(outcome) = lookup::named(text) {
            return Ok(Self::Named(outcome));
        }
        if let Some(class) = Fate::named(&text.to_ascii_lowercase()) {
            return Ok(Self::Class(class));
        }
        let outcomes: Vec<_> = ALL.iter().map(|outcome| outcome.row().name).collect();
        let classes: Vec<_> = lookup::classes().collect();
        Err(format!(
            "neither an exit status from 0 to 255 nor an outcome; the outcomes are {}; the classes of hosts are {}",
            outcomes.join(", "),
            classes.join(", ")
        ))
    }
}

/// Prints the explanation.
pub fn run(args: &ExplainArgs) -> Result<u8> {
    print(&match args.word {
        Word::Number(number) => of_number(number),
        Word::Named(outcome) => of_outcome(outcome),
        Word::Class(class) => of_class(class),
    })?;
    Ok(0)
}

fn of_number(number: u8) -> String {
    let mut text = of_signal(number).unwrap_or_default();
    let _ = writeln!(text, "{number} with one target:");
    let statuses = |scope| {
        STATUSES
            .into_iter()
            .filter(move |status| status.number == number && status.scope == scope)
    };
    for found in lookup::outcomes(number) {
        let _ = writeln!(
            text,
            "  {}\n    {}\n    {}",
            titled(found.row.name, &found.outcome.to_string()),
            found.row.explanation(),
            json(found.outcome)
        );
    }
    for status in statuses(Scope::One) {
        let _ = writeln!(text, "  {}", status.meaning);
    }
    for status in statuses(Scope::Several) {
        let _ = writeln!(text, "{number} with several targets:\n  {}", status.meaning);
    }
    for status in statuses(Scope::Agent) {
        let _ = writeln!(text, "{number} of udpagent:\n  {}", status.meaning);
    }
    text
}

/// Returns the line about a status above 128, which stands for a signal by the convention of shells.
fn of_signal(number: u8) -> Option<String> {
    let signal = number.checked_sub(128)?;
    let name = signal_name(signal.into())?;
    Some(format!(
        "{number} is 128+{signal}, as udpctl and shells report an end by SIG{name}\n"
    ))
}

fn of_outcome(outcome: Outcome) -> String {
    let row = outcome.row();
    format!(
        "{}\n  {}\n  exit status: {}\n  {}\n",
        titled(row.name, row.words),
        row.explanation(),
        row.status,
        json(outcome)
    )
}

fn of_class(class: Fate) -> String {
    format!(
        "{}: class of hosts of a run on several targets\n  {}\n  exit status if it is the gravest: {}\n",
        class.name(),
        class.meaning(),
        class.exit_status()
    )
}

/// Joins name and words, unless the words begin with the name.
fn titled(name: &str, words: &str) -> String {
    if words.starts_with(name) {
        words.to_owned()
    } else {
        format!("{name}: {words}")
    }
}

/// Formats an outcome as `--json` does.
fn json(outcome: Outcome) -> String {
    serde_json::to_string(&outcome).expect("names and numbers have a JSON form")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explain_takes_a_status_or_the_name_of_an_outcome() {
        assert_eq!("137".parse(), Ok(Word::Number(137)));
        assert_eq!("lost".parse(), Ok(Word::Named(Outcome::Lost {})));
        assert!("256".parse::<Word>().is_err());
        let error = "fine".parse::<Word>().unwrap_err();
        assert!(error.contains("lost, unreachable, unknown; "), "{error}");
        assert!(
            error.ends_with("are ok, failed, stopped, left, skipped"),
            "{error}"
        );
    }

    #[test]
    fn every_word_that_is_printed_as_an_outcome_is_explained() {
        for outcome in ALL {
            for text in [outcome.row().name, outcome.row().words] {
                assert_eq!(text.parse(), Ok(Word::Named(outcome)), "{text}");
            }
        }
        for class in Fate::ALL {
            for text in [class.name(), class.key()] {
                let Ok(word) = text.parse() else {
                    panic!("{text}");
                };
                match word {
                    Word::Class(of_word) => assert_eq!(of_word, class),
                    Word::Named(outcome) => assert_eq!(outcome.row().name, text),
                    Word::Number(number) => panic!("{number}"),
                }
            }
        }
        assert_eq!("cancelled".parse(), Ok(Word::Named(Outcome::Canceled {})));
        assert_eq!(
            of_class(Fate::Stopped),
            "stopped: class of hosts of a run on several targets\n  The command was ended before it was done.\n  \
             exit status if it is the gravest: 3\n"
        );
    }

    #[test]
    fn a_status_that_several_outcomes_share_explains_each_of_them() {
        let text = of_number(137);
        assert_eq!(
            text,
            "137 is 128+9, as udpctl and shells report an end by SIGKILL\n137 with one target:\n  \
             signaled: ended by signal 9 (KILL)\n    \
             The command ran and a signal ended it.\n    \
             {\"signaled\":{\"signal\":9,\"core\":false}}\n  \
             exited with status 137\n    \
             The command ran and returned this status. If a process that it left behind still holds its \
             output open, a line on standard error says so, and output written later is not shown.\n    \
             {\"exited\":{\"code\":137}}\n"
        );
        for outcome in ALL {
            let text = of_number(outcome.exit_status());
            assert!(text.contains(outcome.row().meaning), "{outcome:?}: {text}");
        }
        for status in STATUSES {
            assert!(of_number(status.number).contains(status.meaning));
        }
    }
}
