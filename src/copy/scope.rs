//! Part of the file system in which a copy may read or write.
//!
//! Not the check of a key, which decides on the scope. Invariant: what is opened through a scope lies beneath one of its
//! directories at that moment, whatever symbolic links there are. The path of such a directory has no symbolic link itself:
//! whoever may write to a directory above it cannot put another one in its place by a link.

use std::ffi::OsStr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

use super::directory::Directory;
use super::fault::Fault;
use super::name::Name;

/// Part of the file system.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Scope {
    /// Everything that the user may reach.
    Everywhere,
    /// The directories of these absolute paths, with all that is in them. A path with a symbolic link names none.
    Beneath(Vec<PathBuf>),
}

impl Scope {
    /// Opens a path, relative ones from the directory in which the process is.
    ///
    /// # Errors
    /// [`Fault::Policy`] if it lies outside the scope, or of the system.
    pub fn open(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Fault> {
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        let flags = flags | OFlags::CLOEXEC;
        match self {
            Self::Everywhere => Ok(openat(CWD, path, flags, Mode::empty())?),
            Self::Beneath(roots) => {
                let absolute = std::path::absolute(path).map_err(|_| Fault::Policy)?;
                let outer = absolute
                    .components()
                    .any(|component| component == Component::ParentDir);
                if outer {
                    return Err(Fault::Policy);
                }
                let inside = |root: &PathBuf| {
                    let rest = absolute.strip_prefix(root).ok()?.to_owned();
                    Some((root.clone(), rest))
                };
                let (root, rest) = roots.iter().find_map(inside).ok_or(Fault::Policy)?;
                open_beneath(&root, &rest, flags)
            }
        }
    }

    /// Opens the directory that a path names.
    ///
    /// # Errors
    /// As [`Scope::open`].
    pub fn directory(&self, path: &Path, access: OFlags) -> Result<Directory, Fault> {
        let fd = self.open(path, access | OFlags::DIRECTORY)?;
        Ok(Directory::new(fd))
    }

    /// Opens the directory above the last name of a path.
    ///
    /// # Errors
    /// [`Fault::Name`] if the path has no last name, and as [`Scope::open`].
    pub fn parent(&self, path: &Path) -> Result<(Directory, Name), Fault> {
        let name = Name::last_of(path).ok_or(Fault::Name)?;
        let parent = path.parent().ok_or(Fault::Name)?;
        Ok((self.directory(parent, OFlags::PATH)?, name))
    }
}

/// Opens the directory of an absolute path without following any symbolic link. Each name in it may be chosen by the owner of
/// the directory above, and a link to anywhere would be one that the administrator has not named.
fn open_root(path: &Path) -> Result<OwnedFd, Fault> {
    let above = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let all = openat(CWD, "/", above, Mode::empty())?;
    let rest = path.strip_prefix("/").map_err(|_| Fault::Policy)?;
    if rest.as_os_str().is_empty() {
        return Ok(all);
    }
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let opened = match openat2(&all, rest, above, Mode::empty(), resolve) {
        Err(Errno::NOSYS | Errno::PERM) => step_by_step(all, rest, above),
        opened => opened.map_err(Fault::from),
    };
    opened.map_err(|fault| match fault {
        // The second is what a link is to one who wants a directory.
        _ if fault == Errno::LOOP.into() || fault == Errno::NOTDIR.into() => Fault::Policy,
        fault => fault,
    })
}

/// Opens a path beneath a directory.
fn open_beneath(root: &Path, rest: &Path, flags: OFlags) -> Result<OwnedFd, Fault> {
    let root = open_root(root)?;
    let rest = if rest.as_os_str().is_empty() {
        Path::new(".")
    } else {
        rest
    };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    match openat2(&root, rest, flags, Mode::empty(), resolve) {
        Ok(fd) => Ok(fd),
        // Only a symbolic link can lead out.
        Err(Errno::XDEV) => Err(Fault::Policy),
        Err(Errno::NOSYS | Errno::PERM) => step_by_step(root, rest, flags),
        Err(error) => Err(error.into()),
    }
}

/// Opens a path beneath a directory without following any symbolic link.
fn step_by_step(root: OwnedFd, rest: &Path, flags: OFlags) -> Result<OwnedFd, Fault> {
    let mut names: Vec<&OsStr> = Vec::new();
    for component in rest.components() {
        match component {
            Component::Normal(name) => names.push(name),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err(Fault::Policy);
            }
        }
    }
    let last = names.pop().unwrap_or_else(|| OsStr::from_bytes(b"."));
    let mut at = root;
    for name in names {
        let step = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        at = openat(at.as_fd(), name, step, Mode::empty())?;
    }
    let flags = flags | OFlags::NOFOLLOW;
    Ok(openat(at.as_fd(), last, flags, Mode::empty())?)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn nothing_outside_the_directories_of_a_scope_is_opened() {
        let temporary = tempfile::tempdir().unwrap();
        let at = |path: &str| temporary.path().join(path);
        fs::create_dir_all(at("in/sub")).unwrap();
        fs::create_dir(at("in2")).unwrap();
        fs::write(at("in/sub/file"), "x").unwrap();
        fs::write(at("secret"), "x").unwrap();
        symlink("sub/file", at("in/inner")).unwrap();
        symlink("../secret", at("in/outer")).unwrap();
        symlink(temporary.path(), at("in/up")).unwrap();
        let scope = Scope::Beneath(vec![at("in")]);
        let open = |path: &str| scope.open(&at(path), OFlags::RDONLY).map(drop);
        for path in ["in", "in/", "in/sub", "in/sub/file", "in/inner", "in/./sub"] {
            assert_eq!(open(path), Ok(()), "{path}");
        }
        for path in [
            "",
            "in2",
            "secret",
            "in/../secret",
            "in/outer",
            "in/up/secret",
            "in/sub/../../secret",
        ] {
            assert_eq!(open(path), Err(Fault::Policy), "{path}");
        }
        assert_eq!(open("in/none"), Err(Errno::NOENT.into()));
        assert_eq!(
            scope.parent(&at("in/new")).map(|(_, name)| name),
            Ok(Name::new(b"new").unwrap())
        );
        assert_eq!(scope.parent(&at("new")).map(drop), Err(Fault::Policy));
    }

