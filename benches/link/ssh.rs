//! ssh over the link: a server and a client with keys and configuration of their own.

use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

use crate::link::{End, Link};
use crate::process::{Daemon, output};

/// Path of the server, which wants to be started by an absolute one.
pub const SSHD: &str = "/usr/sbin/sshd";

/// Port of the server.
const PORT: &str = "2222";

/// Directory that the server demands.
const PRIVILEGE_SEPARATION: &str = "/run/sshd";

/// Keys and configuration for servers and clients.
pub struct Ssh {
    directory: PathBuf,
    /// True if the server's directory was made by the bench.
    made: bool,
}

impl Ssh {
    /// Makes keys in `directory`.
    pub fn new(directory: &Path) -> Self {
        for name in ["host", "user"] {
            let mut keygen = Command::new("ssh-keygen");
            keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]);
            keygen.arg(directory.join(name));
            output(keygen);
        }
        let path = directory.display();
        let address = End::Agent.address();
        // With SHLVL=1, Debian's bash reads ~/.bashrc for each command.
        let configuration = format!(
            "ListenAddress {address}\nPort {PORT}\nHostKey {path}/host\nAuthorizedKeysFile {path}/user.pub\n\
             StrictModes no\nPermitRootLogin yes\nUsePAM no\nUseDNS no\nPidFile none\nSetEnv SHLVL=2\n"
        );
        std::fs::write(directory.join("sshd_config"), configuration)
            .expect("the temporary directory has room");
        let made = std::fs::create_dir(PRIVILEGE_SEPARATION).is_ok();
        Self {
            directory: directory.to_owned(),
            made,
        }
    }

    /// Starts a server at the agent's end of the link, to which the client has connected once.
    pub fn server<'a>(&'a self, link: &'a Link) -> Server<'a> {
        let mut command = link.command(End::Agent, SSHD);
        command.args(["-D", "-e", "-f"]);
        command.arg(self.directory.join("sshd_config"));
        let daemon = Daemon::start(command);
        daemon.line("Server listening on");
        let server = Server {
            ssh: self,
            link,
            daemon,
        };
        output(server.exec(&["true"]));
        server
    }
}

impl Drop for Ssh {
    fn drop(&mut self) {
        if self.made {
            let _ = std::fs::remove_dir(PRIVILEGE_SEPARATION);
        }
    }
}

/// A running server.
pub struct Server<'a> {
    ssh: &'a Ssh,
    link: &'a Link,
    daemon: Daemon,
}

impl Server<'_> {
    /// `ssh HOST ARGV` at the controller's end.
    pub fn exec(&self, argv: &[&str]) -> Command {
        let mut command = self.link.command(End::Controller, "ssh");
        command.args(["-F", "none", "-p", PORT, "-i"]);
        command.arg(self.ssh.directory.join("user"));
        for option in [
            "BatchMode=yes",
            "IdentitiesOnly=yes",
            "LogLevel=ERROR",
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
        ] {
            command.args(["-o", option]);
        }
        command.arg(format!("root@{}", End::Agent.address()));
        command.args(argv);
        command
    }

    /// Kills the processes of sessions, so that a transfer whose client was killed leaves the link.
    pub fn end_sessions(&self) {
        let pid = self.daemon.pid().as_raw_nonzero();
        let path = format!("/proc/{pid}/task/{pid}/children");
        let children = std::fs::read_to_string(path).unwrap_or_default();
        let pids = children
            .split_whitespace()
            .filter_map(|pid| pid.parse().ok());
        for pid in pids.filter_map(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}
