//! The name of a member: the name of its key, which no other key can take, and the name that it
//! asked for.
//!
//! | shown       | member |
//! |-------------|--------|
//! | `ann`       | the key `ann` |
//! | `bob(ann)`  | the key `ann`, which asks to be called `bob` |
//! | `(hall)`    | the key `hall`, at an agent of this name, whose user speaks as `hall` |
//! | `ann#2`     | a further session of the same name |
//!
//! Invariant: names of keys have neither brackets nor `#`, so that no two members of different keys have the same name.

use crate::agent::access::look_alike;
use crate::agent::limits;
use crate::escape;
use crate::message::limits::NAME;

/// Returns the name of a key in the chat of an agent.
pub(super) fn of_key(known: &str, agent: &str) -> String {
    let shown = escape::line(known.as_bytes(), NAME);
    if look_alike(known, agent) {
        format!("({shown})")
    } else {
        shown.into_owned()
    }
}

/// Returns the name of a member with the key name `known` that asks for `requested`, at an agent: that of the key, or
/// `requested(known)`. A number is appended while the name is `taken`.
pub(super) fn choose(
    known: &str,
    requested: Option<&str>,
    agent: &str,
    taken: impl Fn(&str) -> bool,
) -> String {
    let base = match requested.map(clean) {
        Some(requested) if !requested.is_empty() && requested != known => {
            format!("{requested}({})", escape::line(known.as_bytes(), NAME))
        }
        Some(_) | None => of_key(known, agent),
    };
    if !taken(&base) {
        return base;
    }
    (2..=u64::MAX)
        .map(|number| format!("{base}#{number}"))
        .find(|name| !taken(name))
        .expect("the chat has fewer members than there are numbers")
}

/// Keeps letters and digits of any script and the characters of host names and addresses. Brackets are removed because they mark the
/// name of the key, and so are invisible characters: names that differ only in joiners are equal.
fn clean(requested: &str) -> String {
    requested
        .chars()
        // Some that are invisible count as letters: the fillers of Hangul.
        .filter(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '@'))
        .filter(|c| !escape::is_hidden(*c))
        .take(limits::CHAT_NAME)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FREE: fn(&str) -> bool = |_| false;

    #[test]
    fn a_requested_name_never_looks_like_that_of_another_key() {
        let choose = |known: &str, requested| choose(known, requested, "hall", FREE);
        assert_eq!(choose("ann", None), "ann");
        assert_eq!(choose("ann", Some("ann")), "ann");
        assert_eq!(choose("ann", Some("bob")), "bob(ann)");
        assert_eq!(
            choose("ann", Some("bob(bob)#2 \u{202e}\x1b[2J")),
            "bobbob22J(ann)"
        );
        assert_eq!(choose("ann", Some(" ()\n")), "ann");
    }

    #[test]
    fn sessions_of_the_same_name_are_numbered_as_no_key_is_named() {
        let present = ["ann", "ann#2", "ann-2"];
        let taken = |name: &str| present.contains(&name);
        assert_eq!(choose("ann", None, "hall", taken), "ann#3");
    }

    #[test]
    fn requested_names_that_differ_only_in_joiners_are_numbered() {
        let present = ["র\u{9af}(ann)"];
        let taken = |name: &str| present.contains(&name);
        for requested in [
            "র\u{9cd}\u{9af}",
            "র\u{200d}\u{9cd}\u{9af}",
            "র\u{200c}\u{9cd}\u{9af}",
            "র\u{9cd}\u{200d}\u{9af}",
            "র\u{3164}\u{115f}\u{ffa0}\u{9af}\u{e0100}\u{fe0f}",
        ] {
            assert_eq!(
                choose("ann", Some(requested), "hall", taken),
                "র\u{9af}(ann)#2",
                "{requested:?}"
            );
        }
    }

    #[test]
    fn a_key_with_the_name_of_the_agent_is_shown_in_brackets() {
        for known in ["hall", "Hall", "haII"] {
            let bracketed = format!("({known})");
            assert_eq!(of_key(known, "hall"), bracketed);
            assert_eq!(choose(known, None, "hall", FREE), bracketed);
            assert_eq!(
                choose(known, Some("bob"), "hall", FREE),
                format!("bob({known})")
            );
        }
        assert_eq!(choose("ann", Some("hall"), "hall", FREE), "hall(ann)");
    }

    #[test]
    fn names_of_keys_that_differ_at_their_end_differ() {
        let [one, other] = ["1", "2"].map(|end| "x".repeat(NAME - 1) + end);
        assert_ne!(
            choose(&one, None, "hall", FREE),
            choose(&other, None, "hall", FREE)
        );
    }
}
