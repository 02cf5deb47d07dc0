//! The programs that are measured, and what they share: a directory for files, and the emulator.

use std::ffi::OsString;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::link::{End, Link, Shape};
use crate::process::{Daemon, output};

/// Programs of this build or those that the environment names.
pub struct Programs {
    directory: TempDir,
    udpagent: OsString,
    udpctl: OsString,
}

impl Programs {
    /// Compiles the emulator.
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be created");
        let of_environment = |variable: &str, built: &str| {
            std::env::var_os(variable).unwrap_or_else(|| OsString::from(built))
        };
        let programs = Self {
            directory,
            udpagent: of_environment("UDPAGENT_BIN", env!("CARGO_BIN_EXE_udpagent")),
            udpctl: of_environment("UDPCTL_BIN", env!("CARGO_BIN_EXE_udpctl")),
        };
        let mut compiler = Command::new("gcc");
        compiler.args(["-O2", "-o"]).arg(programs.emulator());
        compiler.arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/benches/link/linkem.c"
        ));
        output(compiler);
        programs
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    fn emulator(&self) -> PathBuf {
        self.directory().join("linkem")
    }

    pub fn link(&self, shape: Shape) -> Link {
        Link::up(&self.emulator(), shape)
    }

    /// Starts an agent at its end of the link, which the controller trusts and has been in contact with.
    pub fn agent<'a>(&'a self, link: &'a Link) -> Agent<'a> {
        let address = format!("{}:7000", End::Agent.address());
        let home = tempfile::tempdir_in(self.directory()).expect("a directory can be created");
        let mut command = at_home(link.command(End::Agent, &self.udpagent), home.path());
        command.args(["--bind", &address]);
        let daemon = Daemon::start(command);
        let ready = daemon.line(" listens on ");
        let key = ready.split(' ').find(|word| word.starts_with("ua1:"));
        let agent = Agent {
            programs: self,
            link,
            address,
            _daemon: daemon,
            home,
        };
        let udpctl = link.command(End::Controller, &self.udpctl);
        let mut trust = at_home(udpctl, agent.home.path());
        trust.args(["trust", &agent.address, key.expect("it prints its key")]);
        output(trust);
        // The first contact costs an additional round trip and is not measured.
        output(agent.exec(&[], &["true"]));
        agent
    }

    /// A file of `size` random bytes.
    pub fn payload(&self, size: usize) -> Payload {
        let path = self.directory().join(format!("payload-{size}"));
        let mut bytes = vec![0; size];
        std::fs::File::open("/dev/urandom")
            .and_then(|mut random| random.read_exact(&mut bytes))
            .expect("random bytes can be read");
        std::fs::write(&path, &bytes).expect("the temporary directory has room");
        let input = std::fs::File::open(&path).expect("what was written can be read");
        let checksum = Command::new("cksum")
            .stdin(input)
            .stderr(Stdio::inherit())
            .output()
            .expect("cksum can be started");
        Payload {
            path,
            bytes,
            checksum: checksum.stdout,
        }
    }
}

/// A running agent.
pub struct Agent<'a> {
    programs: &'a Programs,
    link: &'a Link,
    address: String,
    _daemon: Daemon,
    /// Configuration and state of both ends, new for each agent.
    home: TempDir,
}

impl Agent<'_> {
    /// `udpctl exec OPTIONS HOST -- ARGV` at the controller's end.
    pub fn exec(&self, options: &[&str], argv: &[&str]) -> Command {
        let command = self.link.command(End::Controller, &self.programs.udpctl);
        let mut command = at_home(command, self.home.path());
        command.arg("exec").args(options);
        command.args([&self.address, "--"]).args(argv);
        command
    }
}

fn at_home(mut command: Command, home: &Path) -> Command {
    command
        .env("XDG_CONFIG_HOME", home.join("config"))
        .env("XDG_STATE_HOME", home.join("state"));
    command
}

/// Bytes to transfer.
pub struct Payload {
    pub path: PathBuf,
    pub bytes: Vec<u8>,
    /// Output of `cksum` for them.
    pub checksum: Vec<u8>,
}
