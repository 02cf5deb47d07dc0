//! Name of an item in its directory.
//!
//! Invariant: a name leads to an entry of that directory and nowhere else: it is not empty, not `.` or `..`, and has
//! neither `/` nor NUL.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path};

use super::limits;

/// Name of an item in its directory.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Name(Box<[u8]>);

impl Name {
    /// Returns the name, if it is one.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let is_name = !bytes.is_empty()
            && bytes.len() <= limits::NAME
            && bytes != b"."
            && bytes != b".."
            && !bytes.contains(&b'/')
            && !bytes.contains(&0);
        is_name.then(|| Self(bytes.into()))
    }

    /// Returns the last name of a path; `None` if it is `.`, `..` or the root.
    #[must_use]
    pub fn last_of(path: &Path) -> Option<Self> {
        // `components` drops a `.` at the end.
        if path.as_os_str().as_bytes().ends_with(b"/.") {
            return None;
        }
        match path.components().next_back()? {
            Component::Normal(name) => Self::new(name.as_bytes()),
            Component::Prefix(_)
            | Component::RootDir
            | Component::CurDir
            | Component::ParentDir => None,
        }
    }

    /// Returns the bytes of the name.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the name as the system takes it.
    #[must_use]
    pub fn as_os_str(&self) -> &OsStr {
        OsStr::from_bytes(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_leads_to_an_entry_is_a_name() {
        for bytes in [&b"a"[..], b"...", b".x", b"\xff\n", &[b'x'; 255]] {
            assert_eq!(Name::new(bytes).unwrap().as_bytes(), bytes);
        }
        for bytes in [&b""[..], b".", b"..", b"a/b", b"/", b"a\0", &[b'x'; 256]] {
            assert_eq!(Name::new(bytes), None);
        }
    }

    #[test]
    fn the_last_name_of_a_path_is_found() {
        let last = |path: &str| Name::last_of(Path::new(path)).map(|name| name.0.to_vec());
        assert_eq!(last("/srv/site/"), Some(b"site".to_vec()));
        assert_eq!(last("x"), Some(b"x".to_vec()));
        for path in ["/", ".", "..", "a/..", "", "a/."] {
            assert_eq!(last(path), None, "{path}");
        }
    }
}
