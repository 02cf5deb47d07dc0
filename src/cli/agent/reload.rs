//! `udpagent reload`: replaces the program of the running agent.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use super::files::Files;
use super::status::status;
use crate::agent::owner::{AskError, Reply, Request, Status, ask};
use crate::cli::output::{note, print};
use crate::escape;

const EXAMPLES: &str = "\
Examples:
  udpagent reload
  udpagent check && udpagent reload";

/// Time within which the new program serves.
const SERVES: Duration = Duration::from_secs(15);

/// Pause between two questions.
const PAUSE: Duration = Duration::from_millis(20);

/// `udpagent reload`
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct ReloadArgs {}

/// Orders a reload and waits until the new program serves. If it cannot, the exit status is 1 and the old one goes on. It
/// is 1 too if a setting is not in force.
pub fn run(_: &ReloadArgs) -> Result<u8> {
    let socket = Files::locate()?.agent.socket();
    // A tool of another version may not understand it.
    let before = match status(&socket) {
        Ok(status) => Some(status),
        Err(AskError::Invalid) => None,
        Err(error) => return Err(error).context(socket.display().to_string()),
    };
    match ask(&socket, Request::Reload) {
        // The connection ends with the old program.
        Err(AskError::Closed) => {}
        Ok(mut replies) => match replies.pop() {
            Some(Reply::NotReloaded { reason }) => bail!("the agent goes on as before: {reason}"),
            Some(_) | None => bail!("the agent has another version than this program"),
        },
        Err(error) => return Err(error).context(socket.display().to_string()),
    }
    let after = wait(&socket, before.as_ref())?;
    let running = match after.commands.running {
        1 => "1 command runs".to_owned(),
        number => format!("{number} commands run"),
    };
    for line in &after.not_in_force {
        let line = escape::line(line.as_bytes(), usize::MAX);
        note(&format!("udpagent: not in force: {line}"));
    }
    print(&format!(
        "version {} has taken over; {running}\n",
        after.version
    ))?;
    Ok(u8::from(!after.not_in_force.is_empty()))
}

/// Waits until a program serves that has taken over.
fn wait(socket: &Path, before: Option<&Status>) -> Result<Status> {
    let until = Instant::now() + SERVES;
    loop {
        let answer = status(socket);
        match answer {
            Ok(now) if before.is_some_and(|before| now.pid != before.pid) => {
                bail!("another agent was started meanwhile")
            }
            Ok(now)
                if now.front_answers
                    && now.replacements > before.map_or(0, |before| before.replacements) =>
            {
                return Ok(now);
            }
            Ok(_) | Err(_) if Instant::now() < until => std::thread::sleep(PAUSE),
            Ok(_) => bail!("the new program does not serve; the log has the reason"),
            Err(error) => {
                return Err(error).context("the agent does not answer after the reload");
            }
        }
    }
}
