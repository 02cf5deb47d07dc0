//! Directories inside each other, of which three are open.
//!
//! Not what is done in them. Invariants: the descriptors do not grow with the depth; a directory that is entered again on
//! the way back is the one that was entered before, so that whoever moves directories meanwhile leads the copy nowhere.

use super::directory::{Directory, Identity};
use super::fault::Fault;

/// Directories inside each other.
#[derive(Debug)]
pub struct Nest {
    outermost: Directory,
    /// Identities of those inside of it, from the outside in.
    inner: Vec<Identity>,
    /// The last of them.
    innermost: Option<Directory>,
    /// The one around it, unless that is the outermost. Without the right to search the innermost, there is no other way
    /// back; nothing lies deeper then.
    above: Option<Directory>,
}

impl Nest {
    /// Begins in a directory, which stays open.
    #[must_use]
    pub const fn new(outermost: Directory) -> Self {
        Self {
            outermost,
            inner: Vec::new(),
            innermost: None,
            above: None,
        }
    }

    /// Returns the outermost directory.
    #[must_use]
    pub const fn outermost(&self) -> &Directory {
        &self.outermost
    }

    /// Returns the innermost directory.
    #[must_use]
    pub fn current(&self) -> &Directory {
        self.innermost.as_ref().unwrap_or(&self.outermost)
    }

    /// Enters a directory that lies in the innermost one.
    ///
    /// # Errors
    /// Of the system.
    pub fn enter(&mut self, directory: Directory) -> Result<(), Fault> {
        self.inner.push(directory.identity()?);
        self.above = self.innermost.replace(directory);
        Ok(())
    }

    /// Leaves the innermost directory, and returns it; `None` in the outermost one.
    ///
    /// # Errors
    /// [`Fault::Moved`] if the one around it is not found again, or of the system. The outermost is the innermost then.
    pub fn leave(&mut self) -> Result<Option<Directory>, Fault> {
        self.inner.pop();
        let Some(left) = self.innermost.take() else {
            return Ok(None);
        };
        self.innermost = match (self.above.take(), self.inner.last()) {
            (_, None) => None,
            (Some(above), Some(_)) => Some(above),
            (None, Some(&identity)) => {
                let above = left.above(identity);
                if above.is_err() {
                    self.inner.clear();
                }
                Some(above?)
            }
        };
        Ok(Some(left))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use rustix::fs::{CWD, Mode, OFlags, openat};

    use super::super::name::Name;
    use super::*;

    fn nest(path: &Path) -> Nest {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        Nest::new(Directory::new(
            openat(CWD, path, flags, Mode::empty()).unwrap(),
        ))
    }

    fn enter(nest: &mut Nest, name: &str) {
        let name = Name::new(name.as_bytes()).unwrap();
        let inner = nest.current().make(&name, 0o700).unwrap().0;
        nest.enter(inner).unwrap();
    }

    #[test]
    fn the_way_back_leads_through_the_same_directories() {
        let temporary = tempfile::tempdir().unwrap();
        let mut nest = nest(temporary.path());
        let mut entered = vec![nest.current().identity().unwrap()];
        for _ in 0..20 {
            enter(&mut nest, "d");
            entered.push(nest.current().identity().unwrap());
        }
        while let Some(identity) = entered.pop() {
            assert_eq!(nest.current().identity(), Ok(identity));
            let left = nest.leave().unwrap();
            let left = left.map(|left| left.identity().unwrap());
            assert_eq!(left, (!entered.is_empty()).then_some(identity));
        }
    }

    #[test]
    fn a_directory_that_was_moved_does_not_lead_elsewhere() {
        let temporary = tempfile::tempdir().unwrap();
        let at = |path: &str| temporary.path().join(path);
        fs::create_dir_all(at("top")).unwrap();
        fs::create_dir_all(at("other")).unwrap();
        let mut nest = nest(&at("top"));
        for name in ["a", "b", "c"] {
            enter(&mut nest, name);
        }
        fs::rename(at("top/a/b"), at("other/b")).unwrap();
        assert!(nest.leave().unwrap().is_some());
        assert_eq!(nest.leave().map(|_| ()), Err(Fault::Moved));
        assert_eq!(
            nest.current().identity(),
            nest.outermost().identity(),
            "back at the top"
        );
        enter(&mut nest, "a");
        assert!(nest.leave().unwrap().is_some());
    }
}
