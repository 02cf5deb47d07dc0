//! Relay of what is typed: the line editor reads a pseudo-terminal of this program, and a thread passes to it what arrives at
//! the user's terminal.
//!
//! Not the editing, and not the mode of the user's terminal. Invariants: the terminal is read only while a line is edited
//! and this program is in the foreground, and a piece at a time, so that what is typed ahead waits in the terminal; the line
//! editor gets valid UTF-8 only, and nothing behind the end of a line with it, so that it has read nothing ahead when the line
//! is complete.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::stdio::stdin;
use rustix::termios::{OptionalActions, SpecialCodeIndex, tcgetattr, tcsetattr};

use super::activity::Activity;
use super::limits::{BACKGROUND, DRAIN_MAX, DRAIN_MIN, PIECE, READ, UNSENT};
use super::typed_ahead::{KEY_OFF, TypedAhead};
use crate::saved_mode::{self, terminal};

/// Keys that send signals.
const SIGNALS: [SpecialCodeIndex; 3] = [
    SpecialCodeIndex::VINTR,
    SpecialCodeIndex::VQUIT,
    SpecialCodeIndex::VSUSP,
];

/// Key that completes a line.
const ENTER: &str = "\r";

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
    /// True if the line that is edited is to be put aside.
    is_parking: AtomicBool,
    /// True if the line editor was made to complete it for that.
    is_parked: AtomicBool,
    /// Counter of the changes above.
    changed: OwnedFd,
    passing: Mutex<TypedAhead>,
    /// Notified at the end of a read.
    read: Condvar,
}

