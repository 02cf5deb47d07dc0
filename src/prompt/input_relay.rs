//! Relay of what is typed: the line editor reads a pseudo-terminal of this program, and a thread passes to it what arrives at
//! the user's terminal.
//!
//! Not the editing, and not the mode of the user's terminal. Invariants: the terminal is read only while a line is edited
//! and this program is in the foreground, and a piece at a time, so that what is typed ahead waits in the terminal; the line
//! editor gets valid UTF-8 only.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::stdio::stdin;
use rustix::termios::{OptionalActions, SpecialCodeIndex, tcgetattr, tcsetattr};

use super::activity::Activity;
use super::limits::{BACKGROUND, DRAIN_MAX, DRAIN_MIN, PIECE};
use crate::saved_mode::{self, terminal};

/// Keys that send signals.
const SIGNALS: [SpecialCodeIndex; 3] = [
    SpecialCodeIndex::VINTR,
    SpecialCodeIndex::VQUIT,
    SpecialCodeIndex::VSUSP,
];

/// Code of a key that is turned off, `_POSIX_VDISABLE` of Linux.
pub const KEY_OFF: u8 = 0;

/// Relay before its thread is started.
pub struct InputRelay {
    /// End of the pseudo-terminal that the thread writes to.
    master: OwnedFd,
    gate: Gate,
}

/// Access to the relay from the threads beside it.
#[derive(Clone, Debug)]
pub struct Gate(Arc<State>);

#[derive(Debug)]
struct State {
    activity: Activity,
    /// True while a line is edited.
    is_open: AtomicBool,
    /// True once nothing more is read.
    is_ended: AtomicBool,
    /// Counter of the changes above.
    changed: OwnedFd,
}

impl InputRelay {
    /// Opens the pseudo-terminal in the place of standard input, which [`saved_mode::terminal`] then returns.
    ///
    /// # Errors
    /// The system has no pseudo-terminal or descriptor left.
    pub fn open(activity: Activity) -> io::Result<Self> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags)?;
        unlockpt(&master)?;
        let slave = ioctl_tiocgptpeer(&master, flags)?;
        let user = tcgetattr(terminal())?;
        let mut mode = tcgetattr(&slave)?;
        mode.make_raw();
        // The line editor takes the meaning of keys from them. Those that send signals do so at the user's terminal: here
        // they are off, as the system would drop input for them, and the line editor stop the whole process group. The code
        // of a key that is off is NUL, which is not passed on.
        mode.special_codes = user.special_codes;
        for signal in SIGNALS {
            mode.special_codes[signal] = KEY_OFF;
        }
        mode.special_codes[SpecialCodeIndex::VMIN] = 1;
        mode.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(&slave, OptionalActions::Now, &mode)?;
        let state = State {
            activity,
            is_open: AtomicBool::new(false),
            is_ended: AtomicBool::new(false),
            changed: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
        };
        saved_mode::replace_input(&slave)?;
        Ok(Self {
            master,
            gate: Gate(Arc::new(state)),
        })
    }

    /// Returns the access of the line editor.
    pub fn gate(&self) -> Gate {
        self.gate.clone()
    }

    /// Starts the thread. At the end of the terminal, the line editor reads the end of input; after [`Gate::end`] it reads
    /// nothing more, and so writes nothing to a terminal that others have.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(self) -> io::Result<()> {
        let Self { master, gate } = self;
        std::thread::Builder::new()
            .name("keys".into())
            .spawn(move || {
                saved_mode::go_on_in_background();
                // A terminal that is gone has the end of input.
                let _ = gate.0.relay(&master);
                if gate.0.is_ended() {
                    std::mem::forget(master);
                }
            })
            .map(drop)
    }
}

impl Gate {
    /// Waits until this program has the terminal in its mode, and lets it be read. The line editor calls it in its thread.
    pub fn open(&self) {
        while !self.0.has_terminal() && !self.0.is_ended() {
            std::thread::sleep(BACKGROUND);
        }
        self.0.set(&self.0.is_open, true);
    }

    /// Ends the reading until [`open`](Self::open).
    pub fn close(&self) {
        self.0.set(&self.0.is_open, false);
    }

    /// Ends the thread.
    pub fn end(&self) {
        self.0.set(&self.0.is_ended, true);
    }
}

impl State {
    fn set(&self, flag: &AtomicBool, value: bool) {
        flag.store(value, Ordering::SeqCst);
        // A full counter is readable, too.
        let _ = rustix::io::write(&self.changed, &1_u64.to_ne_bytes());
    }

    /// Returns true if the terminal is that of this program and has its mode.
    fn has_terminal(&self) -> bool {
        !self.activity.is_lost() && !saved_mode::is_in_background()
    }

    fn is_ended(&self) -> bool {
        self.is_ended.load(Ordering::SeqCst)
    }

    fn is_open(&self) -> bool {
        self.is_open.load(Ordering::SeqCst)
    }

