//! Names of members of a chat.

/// Returns the name of the key of a member, which has neither brackets nor `#`: `ann` of `ann`, `ann#2`, `bob(ann)` and
/// `(ann)`.
#[must_use]
pub fn key_of_member(member: &str) -> &str {
    let (name, _) = member.split_once('#').unwrap_or((member, ""));
    match name.rsplit_once('(') {
        Some((_, key)) => key.trim_end_matches(')'),
        None => name,
    }
}
