//! quinn: our sender and receiver for it, a crate of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Pid;

use crate::common::Place;
use crate::common::process::Daemon;

/// Builds the program, as it would otherwise be built for every test of the package. None if that fails.
pub fn build() -> Option<PathBuf> {
    let target = concat!(env!("CARGO_TARGET_TMPDIR"), "/quinn");
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/quinn/Cargo.toml");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--release", "--locked", "--manifest-path"]);
    command.args([manifest, "--target-dir", target]);
    let built = command.status().is_ok_and(|status| status.success());
    built.then(|| Path::new(target).join("release/quinn-bulk"))
}

/// A running sender.
pub struct Sender<'a> {
    program: &'a Path,
    receiver: &'a dyn Place,
    daemon: Daemon,
    address: String,
    certificate: String,
}

impl<'a> Sender<'a> {
    pub fn start(program: &'a Path, place: &'a dyn Place) -> Self {
        let mut command = place.command(program);
        command.args(["send", "127.0.0.1:0"]);
        let daemon = Daemon::start(command);
        let line = daemon.line("listens on ");
        let mut words = line.rsplit(' ').map(str::to_owned);
        let mut word = || words.next().expect("an address and a certificate follow");
        Self {
            program,
            receiver: place,
            certificate: word(),
            address: word(),
            daemon,
        }
    }

    /// Command that receives `bytes` on each of several streams at once.
    pub fn receive(&self, streams: usize, bytes: usize) -> Command {
        let mut command = self.receiver.command(self.program);
        command.args(["receive", &self.address, &self.certificate]);
        command.args([streams.to_string(), bytes.to_string()]);
        command
    }

    pub fn pid(&self) -> Pid {
        self.daemon.pid()
    }
}
