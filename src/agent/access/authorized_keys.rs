//! The file `authorized_keys`: one key per line, `KEY NAME [option…]`, split into words as by a
//! shell.
//!
//! `#` begins a comment, empty lines are skipped. Invariant: a line with an error admits no key, and its key is
//! refused whatever other line it has; the lines of other keys remain valid.

use std::collections::HashMap;
use std::path::Path;

use super::look_alike::{look_alike, skeleton};
use super::{LineError, Member, Options, Origin};
use crate::crypto::PublicKey;
use crate::message::limits::NAME;

/// A line with an error.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) line: usize,
    /// Keys that the line may be about.
    pub(super) keys: Vec<PublicKey>,
    pub(super) error: LineError,
}

/// Byte order mark, with which some editors begin a file.
const BOM: char = '\u{feff}';

/// Returns the content of a file as text, without a byte order mark.
///
/// # Errors
/// The line of the first byte that is no text: invalid UTF-8, or NUL.
pub(super) fn decode(content: &[u8]) -> Result<&str, usize> {
    let valid = match std::str::from_utf8(content) {
        Ok(_) => content.len(),
        Err(error) => error.valid_up_to(),
    };
    let end = content.iter().position(|&byte| byte == 0);
    let end = end.map_or(valid, |nul| nul.min(valid));
    match std::str::from_utf8(&content[..end]) {
        Ok(text) if end == content.len() => Ok(text.strip_prefix(BOM).unwrap_or(text)),
        Ok(_) | Err(_) => Err(content[..end].split(|&byte| byte == b'\n').count()),
    }
}

/// Parses the text of `authorized_keys`. The `path` is only used to name the file in the result.
pub(super) fn parse(text: &str, path: &Path) -> Vec<Result<Member, Refused>> {
    let mut seen: HashMap<PublicKey, (usize, Option<Options>)> = HashMap::new();
    let mut names: HashMap<String, (String, usize)> = HashMap::new();
    let mut out = Vec::new();
    for (index, text) in text.lines().enumerate() {
        let line = index + 1;
        let refused = |keys, error| Refused { line, keys, error };
        let Some((first, rest)) = first_word(text) else {
            continue;
        };
        let key = match first.parse::<PublicKey>() {
            Ok(key) => key,
            Err(error) => {
                out.push(Err(refused(keys_in(text), LineError::Key(error))));
                continue;
            }
        };
        let parsed = parse_rest(key, rest, Origin::Line(path.to_owned(), line))
            .and_then(|member| distinct(member, line, &mut names));
        let options = parsed.as_ref().ok().map(|member| member.options.clone());
        out.push(match (parsed, seen.get(&key)) {
            (Err(error), _) => Err(refused(vec![key], error)),
            (Ok(member), None) => Ok(member),
            (Ok(_), Some((before, first))) => {
                // Lines with different rights: neither is known to be meant.
                let keys = if *first == options { vec![] } else { vec![key] };
                Err(refused(keys, LineError::DuplicateKey(*before)))
            }
        });
        seen.entry(key).or_insert((line, options));
    }
    out
}

/// Returns the member of a line, unless its name looks like another name of an earlier line. Several keys may have the same
/// name.
fn distinct(
    member: Member,
    line: usize,
    names: &mut HashMap<String, (String, usize)>,
) -> Result<Member, LineError> {
    let first = || (member.name.clone(), line);
    let (name, line) = names.entry(skeleton(&member.name)).or_insert_with(first);
    if *name == member.name {
        Ok(member)
    } else {
        Err(LineError::LookAlike(member.name, *line))
    }
}

/// Returns the keys among the words of a line that does not begin with one.
fn keys_in(text: &str) -> Vec<PublicKey> {
    let words = text.split(|c: char| c.is_whitespace() || "'\"=,".contains(c));
    words.filter_map(|word| word.parse().ok()).collect()
}

/// Splits off the key, before quotes are interpreted. So the key of a line is known whatever
/// follows it.
pub(super) fn first_word(text: &str) -> Option<(&str, &str)> {
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

/// Returns true if a text can be a name, in the file and in a chat. It is ASCII, because similar letters of other scripts would
/// make one key look like another, and without the characters around names in a chat.
pub(super) fn is_name(name: &str) -> bool {
    (1..=NAME).contains(&name.len())
        && name != "chat-only"
        && name != "-"
        && name.chars().all(is_name_character)
}

const fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@' | '+')
}

/// Space for a number after a name that is already taken.
const SUFFIX: usize = 8;

/// Returns a name derived from the one that a peer asked for. It needs no quotes in the file, and
/// is not `taken`.
pub(super) fn name_like(requested: &str, taken: impl Fn(&str) -> bool) -> String {
    let name = clean_name(requested);
    if taken(&name) {
        numbered(&name, taken)
    } else {
        name
    }
}

/// Returns the name to ask the file for when a peer asked for `requested` at the agent `own`, whose user has this name in
/// the chat: one that does not look like it, also once it is cleaned.
#[must_use]
pub fn name_apart(requested: &str, own: &str) -> String {
    let name = clean_name(requested);
    if !look_alike(&name, own) {
        return name;
    }
    // Room for the number, so that the file does not cut it off.
    let stem = &name[..name.len().min(NAME - 2 * SUFFIX)];
    numbered(stem, |name| look_alike(name, own))
}

/// Replaces characters that names do not have, and cuts a long name off.
fn clean_name(requested: &str) -> String {
    let name: String = requested
        .chars()
        .take(NAME - SUFFIX)
        .map(|c| if is_name_character(c) { c } else { '_' })
        .collect();
    if is_name(&name) {
        name
    } else {
        "invited".to_owned()
    }
}

