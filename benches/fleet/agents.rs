//! Agents that stand for many hosts, and the lists of their addresses.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Pid;
use tempfile::TempDir;

use crate::common::process::{Daemon, children, output};
use crate::common::programs::Programs;

/// Number of agents: with 1667 hosts each, fewer than the handshakes that one admits at once.
const AGENTS: u32 = 6;

/// Hosts of each agent that the controller trusts.
const HOSTS: u32 = 1700;

/// Dead hosts that it trusts.
const DEAD: u32 = 1000;

/// Running agents, and a controller that trusts them.
pub struct Agents<'a> {
    programs: &'a Programs,
    home: TempDir,
    daemons: Vec<Daemon>,
    /// Hosts of one agent.
    of_one: Vec<String>,
    /// Hosts of all of them, in turn.
    alive: Vec<String>,
    dead: Vec<String>,
    /// Receives what is sent to dead hosts, and is not read.
    _silent: UdpSocket,
}

/// Hosts of a run, in a file.
pub struct Hosts {
    list: PathBuf,
    alive: usize,
    /// Their IPv4 addresses.
    pub addresses: Vec<String>,
}

impl<'a> Agents<'a> {
    pub fn start(programs: &'a Programs) -> Self {
        let home = tempfile::tempdir_in(programs.directory()).expect("a directory can be created");
        let mut id = programs.udpctl(home.path());
        id.arg("id");
        let id = String::from_utf8(output(id)).expect("a key is ASCII");
        let (mut daemons, mut known) = (Vec::new(), String::new());
        let mut addresses = Vec::new();
        for number in 0..AGENTS {
            let (daemon, port, key) = start(programs, &home.path().join(number.to_string()), &id);
            daemons.push(daemon);
            let own = (0..HOSTS).map(|host| address(number * HOSTS + host, port));
            let own: Vec<String> = own.collect();
            for address in &own {
                writeln!(known, "{address} {key}").expect("a string takes text");
            }
            addresses.push(own);
        }
        let silent = UdpSocket::bind("0.0.0.0:0").expect("a port is free");
        let port = silent.local_addr().expect("it is bound").port();
        let dead: Vec<String> = (0..DEAD).map(|host| address(host, port)).collect();
        let key = known
            .rsplit([' ', '\n'])
            .nth(1)
            .expect("a line has a key")
            .to_owned();
        for address in &dead {
            writeln!(known, "{address} {key}").expect("a string takes text");
        }
        let directory = home.path().join("config/udpctl");
        std::fs::write(directory.join("known_agents"), known).expect("there is room");
        let alive = (0..HOSTS as usize).flat_map(|host| {
            let of_agent = |own: &Vec<String>| own[host].clone();
            addresses.iter().map(of_agent).collect::<Vec<_>>()
        });
        Self {
            programs,
            daemons,
            of_one: addresses[0].clone(),
            alive: alive.collect(),
            dead,
            _silent: silent,
            home,
        }
    }

    /// Writes a list of hosts. The dead ones are spread evenly among the others. One agent stands for as many as it can, as
    /// one sshd does for other programs.
    pub fn hosts(&self, alive: usize, dead: usize) -> Hosts {
        let every = alive / dead.max(1);
        let mut list = String::new();
        let hosts = if alive <= self.of_one.len() {
            &self.of_one[..alive]
        } else {
            &self.alive[..alive]
        };
        for (number, host) in hosts.iter().enumerate() {
            writeln!(list, "{host}").expect("a string takes text");
            if number % every.max(1) == 0 && number / every.max(1) < dead {
                let host = &self.dead[number / every.max(1)];
                writeln!(list, "{host}").expect("a string takes text");
            }
        }
        let path = self.home.path().join(format!("hosts-{alive}-{dead}"));
        std::fs::write(&path, list).expect("there is room");
        let addresses = hosts.iter();
        let addresses = addresses.filter_map(|host| host.split(':').next());
        Hosts {
            list: path,
            alive,
            addresses: addresses.map(str::to_owned).collect(),
        }
    }

    pub fn udpctl(&self) -> Command {
        self.programs.udpctl(self.home.path())
    }

    /// Process ids of the supervisors and of their fronts.
    pub fn pids(&self) -> Vec<Pid> {
        let both = |daemon: &Daemon| [vec![daemon.pid()], children(daemon.pid())].concat();
        self.daemons.iter().flat_map(both).collect()
    }
}

impl Hosts {
    pub fn list(&self) -> &Path {
        &self.list
    }

    /// Number of hosts that answer.
    pub fn alive(&self) -> usize {
        self.alive
    }
}

/// Starts an agent that knows the key of the controller; returns its port and key too.
fn start(programs: &Programs, home: &Path, controller: &str) -> (Daemon, u16, String) {
    let directory = home.join("config/udpagent");
    std::fs::create_dir_all(&directory).expect("a directory can be created");
    let line = format!("{} bench\n", controller.trim());
    std::fs::write(directory.join("authorized_keys"), line).expect("there is room");
    let mut command = programs.udpagent(home);
    command.args(["--bind", "0.0.0.0:0"]);
    let daemon = Daemon::start(command);
    let ready = daemon.line(" listens on ");
    let key = ready.split(' ').find(|word| word.starts_with("ua1:"));
    let port = ready.rsplit(':').next().and_then(|port| port.parse().ok());
    let key = key.expect("it prints its key").to_owned();
    (daemon, port.expect("it prints its port"), key)
}

/// Returns the address of a host of 127.0.0.0/8.
fn address(number: u32, port: u16) -> String {
    let ip = Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + number);
    format!("{ip}:{port}")
}
