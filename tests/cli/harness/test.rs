//! One run of a program that ends, and its expected output.

use std::io::{Read, Write as _};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Instant;

use super::DEADLINE;

/// A run with its expected result: by default empty outputs and status 0.
pub struct Test {
    command: Command,
    stdin: Vec<u8>,
    stdout: Vec<u8>,
    stderr: String,
    status: i32,
}

/// Output and status of a run.
#[derive(Debug)]
pub struct Outcome {
    pub stdout: Vec<u8>,
    pub stderr: String,
    pub status: i32,
}

impl Test {
    pub fn new(command: Command) -> Self {
        Self {
            command,
            stdin: Vec::new(),
            stdout: Vec::new(),
            stderr: String::new(),
            status: 0,
        }
    }

    pub fn stdin(mut self, stdin: impl Into<Vec<u8>>) -> Self {
        self.stdin = stdin.into();
        self
    }

    pub fn stdout(mut self, stdout: impl Into<Vec<u8>>) -> Self {
        self.stdout = stdout.into();
        self
    }

    /// Sets the expected stderr, with ID for request ids and TIME for durations.
    pub fn stderr(mut self, stderr: impl Into<String>) -> Self {
        self.stderr = stderr.into();
        self
    }

    pub const fn status(mut self, status: i32) -> Self {
        self.status = status;
        self
    }

    /// Runs the program and compares the result.
    #[track_caller]
    pub fn run(self) {
        let wanted = (
            String::from_utf8_lossy(&self.stdout).into_owned(),
            self.stderr.clone(),
            self.status,
        );
        let stdout = self.stdout.clone();
        let outcome = self.outcome();
        let got = (
            String::from_utf8_lossy(&outcome.stdout).into_owned(),
            masked(&outcome.stderr),
            outcome.status,
        );
        assert_eq!(got, wanted);
        assert!(outcome.stdout == stdout, "bytes that are not UTF-8 differ");
    }

    /// Runs the program and returns the result.
    #[track_caller]
    pub fn outcome(mut self) -> Outcome {
        let mut child = self
            .command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pipe = child.stdin.take().unwrap();
        let stdin = self.stdin;
        std::thread::spawn(move || {
            // The program need not read all of it.
            let _ = pipe.write_all(&stdin);
        });
        let (sender, ended) = channel();
        let collect = |mut stream: Box<dyn Read + Send>, which: usize| {
            let sender = sender.clone();
            std::thread::spawn(move || {
                let mut all = Vec::new();
                let _ = stream.read_to_end(&mut all);
                let _ = sender.send((which, all));
            });
        };
        collect(Box::new(child.stdout.take().unwrap()), 0);
        collect(Box::new(child.stderr.take().unwrap()), 1);
        let mut streams = [Vec::new(), Vec::new()];
        let deadline = Instant::now() + DEADLINE;
        for _ in 0..2 {
            let left = deadline.saturating_duration_since(Instant::now());
            if let Ok((which, all)) = ended.recv_timeout(left) {
                streams[which] = all;
            } else {
                let _ = child.kill();
                let _ = child.wait();
                panic!("no end of {:?}", self.command);
            }
        }
        let status = child.wait().unwrap();
        let [stdout, stderr] = streams;
        Outcome {
            stdout,
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
            status: super::shell_status(status).unwrap_or(-1),
        }
    }
}

/// Replaces request ids by ID and durations by TIME.
pub fn masked(text: &str) -> String {
    let mut masked = String::new();
    for word in text.split_inclusive([' ', '\n']) {
        let end = word.trim_end_matches([' ', '\n', ';']).len();
        let (core, rest) = word.split_at(end);
        let is_id = core.len() == 32 && core.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_time = core.strip_suffix('s').is_some_and(|number| {
            number.contains('.')
                && number
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || byte == b'.')
        });
        masked += match (is_id, is_time) {
            (true, _) => "ID",
            (_, true) => "TIME",
            _ => core,
        };
        masked += rest;
    }
    masked
}
