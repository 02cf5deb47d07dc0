//! The real udpagent, listening.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use rustix::process::Signal;

use super::{Child, Jobs, User};

/// What the manual allows an agent for its end, and something for a busy machine.
const END: Duration = Duration::from_secs(8 + 12);

/// A running agent; ended as a service manager does it when dropped, and then nothing of its jobs may be left.
pub struct Agent {
    pub child: Child,
    addresses: Vec<SocketAddr>,
    key: String,
    leaves: Leaves,
}

/// What is there of an agent's jobs when it has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Leaves {
    Nothing,
    /// A command ended by itself and left something in the background on purpose.
    Background,
}

impl Agent {
    /// Starts one and waits until it says where it listens.
    pub fn start(user: &User, args: &[&str]) -> Self {
        let mut command = user.command("udpagent");
        command.args(args);
        Self::from(command)
    }

    /// One on a port that nobody else is given when this agent has ended, so that another can follow it there.
    pub fn on_a_port_to_keep(user: &User, args: &[&str]) -> Self {
        let address = format!("127.0.0.1:{}", port_to_keep());
        Self::start(user, &[&["--bind", &address], args].concat())
    }

    /// The same with a command that was prepared.
    pub fn from(command: std::process::Command) -> Self {
        let mut child = Child::start(command);
        let line = child.stderr_line(|line| line.contains(" listens on "));
        let (name, listening) = line.split_once(" listens on ").unwrap();
        Self {
            addresses: listening
                .split(", ")
                .map(|address| address.parse().unwrap())
                .collect(),
            key: name.rsplit(' ').next().unwrap().to_owned(),
            child,
            leaves: Leaves::Nothing,
        }
    }

    /// Where it listens first, as a target.
    pub fn target(&self) -> String {
        self.addresses[0].to_string()
    }

    /// The port that it has in the family of a host, as the two differ where a free one was asked for.
    pub fn port_of(&self, host: &str) -> u16 {
        let v6 = host.starts_with('[');
        let address = self
            .addresses
            .iter()
            .find(|address| address.is_ipv6() == v6);
        address.unwrap_or(&self.addresses[0]).port()
    }

    pub fn key(&self) -> &str {
        &self.key
    }

    /// A command of this test leaves something running on purpose: it is ended after the agent.
    pub const fn leaves_something_behind(&mut self) {
        self.leaves = Leaves::Background;
    }

    /// What descends from it now.
    pub fn jobs(&self) -> Jobs {
        Jobs::of(self.child.pid())
    }

    /// As `kill -9`, which takes nothing along; what it leaves is ended.
    pub fn kill(&mut self) {
        let jobs = self.jobs();
        self.child.kill();
        jobs.kill();
    }

    /// As `systemctl stop`, and looks whether anything is left. Returns what is not as it should be.
    fn end(&mut self) -> Result<(), String> {
        if !self.child.is_running() {
            return Ok(());
        }
        let jobs = self.jobs();
        self.child.signal(Signal::TERM);
        let ended = self.child.ends_within(END);
        if !ended {
            self.child.kill();
        }
        let left = jobs.left();
        jobs.kill();
        if !ended {
            Err(format!("the agent does not end within {END:?}"))
        } else if !left.is_empty() && self.leaves == Leaves::Nothing {
            Err(format!("the agent has ended and left {left:#?}"))
        } else {
            Ok(())
        }
    }
}

/// Below those that the system gives to who asks for any (`ip_local_port_range`), and free.
fn port_to_keep() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let process = u16::try_from(std::process::id() % 100).unwrap() * 100;
    loop {
        let port = 20_000 + process + NEXT.fetch_add(1, Ordering::Relaxed) % 100;
        if std::net::UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        match self.end() {
            Err(error) if std::thread::panicking() => eprintln!("{error}"),
            ended => ended.unwrap(),
        }
    }
}
