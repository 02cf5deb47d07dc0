//! The command line up to the cursor, as a shell reads it: words, quotes and backslashes.
//!
//! Not expansions, operators and comments: a word with a variable has the text that was typed. Invariant: what
//! [`Line::insertion`] returns, put in the place of the text that the shell replaces, makes the current word the candidate.

/// Characters that mean nothing to a shell inside a word.
const PLAIN: &str = "_./:@%+,=^-";

/// A command line up to the cursor.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Line {
    /// Words before the one at the cursor, the program's name first.
    pub words: Vec<String>,
    /// Word at the cursor, without its quotes.
    pub current: String,
    /// The same as typed.
    raw: String,
    /// Quote that is open at the cursor.
    quote: Option<char>,
}

impl Line {
    /// Returns a line that the shell has split.
    pub fn of_words(words: Vec<String>, current: String) -> Self {
        Self {
            words,
            current,
            ..Self::default()
        }
    }

    /// Parses a line.
    pub fn parse(text: &str) -> Self {
        let mut line = Self::default();
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            if line.quote.is_none() && letter.is_ascii_whitespace() {
                if !line.raw.is_empty() {
                    line.words.push(std::mem::take(&mut line.current));
                    line.raw.clear();
                }
                continue;
            }
            line.raw.push(letter);
            match (letter, line.quote) {
                ('\\', None | Some('"')) => {
                    let Some(next) = letters.next() else { break };
                    line.raw.push(next);
                    if line.quote.is_some() && !"\"\\$`".contains(next) {
                        line.current.push('\\');
                    }
                    line.current.push(next);
                }
                ('"' | '\'', None) => line.quote = Some(letter),
                (quote, Some(open)) if quote == open => line.quote = None,
                _ => line.current.push(letter),
            }
        }
        line
    }

    /// Returns the text that makes the current word a candidate, in the place of `replaced`, the end of the word as typed.
    /// Returns `None` if the candidate does not begin as the word.
    pub fn insertion(&self, candidate: &str, replaced: &str) -> Option<String> {
        let kept = self.raw.strip_suffix(replaced).unwrap_or_default();
        let kept = Self::parse(kept).current;
        let rest = candidate.strip_prefix(&kept)?;
        let mut text = String::new();
        for letter in rest.chars() {
            match self.quote {
                Some('\'') if letter == '\'' => text.push_str("'\\'"),
                Some('"') if "\"\\$`".contains(letter) => text.push('\\'),
                None if !letter.is_alphanumeric() && !PLAIN.contains(letter) => text.push('\\'),
                Some(_) | None => {}
            }
            text.push(letter);
        }
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_split_as_by_a_shell() {
        for (text, words, current) in [
            ("", &[][..], ""),
            ("udpctl", &[], "udpctl"),
            ("udpctl ", &["udpctl"], ""),
            ("udpctl  exec we", &["udpctl", "exec"], "we"),
            ("u web1:7000", &["u"], "web1:7000"),
            ("u 'a b' \"c d", &["u", "a b"], "c d"),
            (r"u web\[1-4\]", &["u"], "web[1-4]"),
            (r#"u "a\"\x"b"#, &["u"], r#"a"\xb"#),
            ("u '' ", &["u", ""], ""),
            ("u a\\", &["u"], "a"),
        ] {
            let line = Line::parse(text);
            assert_eq!(
                (&line.words[..], &line.current[..]),
                (
                    &words.iter().map(ToString::to_string).collect::<Vec<_>>()[..],
                    current
                ),
                "{text}"
            );
        }
    }

    #[test]
    fn a_candidate_replaces_the_end_of_the_word_and_is_quoted() {
        for (text, replaced, candidate, inserted) in [
            ("u we", "we", "web1", Some("web1")),
            // A shell may replace only what follows a colon.
            ("u web1:70", "70", "web1:7000", Some("7000")),
            ("u web1:", "", "web1:7000", Some("7000")),
            ("u @d", "@d", "@db", Some("@db")),
            ("u we", "we", "web[1-4]", Some(r"web\[1-4\]")),
            (r"u web\[1", r"web\[1", "web[1-4]", Some(r"web\[1-4\]")),
            ("u \"we", "we", "web[1-4]", Some("web[1-4]")),
            ("u \"", "", "a$b", Some(r"a\$b")),
            ("u 'it", "it", "it's", Some(r"it'\''s")),
            ("u ", "", "!x y", Some(r"\!x\ y")),
            ("u web1:70", "70", "db", None),
        ] {
            let line = Line::parse(text);
            assert_eq!(
                line.insertion(candidate, replaced).as_deref(),
                inserted,
                "{text}"
            );
        }
    }
}
