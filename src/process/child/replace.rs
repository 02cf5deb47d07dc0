//! The execution of another program in the place of this one, with the same process id, children and descriptors.
//!
//! Invariant: no signal is lost in between. All are blocked when the new program begins; it installs its handlers and
//! then calls [`unblock_signals`].

use std::ffi::{CString, OsStr, OsString, c_int};
use std::io;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::ptr;

use super::kernel;
use super::signals::{SignalSet, set_mask};

/// A program to execute in the place of this one.
#[derive(Debug)]
pub struct Successor<'a> {
    /// Its file.
    pub program: &'a Path,
    /// Its arguments, the name first.
    pub args: &'a [OsString],
    /// A variable besides those of this program.
    pub variable: (&'a str, &'a str),
    /// Descriptors that stay open under their numbers. All others of this program are closed.
    pub kept: &'a [RawFd],
}

/// Executes a program in the place of this one. `is_wanted` is asked when no signal is delivered any more. Returns only
/// if the program cannot be executed or is not wanted; this one goes on then. For a program with a single thread.
///
/// # Errors
/// Those of `execve(2)`; `Interrupted` if it is not wanted; `InvalidInput` if a string contains a zero byte.
pub fn replace(successor: &Successor<'_>, is_wanted: impl FnOnce() -> bool) -> io::Error {
    let prepared = successor.strings();
    let mask = set_mask(SignalSet::MAX);
    let error = match prepared {
        Ok(strings) if is_wanted() => {
            set_flags(successor.kept, 0);
            strings.execute()
        }
        Ok(_) => io::ErrorKind::Interrupted.into(),
        Err(error) => error,
    };
    set_flags(successor.kept, libc::FD_CLOEXEC);
    set_mask(mask);
    error
}

/// Sets the flags of descriptors. One that is not open has none.
fn set_flags(descriptors: &[RawFd], flags: c_int) {
    for &fd in descriptors {
        // SAFETY: the call takes any number and only changes a flag.
        let _ = unsafe { libc::fcntl(fd, libc::F_SETFD, flags) };
    }
}

/// Lets signals be delivered to this thread, after [`replace`] has blocked them in the program before.
pub fn unblock_signals() {
    set_mask(0);
}

/// Arguments of execve(2).
struct Strings {
    program: CString,
    argv: Vec<CString>,
    env: Vec<CString>,
}

impl Successor<'_> {
    fn strings(&self) -> io::Result<Strings> {
        let string = |text: &OsStr| CString::new(text.as_bytes()).map_err(io::Error::other);
        let (name, value) = self.variable;
        let pair = |name: &OsStr, value: &OsStr| {
            let mut pair = name.to_owned();
            pair.push("=");
            pair.push(value);
            pair
        };
        let inherited = std::env::vars_os().filter(|(other, _)| other != name);
        let inherited = inherited.map(|(name, value)| pair(&name, &value));
        let env = inherited.chain([pair(name.as_ref(), value.as_ref())]);
        Ok(Strings {
            program: string(self.program.as_os_str())?,
            argv: self
                .args
                .iter()
                .map(|arg| string(arg))
                .collect::<io::Result<_>>()?,
            env: env.map(|pair| string(&pair)).collect::<io::Result<_>>()?,
        })
    }
}

impl Strings {
    /// Returns only on failure.
    fn execute(&self) -> io::Error {
        let pointers = |strings: &[CString]| {
            let pointers = strings.iter().map(|string| string.as_ptr());
            pointers.chain([ptr::null()]).collect::<Vec<_>>()
        };
        let (argv, env) = (pointers(&self.argv), pointers(&self.env));
        let args = [
            self.program.as_ptr().expose_provenance(),
            argv.as_ptr().expose_provenance(),
            env.as_ptr().expose_provenance(),
            0,
            0,
        ];
        // SAFETY: a string and two arrays of strings that end in a null pointer, all of which live until it returns.
        match unsafe { kernel::call(libc::SYS_execve, args) } {
            Ok(_) => io::ErrorKind::Other.into(),
            Err(errno) => errno.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_wanted_is_not_executed_and_signals_are_delivered_again() {
        let successor = Successor {
            program: Path::new("/bin/false"),
            args: &["false".into()],
            variable: ("UDPAGENT_TEST", ""),
            kept: &[],
        };
        let before = set_mask(0);
        let mut meanwhile = 0;
        let error = replace(&successor, || {
            meanwhile = set_mask(SignalSet::MAX);
            false
        });
        let after = set_mask(before);
        assert_eq!(error.kind(), io::ErrorKind::Interrupted);
        assert_eq!((meanwhile != 0, after), (true, 0));
    }
}
