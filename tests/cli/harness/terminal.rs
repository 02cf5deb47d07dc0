//! A terminal for interactive programs: tmux draws the screen and presses the keys.

use std::path::PathBuf;
use std::process::Command;

use super::{Agent, User, eventually};

/// A terminal with a shell, 80 by 24.
pub struct Terminal {
    pub user: User,
    socket: PathBuf,
}

impl Terminal {
    /// Starts tmux with a shell and waits for the prompt.
    pub fn new() -> Self {
        Self::of(User::new())
    }

    /// The same for a user with files.
    pub fn of(user: User) -> Self {
        let terminal = Self {
            socket: user.path("tmux"),
            user,
        };
        let shell = "PS1='here> ' exec sh";
        terminal.tmux(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            "80",
            "-y",
            "24",
            shell,
        ]);
        terminal.shows("here>");
        terminal
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.user.command("tmux");
        let bin = PathBuf::from(env!("CARGO_BIN_EXE_udpctl"));
        let path = format!("{}:/usr/bin:/bin", bin.parent().unwrap().display());
        command
            .env("PATH", path)
            .env("LC_ALL", "C.UTF-8")
            .arg("-S")
            .arg(&self.socket)
            .args(args);
        command
    }

    /// Runs a tmux command and returns its output.
    pub fn tmux(&self, args: &[&str]) -> String {
        let output = self.command(args).output().expect("tmux is installed");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            output.status.success(),
            "{args:?}: {}",
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    /// Presses keys, given by their names in tmux.
    pub fn keys(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    /// Types a line and presses Enter.
    pub fn line(&self, line: &str) {
        self.tmux(&["send-keys", "-l", line]);
        self.keys(&["Enter"]);
    }

    /// Returns the text of the screen.
    pub fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Waits until a line of the screen equals `wanted`.
    pub fn shows(&self, wanted: &str) {
        let mut last = String::new();
        eventually(&format!("{wanted:?} on the screen"), || {
            let screen = self.screen();
            if screen != last {
                last = screen;
                eprintln!("{last}");
            }
            last.lines().any(|line| line.trim_end() == wanted)
        });
    }

    /// Waits until the screen satisfies `so`.
    pub fn is(&self, what: &str, so: impl Fn(&str) -> bool) {
        let mut last = String::new();
        eventually(what, || {
            let screen = self.screen();
            if screen != last {
                last = screen;
                eprintln!("{last}");
            }
            so(&last)
        });
    }

    /// Waits for the local shell's prompt. Keys typed earlier could reach another program.
    pub fn prompt(&self) {
        self.at("here>");
    }

    /// Waits until the last line equals `wanted`.
    pub fn at(&self, wanted: &str) {
        self.is(wanted, |screen| {
            screen.trim_end().lines().last() == Some(wanted)
        });
    }

    /// Starts a remote shell with `exec -t` and waits for its prompt.
    pub fn remote_shell(&self, agent: &Agent, options: &str) {
        self.line(&format!(
            "udpctl exec -t {options} {} -- env 'PS1=there> ' sh",
            agent.target()
        ));
        self.shows("there>");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // The shell and the programs in it get SIGHUP.
        let _ = self.command(&["kill-server"]).output();
    }
}
