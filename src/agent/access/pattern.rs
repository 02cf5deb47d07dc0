//! Patterns of `allow=`: one word an argument, `*` any one argument, `**` any number, at the end only.
//!
//! Words are compared byte for byte. There are no globs inside a word: `--file=*` would let through
//! `--file=/etc/shadow`, so a star beside other characters is an error rather than a surprise.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;

/// A pattern over argv.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pattern {
    words: Vec<Word>,
    rest: Rest,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Word {
    Exactly(String),
    Any,
}

/// What may follow the last word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Rest {
    Nothing,
    Anything,
}

/// Why a text is no pattern.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PatternError {
    /// No program is named.
    Empty,
    /// A quote without its partner.
    Quotes,
    /// A star beside other characters.
    Star,
    /// `**` before the end.
    RestNotLast,
    /// What follows a `#` at the beginning of a word would not count.
    Comment,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "must name a program, as in allow=\"uname -a\"",
            Self::Quotes => "has a quote without its partner",
            Self::Star => "may have * and ** only as whole words",
            Self::RestNotLast => "may have ** only as its last word",
            Self::Comment => "must have quotes around words that begin with #",
        })
    }
}

/// As it is written in `allow=`.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |word| match word {
            &Word::Any => "*".into(),
            Word::Exactly(text) => {
                shlex::try_quote(text).expect("no option has a NUL, as it has no control character")
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
    /// Reads a pattern, split into words as a shell would.
    ///
    /// # Errors
    /// [`PatternError`]
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        // A comment would silently make another command of it; it swallows the dot.
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

    /// Whether a command line is one of those meant.
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
    fn words_are_compared_one_by_one() {
        assert!(matches("uname -a", &["uname", "-a"]));
        assert!(!matches("uname -a", &["uname"]));
        assert!(!matches("uname -a", &["uname", "-a", "-b"]));
        assert!(!matches("uname -a", &["uname -a"]));
        assert!(!matches("uname -a", &["/bin/uname", "-a"]));
        assert!(matches("echo 'a  b' \"\" '#'", &["echo", "a  b", "", "#"]));
    }

    #[test]
    fn one_star_is_one_argument_and_two_are_the_rest() {
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
    fn what_might_mean_more_than_it_says_is_refused() {
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
        fn a_quoted_command_line_matches_itself_alone(
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
