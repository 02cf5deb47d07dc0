//! The real udpagent, listening.

use std::net::SocketAddr;

use super::{Child, User};

/// A running agent; killed when dropped.
pub struct Agent {
    pub child: Child,
    addresses: Vec<SocketAddr>,
    key: String,
}

impl Agent {
    /// Starts one and waits until it says where it listens.
    pub fn start(user: &User, args: &[&str]) -> Self {
        let mut command = user.command("udpagent");
        command.args(args);
        Self::from(command)
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
}
