//! A program on a pseudoterminal, for its modes, its end and the bytes that it writes; tmux draws screens instead.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::retry_on_intr;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use super::{DEADLINE, shell_status};

/// A program that has a terminal of 24 lines and 80 columns as its three streams.
pub struct Pty {
    /// The other end; `None` once the window is closed.
    window: Option<File>,
    process: std::process::Child,
    /// Bytes that were written so far.
    written: String,
    /// Length of those that were waited for.
    seen: usize,
}

impl Pty {
    /// Starts the program in a process group of its own, as a shell does. The terminal controls no session.
    pub fn start(mut command: Command) -> Self {
        let window = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC);
        let window = window.unwrap();
        grantpt(&window).unwrap();
        unlockpt(&window).unwrap();
        let size = Winsize {
            ws_row: 24,
            ws_col: 80,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&window, size).unwrap();
        let name = ptsname(&window, Vec::new()).unwrap();
        let name = OsStr::from_bytes(name.as_bytes());
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let terminal = open(name, flags, Mode::empty()).unwrap();
        let stream = || terminal.try_clone().unwrap();
        command
            .env("TERM", "xterm")
            .stdin(stream())
            .stdout(stream())
            .stderr(stream())
            .process_group(0);
        let process = command.spawn().unwrap();
        // The command holds the terminal's descriptors.
        drop(command);
        Self {
            window: Some(window.into()),
            process,
            written: String::new(),
            seen: 0,
        }
    }

    fn window(&mut self) -> &mut File {
        self.window.as_mut().expect("the window is open")
    }

    /// Types text.
    pub fn type_in(&mut self, text: &str) {
        self.type_bytes(text.as_bytes());
    }

    /// The same for bytes that may be no text.
    pub fn type_bytes(&mut self, bytes: &[u8]) {
        self.window().write_all(bytes).unwrap();
    }

    /// Waits until `wanted` was written after what was waited for before.
    #[track_caller]
    pub fn shows(&mut self, wanted: &str) {
        let deadline = Instant::now() + DEADLINE;
        while !self.written[self.seen..].contains(wanted) {
            let in_time = Instant::now() < deadline;
            assert!(
                in_time && self.read(deadline),
                "no {wanted:?} in {:?}",
                self.rest()
            );
        }
        let at = self.written[self.seen..].find(wanted).unwrap();
        self.seen += at + wanted.len();
    }

    /// Text behind what was waited for.
    pub fn rest(&self) -> &str {
        &self.written[self.seen..]
    }

    /// Reads what is written next. Returns false at the end.
    #[track_caller]
    fn read(&mut self, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = left.try_into().unwrap();
        let window = self.window.as_mut().expect("the window is open");
        let descriptor = window.as_fd();
        let is_ready = || poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], Some(&left));
        let ready = retry_on_intr(is_ready).unwrap();
        // A read would wait for ever.
        assert!(ready > 0, "nothing more in time: {:?}", self.rest());
        let window = self.window();
        let mut bytes = [0; 4096];
        // EIO once nobody has the terminal open.
        let length = window.read(&mut bytes).unwrap_or(0);
        self.written += &String::from_utf8_lossy(&bytes[..length]);
        length > 0
    }

    /// True if the terminal is in raw mode.
    pub fn is_raw(&mut self) -> bool {
        let modes = tcgetattr(self.window()).unwrap().local_modes;
        !modes.intersects(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
    }

    /// True if it has the modes that a new terminal has.
    pub fn is_cooked(&mut self) -> bool {
        let modes = tcgetattr(self.window()).unwrap().local_modes;
        modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
    }

    /// Closes the window.
    pub fn close(&mut self) {
        self.window = None;
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.process)
    }

    /// Waits until the program is stopped.
    #[track_caller]
    pub fn waits_for_a_stop(&mut self) {
        let (_, status) = waitpid(Some(self.pid()), WaitOptions::UNTRACED)
            .unwrap()
            .unwrap();
        if !status.stopped() {
            let deadline = Instant::now() + DEADLINE;
            while self.read(deadline) {}
            panic!("{status:?}: {:?}", self.rest());
        }
    }

    /// Waits for the end of the program, reading what it writes. Returns the status as a shell shows it.
    pub fn wait(&mut self) -> Option<i32> {
        let deadline = Instant::now() + DEADLINE;
        while self.window.is_some() && self.read(deadline) {
            assert!(Instant::now() < deadline, "no end of {:?}", self.rest());
        }
        shell_status(self.process.wait().unwrap())
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
