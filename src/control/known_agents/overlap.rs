//! Sets and patterns with different keys that have a target in common, so that neither key can be used for it.
//!
//! Not the decision about one target, which is the lookup's. Invariant: a target that a line names alone is no such
//! target, as that line decides about it.

use super::change::Entry;
use super::error::TrustError;
use super::pattern::Pattern;
use super::source::Source;
use super::{KnownAgents, Line, number};
use crate::control::limits;
use crate::net::Target;

impl KnownAgents {
    /// Checks sets and patterns of this file against all of them.
    ///
    /// # Errors
    /// [`TrustError::Contradiction`], with the first of them that has a target in common with one of another key.
    pub(super) fn check_overlaps(&self, entries: &[Entry]) -> Result<(), TrustError> {
        let mut prefixes: Vec<&str> = self.patterns.keys().map(String::as_str).collect();
        prefixes.sort_unstable();
        for entry in entries {
            if let Some((name, other)) = self.overlap(entry, &prefixes) {
                let mut sources = [other, entry.source.clone()];
                if sources[0].is_in_file_of(&sources[1]) {
                    sources.sort_by_key(number);
                }
                let sources = Box::new(sources);
                return Err(TrustError::Contradiction { sources, name });
            }
        }
        Ok(())
    }

    /// Returns a target of an entry that a line with another key has, too. `prefixes` are the sorted beginnings of all
    /// sets and patterns.
    fn overlap(&self, entry: &Entry, prefixes: &[&str]) -> Option<(String, Source)> {
        match &entry.pattern {
            // Its line decides alone.
            Pattern::Target(_) => None,
            Pattern::Set(set) => set.names().find_map(|name| {
                let line = self.matching(&name).find(|line| differs(line, entry))?;
                let source = line.source.clone();
                (!self.names_alone(&name)).then_some((name, source))
            }),
            Pattern::Glob(_) => {
                let own = entry.pattern.prefix();
                let shorter = (0..own.len()).filter_map(|end| own.get(..end));
                let first = prefixes.partition_point(|prefix| *prefix < &own[..]);
                let longer = prefixes[first..].iter().copied();
                let longer = longer.take_while(|prefix| prefix.starts_with(&own));
                let others = shorter
                    .chain(longer)
                    .filter_map(|prefix| self.patterns.get(prefix));
                let mut others = others.flatten().filter(|(_, line)| differs(line, entry));
                others.find_map(|(other, line)| {
                    let name = self.common(&entry.pattern, other)?;
                    Some((name, line.source.clone()))
                })
            }
        }
    }

    /// Returns a target of a pattern and of a set or another pattern.
    fn common(&self, glob: &Pattern, other: &Pattern) -> Option<String> {
        match (glob, other) {
            (_, Pattern::Set(set)) => {
                let mut names = set.names();
                names.find(|name| glob.matches(name) && !self.names_alone(name))
            }
            (Pattern::Glob(one), Pattern::Glob(two)) => {
                let mut names = common_texts(one, two);
                names.find(|name| !self.names_alone(name))
            }
            (Pattern::Target(_) | Pattern::Set(_), _) | (_, Pattern::Target(_)) => None,
        }
    }

    fn names_alone(&self, name: &str) -> bool {
        let target = name.parse::<Target>();
        target.is_ok_and(|target| self.targets.contains_key(&target))
    }
}

/// True if a line does not have the key of an entry.
fn differs(line: &Line, entry: &Entry) -> bool {
    line.key.as_ref() != Ok(&entry.key)
}

/// Returns some texts that two patterns match, if there are any.
fn common_texts(one: &str, two: &str) -> impl Iterator<Item = String> {
    let longer = ["*", "1*", "11*"].map(|star| two.replacen('*', star, 1));
    let pairs = longer
        .into_iter()
        .flat_map(|two| b"12a".map(|wild| (two.clone(), wild)));
    pairs.filter_map(move |(two, wild)| common_text(one.as_bytes(), two.as_bytes(), wild))
}

