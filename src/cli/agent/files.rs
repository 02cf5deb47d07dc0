//! Files of the agent and of its user's own controller.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;

use crate::agent::access::Sources;
use crate::agent::config::{self, Layer};
use crate::crypto::{PublicKey, key_file};
use crate::home::{AgentHome, ControlHome, User, environment};
use crate::net;

/// The configuration file, as typed.
#[derive(Args, Debug)]
pub struct ConfigFile {
    /// Read the configuration from FILE [default: udpagent.toml in the configuration directory]
    #[arg(
        long = "config",
        value_name = "FILE",
        env = "UDPAGENT_CONFIG",
        hide_env_values = true
    )]
    pub file: Option<PathBuf>,
}

/// Paths of this user's files.
pub struct Files {
    /// The agent's.
    pub agent: AgentHome,
    /// The controller's of the same user, if it can have any.
    pub control: Option<ControlHome>,
}

impl Files {
    /// Locates the files; creates nothing.
    pub fn locate() -> Result<Self> {
        Ok(Self {
            agent: AgentHome::locate(&environment, User::current())?,
            control: ControlHome::locate(&environment).ok(),
        })
    }

    /// Returns the files that grant access.
    pub fn sources(self) -> Sources {
        Sources {
            agent: self.agent,
            control: self.control,
        }
    }

    /// Loads the agent's public key, or creates the key if there is none yet.
    pub fn key(&self) -> Result<PublicKey> {
        let mut rng = net::rng().context("cannot get random numbers from the system")?;
        let identity = key_file::load_or_create(&self.agent.identity(), &mut rng)?;
        Ok(identity.public())
    }

    /// Reads the named configuration file, or the default one if it exists.
    pub fn read_config(&self, named: &ConfigFile) -> Result<Layer> {
        let default = self.agent.config_file();
        let layer = config::load(named.file.as_deref().unwrap_or(&default))?;
        match (layer, &named.file) {
            (Some(layer), _) => Ok(layer),
            (None, None) => Ok(Layer::default()),
            (None, Some(named)) => Err(config::ConfigError::Missing(named.to_owned()).into()),
        }
    }
}