    /// Passes on what is typed, until it is ended or the terminal is gone.
    fn relay(&self, master: &OwnedFd) -> io::Result<()> {
        let mut decoder = Decoder::default();
        let mut pause = DRAIN_MIN;
        while !self.is_ended() {
            if !self.is_open() {
                self.wait(None)?;
            } else if !self.has_terminal() {
                self.wait(Some(BACKGROUND))?;
            } else if has_input()? {
                self.wait(Some(pause))?;
                pause = (pause * 2).min(DRAIN_MAX);
            } else {
                pause = DRAIN_MIN;
                if self.wait_for_key()? && !read(&mut decoder, master)? {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Waits for a change of the flags, or a time.
    fn wait(&self, time: Option<Duration>) -> io::Result<()> {
        let time = time.map(Timespec::try_from).transpose();
        let time = time.map_err(io::Error::other)?;
        let mut changed = [PollFd::new(&self.changed, PollFlags::IN)];
        match poll(&mut changed, time.as_ref()) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => self.take_change(),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Waits for input of the terminal, or a change of the flags. Returns true if the terminal is to be read.
    fn wait_for_key(&self) -> io::Result<bool> {
        let terminal = terminal();
        let mut ready = [
            PollFd::from_borrowed_fd(terminal, PollFlags::IN),
            PollFd::new(&self.changed, PollFlags::IN),
        ];
        match poll(&mut ready, None) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        let [key, changed] = ready.map(|ready| !ready.revents().is_empty());
        if changed {
            self.take_change();
        }
        Ok(key && self.is_open() && !self.is_ended() && self.has_terminal())
    }

    fn take_change(&self) {
        let _ = rustix::io::read(&self.changed, &mut [0_u8; 8]);
    }
}

/// Passes on a piece of what is typed. Returns false at the end of the terminal.
fn read(decoder: &mut Decoder, master: &OwnedFd) -> io::Result<bool> {
    let mut piece = [0; PIECE];
    let count = match rustix::io::read(terminal(), &mut piece) {
        Ok(0) => return Ok(false),
        Ok(count) => count,
        Err(Errno::INTR) => return Ok(true),
        // It was in the foreground just now.
        Err(Errno::IO) if saved_mode::is_in_background() => return Ok(true),
        Err(error) => return Err(error.into()),
    };
    let text = decoder.push(&piece[..count]);
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        match rustix::io::write(master, rest) {
            Ok(count) => rest = &rest[count..],
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

/// Drops what was passed on and is not edited, as the terminal drops what was not read when a key sends a signal.
pub fn discard_input() {
    let mut dropped = [0; PIECE];
    while has_input().is_ok_and(|has_input| has_input)
        && rustix::io::read(stdin(), &mut dropped).is_ok_and(|count| count > 0)
    {}
}

/// Returns true if the line editor has not read all that was passed to it.
fn has_input() -> io::Result<bool> {
    let input = stdin();
    let mut ready = [PollFd::new(&input, PollFlags::IN)];
    match poll(&mut ready, Some(&Timespec::default())) {
        Ok(count) => Ok(count > 0),
        Err(Errno::INTR) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// Decoder of UTF-8 in pieces. Each byte that belongs to no character becomes, with its like up to the next character, U+FFFD.
/// NUL, the key Ctrl-@, is dropped.
#[derive(Default, Debug)]
struct Decoder {
    /// Bytes of a character that is not complete, three at most.
    held: Vec<u8>,
}

impl Decoder {
    /// Takes a piece. Returns the characters that are complete.
    fn push(&mut self, piece: &[u8]) -> String {
        let keys = piece.iter().filter(|&&byte| byte != KEY_OFF);
        self.held.extend(keys);
        let mut text = String::new();
        let mut rest = &self.held[..];
        loop {
            match str::from_utf8(rest) {
                Ok(valid) => {
                    text.push_str(valid);
                    rest = &[];
                    break;
                }
                Err(error) => {
                    let (valid, behind) = rest.split_at(error.valid_up_to());
                    text.push_str(str::from_utf8(valid).expect("valid up to there"));
                    rest = behind;
                    let Some(length) = error.error_len() else {
                        break;
                    };
                    text.push(char::REPLACEMENT_CHARACTER);
                    rest = &rest[length..];
                }
            }
        }
        self.held = rest.to_vec();
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns what becomes of pieces.
    fn decoded(pieces: &[&[u8]]) -> String {
        let mut decoder = Decoder::default();
        pieces.iter().map(|piece| decoder.push(piece)).collect()
    }

    #[test]
    fn a_character_that_is_split_is_whole_and_other_bytes_are_replaced() {
        assert_eq!(
            decoded(&[b"caf\xc3", b"\xa9 \xf0\x9f", b"\x98", b"\x80."]),
            "café 😀."
        );
        assert_eq!(
            decoded(&[b"caf\xe9 noir\r", b"\xfc", b"ber\xff\xfe\r"]),
            "caf\u{fffd} noir\r\u{fffd}ber\u{fffd}\u{fffd}\r"
        );
        assert_eq!(decoded(&[b"a\0b", b"\0", b"\xc3\0", b"\xa9"]), "abé");
        // The byte behind the beginning of a character that does not go on is kept.
        assert_eq!(decoded(&[b"\xe9", b"\r"]), "\u{fffd}\r");
        assert_eq!(decoded(&[b"\xed\xa0\x80"]), "\u{fffd}".repeat(3));
    }

    #[test]
    fn pieces_of_any_length_have_the_same_text_as_the_whole() {
        let bytes = b"a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xe2\x82\xff\xc3\xc3\xa9\x80z";
        let whole = String::from_utf8_lossy(bytes);
        for length in 1..=bytes.len() {
            let pieces: Vec<_> = bytes.chunks(length).collect();
            assert_eq!(decoded(&pieces), whole);
        }
    }
}
