//! The test harness: users, agents, runs of the programs.

mod agent;
mod cgroups;
mod child;
#[path = "../../sim/forged_init.rs"]
mod forged_init;
mod pty;
mod raw_peer;
mod terminal;
mod test;
mod trees;
mod workload;

pub use agent::{Agent, port_to_keep};
pub use cgroups::{cgroups, is_tidy, jobs_in};
pub use child::{Child, DEADLINE, POLL, eventually, shell_status};
pub use pty::Pty;
pub use raw_peer::{RawPeer, send_forged};
pub use terminal::Terminal;
pub use test::{Outcome, Test, masked};
pub use trees::{Jobs, children, helper, resident};
pub use workload::{disturbed_commands, waiting};

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

/// Repeats one thing in another thread until the other is done, also if that panics.
pub fn meanwhile<R>(mut repeated: impl FnMut() + Send, once: impl FnOnce() -> R) -> R {
    struct Done<'a>(&'a AtomicBool);
    impl Drop for Done<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                repeated();
            }
        });
        let _done = Done(&done);
        once()
    })
}

/// A user with a home directory of their own.
pub struct User {
    home: tempfile::TempDir,
}

impl User {
    pub fn new() -> Self {
        Self {
            home: tempfile::tempdir().unwrap(),
        }
    }

    /// A file below this user's home.
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.home.path().join(path)
    }

    /// The home directory. Commands run in the home of the system's account, which is another.
    pub fn home(&self) -> String {
        self.home.path().to_str().unwrap().to_owned()
    }

    /// One of the two programs, with the environment of this user and no other variables.
    pub fn command(&self, program: &str) -> Command {
        let ours = |path| {
            // Tests in the background of a script ignore SIGINT, and udpctl leaves a signal alone that is
            // ignored at its start.
            let mut command = Command::new("/usr/bin/env");
            command.args(["--default-signal=INT,QUIT,HUP", path]);
            command
        };
        let mut command = match program {
            "udpctl" => ours(env!("CARGO_BIN_EXE_udpctl")),
            "udpagent" => ours(env!("CARGO_BIN_EXE_udpagent")),
            other => Command::new(other),
        };
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("USER", "tester")
            .env("HOME", self.home.path())
            .env("XDG_CONFIG_HOME", self.path("config"))
            .env("XDG_STATE_HOME", self.path("state"))
            .current_dir(self.home.path());
        command
    }

    /// A run of `udpctl ARGS`.
    pub fn udpctl<I: IntoIterator>(&self, args: I) -> Test
    where
        I::Item: AsRef<std::ffi::OsStr>,
    {
        let mut command = self.command("udpctl");
        command.args(args);
        Test::new(command)
    }

    /// A run of `udpagent ARGS`, for subcommands that end.
    pub fn udpagent<I: IntoIterator>(&self, args: I) -> Test
    where
        I::Item: AsRef<std::ffi::OsStr>,
    {
        let mut command = self.command("udpagent");
        command.args(args);
        Test::new(command)
    }

    /// Writes the agent's udpagent.toml.
    pub fn write_config(&self, text: &str) {
        self.write("config/udpagent/udpagent.toml", text);
    }

    /// Writes a file below this user's home.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Writes an authorized_keys file with one line, for this user's own key.
    pub fn authorize(&self, options: &str) {
        let id = self.udpctl(["id"]).outcome().stdout;
        self.write_line(&id, options);
    }

    /// The same for any key.
    pub fn write_line(&self, key: &[u8], options: &str) {
        let key = std::str::from_utf8(key).unwrap().trim();
        let folder = self.path("config/udpagent");
        std::fs::create_dir_all(&folder).unwrap();
        let aside = folder.join("aside");
        std::fs::write(&aside, format!("{key} me {options}\n")).unwrap();
        std::fs::rename(aside, folder.join("authorized_keys")).unwrap();
    }

    /// Starts an agent of this user on a free port of 127.0.0.1.
    pub fn agent(&self) -> Agent {
        Agent::start(self, &["--bind", "127.0.0.1:0"])
    }
}
