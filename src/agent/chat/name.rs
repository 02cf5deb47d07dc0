//! The name of a member: the name of its key, which no other key can take, and the name that it
//! asked for.

use crate::agent::limits;
use crate::escape;
use crate::message::limits::NAME;

/// Returns the name of a member with the key name `known` that asks for `requested`: `known`, or
/// `requested(known)`. A number is appended while the name is `taken`.
pub(super) fn choose(known: &str, requested: Option<&str>, taken: impl Fn(&str) -> bool) -> String {
    let known = escape::line(known.as_bytes(), NAME / 2);
    let base = match requested.map(clean) {
        Some(requested) if !requested.is_empty() && requested != known => {
            format!("{requested}({known})")
        }
        Some(_) | None => known.into_owned(),
    };
    if !taken(&base) {
        return base;
    }
    (2..=u64::MAX)
        .map(|number| format!("{base}-{number}"))
        .find(|name| !taken(name))
        .expect("the chat has fewer members than there are numbers")
}

/// Keeps letters and digits of any script and the characters of host names and addresses. Brackets
/// are removed because they mark the name of the key, and so are invisible characters.
fn clean(requested: &str) -> String {
    requested
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '@'))
        .take(limits::CHAT_NAME)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_requested_name_never_looks_like_that_of_another_key() {
        let free = |_: &str| false;
        assert_eq!(choose("ann", None, free), "ann");
        assert_eq!(choose("ann", Some("ann"), free), "ann");
        assert_eq!(choose("ann", Some("bob"), free), "bob(ann)");
        assert_eq!(
            choose("ann", Some("bob(bob) \u{202e}\x1b[2J"), free),
            "bobbob2J(ann)"
        );
        assert_eq!(choose("ann", Some(" ()\n"), free), "ann");
    }

    #[test]
    fn members_with_the_same_name_are_numbered() {
        let present = ["ann", "ann-2"];
        let taken = |name: &str| present.contains(&name);
        assert_eq!(choose("ann", None, taken), "ann-3");
    }
}
