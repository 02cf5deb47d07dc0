//! `udpagent keys`: the keys that may connect, their options, and their use.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use clap::Args;

use super::files::Files;
use super::owner::{ago, json};
use crate::agent::access::{Sources, quote_option};
use crate::agent::daemon::unix_now;
use crate::agent::owner::{AskError, KeyView, Reply, Request, ask};
use crate::cli::output::{note, print};
use crate::escape;
use crate::message::limits::NAME;

const EXAMPLES: &str = "\
Examples:
  udpagent keys
  udpagent keys --json";

/// `udpagent keys`
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct KeysArgs {
    /// Print one JSON object per key
    #[arg(long)]
    pub json: bool,
}

/// Prints the keys that the running agent admits, or those of the files if none runs.
pub fn run(args: &KeysArgs) -> Result<u8> {
    let files = Files::locate()?;
    let socket = files.agent.socket();
    let (keys, since) = match ask(&socket, Request::Keys) {
        Ok(replies) => answer(replies),
        Err(AskError::NotRunning) => {
            note(&format!(
                "udpagent: no agent answers at {}; the keys are those of the files",
                socket.display()
            ));
            (of_files(files), None)
        }
        Err(error) => return Err(error).with_context(|| socket.display().to_string()),
    };
    if args.json {
        let lines: Vec<String> = keys.iter().map(|key| json(key) + "\n").collect();
        print(&lines.concat())?;
        return Ok(0);
    }
    let mut text = table(&keys);
    if let Some(since) = since {
        let _ = writeln!(
            text,
            "last seen since the start of the agent, {}",
            ago(&since)
        );
    }
    print(&text)?;
    Ok(0)
}

/// Returns the keys of an answer, and the start of the agent.
fn answer(replies: Vec<Reply>) -> (Vec<KeyView>, Option<String>) {
    let (mut keys, mut start) = (Vec::new(), None);
    for reply in replies {
        match reply {
            Reply::Key(key) => keys.push(key),
            Reply::Done { since } => start = Some(since),
            Reply::Status(_) | Reply::NotReloaded { .. } => {}
        }
    }
    (keys, start)
}

/// Returns the keys that an agent started now would admit.
fn of_files(files: Files) -> Vec<KeyView> {
    let sources = Sources {
        agent: files.agent,
        control: files.control,
    };
    let (policy, problems) = sources.load();
    for problem in &problems {
        note(&format!("udpagent: {problem}"));
    }
    let view = |member: &crate::agent::access::Member| KeyView {
        key: member.key,
        name: member.name.clone(),
        options: member.options.words(),
        expired: member.options.is_expired(unix_now()),
        sessions: None,
        last_seen: None,
    };
    let mut keys: Vec<KeyView> = policy.members().map(view).collect();
    keys.sort_by(|one, other| (&one.name, one.key.0).cmp(&(&other.name, other.key.0)));
    keys
}

/// Formats the keys as a table.
fn table(keys: &[KeyView]) -> String {
    let name = |key: &KeyView| escape::line(key.name.as_bytes(), NAME).into_owned();
    let width = keys.iter().map(|key| name(key).chars().count());
    let width = width.chain([4]).max().unwrap_or_default();
    let mut text = format!(
        "{:width$}  SESSIONS  LAST SEEN    {:47}  OPTIONS\n",
        "NAME", "KEY"
    );
    for key in keys {
        let sessions = key.sessions.map_or("-".into(), |count| count.to_string());
        let seen = key.last_seen.as_deref().map_or("-".into(), ago);
        let mut options: Vec<String> = key.options.iter().map(|word| quoted(word)).collect();
        if key.expired {
            options.push("(expired)".into());
        }
        let options = options.join(" ");
        let line = format!(
            "{:width$}  {sessions:>8}  {seen:11}  {}  {}",
            name(key),
            key.key,
            escape::line(options.as_bytes(), usize::MAX)
        );
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

fn quoted(word: &str) -> String {
    if word.contains('\0') {
        return word.to_owned();
    }
    quote_option(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::PublicKey;

    #[test]
    fn the_table_of_keys_has_a_line_for_each_key_and_no_control_characters() {
        let view = |name: &str, options: &[&str]| KeyView {
            key: PublicKey([1; 32]),
            name: name.into(),
            options: options.iter().map(|&word| word.to_owned()).collect(),
            expired: false,
            sessions: Some(2),
            last_seen: None,
        };
        let keys = [
            view("ann", &["allow=uname -a", "admin"]),
            view("b\x1b[2J\n", &["x\0\x1b"]),
        ];
        let text = table(&keys);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[1].ends_with(" allow='uname -a' admin"), "{text}");
        assert_eq!(lines[0].find("SESSIONS"), lines[1].find("       2"));
        assert_eq!(lines[0].find("OPTIONS"), lines[1].find("allow"));
        assert!(lines[2].starts_with("b\\u{1b}[2J\\n"), "{text}");
        assert!(!text.contains(['\x1b', '\0']), "{text:?}");
    }
}
