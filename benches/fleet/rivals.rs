//! parallel-ssh and ClusterShell over a local sshd.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::agents::Hosts;
use crate::common::ssh::Ssh;
use crate::common::{Place, machine, programs::Programs};
use crate::cost::Cost;

/// Connections at a time: the default of clush.
const FANOUT: &str = "64";

/// The host itself.
struct Host;

impl Place for Host {
    fn command(&self, program: &Path) -> Command {
        Command::new(program)
    }
}

/// Another program, with what ssh is told.
pub struct Rival {
    pub name: String,
    program: &'static str,
    key_exchange: &'static [&'static str],
}

/// Programs of others, and the hosts for them.
pub struct Rivals {
    ssh: Ssh,
    list: PathBuf,
}

impl Rivals {
    pub fn start(programs: &Programs, hosts: &Hosts) -> Self {
        let list = programs.directory().join("ssh-hosts");
        let mut text = String::new();
        for address in &hosts.addresses {
            writeln!(text, "{address}").expect("a string takes text");
        }
        std::fs::write(&list, text).expect("the temporary directory has room");
        Self {
            ssh: Ssh::new(programs.directory(), Ipv4Addr::UNSPECIFIED),
            list,
        }
    }

    /// Returns those that are installed, with two key exchanges each.
    pub fn tools() -> Vec<Rival> {
        let mut tools = Vec::new();
        for program in ["parallel-ssh", "clush"] {
            if !machine::missing(&[program]).is_empty() {
                println!("fleet: without {program}, which is not installed");
                continue;
            }
            for (key_exchange, words) in [
                (&[][..], ""),
                (
                    &["-o", "KexAlgorithms=curve25519-sha256"],
                    ", curve25519-sha256",
                ),
            ] {
                tools.push(Rival {
                    name: format!("{program}{words}"),
                    program,
                    key_exchange,
                });
            }
        }
        tools
    }

    /// Runs `true` on all hosts.
    pub fn run(&self, rival: &Rival) -> Cost {
        let host = Host;
        let server = self.ssh.server(&host, &host);
        let mut options = self.ssh.client_options();
        options.extend(rival.key_exchange.iter().map(|&word| word.to_owned()));
        let options = options.join(" ");
        let mut command = Command::new(rival.program);
        if rival.program == "clush" {
            command.args(["-f", FANOUT, "-l", "root", "-o", &options, "--hostfile"]);
        } else {
            command.args(["-p", FANOUT, "-l", "root", "-x", &options, "-h"]);
        }
        command.arg(&self.list).arg("true");
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let cost = Cost::of(command, &[server.pid()], |_| {});
        server.await_idle();
        cost
    }
}
