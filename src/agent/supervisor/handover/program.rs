//! The file and the arguments with which this program is executed anew.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::fs::metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The program, as it was called.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its file: another one, if one was put in its place.
    pub path: PathBuf,
    /// Its arguments, the name first.
    pub args: Vec<OsString>,
}

impl Program {
    /// Returns the program that runs. Call at the start, before another file is put in its place.
    ///
    /// # Errors
    /// Its file cannot be found.
    pub fn current() -> io::Result<Self> {
        let args: Vec<_> = env::args_os().collect();
        let file = env::current_exe()?;
        // A link to a version must be followed anew, so the path as it was called comes first.
        let called = args.first().and_then(|name| called(Path::new(name)));
        let same = |path: &PathBuf| is_same(path, &file);
        Ok(Self {
            path: called.filter(same).unwrap_or(file),
            args,
        })
    }

    /// Returns the identity of the file that is in its place now.
    ///
    /// # Errors
    /// There is none.
    pub fn file(&self) -> io::Result<FileIdentity> {
        FileIdentity::of(&self.path)
    }
}

/// Identity of the contents of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileIdentity {
    device: u64,
    inode: u64,
    changed: (i64, i64),
}

impl FileIdentity {
    /// Returns the identity of a file.
    ///
    /// # Errors
    /// There is none.
    pub fn of(path: &Path) -> io::Result<Self> {
        let file = metadata(path)?;
        Ok(Self {
            device: file.dev(),
            inode: file.ino(),
            changed: (file.ctime(), file.ctime_nsec()),
        })
    }

    /// Parses the text that it is displayed as.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let file = Self {
            device: words.next()?.parse().ok()?,
            inode: words.next()?.parse().ok()?,
            changed: (words.next()?.parse().ok()?, words.next()?.parse().ok()?),
        };
        words.next().is_none().then_some(file)
    }
}

impl fmt::Display for FileIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanoseconds) = self.changed;
        let Self { device, inode, .. } = self;
        write!(f, "{device} {inode} {seconds} {nanoseconds}")
    }
}

/// Returns the path of a program of this name, as execvp(3) finds it.
fn called(name: &Path) -> Option<PathBuf> {
    if name.components().nth(1).is_some() || name.is_absolute() {
        return std::path::absolute(name).ok();
    }
    let path = env::var_os("PATH")?;
    let mut candidates = env::split_paths(&path).map(|directory| directory.join(name));
    let found = candidates.find(|file| file.is_file())?;
    std::path::absolute(found).ok()
}

fn is_same(one: &Path, other: &Path) -> bool {
    let identity = |path| metadata(path).map(|file| (file.dev(), file.ino()));
    matches!((identity(one), identity(other)), (Ok(one), Ok(other)) if one == other)
}
