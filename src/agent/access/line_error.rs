//! The faults that a line of `authorized_keys` or `invites` can have.

use std::fmt;

use super::PatternError;
use crate::crypto::ParseKeyError;
use crate::escape;
use crate::message::limits::NAME;
use crate::process::AccountError;

/// List of the options for error messages.
const KNOWN: &str = "allow=, copy=, chat-only, forward=, user=, from=, max-jobs=, expires=, memory=, pids=, cpu=, admin";

/// Error in a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LineError {
    /// A byte is not part of a text.
    NotText,
    /// A quote is not closed.
    Quotes,
    /// The first word is not a key.
    Key(ParseKeyError),
    /// The second word, the name, is missing.
    NoName,
    /// The second word is not a valid name.
    Name(String),
    /// The name looks like that of another key, in this line, and is another one.
    LookAlike(String, usize),
    /// An option has a control character.
    Control(String),
    /// A word is not an option.
    UnknownOption(String),
    /// An option has an invalid value.
    Value {
        /// The option.
        option: &'static str,
        /// Its value.
        value: String,
        /// Description of valid values.
        want: &'static str,
    },
    /// `allow=` has an invalid pattern.
    Pattern(PatternError),
    /// An option that is allowed once is given twice.
    Twice(&'static str),
    /// Two options are given of which each excludes the other.
    Contradiction(&'static str, &'static str),
    /// The key is already in an earlier line.
    DuplicateKey(usize),
    /// `expires=` has passed.
    Expired,
    /// The agent cannot run commands as a user that `user=` names.
    User(String, AccountError),
    /// A line of `invites` does not begin with a hash and a time.
    Record,
}

impl LineError {
    /// Returns true if the key that the line is about is not known.
    pub(super) const fn is_about_unknown_key(&self) -> bool {
        matches!(self, Self::Key(_))
    }
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |text: &str| escape::line(text.as_bytes(), 2 * NAME).into_owned();
        match self {
            Self::NotText => f.write_str("not UTF-8 text; write the line again"),
            Self::Quotes => f.write_str("a quote is not closed; close it on the same line"),
            Self::Key(error) => write!(
                f,
                "{error}; begin the line with the key that \"udpctl id\" prints on the controller"
            ),
            Self::NoName => {
                f.write_str("the name after the key is missing; write KEY NAME [OPTION...]")
            }
            Self::Name(name) => write!(
                f,
                "\"{}\" is not a name; write at most {NAME} ASCII letters, digits and -_.@+, and options after it",
                shown(name)
            ),
            Self::LookAlike(name, line) => write!(
                f,
                "the name \"{}\" looks like that of the key in line {line}; write the same name or another one",
                shown(name)
            ),
            Self::Control(word) => {
                write!(f, "\"{}\" has a control character; remove it", shown(word))
            }
            Self::UnknownOption(word) => {
                write!(f, "unknown option \"{}\"; use one of {KNOWN}", shown(word))
            }
            Self::Value {
                option,
                value,
                want,
            } => write!(f, "{option}= must be {want}, not \"{}\"", shown(value)),
            Self::Pattern(error) => write!(f, "allow= {error}"),
            Self::Twice(option) => write!(f, "{option}= is given twice; keep one"),
            Self::Contradiction(first, second) => {
                write!(f, "{first} and {second} contradict each other; keep one")
            }
            Self::DuplicateKey(first) => {
                write!(f, "this key is already in line {first}; keep one")
            }
            Self::Expired => {
                f.write_str("expires= has passed; remove the line or write a later time")
            }
            Self::User(user, error) => write!(f, "user={user}: {error}"),
            Self::Record => f.write_str("not an invitation; remove the line and invite again"),
        }
    }
}

impl std::error::Error for LineError {}
