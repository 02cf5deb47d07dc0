//! An agent that is three hosts, `web1` to `web3`, for the examples that are run. Not a test. Invariant: it is reached on
//! loopback only, and its files are in a temporary home.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The three hosts and the home of their user.
pub struct Fleet {
    home: tempfile::TempDir,
    agent: Child,
}

impl Fleet {
    pub fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_udpagent"));
        at(&mut command, home.path());
        for host in 1..=3 {
            command.args(["--bind", &format!("127.0.0.{host}:0")]);
        }
        let mut agent = command
            .args(["--name", "web1"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(agent.stderr.take().unwrap()).lines();
        let ready = log
            .find_map(|line| Some(line.unwrap().split_once(" listens on ")?.1.to_owned()))
            .unwrap();
        let mut hosts = String::from("[hosts]\n");
        for (address, number) in std::iter::zip(ready.split(", "), 1..) {
            let (address, port) = address.rsplit_once(':').unwrap();
            let host = format!("web{number} = {{ address = \"{address}\", port = {port} }}\n");
            hosts.push_str(&host);
        }
        let fleet = Self { home, agent };
        fleet.write("config/udpctl/hosts.toml", &hosts);
        fleet
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.home.path().join(path)
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A command with our programs in its path.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let programs = Path::new(env!("CARGO_BIN_EXE_udpctl")).parent().unwrap();
        let path = std::env::var("PATH").unwrap();
        at(&mut command, self.home.path())
            .env("PATH", format!("{}:{path}", programs.display()))
            .current_dir(self.home.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs a line and returns what it prints on both outputs, in order.
    #[track_caller]
    pub fn run(&self, line: &str) -> (String, bool) {
        let output = self
            .command("sh")
            .args(["-c", &format!("exec 2>&1\n{line}")])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (text, output.status.success())
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        let _ = self.agent.kill();
        let _ = self.agent.wait();
    }
}

fn at<'a>(command: &'a mut Command, home: &Path) -> &'a mut Command {
    command
        .env("XDG_CONFIG_HOME", home.join("config"))
        .env("XDG_STATE_HOME", home.join("state"))
}
