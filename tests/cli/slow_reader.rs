//! Memory of a controller of many hosts whose output is read slowly, or not at all for a while.

use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::harness::{Agent, DEADLINE, User};

/// Hosts, each of which writes so many bytes that are shown as five or six times as many.
const HOSTS: usize = 200;
const BYTES: usize = 600_000;

/// Memory above which the test fails: that of the windows, with copies, and of the program itself. What is shown of all
/// output has 600 MB.
const MOST: u64 = 192 << 20;

/// Time without work after which the controller has taken what it takes.
const QUIET: Duration = Duration::from_millis(300);

/// A controller whose output the test reads when it wants to.
struct Controller {
    process: Child,
    stdout: ChildStdout,
    peak: u64,
}

impl Controller {
    /// Has every host write zeros.
    fn start(user: &User, agent: &Agent, options: &[&str]) -> Self {
        let mut command = user.command("udpctl");
        command.arg("exec").args(options);
        command.args(agent.targets(HOSTS));
        command.args(["--", "head", "-c", &BYTES.to_string(), "/dev/zero"]);
        command.stdin(Stdio::null()).stderr(Stdio::null());
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let stdout = process.stdout.take().unwrap();
        Self {
            process,
            stdout,
            peak: 0,
        }
    }

    /// Reads a file of /proc; empty once the process has ended.
    fn proc(&self, file: &str) -> String {
        let path = format!("/proc/{}/{file}", self.process.id());
        std::fs::read_to_string(path).unwrap_or_default()
    }

    /// CPU time in ticks of the clock.
    fn cpu(&self) -> u64 {
        let stat = self.proc("stat");
        let fields = stat.rsplit(')').next().unwrap().split_ascii_whitespace();
        fields
            .skip(11)
            .take(2)
            .map(|ticks| ticks.parse::<u64>().unwrap())
            .sum()
    }

    /// Waits until output is there and the controller does nothing more before it is read.
    fn wait_until_quiet(&self) {
        let deadline = Instant::now() + DEADLINE;
        let mut fds = [PollFd::from_borrowed_fd(self.stdout.as_fd(), PollFlags::IN)];
        let limit = Timespec::try_from(DEADLINE).unwrap();
        assert_eq!(poll(&mut fds, Some(&limit)), Ok(1), "no output");
        let mut last = (self.cpu(), Instant::now());
        while last.1.elapsed() < QUIET {
            assert!(Instant::now() < deadline, "it does not come to rest");
            std::thread::park_timeout(Duration::from_millis(10));
            let cpu = self.cpu();
            if cpu != last.0 {
                last = (cpu, Instant::now());
            }
        }
    }

    /// Reads all output. Returns the largest resident memory, and the number of bytes for which `counts` is true.
    fn read(mut self, counts: impl Fn(u8) -> bool) -> (u64, usize) {
        let mut buffer = vec![0; 1 << 20];
        let mut count = 0;
        loop {
            let length = self.stdout.read(&mut buffer).unwrap();
            if length == 0 {
                break;
            }
            count += buffer[..length].iter().filter(|&&b| counts(b)).count();
            let status = self.proc("status");
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("VmHWM:"))
                .and_then(|line| line.split_ascii_whitespace().next());
            let kibibytes = line.map_or(0, |number| number.parse::<u64>().unwrap());
            self.peak = self.peak.max(kibibytes << 10);
        }
        assert!(self.process.wait().unwrap().success());
        (self.peak, count)
    }
}

#[test]
fn memory_does_not_follow_the_hosts_while_their_output_is_not_read() {
    let user = User::new();
    user.authorize("");
    let agent = Agent::start(&user, &["--bind", "0.0.0.0:0"]);
    agent.is_trusted_by(&user, HOSTS);
    for options in [&[][..], &["--jsonl"], &["-b"]] {
        let controller = Controller::start(&user, &agent, options);
        controller.wait_until_quiet();
        // Each zero is shown with one backslash, and no other byte is.
        let (peak, zeros) = controller.read(|byte| byte == b'\\');
        // Equal outputs are gathered and shown once.
        let is_gathered = options == ["-b"];
        assert!(
            is_gathered || zeros == HOSTS * BYTES,
            "{options:?}: {zeros}"
        );
        let mebibytes = peak >> 20;
        println!("{options:?}: {mebibytes} MiB");
        assert!(peak < MOST, "{options:?}: {mebibytes} MiB");
    }
}
