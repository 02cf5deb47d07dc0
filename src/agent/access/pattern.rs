//! Patterns of `allow=`: one word per argument, `*` for any one argument, and `**` at the end for
//! any number of arguments.
//!
//! Words are compared byte for byte. There are no wildcards inside a word: `--file=*` would match
//! `--file=/etc/shadow`, so a star beside other characters is an error.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;

use serde::{Deserialize, Serialize};

/// A pattern for argv.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pattern {
    words: Vec<Word>,
    rest: Rest,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Word {
    Exactly(String),
    Any,
}

/// Arguments allowed after the last word.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
enum Rest {
    Nothing,
    Anything,
}

/// Reason why a text is not a pattern.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PatternError {
    /// The program is missing.
    Empty,
    /// A quote is not closed.
    Quotes,
    /// A star stands beside other characters.
    Star,
    /// `**` stands before the end.
    RestNotLast,
    /// A word begins with an unquoted `#`, so it would be a comment.
    Comment,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "must name a program, as in allow=\"uname -a\"",
            Self::Quotes => "has a quote that is not closed",
            Self::Star => "may have * and ** only as whole words",
            Self::RestNotLast => "may have ** only as its last word",
            Self::Comment => "must have quotes around words that begin with #",
        })
    }
}

/// The pattern in the notation of `allow=`.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |word| match word {
            &Word::Any => "*".into(),
            Word::Exactly(text) => {
                shlex::try_quote(text).expect("options have no control character, so no NUL")
            }
        };
        let rest = match self.rest {
            Rest::Nothing => None,
            Rest::Anything => Some("**".into()),
        };
        let words: Vec<_> = self.words.iter().map(quoted).chain(rest).collect();
        f.write_str(&words.join(" "))
    }
}

impl Pattern {
    /// Parses a pattern, split into words as by a shell.
    ///
    /// # Errors
    /// [`PatternError`]
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        // An unquoted `#` would silently shorten the command. As a comment it would include the
        // appended dot.
        let mut words = shlex::split(&format!("{text} .")).ok_or(PatternError::Quotes)?;
        if words.pop().as_deref() != Some(".") {
            return Err(PatternError::Comment);
        }
        let rest = match words.last().map(String::as_str) {
            Some("**") => {
                words.pop();
                Rest::Anything
            }
            Some(_) => Rest::Nothing,
            None => return Err(PatternError::Empty),
        };
        let words = words
            .into_iter()
            .map(|word| match word.as_str() {
                "*" => Ok(Word::Any),
                "**" => Err(PatternError::RestNotLast),
                _ if word.contains('*') => Err(PatternError::Star),
                _ => Ok(Word::Exactly(word)),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { words, rest })
    }

    /// Returns true if the pattern matches a command line.
    pub fn matches<S: AsRef<OsStr>>(&self, argv: &[S]) -> bool {
        let enough = match self.rest {
            Rest::Nothing => argv.len() == self.words.len(),
            Rest::Anything => argv.len() >= self.words.len(),
        };
        enough
            && self
                .words
                .iter()
                .zip(argv)
                .all(|(word, argument)| match word {
                    Word::Any => true,
                    Word::Exactly(text) => text.as_bytes() == argument.as_ref().as_bytes(),
                })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &str, argv: &[&str]) -> bool {
        Pattern::parse(pattern).unwrap().matches(argv)
    }

    #[test]
    fn the_words_of_a_pattern_are_compared_with_the_arguments() {
        assert!(matches("uname -a", &["uname", "-a"]));
        assert!(!matches("uname -a", &["uname"]));
        assert!(!matches("uname -a", &["uname", "-a", "-b"]));
        assert!(!matches("uname -a", &["uname -a"]));
        assert!(!matches("uname -a", &["/bin/uname", "-a"]));
        assert!(matches("echo 'a  b' \"\" '#'", &["echo", "a  b", "", "#"]));
    }

    #[test]
    fn one_star_matches_one_argument_and_two_match_the_rest() {
        assert!(matches(
            "systemctl * nginx",
            &["systemctl", "stop", "nginx"]
        ));
        assert!(!matches("systemctl * nginx", &["systemctl", "nginx"]));
        assert!(!matches(
            "systemctl * nginx",
            &["systemctl", "a", "b", "nginx"]
        ));
        assert!(matches("git **", &["git"]));
        assert!(matches("git **", &["git", "log", "-p"]));
        assert!(!matches("git * **", &["git"]));
        assert!(matches("**", &["anything"]));
    }

    #[test]
    fn arguments_that_are_not_utf_8_match_stars_only() {
        let argv = [OsStr::new("cat"), OsStr::from_bytes(b"\xff")];
        assert!(Pattern::parse("cat *").unwrap().matches(&argv));
        assert!(!Pattern::parse("cat \u{fffd}").unwrap().matches(&argv));
    }

    #[test]
    fn an_ambiguous_pattern_is_refused() {
        for (text, error) in [
            ("", PatternError::Empty),
            ("   ", PatternError::Empty),
            ("cat --file=*", PatternError::Star),
            ("ls ***", PatternError::Star),
            ("a ** b", PatternError::RestNotLast),
            ("a 'b", PatternError::Quotes),
            ("echo #b", PatternError::Comment),
        ] {
            assert_eq!(Pattern::parse(text), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,40}", near in "[a*'\" \\\\#]{0,20}") {
            let _ = Pattern::parse(&text);
            let _ = Pattern::parse(&near);
        }

        #[test]
        fn a_quoted_command_line_matches_only_itself(
            argv in proptest::collection::vec("[^*\0]{0,8}", 1..5),
            other in proptest::collection::vec("[^*\0]{0,8}", 1..5),
        ) {
            let text = shlex::try_join(argv.iter().map(String::as_str)).unwrap();
            let pattern = Pattern::parse(&text).unwrap();
            prop_assert!(pattern.matches(&argv));
            prop_assert_eq!(pattern.matches(&other), argv == other);
            prop_assert_eq!(Pattern::parse(&pattern.to_string()), Ok(pattern));
        }
    }
}
