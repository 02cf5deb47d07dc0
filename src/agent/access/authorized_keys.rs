//! The file `authorized_keys`: a line per key, `KEY NAME [option…]`, split into words as a shell would.
//!
//! `#` begins a comment, empty lines are nothing. A line that is not understood in full admits nobody;
//! the others stand.

use std::fmt;
use std::path::Path;

use super::options::KNOWN;
use super::pattern::PatternError;
use super::{Member, Options, Origin};
use crate::crypto::{ParseKeyError, PublicKey};
use crate::escape;
use crate::message::limits::NAME;

/// What is wrong with a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LineError {
    /// A quote without its partner.
    Quotes,
    /// The first word is no key.
    Key(ParseKeyError),
    /// There is no second word.
    NoName,
    /// The second word is no name.
    Name(String),
    /// An option has a control character in it.
    Control(String),
    /// A word is no option.
    UnknownOption(String),
    /// An option has a wrong value.
    Value {
        /// Which option.
        option: &'static str,
        /// What it was given.
        value: String,
        /// What it takes.
        want: &'static str,
    },
    /// `allow=` has a wrong value.
    Pattern(PatternError),
    /// An option that may stand once stands twice.
    Twice(&'static str),
    /// `chat-only` and `allow=`.
    Contradiction,
    /// The key stands in an earlier line already.
    DuplicateKey(usize),
    /// The first word of a line of `invites` is no hash, or the second no time.
    Record,
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |text: &str| escape::line(text.as_bytes(), 2 * NAME).into_owned();
        match self {
            Self::Quotes => f.write_str("a quote without its partner; close it on the same line"),
            Self::Key(error) => write!(
                f,
                "{error}; begin the line with the key that \"udpctl id\" prints there"
            ),
            Self::NoName => f.write_str("no name follows the key; write KEY NAME [OPTION...]"),
            Self::Name(name) => write!(
                f,
                "\"{}\" is no name; write at most {NAME} visible characters, and options after it",
                shown(name)
            ),
            Self::Control(word) => write!(
                f,
                "\"{}\" has a control character in it; remove that",
                shown(word)
            ),
            Self::UnknownOption(word) => {
                write!(f, "unknown option \"{}\"; there are {KNOWN}", shown(word))
            }
            Self::Value {
                option,
                value,
                want,
            } => write!(f, "{option}= must be {want}, not \"{}\"", shown(value)),
            Self::Pattern(error) => write!(f, "allow= {error}"),
            Self::Twice(option) => write!(f, "{option}= stands twice; keep one"),
            Self::Contradiction => {
                f.write_str("chat-only and allow= contradict each other; keep one")
            }
            Self::DuplicateKey(first) => {
                write!(f, "this key stands in line {first} already; keep one")
            }
            Self::Record => f.write_str("no invitation; remove the line and invite again"),
        }
    }
}

impl std::error::Error for LineError {}

/// A line that was refused.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) line: usize,
    /// Whose it was, as far as that could be read.
    pub(super) key: Option<PublicKey>,
    pub(super) error: LineError,
}

/// Reads the text of the file at `path`, which is only named in the result.
pub(super) fn parse(text: &str, path: &Path) -> Vec<Result<Member, Refused>> {
    let mut seen = std::collections::HashMap::new();
    let mut out = Vec::new();
    for (index, text) in text.lines().enumerate() {
        let line = index + 1;
        let refused = |key, error| Refused { line, key, error };
        let Some((key, rest)) = first_word(text) else {
            continue;
        };
        out.push(match key.parse::<PublicKey>() {
            Err(error) => Err(refused(None, LineError::Key(error))),
            Ok(key) => {
                if let Some(first) = seen.get(&key) {
                    Err(refused(None, LineError::DuplicateKey(*first)))
                } else {
                    seen.insert(key, line);
                    let origin = Origin::Line(path.to_owned(), line);
                    parse_rest(key, rest, origin).map_err(|error| refused(Some(key), error))
                }
            }
        });
    }
    out
}

/// The key is read by itself, before quotes are: then a line is known by its key, whatever follows.
fn first_word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim();
    if text.is_empty() || text.starts_with('#') {
        return None;
    }
    Some(text.split_once(char::is_whitespace).unwrap_or((text, "")))
}

fn parse_rest(key: PublicKey, rest: &str, origin: Origin) -> Result<Member, LineError> {
    let words = shlex::split(rest).ok_or(LineError::Quotes)?;
    let (name, options) = words.split_first().ok_or(LineError::NoName)?;
    if !is_name(name) {
        return Err(LineError::Name(name.clone()));
    }
    Ok(Member {
        key,
        name: name.clone(),
        options: Options::parse(options)?,
        origin,
    })
}

/// Whether a text can stand as a name, in the file and on a terminal. What has an equals sign is an
/// option whose line lacks its name.
pub(super) fn is_name(name: &str) -> bool {
    (1..=NAME).contains(&name.len())
        && name != "chat-only"
        && name != "-"
        && !name.contains(['=', '#', '\u{fe0f}'])
        && !name.chars().any(char::is_whitespace)
        && escape::is_clean(name)
}

/// Room for a number behind a name that is taken.
const SUFFIX: usize = 8;

