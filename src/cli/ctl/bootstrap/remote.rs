//! Shell scripts on a host over the system's ssh.
//!
//! Not their content. Invariants: the login shell gets one line of words that every shell takes alike; no secret is part of a
//! command line, here or there; what ssh and the script print on standard error is shown as it is.

use std::io::{Read as _, Write as _};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::escape;

/// Bytes read of a script's output.
const OUTPUT: u64 = 64 << 10;

/// Beginning of the lines that a script of ours prints.
const MARK: &str = "udpctl: ";

/// Way to a host.
pub struct Remote {
    /// Program and options that run a command on a host.
    pub ssh: Vec<String>,
    /// The host as ssh takes it, perhaps with a user.
    pub destination: String,
}

/// Output and exit status of a script.
pub struct Printed {
    text: String,
    status: ExitStatus,
}

impl Remote {
    /// Runs a script that is given on standard input.
    pub fn run_script(&self, script: &str, args: &[&str]) -> Result<Printed> {
        let args: Vec<_> = args.iter().map(|arg| escape::shell_word(arg)).collect();
        let line = format!("sh -s -- {}", args.join(" "));
        self.run(line.trim_end(), script.as_bytes())
    }

    /// Runs a command line with these bytes on standard input.
    pub fn run(&self, line: &str, input: &[u8]) -> Result<Printed> {
        let (program, options) = self.ssh.split_first().context("--ssh is empty")?;
        let mut child = Command::new(program)
            .args(options)
            .args(["-T", &self.destination, line])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| program.clone())?;
        let mut stdin = child.stdin.take().expect("standard input is a pipe");
        let stdout = child.stdout.take().expect("standard output is a pipe");
        let mut text = Vec::new();
        let read = std::thread::scope(|scope| {
            scope.spawn(move || {
                // The status of ssh tells why not all was taken.
                let _ = stdin.write_all(input);
            });
            stdout.take(OUTPUT).read_to_end(&mut text)
        });
        let status = child.wait().context("ssh")?;
        read.context("ssh")?;
        let printed = Printed {
            text: String::from_utf8_lossy(&text).into_owned(),
            status,
        };
        if printed.status.code() == Some(255) {
            let ssh = [&self.ssh.join(" "), " ", &self.destination].concat();
            bail!("ssh failed; \"{ssh} true\" should work first");
        }
        Ok(printed)
    }
}

impl Printed {
    /// Returns what follows a word in the lines of our script; safe to print.
    pub fn word(&self, word: &str) -> Option<String> {
        let mut lines = self.text.lines().filter_map(|line| line.strip_prefix(MARK));
        let line = lines.find_map(|line| line.strip_prefix(word)?.strip_prefix(' '))?;
        Some(escape::line(line.trim().as_bytes(), 256).into_owned())
    }

    /// Returns the whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Exit status; -1 if a signal ended ssh.
    pub fn status(&self) -> i32 {
        self.status.code().unwrap_or(-1)
    }
}