    #[test]
    fn a_link_in_the_path_of_a_directory_of_a_scope_leads_nowhere() {
        let temporary = tempfile::tempdir().unwrap();
        let at = |path: &str| temporary.path().canonicalize().unwrap().join(path);
        fs::create_dir_all(at("above/in")).unwrap();
        fs::create_dir_all(at("other/in")).unwrap();
        fs::write(at("above/in/file"), "x").unwrap();
        fs::write(at("other/in/file"), "x").unwrap();
        let scope = Scope::Beneath(vec![at("above/in")]);
        let open = |path: &str| scope.open(&at(path), OFlags::RDONLY).map(drop);
        assert_eq!(open("above/in/file"), Ok(()));
        // Whoever may write to `above`, or to what it lies in, puts a link in the place of a directory.
        fs::rename(at("above/in"), at("above/away")).unwrap();
        symlink(at("other/in"), at("above/in")).unwrap();
        assert_eq!(open("above/in/file"), Err(Fault::Policy));
        assert_eq!(open("above/in"), Err(Fault::Policy));
        fs::rename(at("above"), at("away")).unwrap();
        symlink(at("other"), at("above")).unwrap();
        assert_eq!(open("above/in/file"), Err(Fault::Policy));
        assert_eq!(
            Scope::Beneath(vec!["/".into()])
                .open(&at("other/in/file"), OFlags::RDONLY)
                .map(drop),
            Ok(())
        );
    }

    #[test]
    fn without_openat2_no_symbolic_link_is_followed() {
        let temporary = tempfile::tempdir().unwrap();
        let at = |path: &str| temporary.path().join(path);
        fs::create_dir_all(at("in/sub")).unwrap();
        fs::write(at("in/sub/file"), "x").unwrap();
        symlink("sub", at("in/link")).unwrap();
        symlink("sub/file", at("in/inner")).unwrap();
        let open = |path: &str| {
            let flags = OFlags::PATH | OFlags::DIRECTORY;
            let root = openat(CWD, at("in"), flags, Mode::empty()).unwrap();
            step_by_step(root, Path::new(path), OFlags::RDONLY).map(drop)
        };
        for path in [".", "sub", "sub/file"] {
            assert_eq!(open(path), Ok(()), "{path}");
        }
        assert_eq!(open("link/file"), Err(Errno::NOTDIR.into()));
        assert_eq!(open("inner"), Err(Errno::LOOP.into()));
        assert_eq!(open("sub/../../x"), Err(Fault::Policy));
    }
}
