//! A command line as words, split as a shell splits it, but without a shell: no variable, pattern or redirection.
//!
//! Invariant: there is a first word, the program, and no word has a NUL.

use std::fmt;
use std::str::FromStr;

use crate::escape;

/// Program and arguments; not empty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Words(Vec<String>);

/// Error of a command line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WordsError {
    /// It has no word, or its program has no name.
    Empty,
    /// A quote is open at its end, or a backslash is its last character.
    Quotes,
    /// It has a NUL.
    Nul,
}

impl fmt::Display for WordsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "write a command",
            Self::Quotes => "a quote is not closed",
            Self::Nul => "a command has no NUL",
        })
    }
}

impl std::error::Error for WordsError {}

/// Writes the words as a shell would take them, on one line and without control characters.
impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.0.iter().map(String::as_str);
        let line = shlex::try_join(words).expect("no word has a NUL");
        f.write_str(&escape::line(line.as_bytes(), usize::MAX))
    }
}

impl FromStr for Words {
    type Err = WordsError;

    fn from_str(line: &str) -> Result<Self, WordsError> {
        Self::new(shlex::split(line).ok_or(WordsError::Quotes)?)
    }
}

impl Words {
    /// Returns the words of a command line that is split already.
    ///
    /// # Errors
    /// [`WordsError`]
    pub fn new(words: Vec<String>) -> Result<Self, WordsError> {
        if words.iter().any(|word| word.contains('\0')) {
            return Err(WordsError::Nul);
        }
        match words.first() {
            Some(program) if !program.is_empty() => Ok(Self(words)),
            Some(_) | None => Err(WordsError::Empty),
        }
    }

    /// Returns the program.
    #[must_use]
    pub fn program(&self) -> &str {
        &self.0[0]
    }

    /// Returns the arguments.
    #[must_use]
    pub fn arguments(&self) -> &[String] {
        &self.0[1..]
    }

    /// Returns program and arguments.
    #[must_use]
    pub fn all(&self) -> &[String] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_of_a_bot_is_split_into_words_and_not_expanded() {
        let words: Words = r#"sh -c 'cat; echo "$HOME"' *.txt"#.parse().unwrap();
        assert_eq!(words.program(), "sh");
        assert_eq!(words.arguments(), ["-c", r#"cat; echo "$HOME""#, "*.txt"]);
        assert_eq!(words.to_string().parse(), Ok(words));
        let hostile: Words = "echo '\u{1b}[2J\n'".parse().unwrap();
        assert_eq!(hostile.to_string(), "echo '\\u{1b}[2J\\n'");
        for (line, error) in [
            ("", WordsError::Empty),
            ("''", WordsError::Empty),
            ("echo 'x", WordsError::Quotes),
            ("echo \0", WordsError::Nul),
        ] {
            assert_eq!(line.parse::<Words>(), Err(error), "{line:?}");
        }
    }
}
