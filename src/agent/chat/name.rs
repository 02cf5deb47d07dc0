//! How a member is called: by the name of its key, which nobody can borrow, and what it wished for.

use crate::agent::limits;
use crate::escape;
use crate::message::limits::NAME;

/// The name for a key called `known` that wishes to be called `wish`: `known`, or `wish(known)`.
/// A number is added until it is not `taken`.
pub(super) fn choose(known: &str, wish: Option<&str>, taken: impl Fn(&str) -> bool) -> String {
    let known = escape::line(known.as_bytes(), NAME / 2);
    let base = match wish.map(clean) {
        Some(wish) if !wish.is_empty() && wish != known => format!("{wish}({known})"),
        _ => known.into_owned(),
    };
    if !taken(&base) {
        return base;
    }
    (2..=u64::MAX)
        .map(|number| format!("{base}-{number}"))
        .find(|name| !taken(name))
        .expect("there are more numbers than members")
}

/// Letters and digits of any script and what stands in host names and addresses: no brackets, which
/// set the name of the key apart, and nothing that cannot be seen.
fn clean(wish: &str) -> String {
    wish.chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '@'))
        .take(limits::CHAT_WISH)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_never_passes_for_another_key() {
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
    fn two_of_a_name_are_numbered() {
        let present = ["ann", "ann-2"];
        let taken = |name: &str| present.contains(&name);
        assert_eq!(choose("ann", None, taken), "ann-3");
    }
}
