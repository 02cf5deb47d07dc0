//! Tests with real processes. Each waits on events (a pidfd, a pipe) and fails at a deadline.

mod cgroups;
mod descriptors;
mod ends;
mod hangs;
mod lingering;
mod settings;
mod starts;
mod trial;

use std::ffi::OsString;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant as Clock};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::*;

const DEADLINE: Duration = Duration::from_secs(30);

fn spec(argv: &[&str]) -> Spec {
    Spec {
        argv: argv.iter().map(OsString::from).collect(),
        ..Spec::new(User::Own(Account::current()))
    }
}

/// Starts a process and waits until it has executed its program.
fn spawn(spec: &Spec) -> Result<Process, SpawnError> {
    start(spec)?.wait(DEADLINE)
}

fn shell(script: &str) -> Spec {
    spec(&["sh", "-c", script])
}

/// Runs a process to its end, reaps it, and returns its stdout, stderr and exit status.
fn run(spec: &Spec) -> (Vec<u8>, Vec<u8>, Exit) {
    let mut process = spawn(spec).unwrap();
    let stdout = read_to_end(process.stdout.take().unwrap());
    let stderr = read_to_end(process.stderr.take().unwrap());
    wait_readable(process.pidfd());
    let exit = process.reap().unwrap().expect("its pidfd is readable");
    (stdout, stderr, exit)
}

fn read_to_end(mut pipe: Pipe) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(byte) = read_byte(&mut pipe) {
        all.push(byte);
    }
    all
}

fn read_line(pipe: &mut Pipe) -> String {
    let mut line = Vec::new();
    loop {
        match read_byte(pipe).expect("the line is complete") {
            b'\n' => return String::from_utf8(line).unwrap(),
            byte => line.push(byte),
        }
    }
}

fn read_byte(pipe: &mut Pipe) -> Option<u8> {
    let mut byte = [0];
    loop {
        match pipe.read(&mut byte) {
            Ok(0) => return None,
            Ok(_) => return Some(byte[0]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => wait_readable(&*pipe),
            Err(error) => panic!("{error}"),
        }
    }
}

fn wait_readable(fd: impl AsFd) {
    let deadline = Timespec::try_from(DEADLINE).unwrap();
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    // Another test's signal may wake this one.
    let ready = rustix::io::retry_on_intr(|| poll(&mut fds, Some(&deadline)));
    assert_eq!(ready, Ok(1), "not readable before the deadline");
}

/// Name of a variable with the directory of an inner run.
const INNER: &str = "UDPAGENT_TEST_INNER";

/// Runs the test `name` of `module` again by `launcher`, which gets a directory and the command as arguments. Returns
/// the directory in the inner run, and `None` in the outer one, which needs root.
fn again(module: &str, name: &str, launcher: &[&str]) -> Option<PathBuf> {
    if let Some(directory) = std::env::var_os(INNER) {
        return Some(directory.into());
    }
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: only root can make namespaces and change to another user");
        return None;
    }
    let directory = tempfile::tempdir().unwrap();
    let (_, module) = module.split_once("::").unwrap();
    let output = Command::new(launcher[0])
        .args(&launcher[1..])
        .arg(directory.path())
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &format!("{module}::{name}")])
        .env(INNER, directory.path())
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}{stderr}");
    assert!(stdout.contains("1 passed"), "{stdout}{stderr}");
    None
}

/// Polls the condition until it holds or the deadline has passed.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Clock::now();
    while !holds() {
        assert!(start.elapsed() < DEADLINE, "never: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
