//! Names that a reader may take for one another.
//!
//! Names of keys are ASCII, so that only letter case and a few characters and pairs of them are alike (Unicode Technical
//! Standard 39, section 4). Not a check of a single name. Invariant: a name looks like itself, and the order of two names
//! does not matter.

/// Returns true if a reader may take one name for the other, or if they are equal.
#[must_use]
pub fn look_alike(one: &str, other: &str) -> bool {
    skeleton(one) == skeleton(other)
}

/// Returns a text that is equal for names that look alike.
pub(super) fn skeleton(name: &str) -> String {
    let mut skeleton = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            'I' | 'i' | '1' | '|' => skeleton.push('l'),
            '0' => skeleton.push('o'),
            '_' => skeleton.push('-'),
            'm' | 'M' => skeleton.push_str("rn"),
            'w' | 'W' => skeleton.push_str("vv"),
            c => skeleton.extend(c.to_lowercase()),
        }
    }
    skeleton
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_in_case_or_in_similar_characters_look_alike() {
        for (one, other) in [
            ("ann", "ann"),
            ("ann", "Ann"),
            ("hall", "haII"),
            ("hall", "ha1l"),
            ("root", "r00t"),
            ("tom", "torn"),
            ("www", "vvvvvv"),
            ("ann-web1", "ANN_webl"),
        ] {
            assert!(
                look_alike(one, other) && look_alike(other, one),
                "{one} {other}"
            );
        }
        for (one, other) in [
            ("ann", "anne"),
            ("web1", "web2"),
            ("ann-2", "ann"),
            ("a.b", "a-b"),
        ] {
            assert!(!look_alike(one, other), "{one} {other}");
        }
    }
}