/// Appends the first number with which a name is not `taken`.
fn numbered(name: &str, taken: impl Fn(&str) -> bool) -> String {
    (2..=u32::MAX)
        .map(|number| format!("{name}-{number}"))
        .find(|name| !taken(name))
        .expect("fewer names are taken than there are numbers")
}

/// Returns the line of a key. The words of the options are quoted where necessary.
pub(super) fn to_line(key: &PublicKey, name: &str, options: &[String]) -> String {
    let mut line = format!("{key} {name}");
    for word in options {
        line.push(' ');
        line.push_str(&quote_option(word));
    }
    line
}

/// Quotes `allow=uname -a` as `allow='uname -a'`, which reads better than `'allow=uname -a'`.
///
/// # Panics
/// If the word has a NUL. Options have no control characters.
#[must_use]
pub fn quote_option(word: &str) -> String {
    let quote =
        |text| shlex::try_quote(text).expect("options have no control character, so no NUL");
    match word.split_once('=') {
        Some((option, value)) => format!("{option}={}", quote(value)),
        None => quote(word).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::access::testing::{key, may_run, policy_of_lines};
    use proptest::prelude::*;

    fn parse_text(text: &str) -> Vec<Result<Member, Refused>> {
        parse(text, Path::new("/etc/udpagent/authorized_keys"))
    }

    #[test]
    fn authorized_keys_has_comments_empty_lines_and_keys() {
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
    fn a_line_with_an_error_admits_nobody_and_leaves_the_others_valid() {
        let good = key(1);
        for (line, message) in [
            ("ua1:short alice".to_owned(), "not a key: 43 characters"),
            (
                "ssh-ed25519 AAAA alice".to_owned(),
                "not a key: a public one begins with \"ua1:\"",
            ),
            (
                format!("{}", key(2)),
                "the name after the key is missing; write KEY NAME [OPTION...]",
            ),
            (
                format!("{} # alice", key(2)),
                "the name after the key is missing",
            ),
            (
                format!("{} chat-only", key(2)),
                "\"chat-only\" is not a name",
            ),
            (format!("{} allow=ls", key(2)), "\"allow=ls\" is not a name"),
            (
                format!("{} a\u{202e}b", key(2)),
                "\"a\\u{202e}b\" is not a name",
            ),
            (format!("{} {}", key(2), "x".repeat(65)), "\"xxxx"),
            (
                format!("{} bob(alice)", key(2)),
                "\"bob(alice)\" is not a name; write at most 64 ASCII letters, digits and -_.@+, and options",
            ),
            (format!("{} bob#2", key(2)), "\"bob#2\" is not a name"),
            (
                format!("{} \u{430}lice", key(2)),
                "\"\u{430}lice\" is not a name",
            ),
            (
                format!("{} AIice", key(2)),
                "the name \"AIice\" looks like that of the key in line 1; write the same name or another one",
            ),
            (
                format!("{} bob allow=\"ls", key(2)),
                "a quote is not closed",
            ),
            (
                format!("{} bob restrict", key(2)),
                "unknown option \"restrict\"",
            ),
            (
                format!("{good} bob"),
                "this key is already in line 1; keep one",
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
    fn two_keys_may_have_the_same_name() {
        let lines = parse_text(&format!("{} alice\n{} alice\n", key(1), key(2)));
        assert!(lines.iter().all(Result::is_ok), "{lines:?}");
    }

    #[test]
    fn a_name_from_a_peer_becomes_a_valid_and_unique_name() {
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

    #[test]
    fn a_name_that_becomes_that_of_the_agent_once_it_is_clean_is_numbered() {
        let long = "x".repeat(NAME - SUFFIX);
        for (requested, own, name) in [
            ("ann", "hall", "ann"),
            ("hall", "hall", "hall-2"),
            ("HALL-2", "hall-2", "HALL-2-2"),
            ("my hall", "my_hall", "my_hall-2"),
            ("my\u{202e}hall", "my-hall", "my_hall-2"),
            ("-", "invited", "invited-2"),
            (
                &format!("{long}!"),
                &long,
                &format!("{}-2", "x".repeat(NAME - 2 * SUFFIX)),
            ),
        ] {
            assert_eq!(name_apart(requested, own), name, "{requested}");
            assert_eq!(name_like(name, |_| false), name, "{requested}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(.|\n){0,200}", rest in "[a-z=\"' *#\\\\]{0,40}") {
            parse_text(&text);
            parse_text(&format!("{} {rest}", key(1)));
        }

        #[test]
        fn a_written_line_of_authorized_keys_parses_equal(
            requested in ".{0,80}",
            argv in proptest::collection::vec("[^*\\p{Cc}]{1,8}", 1..4),
        ) {
            let name = name_like(&requested, |_| false);
            prop_assert!(is_name(&name));
            let allow = shlex::try_join(argv.iter().map(String::as_str)).unwrap();
            let words = [format!("allow={allow}"), "max-jobs=2".to_owned()];
            let line = to_line(&key(1), &name, &words);
            prop_assert_eq!(line.lines().count(), 1);
            let [Ok(member)] = &parse_text(&line)[..] else { panic!("{line}") };
            prop_assert_eq!(&member.name, &name);
            prop_assert!(may_run(&policy_of_lines(&line), &key(1), &argv));
            prop_assert_eq!(member.options.max_jobs, Some(2));
        }
    }
}