/// A name like the one a peer wished for, that can stand in the file unquoted and is nobody else's.
pub(super) fn name_like(wish: &str, taken: impl Fn(&str) -> bool) -> String {
    // ASCII only: letters that look like others would make one member look like another.
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.@+".contains(c);
    let name: String = wish
        .chars()
        .take(NAME - SUFFIX)
        .map(|c| if plain(c) { c } else { '_' })
        .collect();
    let name = if is_name(&name) {
        name
    } else {
        "invited".to_owned()
    };
    if !taken(&name) {
        return name;
    }
    (2..=u32::MAX)
        .map(|number| format!("{name}-{number}"))
        .find(|name| !taken(name))
        .expect("fewer names are taken than there are numbers")
}

/// The line of a key. The words of the options are quoted where they need it.
pub(super) fn to_line(key: &PublicKey, name: &str, options: &[String]) -> String {
    let mut line = format!("{key} {name}");
    for word in options {
        line.push(' ');
        line.push_str(&quote_option(word));
    }
    line
}

/// `allow=uname -a` as `allow='uname -a'`, which reads better than `'allow=uname -a'`.
pub(super) fn quote_option(word: &str) -> String {
    let quote = |text| {
        shlex::try_quote(text).expect("NUL, which has no quoted form, is no part of an option")
    };
    match word.split_once('=') {
        Some((option, value)) => format!("{option}={}", quote(value)),
        None => quote(word).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::access::testing::{key, may_run};
    use proptest::prelude::*;

    fn parse_text(text: &str) -> Vec<Result<Member, Refused>> {
        parse(text, Path::new("/etc/udpagent/authorized_keys"))
    }

    #[test]
    fn a_file_has_comments_empty_lines_and_keys() {
        let text = format!(
            "# who may connect\n\n{} alice # the first\r\n  {}\tbob\tchat-only\n",
            key(1),
            key(2)
        );
        let members: Vec<Member> = parse_text(&text).into_iter().map(Result::unwrap).collect();
        assert_eq!(members.len(), 2);
        assert_eq!(
            (members[0].key, members[0].name.as_str()),
            (key(1), "alice")
        );
        assert_eq!(members[0].options, Options::default());
        assert_eq!((members[1].key, members[1].name.as_str()), (key(2), "bob"));
        assert!(members[1].options.chat_only);
        let path = Path::new("/etc/udpagent/authorized_keys").to_owned();
        assert_eq!(members[1].origin, Origin::Line(path, 4));
    }

    #[test]
    fn a_bad_line_refuses_itself_and_says_why() {
        let good = key(1);
        for (line, message) in [
            ("ua1:short alice".to_owned(), "not a key: 43 characters"),
            (
                "ssh-ed25519 AAAA alice".to_owned(),
                "not a key: a public one begins with \"ua1:\"",
            ),
            (
                format!("{}", key(2)),
                "no name follows the key; write KEY NAME [OPTION...]",
            ),
            (format!("{} # alice", key(2)), "no name follows the key"),
            (format!("{} chat-only", key(2)), "\"chat-only\" is no name"),
            (format!("{} allow=ls", key(2)), "\"allow=ls\" is no name"),
            (
                format!("{} a\u{202e}b", key(2)),
                "\"a\\u{202e}b\" is no name",
            ),
            (format!("{} {}", key(2), "x".repeat(65)), "\"xxxx"),
            (
                format!("{} bob allow=\"ls", key(2)),
                "a quote without its partner",
            ),
            (
                format!("{} bob restrict", key(2)),
                "unknown option \"restrict\"",
            ),
            (
                format!("{good} bob"),
                "this key stands in line 1 already; keep one",
            ),
        ] {
            let lines = parse_text(&format!("{good} alice\n{line}\n{} carol\n", key(3)));
            let [Ok(alice), Err(refused), Ok(carol)] = &lines[..] else {
                panic!("{line}: {lines:?}");
            };
            assert_eq!((alice.key, carol.key), (good, key(3)));
            assert_eq!(refused.line, 2);
            let error = refused.error.to_string();
            assert!(error.starts_with(message), "{line}: {error}");
        }
    }

    #[test]
    fn names_from_peers_are_made_harmless_and_unique() {
        let free = |_: &str| false;
        assert_eq!(name_like("alice@web3", free), "alice@web3");
        assert_eq!(
            name_like("a b\n#\u{202e}é=x", free),
            "a_b____=x".replace('=', "_")
        );
        assert_eq!(name_like("", free), "invited");
        assert_eq!(name_like("-", free), "invited");
        assert_eq!(name_like(&"x".repeat(1000), free).len(), NAME - SUFFIX);
        let taken = |name: &str| ["alice", "alice-2"].contains(&name);
        assert_eq!(name_like("alice", taken), "alice-3");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(.|\n){0,200}", rest in "[a-z=\"' *#\\\\]{0,40}") {
            parse_text(&text);
            parse_text(&format!("{} {rest}", key(1)));
        }

        #[test]
        fn a_written_line_is_read_back(
            wish in ".{0,80}",
            argv in proptest::collection::vec("[^*\\p{Cc}]{1,8}", 1..4),
        ) {
            let name = name_like(&wish, |_| false);
            prop_assert!(is_name(&name));
            let allow = shlex::try_join(argv.iter().map(String::as_str)).unwrap();
            let words = [format!("allow={allow}"), "max-jobs=2".to_owned()];
            let line = to_line(&key(1), &name, &words);
            prop_assert_eq!(line.lines().count(), 1);
            let [Ok(member)] = &parse_text(&line)[..] else { panic!("{line}") };
            prop_assert_eq!(&member.name, &name);
            prop_assert!(may_run(member, &argv));
            prop_assert_eq!(member.options.max_jobs, Some(2));
        }
    }
}
