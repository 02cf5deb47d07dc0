//! Files and directories that several senders read at about the same time, each read once.
//!
//! Not what is done with them. Invariant: the content that is held of all files together is bounded, and the names in a
//! directory are held once, whatever the number of senders.

use std::cell::RefCell;
use std::fs::File;
use std::rc::{Rc, Weak};

use rustix::fs::{Stat, fstat};

use super::content::Content;
use super::directory::{Directory, Entry};
use super::fault::Fault;
use super::pool::Pool;

/// Identity of a version of a file or directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Version {
    device: u64,
    inode: u64,
    size: i64,
    changed: (i64, u64),
}

impl Version {
    #[allow(
        clippy::unnecessary_cast,
        reason = "the types of these members depend on the architecture"
    )]
    const fn of(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            size: stat.st_size as i64,
            changed: (stat.st_ctime as i64, stat.st_ctime_nsec as u64),
        }
    }
}

/// Values of versions, as long as somebody uses them.
#[derive(Debug)]
struct Shared<T: ?Sized>(RefCell<Vec<(Version, Weak<T>)>>);

impl<T: ?Sized> Shared<T> {
    const fn new() -> Self {
        Self(RefCell::new(Vec::new()))
    }

    /// Returns the value of a version, and makes it if nobody has it.
    fn get(
        &self,
        version: Version,
        make: impl FnOnce() -> Result<Rc<T>, Fault>,
    ) -> Result<Rc<T>, Fault> {
        let mut all = self.0.borrow_mut();
        all.retain(|(_, value)| value.strong_count() > 0);
        let known = all.iter().find(|(other, _)| *other == version);
        if let Some(value) = known.and_then(|(_, value)| value.upgrade()) {
            return Ok(value);
        }
        let value = make()?;
        all.push((version, Rc::downgrade(&value)));
        Ok(value)
    }
}

/// Files and directories that senders read.
#[derive(Debug)]
pub struct Library {
    files: Shared<Content>,
    directories: Shared<[Entry]>,
    pool: Rc<RefCell<Pool>>,
}

impl Library {
    /// Creates an empty one, which holds so many pieces of all files.
    #[must_use]
    pub fn new(pieces: usize) -> Self {
        Self {
            files: Shared::new(),
            directories: Shared::new(),
            pool: Rc::new(RefCell::new(Pool::new(pieces))),
        }
    }

    /// Returns the content of an open file.
    pub fn content(&self, file: File, stat: &Stat) -> Rc<Content> {
        let make = || {
            let id = self.pool.borrow_mut().add_file();
            Ok(Rc::new(Content::new(file, stat, id, Rc::clone(&self.pool))))
        };
        let content = self.files.get(Version::of(stat), make);
        content.expect("nothing is read yet")
    }

    /// Returns the entries of a directory in the order of their names.
    ///
    /// # Errors
    /// Of the system.
    pub fn entries(&self, directory: &Directory) -> Result<Rc<[Entry]>, Fault> {
        let version = Version::of(&fstat(directory)?);
        self.directories
            .get(version, || Ok(directory.entries()?.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::content::Piece;
    use super::super::limits;
    use super::*;

    #[test]
    fn what_is_held_of_all_files_is_bounded() {
        let temporary = tempfile::tempdir().unwrap();
        let library = Library::new(4);
        let mut contents = Vec::new();
        for name in ["a", "b", "c"] {
            let path = temporary.path().join(name);
            std::fs::write(&path, vec![b'x'; 3 * limits::CHUNK]).unwrap();
            let file = File::open(&path).unwrap();
            let stat = fstat(&file).unwrap();
            contents.push(library.content(file, &stat));
        }
        for index in 0..3 {
            for content in &contents {
                let offset = (index * limits::CHUNK) as u64;
                let piece = content.piece(offset).unwrap();
                assert!(matches!(piece, Piece::Data(..)));
                assert!(library.pool.borrow().files().count() <= 4);
            }
        }
        // The last four are held, of whichever file.
        let pool = library.pool.borrow();
        let held: Vec<_> = pool.files().collect();
        assert_eq!(held, [3, 1, 2, 3]);
    }

    #[test]
    fn the_names_in_a_directory_are_held_once_and_read_again_if_it_has_changed() {
        use rustix::fs::{CWD, Mode, OFlags, openat};

        let temporary = tempfile::tempdir().unwrap();
        let library = Library::new(1);
        let open = || {
            let fd = openat(CWD, temporary.path(), OFlags::RDONLY, Mode::empty());
            Directory::new(fd.unwrap())
        };
        let first = library.entries(&open()).unwrap();
        let second = library.entries(&open()).unwrap();
        assert!(Rc::ptr_eq(&first, &second));
        // The size of the directory may be the same, its time is not.
        std::thread::sleep(std::time::Duration::from_millis(20));
        std::fs::write(temporary.path().join("f"), "").unwrap();
        assert_eq!(library.entries(&open()).unwrap().len(), 1);
    }
}
