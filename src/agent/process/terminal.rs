//! A pseudo-terminal: what makes a program believe that a person sits before it.
//!
//! Not a terminal emulator: bytes pass as they are. Invariant: the program's end is closed on our side as
//! soon as it has been started, so that reading ours ends when the last process has let go of it.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{Uid, fchown};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{InputModes, OptionalActions, Winsize, tcgetattr, tcsetattr, tcsetwinsize};

/// The size of a terminal's window, in characters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WindowSize {
    /// Lines.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
}

impl From<WindowSize> for Winsize {
    fn from(size: WindowSize) -> Self {
        Self {
            ws_row: size.rows,
            ws_col: size.columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        }
    }
}

/// Both ends.
pub(super) struct Terminal {
    /// Ours.
    pub(super) master: OwnedFd,
    /// The program's.
    pub(super) slave: OwnedFd,
}

impl Terminal {
    /// A new one, which `owner` may open again by its name in `/dev/pts`; `None`: whoever runs us.
    pub(super) fn open(size: WindowSize, owner: Option<u32>) -> io::Result<Self> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags)?;
        unlockpt(&master)?;
        let slave = ioctl_tiocgptpeer(&master, flags)?;
        if let Some(uid) = owner {
            fchown(&slave, Some(Uid::from_raw(uid)), None)?;
        }
        // So that erasing a character in cooked mode erases all of its bytes: text is UTF-8 here.
        let mut modes = tcgetattr(&slave)?;
        modes.input_modes |= InputModes::IUTF8;
        tcsetattr(&slave, OptionalActions::Now, &modes)?;
        tcsetwinsize(&slave, size.into())?;
        Ok(Self { master, slave })
    }
}
