//! A running udpagent.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use rustix::process::Signal;

use super::trees::helpers;
use super::{Child, Jobs, User};

/// Time that the manual allows an agent for its end, and a margin for a busy machine.
const END: Duration = Duration::from_secs(8 + 12);

/// A running agent. Dropping it stops it as a service manager does, and then no process of its jobs may be left.
pub struct Agent {
    pub child: Child,
    addresses: Vec<SocketAddr>,
    key: String,
    leaves: Leaves,
}

/// Processes of an agent's jobs that may remain after its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Leaves {
    Nothing,
    /// A command ended by itself and left a background process on purpose.
    Background,
}

impl Agent {
    /// Starts an agent and waits until it prints its addresses.
    pub fn start(user: &User, args: &[&str]) -> Self {
        let mut command = user.command("udpagent");
        command.args(args);
        Self::from(command)
    }

    /// Starts an agent on a port that the system assigns to nobody else, so that a later agent can use it too.
    pub fn on_a_port_to_keep(user: &User, args: &[&str]) -> Self {
        let address = format!("127.0.0.1:{}", port_to_keep());
        Self::start(user, &[&["--bind", &address], args].concat())
    }

    /// Starts an agent from a prepared command.
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

    /// Its first address, as a target.
    pub fn target(&self) -> String {
        let mut address = self.addresses[0];
        if address.ip() == Ipv4Addr::UNSPECIFIED {
            address.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        address.to_string()
    }

    /// Different targets that are all this agent, which listens on every IPv4 address.
    pub fn targets(&self, count: usize) -> Vec<String> {
        assert!(self.addresses[0].ip().is_unspecified());
        let port = self.addresses[0].port();
        (0..count)
            .map(|number| format!("127.0.{}.{}:{port}", number / 200, 1 + number % 200))
            .collect()
    }

    /// Makes `user` trust this agent at so many targets.
    pub fn is_trusted_by(&self, user: &User, count: usize) {
        let lines = self.targets(count).into_iter();
        let lines: Vec<String> = lines
            .map(|target| format!("{target} {}\n", self.key))
            .collect();
        let directory = user.path("config/udpctl");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("known_agents"), lines.concat()).unwrap();
    }

    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Its port in the address family of a host; the ports of the two families may differ.
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

    /// Allows a command of this test to leave a background process, which is ended after the agent.
    pub const fn leaves_something_behind(&mut self) {
        self.leaves = Leaves::Background;
    }

    /// Stops all of its processes, but not those of its jobs, so that it is silent.
    pub fn stop(&self) {
        for process in helpers(self.child.pid()) {
            let _ = rustix::process::kill_process(process, Signal::STOP);
        }
        self.child.signal(Signal::STOP);
    }

    /// Lets them go on.
    pub fn resume(&self) {
        self.child.signal(Signal::CONT);
        for process in helpers(self.child.pid()) {
            let _ = rustix::process::kill_process(process, Signal::CONT);
        }
    }

    /// The processes of its jobs.
    pub fn jobs(&self) -> Jobs {
        Jobs::of(self.child.pid())
    }

    /// Sends SIGKILL, then ends the processes of its jobs.
    pub fn kill(&mut self) {
        let jobs = self.jobs();
        self.child.kill();
        jobs.kill();
    }

    /// Stops it as `systemctl stop` does, and checks that no process is left. Returns the faults.
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

/// A free port below the range of automatically assigned ports (`ip_local_port_range`).
pub fn port_to_keep() -> u16 {
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
