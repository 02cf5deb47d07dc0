//! `udpagent revoke`: the removal of a key from `authorized_keys`.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;
use clap_complete::engine::ArgValueCompleter;

use super::candidates;
use super::files::Files;
use crate::agent::access::{Sources, revoke};
use crate::agent::owner::{AskError, Reply, Request, ask};
use crate::cli::output::print;
use crate::crypto::PublicKey;

const EXAMPLES: &str = "\
Examples:
  udpagent revoke monitor
  udpagent revoke ua1:AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_AbCdE";

/// Time for the agent to notice the change: several times what it takes.
const NOTICED: Duration = Duration::from_secs(10);

/// Interval of the questions whether it has.
const INTERVAL: Duration = Duration::from_millis(50);

/// `udpagent revoke`
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct RevokeArgs {
    /// Key to revoke, given as the key itself or by its name
    #[arg(value_name = "KEY", add = ArgValueCompleter::new(candidates::key))]
    pub key: String,
}

/// Removes the key and waits until the running agent no longer admits it.
pub fn run(args: &RevokeArgs) -> Result<u8> {
    let files = Files::locate()?;
    let socket = files.agent.socket();
    let sources = Sources {
        agent: files.agent,
        control: files.control,
    };
    let revoked = revoke(&sources, &args.key)?;
    let lines: Vec<String> = revoked.lines.iter().map(ToString::to_string).collect();
    let (path, lines, key) = (revoked.path.display(), lines.join(", "), revoked.key);
    // Nothing is printed before: a reader that has closed the output must not end the wait.
    let noticed = wait(&socket, &key);
    print(&format!("{path}:{lines}: removed {key}\n"))?;
    match noticed {
        Ok(()) => print("the agent no longer admits it; its sessions and commands end\n")?,
        Err(AskError::NotRunning) => {
            print(&format!("no agent answers at {}\n", socket.display()))?;
        }
        Err(AskError::Silent) => bail!("the agent has not noticed it yet; restart the agent"),
        Err(error) => bail!("{error}; check that the agent has noticed it"),
    }
    Ok(0)
}

/// Waits until the agent does not admit a key.
fn wait(socket: &Path, key: &PublicKey) -> Result<(), AskError> {
    let until = Instant::now() + NOTICED;
    loop {
        let replies = ask(socket, Request::Keys)?;
        let is_it = |reply: &Reply| matches!(reply, Reply::Key(view) if view.key == *key);
        if !replies.iter().any(is_it) {
            return Ok(());
        }
        if Instant::now() >= until {
            return Err(AskError::Silent);
        }
        std::thread::sleep(INTERVAL);
    }
}
