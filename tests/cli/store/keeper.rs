//! A stand-in for a service manager that keeps descriptors, and an agent that it starts again.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::fs::{OFlags, fcntl_getfl, fstat};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::pty::ptsname;
use udpagent::process::{become_subreaper, reap_orphans};

use crate::harness::{Agent, Outcome, User, eventually, waiting};
use crate::service::Manager;

/// Variable of the process of one test.
const REAPER: &str = "UDPAGENT_TEST_REAPER";

/// Lowest number of a descriptor that is passed on, above those that an agent gets.
const PASSED: i32 = 600;

/// Runs a test, whose full name is given, in a process that reaps orphans.
pub fn as_reaper(name: &str, test: impl FnOnce()) {
    if std::env::var_os(REAPER).is_some() {
        become_subreaper().unwrap();
        std::thread::spawn(|| {
            loop {
                reap_orphans();
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        return test();
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", name, "--nocapture"])
        .env(REAPER, "1");
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("1 passed"), "{text}");
}

/// Descriptors with their names, oldest first.
type List = Arc<Mutex<Vec<(String, OwnedFd)>>>;

/// Returns what distinguishes an open file from the others of an agent: its inode, its access, and the number of its
/// terminal, as the masters of all terminals are one inode.
fn file(descriptor: &OwnedFd) -> (u64, u64, OFlags, Option<CString>) {
    let stat = fstat(descriptor).unwrap();
    let access = fcntl_getfl(descriptor).unwrap() & OFlags::RWMODE;
    let terminal = ptsname(descriptor, Vec::new()).ok();
    (stat.st_dev, stat.st_ino, access, terminal)
}

/// A service manager that keeps descriptors.
pub struct Keeper {
    path: PathBuf,
    pub kept: List,
    /// True if it is late: it discards nothing.
    pub is_late: Arc<AtomicBool>,
    /// Number of orders that it has not followed.
    pub ignored: Arc<AtomicUsize>,
    /// True if it reads nothing after the next datagram.
    pub is_busy: Arc<AtomicBool>,
}

impl Keeper {
    fn new(user: &User) -> Self {
        let manager = Manager::new(user);
        let keeper = Self {
            path: manager.path.clone(),
            kept: List::default(),
            is_late: Arc::default(),
            ignored: Arc::default(),
            is_busy: Arc::default(),
        };
        let is_busy = Arc::clone(&keeper.is_busy);
        let list = Arc::clone(&keeper.kept);
        let (is_late, ignored) = (Arc::clone(&keeper.is_late), Arc::clone(&keeper.ignored));
        std::thread::spawn(move || {
            while let Ok((text, descriptors)) = manager.try_receive() {
                while is_busy.load(Ordering::SeqCst) {
                    std::thread::sleep(Duration::from_millis(5));
                }
                let lines = text.lines().filter_map(|line| line.split_once('='));
                let lines: BTreeMap<&str, &str> = lines.collect();
                let mut list = list.lock().unwrap();
                if lines.contains_key("FDSTORE") {
                    let name = lines["FDNAME"].to_owned();
                    for descriptor in descriptors {
                        // As systemd does: a duplicate of what is kept is not kept.
                        let is_new =
                            |(_, kept): &(String, OwnedFd)| file(kept) != file(&descriptor);
                        if list.iter().all(is_new) {
                            list.push((name.clone(), descriptor));
                        }
                    }
                } else if lines.contains_key("FDSTOREREMOVE") {
                    if is_late.load(Ordering::SeqCst) {
                        ignored.fetch_add(1, Ordering::SeqCst);
                    } else {
                        list.retain(|(name, _)| name != lines["FDNAME"]);
                    }
                }
            }
        });
        keeper
    }

    /// Fills its socket, so that it takes nothing until it reads again.
    pub fn make_busy(&self) {
        self.is_busy.store(true, Ordering::SeqCst);
        let sender = UnixDatagram::unbound().unwrap();
        sender.set_nonblocking(true).unwrap();
        eventually("its socket is full", || {
            sender.send_to(b"STATUS=full", &self.path).is_err()
        });
    }

    pub fn names(&self) -> Vec<String> {
        let kept = self.kept.lock().unwrap();
        kept.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Number of descriptors of jobs.
    pub fn of_jobs(&self) -> usize {
        let names = self.names();
        names.iter().filter(|name| name.contains("job-")).count()
    }

    /// Does something with each descriptor whose name has an end.
    pub fn each(&self, end: &str, act: impl Fn(&OwnedFd)) {
        let kept = self.kept.lock().unwrap();
        let named = kept.iter().filter(|(name, _)| name.ends_with(end));
        named.for_each(|(_, descriptor)| act(descriptor));
    }

    /// Starts an agent with the descriptors that are kept.
    fn start(&self, user: &User, start: &Start) -> Agent {
        let copies: Vec<(String, OwnedFd)> = {
            let kept = self.kept.lock().unwrap();
            let copy = |(name, fd): &(String, OwnedFd)| {
                let copy = fcntl_dupfd_cloexec(fd, PASSED).unwrap();
                fcntl_setfd(&copy, FdFlags::empty()).unwrap();
                (name.clone(), copy)
            };
            kept.iter().map(copy).collect()
        };
        let numbers = copies.iter().map(|(_, fd)| fd.as_raw_fd());
        let moves = numbers.enumerate().map(|(index, number)| {
            let wanted = index + 3;
            format!("exec {wanted}<&{number} {number}<&-;")
        });
        let files = start.files.map(|files| format!("ulimit -Sn {files};"));
        let script = format!(
            "{} {} LISTEN_PID=$$ exec \"$@\"",
            moves.collect::<Vec<_>>().concat(),
            files.unwrap_or_default()
        );
        let names: Vec<_> = copies.iter().map(|(name, _)| name.clone()).collect();
        let mut command = user.command("bash");
        command
            .args(["-c", &script, "bash", env!("CARGO_BIN_EXE_udpagent"), "-v"])
            .args(
                start
                    .bind
                    .map(|address| ["--bind", address])
                    .iter()
                    .flatten(),
            )
            .env("NOTIFY_SOCKET", &self.path)
            .env("FDSTORE", start.most.to_string())
            .env("LISTEN_FDS", copies.len().to_string())
            .env("LISTEN_FDNAMES", names.join(":"));
        Agent::from(command)
    }
}

/// Conditions under which an agent is started.
#[derive(Clone, Copy)]
pub struct Start {
    /// Number of descriptors that the service manager keeps at most.
    pub most: usize,
    /// Soft limit of open files.
    pub files: Option<u64>,
    /// Its address, unless the configuration has addresses.
    pub bind: Option<&'static str>,
}

impl Default for Start {
    fn default() -> Self {
        Self {
            most: 64,
            files: None,
            bind: Some("127.0.0.1:0"),
        }
    }
}

/// Ids of requests.
pub const IDS: [&str; 3] = [
    "000000000000000000000000000057a0",
    "000000000000000000000000000057a1",
    "000000000000000000000000000057a2",
];

/// An agent whose descriptors are kept.
pub struct Kept {
    pub agent: Agent,
    pub keeper: Keeper,
    pub user: User,
    pub target: String,
    /// File that commands wait for.
    pub go: PathBuf,
    start: Start,
}

impl Kept {
    pub fn start(user: User, start: Start) -> Self {
        let keeper = Keeper::new(&user);
        let agent = keeper.start(&user, &start);
        Self {
            target: agent.target(),
            go: user.path("go"),
            agent,
            keeper,
            user,
            start,
        }
    }

    /// Starts a command that nobody follows.
    pub fn detach(&self, id: &str, options: &[&str], script: &str) {
        let words = ["exec", "--detach", "--id", id, &self.target];
        let words = [&words[..], options, &["--shell", script]].concat();
        let outcome = self.user.udpctl(words).outcome();
        assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    }

    /// Starts a command that waits for the file, and waits until its descriptors are kept: the record, the process, and
    /// its two outputs.
    pub fn detach_waiting(&self, id: &str, exit: u8) {
        let before = self.keeper.of_jobs();
        self.detach(id, &[], &waiting(&self.go, exit));
        eventually("it is kept", || self.keeper.of_jobs() == before + 4);
    }

    /// Returns the result of a command.
    pub fn result(&self, id: &str) -> Outcome {
        self.user.udpctl(["attach", &self.target, id]).outcome()
    }

    /// Checks the result of a command that has waited.
    pub fn assert_waited(&self, id: &str, exit: i32) {
        let result = self.result(id);
        let found = (result.status, &result.stdout[..], &result.stderr[..]);
        assert_eq!(found, (exit, &b"begun\ndone\n"[..], ""));
    }

    /// Checks that a command is not known any more.
    pub fn assert_unknown(&self, id: &str) {
        let result = self.result(id);
        assert_eq!(result.status, 255);
        let is_unknown = result.stderr.contains("does not know the request");
        assert!(is_unknown, "{}", result.stderr);
    }

    /// Kills the supervisor at a moment in which it moves no bytes.
    pub fn kill(&mut self) {
        let stat = format!("/proc/{}/stat", self.agent.child.pid().as_raw_pid());
        eventually("it sleeps", || {
            fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") S "))
        });
        self.agent.child.kill();
    }

    /// Starts the agent again.
    pub fn start_again(&mut self) {
        self.agent = self.keeper.start(&self.user, &self.start);
    }
}
