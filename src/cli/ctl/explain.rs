//! `udpctl explain`: what a status or an outcome means, from the one table. Asks nobody.

use std::fmt::Write as _;
use std::str::FromStr;

use anyhow::Result;

use super::args::ExplainArgs;
use super::context::print;
use crate::message::lookup;
use crate::message::outcome::{ALL, Outcome};
use crate::message::status::{STATUSES, Scope};

/// What is to be explained.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Word {
    /// An exit status.
    Number(u8),
    /// The name of an outcome.
    Named(Outcome),
}

impl FromStr for Word {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(number) = text.parse() {
            return Ok(Self::Number(number));
        }
        lookup::named(text).map(Self::Named).ok_or_else(|| {
            let names: Vec<_> = ALL.iter().map(|outcome| outcome.row().name).collect();
            format!(
                "neither a status from 0 to 255 nor an outcome; these are {}",
                names.join(", ")
            )
        })
    }
}

/// Prints what is known about it.
pub fn explain(args: &ExplainArgs) -> Result<u8> {
    print(&match args.what {
        Word::Number(number) => of_number(number),
        Word::Named(outcome) => of_outcome(outcome),
    })?;
    Ok(0)
}

fn of_number(number: u8) -> String {
    let mut text = format!("{number} with one target:\n");
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
    text
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

/// The name, and the words unless they begin with it anyway.
fn titled(name: &str, words: &str) -> String {
    if words.starts_with(name) {
        words.to_owned()
    } else {
        format!("{name}: {words}")
    }
}

/// As `--json` has it.
fn json(outcome: Outcome) -> String {
    serde_json::to_string(&outcome).expect("names and numbers have a JSON form")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_a_status_or_a_name() {
        assert_eq!("137".parse(), Ok(Word::Number(137)));
        assert_eq!("lost".parse(), Ok(Word::Named(Outcome::Lost {})));
        assert!("256".parse::<Word>().is_err());
        let error = "fine".parse::<Word>().unwrap_err();
        assert!(error.ends_with("lost, unreachable, unknown"), "{error}");
    }

    #[test]
    fn a_number_of_several_outcomes_names_them_all() {
        let text = of_number(137);
        assert_eq!(
            text,
            "137 with one target:\n  \
             signaled: ended by signal 9 (KILL)\n    \
             The command ran and a signal ended it.\n    \
             {\"signaled\":{\"signal\":9,\"core\":false}}\n  \
             exited with status 137\n    \
             The command ran and returned this status.\n    \
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
