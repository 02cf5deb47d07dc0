//! `udpagent status`: state and counters of the running agent.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use super::files::Files;
use super::owner::{json, span};
use crate::agent::owner::{
    AskError, Commands, DOWN, DroppedRecords, Reply, Request, Sessions, Status, ask, metrics,
};
use crate::cli::output::print;
use crate::escape;
use crate::home::{self, Readers};

const EXAMPLES: &str = "\
Examples:
  udpagent status
  udpagent status --json
  udpagent status --metrics=/var/lib/node_exporter/udpagent.prom";

/// `udpagent status`
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct StatusArgs {
    /// Print one JSON object
    #[arg(long, conflicts_with = "metrics")]
    pub json: bool,
    /// Print the metrics in the text format of Prometheus, or write them to FILE, which is replaced as a whole; a device
    /// or named pipe is written to
    #[arg(
        long,
        value_name = "FILE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "-"
    )]
    pub metrics: Option<PathBuf>,
}

/// Asks the agent and prints the answer. Without an agent, the exit status is 1.
pub fn run(args: &StatusArgs) -> Result<u8> {
    let socket = Files::locate()?.agent.socket();
    let status = status(&socket);
    if let Some(path) = &args.metrics {
        let text = match &status {
            Ok(status) => metrics(status),
            Err(AskError::NotRunning) => DOWN.to_owned(),
            Err(_) => String::new(),
        };
        if !text.is_empty() {
            write(path, &text)?;
        }
    }
    let status = status.with_context(|| socket.display().to_string())?;
    if args.json {
        print(&(json(&status) + "\n"))?;
    } else if args.metrics.is_none() {
        print(&text(&status))?;
    }
    Ok(0)
}

/// Asks the agent for its status.
///
/// # Errors
/// [`AskError`]
pub fn status(socket: &Path) -> Result<Status, AskError> {
    match ask(socket, Request::Status)?.pop() {
        Some(Reply::Status(status)) => Ok(*status),
        Some(_) | None => Err(AskError::Invalid),
    }
}

/// Writes metrics to a file, or to standard output for `-`. A reader of a regular file sees the old or the new text; of a
/// symbolic link the target is replaced. Anything else is written to.
fn write(path: &Path, text: &str) -> Result<()> {
    if path.as_os_str() == "-" {
        return print(text);
    }
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    if directory.is_some_and(|directory| !directory.is_dir()) {
        bail!("{}: there is no such directory", path.display());
    }
    let is_regular = fs::metadata(path).is_ok_and(|meta| meta.is_file());
    if is_regular || path.symlink_metadata().is_err() {
        home::replace(path, text.as_bytes(), Readers::All)?;
        return Ok(());
    }
    // Creates the target of a link that has none yet.
    OpenOptions::new()
        .write(true)
        .create(!path.exists())
        .truncate(false)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| path.display().to_string())
}

/// Formats a status, a line for each subject.
fn text(status: &Status) -> String {
    let mut text = String::new();
    for (subject, words) in of_agent(status).into_iter().chain(of_network(status)) {
        let words = escape::line(words.as_bytes(), usize::MAX);
        let _ = writeln!(text, "{subject:<11}{words}");
    }
    text
}

/// Returns the lines about the agent, its keys, sessions and commands.
fn of_agent(status: &Status) -> Vec<(&'static str, String)> {
    let up = span(status.uptime_ms / 1000);
    let sandbox = status.sandbox.as_deref().unwrap_or("not reported yet");
    let (keys, reloads) = (status.keys, times(status.reloads));
    let Sessions {
        open,
        opened,
        closed,
    } = status.sessions;
    let Commands {
        running,
        accepted,
        denied,
        ended,
    } = &status.commands;
    let ended = each("ended", ended);
    let not_in_force = status.not_in_force.join("; ");
    let on_message = status.on_message.clone().unwrap_or_default();
    let lines = vec![
        ("agent", format!("{} {}", status.name, status.key)),
        (
            "version",
            format!(
                "{}, process {}, replaced {}",
                status.version,
                status.pid,
                times(status.replacements)
            ),
        ),
        ("listens on", status.listening.join(", ")),
        ("up", format!("{up}, since {}", status.started)),
        ("sandbox", sandbox.to_owned()),
        ("keys", format!("{keys}, files read again {reloads}")),
        (
            "sessions",
            format!("{open} open, {opened} opened, {closed} closed"),
        ),
        (
            "commands",
            format!("{running} running, {accepted} accepted, {denied} denied{ended}"),
        ),
        ("on-message", on_message),
        ("lacks", not_in_force),
    ];
    let is_told = |(subject, words): &(&str, String)| {
        !matches!(*subject, "on-message" | "lacks") || !words.is_empty()
    };
    lines.into_iter().filter(is_told).collect()
}

