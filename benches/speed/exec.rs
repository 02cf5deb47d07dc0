//! Whole commands through the real programs on loopback, beside the same commands run directly and,
//! if `ssh localhost` works without a password, over ssh.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::measure::Bench;

/// Bytes of the bulk transfer.
const BULK: usize = 1 << 30;

/// Prints the cost of `true` and of a bulk transfer, as multiples of running them directly.
pub fn run(bench: &Bench) {
    let home = tempfile::tempdir().expect("a temporary resolver can be created");
    let agent = Agent::start(home.path());
    let target = agent.address.clone();
    // The first contact costs an additional round trip and is not measured.
    succeed(udpctl(home.path(), &target, &["true"]));

    let direct = bench.cost(|| succeed(Command::new("true")));
    let ours = bench.cost(|| succeed(udpctl(home.path(), &target, &["true"])));
    direct.print("true, directly", &direct.rate(), direct);
    ours.print("true, udpctl exec", &ours.rate(), direct);
    if works(ssh(&["true"])) {
        let theirs = bench.cost(|| succeed(ssh(&["true"])));
        theirs.print("true, ssh", &theirs.rate(), direct);
    }

    let size = bench.size(BULK);
    let count = size.to_string();
    let bulk = ["head", "-c", &count, "/dev/zero"];
    let ours = bench.once(|| succeed(udpctl(home.path(), &target, &bulk)));
    ours.print("bulk, udpctl exec", &ours.throughput(size), ours);
    if works(ssh(&["true"])) {
        let theirs = bench.once(|| succeed(ssh(&bulk)));
        theirs.print("bulk, ssh", &theirs.throughput(size), ours);
    }
}

/// An agent on a free port. Ended when dropped.
struct Agent {
    process: Child,
    address: String,
}

impl Agent {
    fn start(home: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_udpagent"));
        command.args(["--bind", "127.0.0.1:0"]).stdin(Stdio::null());
        let mut process = at_home(command, home)
            .stderr(Stdio::piped())
            .spawn()
            .expect("udpagent can be started");
        let stderr = process.stderr.take().expect("stderr is a pipe");
        let ready = BufReader::new(stderr)
            .lines()
            .map(|line| line.expect("the log is UTF-8"))
            .find(|line| line.contains(" listens on "))
            .expect("udpagent prints a line when it listens");
        let address = ready
            .rsplit(' ')
            .next()
            .expect("a split text has a last part")
            .to_owned();
        Self { process, address }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn udpctl(home: &Path, target: &str, argv: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_udpctl"));
    command.args(["exec", target, "--"]).args(argv);
    at_home(command, home)
}

fn ssh(argv: &[&str]) -> Command {
    let mut command = Command::new("ssh");
    command
        .args(["-o", "BatchMode=yes", "localhost"])
        .args(argv);
    command
}

fn at_home(mut command: Command, home: &Path) -> Command {
    command
        .env("XDG_CONFIG_HOME", home.join("config"))
        .env("XDG_STATE_HOME", home.join("state"));
    command
}

fn works(mut command: Command) -> bool {
    let quiet = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

fn succeed(mut command: Command) {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
    assert!(status.is_ok_and(|status| status.success()), "{command:?}");
}
