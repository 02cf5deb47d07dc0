//! The programs that are measured: udpctl, and an agent that it has been in contact with.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use rustix::process::Pid;
use tempfile::TempDir;

use super::Place;
use super::process::{Daemon, output};

/// Programs of this build or those that the environment names.
pub struct Programs {
    directory: TempDir,
    udpagent: OsString,
    udpctl: OsString,
}

impl Programs {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be created");
        let of_environment = |variable: &str, built: &str| {
            std::env::var_os(variable).unwrap_or_else(|| OsString::from(built))
        };
        Self {
            directory,
            udpagent: of_environment("UDPAGENT_BIN", env!("CARGO_BIN_EXE_udpagent")),
            udpctl: of_environment("UDPCTL_BIN", env!("CARGO_BIN_EXE_udpctl")),
        }
    }

    /// Directory for files of the bench.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The agent's program, with its configuration and state in `home`.
    pub fn udpagent(&self, home: &Path) -> Command {
        at_home(Command::new(&self.udpagent), home)
    }

    /// The controller's program, with its configuration and state in `home`.
    pub fn udpctl(&self, home: &Path) -> Command {
        at_home(Command::new(&self.udpctl), home)
    }

    /// Starts an agent at `bind`, which the controller trusts and has been in contact with.
    pub fn agent<'a>(
        &'a self,
        bind: &str,
        place: &dyn Place,
        controller: &'a dyn Place,
    ) -> Agent<'a> {
        let home = tempfile::tempdir_in(self.directory()).expect("a directory can be created");
        let mut command = at_home(place.command(self.udpagent.as_ref()), home.path());
        command.args(["--bind", bind]);
        let daemon = Daemon::start(command);
        let ready = daemon.line(" listens on ");
        let key = ready.split(' ').find(|word| word.starts_with("ua1:"));
        let address = ready.rsplit(' ').next().expect("a line has a last word");
        // An agent at all addresses is at this one, too.
        let address = &address.replace("0.0.0.0", "127.0.0.1");
        let key = key.expect("it prints its key");
        let agent = Agent {
            programs: self,
            controller,
            address: address.to_owned(),
            key: key.to_owned(),
            daemon,
            home,
        };
        let mut trust = agent.udpctl();
        trust.args(["trust", address, key]);
        output(trust);
        // The first contact costs an additional round trip and is not measured.
        output(agent.exec(&[], &["true"]));
        agent
    }
}

/// A running agent.
pub struct Agent<'a> {
    programs: &'a Programs,
    controller: &'a dyn Place,
    address: String,
    key: String,
    daemon: Daemon,
    /// Configuration and state of both ends, new for each agent.
    home: TempDir,
}

impl Agent<'_> {
    /// `udpctl exec OPTIONS HOST -- ARGV` at the controller's end.
    pub fn exec(&self, options: &[&str], argv: &[&str]) -> Command {
        let mut command = self.udpctl();
        command.arg("exec").args(options);
        command.args([&self.address, "--"]).args(argv);
        command
    }

    /// Its address, its key, and the file of the controller's key, for another program.
    pub fn contact(&self) -> [String; 3] {
        let identity = self.home.path().join("config/udpctl/identity");
        let identity = identity.to_str().expect("its name is UTF-8");
        [self.address.clone(), self.key.clone(), identity.to_owned()]
    }

    /// The controller's program.
    pub fn udpctl(&self) -> Command {
        let udpctl = self.programs.udpctl.as_ref();
        at_home(self.controller.command(udpctl), self.home.path())
    }

    /// Process id of the supervisor.
    pub fn pid(&self) -> Pid {
        self.daemon.pid()
    }
}

fn at_home(mut command: Command, home: &Path) -> Command {
    command
        .env("XDG_CONFIG_HOME", home.join("config"))
        .env("XDG_STATE_HOME", home.join("state"));
    command
}