/// Returns the lines about datagrams, and about what is missing.
fn of_network(status: &Status) -> Vec<(&'static str, String)> {
    let (handshakes, datagrams) = (&status.handshakes, &status.datagrams);
    let refused = each("refused", &handshakes.refused);
    let dropped = each("dropped", &datagrams.dropped);
    let DroppedRecords { audit, log } = status.dropped_records;
    let restarts = times(status.front_restarts);
    let silent = if status.front_answers {
        ""
    } else {
        "; it does not answer, and the counters of handshakes and datagrams are older"
    };
    vec![
        (
            "handshakes",
            format!(
                "{} INITs, {} answered, {} RETRYs{refused}",
                handshakes.received, handshakes.answered, handshakes.retries
            ),
        ),
        (
            "datagrams",
            format!(
                "{} received ({} bytes, {} plain), {} sent ({} bytes), {} not sent, {} resets{dropped}",
                datagrams.received,
                datagrams.received_bytes,
                datagrams.plain,
                datagrams.sent,
                datagrams.sent_bytes,
                datagrams.unsent,
                datagrams.resets
            ),
        ),
        ("missing", format!("{audit} audit records, {log} log lines")),
        ("front", format!("restarted {restarts}{silent}")),
    ]
}

fn times(number: u64) -> String {
    match number {
        1 => "once".to_owned(),
        _ => format!("{number} times"),
    }
}

/// Formats counters by name, without those at 0: `; 3 dropped (2 mac, 1 replay)`.
fn each(what: &str, counts: &BTreeMap<String, u64>) -> String {
    let all: u64 = counts
        .values()
        .fold(0, |sum, count| sum.saturating_add(*count));
    let some = counts.iter().filter(|&(_, &count)| count > 0);
    let some: Vec<String> = some
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    if some.is_empty() {
        return format!("; 0 {what}");
    }
    format!("; {all} {what} ({})", some.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_replace_a_regular_file_and_the_target_of_a_link() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("file"), directory.path().join("link"));
        std::os::unix::fs::symlink("file", &link).unwrap();
        for text in ["longer than the next one", "second", "third"] {
            write(&link, text).unwrap();
            assert_eq!(fs::read_to_string(&file).unwrap(), text);
            assert!(link.symlink_metadata().unwrap().is_symlink());
        }
        let before = fs::File::open(&file).unwrap();
        write(&file, "fourth").unwrap();
        assert_eq!(
            std::io::read_to_string(before).unwrap(),
            "third",
            "not written over"
        );
        assert!(write(directory.path(), "text").is_err());
    }

    #[test]
    fn metrics_are_written_to_a_fifo_and_leave_it_in_its_place() {
        use std::os::unix::fs::FileTypeExt as _;

        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("fifo");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, mode).unwrap();
        let path = fifo.clone();
        let reader = std::thread::spawn(move || fs::read_to_string(path).unwrap());
        write(&fifo, "text").unwrap();
        // A file in its place would leave the reader waiting for ever.
        assert!(fifo.symlink_metadata().unwrap().file_type().is_fifo());
        assert_eq!(reader.join().unwrap(), "text");
    }

    #[test]
    fn a_status_is_a_line_for_each_subject_without_control_characters() {
        let mut status = Status {
            name: "a\x1b[31m\nup 9".into(),
            uptime_ms: 3_700_000,
            reloads: 1,
            ..Status::default()
        };
        status.datagrams.dropped.insert("mac".into(), 2);
        status.datagrams.dropped.insert("key".into(), 0);
        let text = text(&status);
        assert_eq!(text.lines().count(), 12, "{text}");
        assert!(
            text.starts_with("agent      a\\u{1b}[31m\\nup 9 \n"),
            "{text}"
        );
        assert!(text.contains("\nup         1h 1m, since "), "{text}");
        assert!(text.contains("; 2 dropped (2 mac)\n"), "{text}");
        assert!(text.contains("; 0 refused\n"), "{text}");
        assert!(text.contains("files read again once\n"), "{text}");
    }
}
