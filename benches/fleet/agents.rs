//! Agents that stand for many hosts, and the lists of their addresses.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Pid;
use tempfile::TempDir;

use crate::HANDSHAKES;
use crate::common::process::{Daemon, children, output};
use crate::common::programs::Programs;

/// Number of agents: with 1667 hosts each, fewer than the handshakes that one admits at once.
const AGENTS: u32 = 6;

/// Hosts of each agent.
const HOSTS: u32 = 1700;

/// Dead hosts.
const DEAD: u32 = 1000;

/// Running agents, and a controller.
pub struct Agents<'a> {
    programs: &'a Programs,
    home: TempDir,
    daemons: Vec<Daemon>,
    /// Hosts of one agent.
    of_one: Vec<Host>,
    /// Hosts of all of them, in turn.
    alive: Vec<Host>,
    dead: Vec<Host>,
    /// Receives what is sent to dead hosts, and is not read.
    _silent: UdpSocket,
}

/// A host and the key that the controller trusts it with.
#[derive(Clone)]
struct Host {
    address: String,
    key: String,
}

/// Hosts of a run, in a file.
pub struct Hosts {
    list: PathBuf,
    alive: usize,
    /// Greatest number that one agent stands for.
    of_one: usize,
    /// Their IPv4 addresses.
    pub addresses: Vec<String>,
}

impl<'a> Agents<'a> {
    pub fn start(programs: &'a Programs) -> Self {
        let home = tempfile::tempdir_in(programs.directory()).expect("a directory can be created");
        let mut id = programs.udpctl(home.path());
        id.arg("id");
        let id = String::from_utf8(output(id)).expect("a key is ASCII");
        let (mut daemons, mut of_each) = (Vec::new(), Vec::new());
        for number in 0..AGENTS {
            let (daemon, port, key) = start(programs, &home.path().join(number.to_string()), &id);
            daemons.push(daemon);
            let own = (0..HOSTS).map(|host| Host::new(number * HOSTS + host, port, &key));
            of_each.push(own.collect::<Vec<_>>());
        }
        let silent = UdpSocket::bind("0.0.0.0:0").expect("a port is free");
        let port = silent.local_addr().expect("it is bound").port();
        let key = &of_each[0][0].key;
        let dead = (0..DEAD).map(|host| Host::new(host, port, key)).collect();
        let alive = (0..HOSTS as usize).flat_map(|host| {
            let of_agent = |own: &Vec<Host>| own[host].clone();
            of_each.iter().map(of_agent).collect::<Vec<_>>()
        });
        Self {
            programs,
            daemons,
            alive: alive.collect(),
            of_one: of_each.swap_remove(0),
            dead,
            _silent: silent,
            home,
        }
    }

    /// Writes a list of hosts, which are those that the controller trusts. The dead ones are spread evenly among the
    /// others. One agent stands for as many as it can, as one sshd does for other programs.
    pub fn hosts(&self, alive: usize, dead: usize) -> Hosts {
        let every = (alive / dead.max(1)).max(1);
        let living = if alive <= self.of_one.len() {
            &self.of_one[..alive]
        } else {
            &self.alive[..alive]
        };
        let mut hosts = Vec::with_capacity(alive + dead);
        for (number, host) in living.iter().enumerate() {
            hosts.push(host);
            if number % every == 0 && number / every < dead {
                hosts.push(&self.dead[number / every]);
            }
        }
        let (mut list, mut known) = (String::new(), String::new());
        for Host { address, key } in hosts {
            writeln!(list, "{address}").expect("a string takes text");
            writeln!(known, "{address} {key}").expect("a string takes text");
        }
        let home = self.home.path();
        let path = home.join(format!("hosts-{alive}-{dead}"));
        std::fs::write(&path, list).expect("there is room");
        std::fs::write(home.join("config/udpctl/known_agents"), known).expect("there is room");
        let addresses = living.iter();
        let addresses = addresses.filter_map(|host| host.address.split(':').next());
        Hosts {
            list: path,
            alive,
            of_one: alive.min(self.of_one.len()),
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

    /// Time in which an agent admits as many handshakes again as a run takes.
    pub fn refill(&self) -> Duration {
        Duration::from_secs((self.of_one as u64).div_ceil(HANDSHAKES))
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

impl Host {
    /// Returns a host of 127.0.0.0/8.
    fn new(number: u32, port: u16, key: &str) -> Self {
        let ip = Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + number);
        Self {
            address: format!("{ip}:{port}"),
            key: key.to_owned(),
        }
    }
}