impl InputRelay {
    /// Opens the pseudo-terminal in the place of standard input, which [`saved_mode::terminal`] then returns. `keys` are
    /// passed on before what is typed from now on, and `aside` are put aside.
    ///
    /// # Errors
    /// The system has no pseudo-terminal or descriptor left.
    pub fn open(activity: Activity, keys: &[u8], aside: &[u8]) -> io::Result<Self> {
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
        let mut passing = TypedAhead::default();
        passing.push(keys);
        passing.put_aside(aside);
        let state = State {
            activity,
            passing: Mutex::new(passing),
            read: Condvar::new(),
            is_open: AtomicBool::new(false),
            is_ended: AtomicBool::new(false),
            is_parking: AtomicBool::new(false),
            is_parked: AtomicBool::new(false),
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
        // A piece of the line before that was not read is the beginning of this one.
        let is_read = !has_input().unwrap_or(true);
        self.0.passing().begin_line(is_read);
        if is_read {
            self.0.is_parked.store(false, Ordering::SeqCst);
        }
        self.0.set(&self.0.is_open, true);
    }

    /// Lets the line editor complete the line that is edited, so that it can be put aside.
    pub fn park(&self) {
        self.0.set(&self.0.is_parking, true);
    }

    /// Returns true if the line that was completed last is to be put aside.
    pub fn take_parked(&self) -> bool {
        self.0.is_parked.swap(false, Ordering::SeqCst)
    }

    /// Ends the reading until [`open`](Self::open).
    pub fn close(&self) {
        self.0.set(&self.0.is_open, false);
    }

    /// Ends the thread.
    pub fn end(&self) {
        self.0.set(&self.0.is_ended, true);
    }

    /// Returns true if the thread was ended.
    pub fn is_ended(&self) -> bool {
        self.0.is_ended()
    }

    /// Returns true if something was typed that the line editor has not read.
    pub fn has_more(&self) -> bool {
        let is_passed = self.0.passing().is_empty();
        let has_unread = || !is_passed || has_input().unwrap_or(false) || saved_mode::has_input();
        self.0.has_terminal() && has_unread()
    }

    /// Drops what was read and the line editor has not handled, as the terminal drops what was not read when a key sends a
    /// signal. Returns it, as the terminal keeps what is typed behind that key. The line editor calls it in its thread.
    pub fn discard(&self) -> Vec<u8> {
        let mut passing = self.0.passing();
        passing.take(&self.0.unread_keys())
    }

    /// Puts aside what was typed and the line editor has not handled, until [`restore`](Self::restore): it was typed before a
    /// question that nobody had seen, and is no answer. The line editor calls it in its thread.
    pub fn put_aside(&self) {
        let mut passing = self.0.await_read();
        let keys = passing.take(&self.0.unread_keys());
        passing.put_aside(&keys);
        if self.0.has_terminal() && !passing.is_reading {
            passing.put_aside(&read_waiting());
        }
    }

    /// Passes on what was put aside, before what is typed from now on. The line editor calls it in its thread.
    pub fn restore(&self) {
        self.0.passing().restore_aside();
    }

    /// Takes what was put aside.
    pub fn take_aside(&self) -> Vec<u8> {
        self.0.passing().take_aside()
    }

    /// Takes what was typed behind the line that leaves, also what waits in the terminal, a bounded part of it. Call it when the
    /// editor reads nothing more.
    pub fn take_behind(&self) -> Vec<u8> {
        let mut passing = self.0.await_read();
        let mut keys = passing.take(&self.0.unread_keys());
        if self.0.has_terminal() && !passing.is_reading {
            keys.extend(read_waiting());
        }
        keys
    }

    /// Ends the thread. Returns the keys that were read and that the line editor has not handled, in their order. Call it
    /// when the editor reads nothing more.
    pub fn take_keys(&self) -> Vec<u8> {
        self.end();
        let mut passing = self.0.await_read();
        passing.take(&self.0.unread_keys())
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

    /// Returns what is between the terminal and the line editor.
    fn passing(&self) -> MutexGuard<'_, TypedAhead> {
        self.passing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes on what is typed, until it is ended or the terminal is gone.
    fn relay(&self, master: &OwnedFd) -> io::Result<()> {
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
                if !self.pass(master)? && self.wait_for_key()? && !self.read()? {
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

    /// The same once no thread reads the terminal: at once, or after a bounded time if something else has taken the input that
    /// was there, and a read waits for more.
    fn await_read(&self) -> MutexGuard<'_, TypedAhead> {
        let is_reading = |passing: &mut TypedAhead| passing.is_reading;
        let waited = self
            .read
            .wait_timeout_while(self.passing(), READ, is_reading);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Reads the keys that were passed on and that the line editor has not read.
    fn unread_keys(&self) -> Vec<u8> {
        let unread = read_unread();
        // Nobody has typed the Enter that lets a line be put aside. Nothing is passed on behind it before it is read.
        if unread == ENTER.as_bytes() && self.is_parked.swap(false, Ordering::SeqCst) {
            return Vec::new();
        }
        unread
    }

    fn take_change(&self) {
        let _ = rustix::io::read(&self.changed, &mut [0_u8; 8]);
    }

    /// Reads a piece of what is typed. Returns false at the end of the terminal.
    fn read(&self) -> io::Result<bool> {
        let mut passing = self.passing();
        if self.is_ended() {
            return Ok(true);
        }
        passing.is_reading = true;
        drop(passing);
        let mut piece = [0; PIECE];
        // It waits if something else has taken or dropped the input since the poll.
        let read = rustix::io::read(terminal(), &mut piece);
        let mut passing = self.passing();
        passing.is_reading = false;
        self.read.notify_all();
        match read {
            // With the mode of another program, this need not be the end.
            Ok(0) => return Ok(!is_hung_up()?),
            Ok(count) => passing.push(&piece[..count]),
            Err(Errno::INTR) => {}
            // It was in the foreground just now.
            Err(Errno::IO) if saved_mode::is_in_background() => {}
            Err(error) => return Err(error.into()),
        }
        Ok(true)
    }

    /// Passes on what was read, up to the end of a line, or before that Enter if the line is to be put aside. Returns false if
    /// there was nothing.
    fn pass(&self, master: &OwnedFd) -> io::Result<bool> {
        let mut passing = self.passing();
        if self.is_ended() {
            return Ok(true);
        }
        let is_parked = !passing.ends_line() && self.is_parking.swap(false, Ordering::SeqCst);
        let piece = if is_parked {
            self.is_parked.store(true, Ordering::SeqCst);
            ENTER.to_owned()
        } else {
            passing.next_piece()
        };
        // The line editor has read all before: there is room for it.
        let mut rest = piece.as_bytes();
        while !rest.is_empty() {
            match rustix::io::write(master, rest) {
                Ok(count) => rest = &rest[count..],
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(!piece.is_empty())
    }
}

/// Returns true if the terminal is gone.
fn is_hung_up() -> io::Result<bool> {
    let mut ready = [PollFd::from_borrowed_fd(terminal(), PollFlags::empty())];
    match poll(&mut ready, Some(&Timespec::default())) {
        Ok(_) => Ok(ready[0].revents().contains(PollFlags::HUP)),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Reads what waits in the user's terminal, a bounded part of it.
fn read_waiting() -> Vec<u8> {
    let (mut waiting, mut piece) = (Vec::new(), [0; PIECE]);
    while waiting.len() < UNSENT
        && has_input_of(terminal()).is_ok_and(|has_input| has_input)
        && let Ok(count @ 1..) = rustix::io::read(terminal(), &mut piece)
    {
        waiting.extend_from_slice(&piece[..count]);
    }
    waiting
}

/// Reads what was passed on and the line editor has not read.
fn read_unread() -> Vec<u8> {
    let (mut unread, mut piece) = (Vec::new(), [0; PIECE]);
    while has_input().is_ok_and(|has_input| has_input)
        && let Ok(count @ 1..) = rustix::io::read(stdin(), &mut piece)
    {
        unread.extend_from_slice(&piece[..count]);
    }
    unread
}

/// Returns true if the line editor has not read all that was passed to it.
fn has_input() -> io::Result<bool> {
    has_input_of(stdin())
}

fn has_input_of(terminal: BorrowedFd<'_>) -> io::Result<bool> {
    let mut ready = [PollFd::from_borrowed_fd(terminal, PollFlags::IN)];
    match poll(&mut ready, Some(&Timespec::default())) {
        Ok(count) => Ok(count > 0),
        Err(Errno::INTR) => Ok(true),
        Err(error) => Err(error.into()),
    }
}
