//! What every command of `udpctl` starts from: folders, keys, the network, and a place to print to.

use std::io::{self, Write as _};

use anyhow::{Context as _, Result};

use crate::control::client::{Client, HostResolver};
use crate::control::journal::Journal;
use crate::control::tickets::boot_id;
use crate::crypto::{SecretKey, key_file};
use crate::home::{AgentHome, ControlHome, User, environment};
use crate::message::status;
use crate::net;
use crate::rng::Rng;

/// This controller's surroundings.
pub struct Controller {
    /// Where its files are.
    pub home: ControlHome,
    /// Random numbers.
    pub rng: Rng,
}

impl Controller {
    /// Looks around; nothing is created.
    pub fn new() -> Result<Self> {
        Ok(Self {
            home: ControlHome::locate(&environment)?,
            rng: net::rng().context("the system has no random numbers to give")?,
        })
    }

    /// The key, made when there is none yet.
    pub fn identity(&mut self) -> Result<SecretKey> {
        Ok(key_file::load_or_create(
            &self.home.identity(),
            &mut self.rng,
        )?)
    }

    /// What is known of agents.
    pub fn resolver(&self) -> Result<HostResolver> {
        let own_agent = AgentHome::locate(&environment, User::current()).ok();
        Ok(HostResolver::open(&self.home, own_agent.as_ref())?)
    }

    /// What was asked before.
    pub fn journal(&self) -> Journal {
        Journal::new(self.home.requests(), boot_id())
    }

    /// The network.
    pub fn link(&mut self) -> Result<Client> {
        let identity = self.identity()?;
        open_client(identity)
    }
}

/// The network, under a key.
pub fn open_client(identity: SecretKey) -> Result<Client> {
    Client::open(identity).context("no UDP socket can be opened")
}

/// Prints to stdout. A reader that has left is no error, but the end of this process.
pub fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            std::process::exit(status::BROKEN_PIPE.into())
        }
        result => result.context("standard output"),
    }
}

/// A line on stderr. Nobody to read it is nobody to tell.
pub fn note(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}
