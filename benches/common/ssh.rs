//! ssh: a server and a client with keys and configuration of their own.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::Place;
use super::process::{Daemon, PATIENCE, children, output};

/// Path of the server, which wants to be started by an absolute one.
pub const SSHD: &str = "/usr/sbin/sshd";

/// Port of the server.
const PORT: &str = "2222";

/// Directory that the server demands.
const PRIVILEGE_SEPARATION: &str = "/run/sshd";

/// Keys and configuration for servers and clients.
pub struct Ssh {
    directory: PathBuf,
    address: Ipv4Addr,
    /// True if the server's directory was made by the bench.
    made: bool,
}

impl Ssh {
    /// Makes keys in `directory`, for servers at `address`.
    pub fn new(directory: &Path, address: Ipv4Addr) -> Self {
        for name in ["host", "user"] {
            let mut keygen = Command::new("ssh-keygen");
            keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]);
            keygen.arg(directory.join(name));
            output(keygen);
        }
        let path = directory.display();
        // With SHLVL=1, Debian's bash reads ~/.bashrc for each command.
        let configuration = format!(
            "ListenAddress {address}\nPort {PORT}\nHostKey {path}/host\nAuthorizedKeysFile {path}/user.pub\n\
             StrictModes no\nPermitRootLogin yes\nUsePAM no\nUseDNS no\nPidFile none\nMaxStartups 1000\n\
             SetEnv SHLVL=2\nSubsystem sftp internal-sftp\n"
        );
        std::fs::write(directory.join("sshd_config"), configuration)
            .expect("the temporary directory has room");
        let made = std::fs::create_dir(PRIVILEGE_SEPARATION).is_ok();
        Self {
            directory: directory.to_owned(),
            address,
            made,
        }
    }

    /// Options of a client: port, key, and no other configuration.
    pub fn client_options(&self) -> Vec<String> {
        let key = self.directory.join("user").display().to_string();
        let mut options = ["-F", "none", "-p", PORT, "-i", &key]
            .map(str::to_owned)
            .to_vec();
        for option in [
            "BatchMode=yes",
            "IdentitiesOnly=yes",
            "LogLevel=ERROR",
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
        ] {
            options.extend(["-o", option].map(str::to_owned));
        }
        options
    }

    /// Starts a server, to which the client has connected once.
    pub fn server<'a>(&'a self, place: &dyn Place, client: &'a dyn Place) -> Server<'a> {
        let mut command = place.command(SSHD.as_ref());
        command.args(["-D", "-e", "-f"]);
        command.arg(self.directory.join("sshd_config"));
        let daemon = Daemon::start(command);
        daemon.line("Server listening on");
        let server = Server {
            ssh: self,
            client,
            daemon,
        };
        output(server.exec(&[], &["true"]));
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
    client: &'a dyn Place,
    daemon: Daemon,
}

impl Server<'_> {
    /// `ssh OPTIONS HOST ARGV` at the client's end.
    pub fn exec(&self, options: &[&str], argv: &[&str]) -> Command {
        let mut command = self.client.command("ssh".as_ref());
        command.args(self.ssh.client_options());
        command.args(options);
        command.arg(format!("root@{}", self.ssh.address));
        command.args(argv);
        command
    }

    pub fn pid(&self) -> Pid {
        self.daemon.pid()
    }

    /// Kills the processes of sessions, so that a transfer whose client was killed leaves the link.
    pub fn end_sessions(&self) {
        for pid in children(self.pid()) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }

    /// Waits until the server has waited for all processes of sessions.
    pub fn await_idle(&self) {
        let end = Instant::now() + PATIENCE;
        while !children(self.pid()).is_empty() {
            assert!(Instant::now() < end, "a session does not end");
            thread::sleep(Duration::from_millis(1));
        }
    }
}