/// Returns a short text that two patterns match, with `wild` where both have a wildcard.
fn common_text(one: &[u8], two: &[u8], wild: u8) -> Option<String> {
    if one.len().max(two.len()) > limits::PATTERN_COMPARED {
        return None;
    }
    let width = two.len() + 1;
    // How each pair of places was reached, and the letter that was read.
    let mut from: Vec<Option<(usize, Option<u8>)>> = vec![None; (one.len() + 1) * width];
    let mut open = std::collections::VecDeque::from([0]);
    from[0] = Some((0, None));
    while let Some(place) = open.pop_front() {
        let (at, other) = (place / width, place % width);
        let (left, right) = (one.get(at).copied(), two.get(other).copied());
        let mut reach = |next: usize, letter| {
            if from[next].is_none() {
                from[next] = Some((place, letter));
                open.push_back(next);
            }
        };
        if left == Some(b'*') {
            reach(place + width, None);
        }
        if right == Some(b'*') {
            reach(place + 1, None);
        }
        let letter = match (left, right) {
            (Some(b'*' | b'?'), Some(b'*' | b'?')) => Some(wild),
            (Some(b'*' | b'?'), letter) | (letter, Some(b'*' | b'?')) => letter,
            (left, right) => left.filter(|_| left == right),
        };
        if let (Some(letter), Some(left), Some(right)) = (letter, left, right) {
            let step = if left == b'*' { 0 } else { width };
            let other_step = usize::from(right != b'*');
            // Two wildcards of any length need no letter.
            if step + other_step > 0 {
                reach(place + step + other_step, Some(letter));
            }
        }
    }
    let mut place = from.len() - 1;
    let mut text = Vec::new();
    while place > 0 {
        let (before, letter) = from[place]?;
        text.extend(letter);
        place = before;
    }
    text.reverse();
    String::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::known_agents::OnChange;
    use crate::control::known_agents::tests::{directory, import_text, lines};

    #[test]
    fn an_import_with_overlaps_of_different_keys_is_refused_in_any_order() {
        for (names, words) in [
            (
                &[("n*", 1), ("a", 1), ("n[1-2]", 2)][..],
                "list:3: n1:7000 has another key in line 1",
            ),
            (
                &[("n[1-2]", 2), ("a", 1), ("n*", 1)],
                "list:3: n1:7000 has another key in line 1",
            ),
            (
                &[("*.x", 1), ("n*", 2)],
                "list:2: n.x:7000 has another key in line 1",
            ),
            (
                &[("n:7", 1), ("*:7", 1), ("n*:7", 2)],
                "list:3: n1:7 has another key in line 2",
            ),
            (
                &[("n1", 1), ("n?", 1), ("?1", 1), ("??", 2)],
                "list:4: n2:7000 has another key in line 2",
            ),
            (&[("d*", 3)], "list:1: db1:7000 has another key in F:1"),
        ] {
            let (_directory, path) = directory();
            std::fs::write(&path, lines(&[("db[1-9]", 2)])).unwrap();
            let error = import_text(&path, &lines(names), OnChange::Refuse).unwrap_err();
            let error = error.to_string().replace(&path.display().to_string(), "F");
            assert_eq!(error, format!("{words}; remove the line that is wrong"));
        }
    }

    #[test]
    fn sets_and_patterns_of_an_import_may_overlap_where_a_line_decides_alone_or_keys_agree() {
        for names in [
            &[("n2", 3), ("n[1-2]", 1), ("n[2-3]", 2)][..],
            &[("n[1-2]", 1), ("n[2-3]", 1), ("n*", 1), ("*3", 1)],
            &[("n1", 3), ("n?", 1), ("n[1-1]:7000", 2)],
            &[("a.x", 3), ("a.?", 1), ("?.x", 2), ("a.?:7001", 2)],
            &[("10.1.*", 1), ("10.2.*", 2), ("[2001:*]:7000", 3)],
        ] {
            let (_directory, path) = directory();
            let imported = import_text(&path, &lines(names), OnChange::Refuse);
            assert_eq!(imported.unwrap().new, names.len(), "{names:?}");
        }
    }

    #[test]
    fn two_patterns_have_a_text_in_common_or_none() {
        for (one, two, expected) in [
            (
                "web*:7000",
                "*.example.com:7000",
                Some("web.example.com:7000"),
            ),
            ("web*:7000", "web?:*", Some("web1:7000")),
            ("10.1.*:7000", "10.*.1:7000", Some("10.1.1:7000")),
            ("web?:7000", "web1*:7000", Some("web1:7000")),
            ("*:*", "a:7", Some("a:7")),
            ("web*:7000", "web*:7001", None),
            ("a*:7000", "b*:7000", None),
            ("a?:7000", "a:7000", None),
            ("a??:1", "a?:1", None),
            ("", "*", Some("")),
            (&"*".repeat(513), "a", None),
        ] {
            let found = common_text(one.as_bytes(), two.as_bytes(), b'1');
            assert_eq!(found.as_deref(), expected, "{one} {two}");
            let found = common_text(two.as_bytes(), one.as_bytes(), b'1');
            assert_eq!(found.is_some(), expected.is_some(), "{two} {one}");
        }
    }
}
