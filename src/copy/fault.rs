//! Reason why an item was not copied: an error of a system, or one of the copy itself.
//!
//! Not the item's path. Invariant: every code from a peer is a fault, and a fault and its code stand for each other.

use std::fmt;
use std::io;

use rustix::io::Errno;

/// Reason why an item was not copied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Error number of the system on whose side it happened.
    System(u32),
    /// The file became shorter while it was read.
    Changed,
    /// The bytes that were written have another hash than those that were read.
    Mismatch,
    /// The item is a device, a socket or a pipe.
    Special,
    /// The directories are nested too deeply.
    Depth,
    /// The key may not copy there.
    Policy,
    /// The item is a directory, and directories were not asked for.
    Directory,
    /// The destination is a directory, or has to be one and is not.
    NotDirectory,
    /// The path has a name that no file can have.
    Name,
    /// A directory was moved while it was copied.
    Moved,
    /// The directory to write to is not there.
    NoDirectory,
    /// A fault of a newer version.
    Unknown(u32),
}

/// First code that is no error number: those are below 4096.
const OWN: u32 = 0x1_0000;

impl Fault {
    /// Returns the code in a frame.
    #[must_use]
    pub const fn code(self) -> u32 {
        match self {
            Self::System(code) | Self::Unknown(code) => code,
            Self::Changed => OWN,
            Self::Mismatch => OWN + 1,
            Self::Special => OWN + 2,
            Self::Depth => OWN + 3,
            Self::Policy => OWN + 4,
            Self::Directory => OWN + 5,
            Self::NotDirectory => OWN + 6,
            Self::Name => OWN + 7,
            Self::Moved => OWN + 8,
            Self::NoDirectory => OWN + 9,
        }
    }

    /// Returns the fault of a code.
    #[must_use]
    pub const fn of_code(code: u32) -> Self {
        if code < 4096 {
            return Self::System(code);
        }
        match code.wrapping_sub(OWN) {
            0 => Self::Changed,
            1 => Self::Mismatch,
            2 => Self::Special,
            3 => Self::Depth,
            4 => Self::Policy,
            5 => Self::Directory,
            6 => Self::NotDirectory,
            7 => Self::Name,
            8 => Self::Moved,
            9 => Self::NoDirectory,
            _ => Self::Unknown(code),
        }
    }
}

impl From<Errno> for Fault {
    fn from(errno: Errno) -> Self {
        Self::System(errno.raw_os_error().unsigned_abs())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Self::System(errno) => {
                let error = io::Error::from_raw_os_error(errno.try_into().unwrap_or(i32::MAX));
                let text = error.to_string();
                let end = text.find(" (os error ").unwrap_or(text.len());
                return f.write_str(&text[..end]);
            }
            Self::Changed => "the file became shorter while it was read",
            Self::Mismatch => "what arrived has another hash than what was sent",
            Self::Special => "not a file, directory or symbolic link",
            Self::Depth => "directories are nested too deeply",
            Self::Policy => "this key may not copy there",
            Self::Directory => "is a directory; to copy it, use -r",
            Self::NotDirectory => "Not a directory",
            Self::Name => "not a name of a file",
            Self::Moved => "a directory was moved while it was copied",
            Self::NoDirectory => "no such directory; make it first",
            Self::Unknown(code) => return write!(f, "error {code}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_and_its_code_stand_for_each_other() {
        for code in (0..5000).chain(OWN - 5..OWN + 20).chain([u32::MAX]) {
            assert_eq!(Fault::of_code(code).code(), code);
        }
        assert_eq!(
            Fault::from(Errno::NOSPC).to_string(),
            "No space left on device"
        );
        assert_eq!(Fault::of_code(OWN + 100).to_string(), "error 65636");
    }
}
