//! A pseudo-terminal for an interactive program.
//!
//! Not a terminal emulator: bytes pass unchanged. Invariant: while a [`Slave`] is held, reads of the master do
//! not end, so the master need not be closed when a program closes its terminal before it exits: the hangup
//! would terminate the program.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, SpecialCodeIndex, Winsize, tcgetattr, tcsetattr,
    tcsetwinsize,
};

/// Size of a terminal's window, in characters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WindowSize {
    /// Number of lines.
    pub rows: u16,
    /// Number of characters in a line.
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

/// Both ends of a pseudo-terminal.
pub(super) struct PseudoTerminal {
    /// The agent's end.
    pub(super) master: OwnedFd,
    /// The program's end.
    pub(super) slave: OwnedFd,
}

impl PseudoTerminal {
    /// Opens a new one, which belongs to the agent's user.
    pub(super) fn open(size: WindowSize) -> io::Result<Self> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags)?;
        unlockpt(&master)?;
        let slave = ioctl_tiocgptpeer(&master, flags)?;
        // Text is UTF-8: erasing a character in cooked mode must erase all of its bytes.
        let mut modes = tcgetattr(&slave)?;
        modes.input_modes |= InputModes::IUTF8;
        tcsetattr(&slave, OptionalActions::Now, &modes)?;
        tcsetwinsize(&slave, size.into())?;
        Ok(Self { master, slave })
    }
}

/// The program's end of its terminal, held open by the agent.
#[derive(Debug)]
pub struct Slave(OwnedFd);

/// State of a terminal's input queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Input {
    /// It contains input that can be read.
    Unread,
    /// It is empty or contains an unfinished line, in canonical mode.
    Lines {
        /// Character that ends the input (VEOF of termios(3)), if one is set.
        end: Option<u8>,
    },
    /// It is empty, in noncanonical mode.
    Characters,
}

impl Slave {
    pub(super) const fn new(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// Takes the descriptor of a slave that another program has opened.
    #[must_use]
    pub const fn adopt(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// Returns the state of the input queue.
    ///
    /// # Errors
    /// Those of poll(2) and tcgetattr(3): `EIO` after a hangup of the terminal.
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
        // 0 is _POSIX_VDISABLE of Linux: no character.
        let end = (end != 0).then_some(end);
        Ok(Input::Lines { end })
    }
}

impl AsFd for Slave {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
