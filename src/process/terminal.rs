//! A pseudo-terminal: what makes a program believe that a person sits before it.
//!
//! Not a terminal emulator: bytes pass as they are. Invariant: as long as a [`Slave`] is held, reading our end
//! does not end, and closing our end is not called for: a program that lets go of its terminal and has not
//! exited yet would be ended by the hang-up.

use std::io;
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Uid, fchown};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, SpecialCodeIndex, Winsize, tcgetattr, tcsetattr,
    tcsetwinsize,
};

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

/// The program's end of its terminal, held beside it.
#[derive(Debug)]
pub struct Slave(OwnedFd);

/// State of a terminal's input queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Input {
    /// It holds something that can be read.
    Unread,
    /// Nothing but an unfinished line, in canonical mode.
    Lines {
        /// The character that ends it (VEOF of termios(3)), if there is one.
        end: Option<u8>,
    },
    /// Nothing, in noncanonical mode.
    Characters,
}

impl Slave {
    pub(super) const fn new(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// State of the input queue.
    ///
    /// # Errors
    /// Those of poll(2) and tcgetattr(3): `EIO` after the terminal was hung up.
    pub fn input(&self) -> io::Result<Input> {
        let now = Timespec::default();
        if poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&now))? > 0 {
            return Ok(Input::Unread);
        }
        let modes = tcgetattr(&self.0)?;
        if !modes.local_modes.contains(LocalModes::ICANON) {
            return Ok(Input::Characters);
        }
        let end = modes.special_codes[SpecialCodeIndex::VEOF];
        // _POSIX_VDISABLE of Linux.
        let end = (end != 0).then_some(end);
        Ok(Input::Lines { end })
    }
}
