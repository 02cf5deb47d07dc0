//! The status of an agent in the text format of Prometheus.
//!
//! Not a server: the text goes to a file or to standard output. Invariant: the value of a label is escaped, whatever
//! it is.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::messages::Status;
use crate::escape;

/// Text for an agent that does not run.
pub const DOWN: &str = "\
# HELP udpagent_up 1 if the agent runs.
# TYPE udpagent_up gauge
udpagent_up 0
";

/// A metric without labels: name, help, value. A name that ends in `_total` is that of a counter.
type Single = (&'static str, &'static str, fn(&Status) -> u64);

/// A metric with a label: name, help, name of the label, value for each value of the label.
type Family = (
    &'static str,
    &'static str,
    &'static str,
    fn(&Status) -> &BTreeMap<String, u64>,
);

const SINGLE: &[Single] = &[
    (
        "uptime_seconds",
        "Time since the start of the agent.",
        |all| all.uptime_ms / 1000,
    ),
    ("keys", "Keys that may connect.", |all| all.keys),
    (
        "front_answers",
        "1 if the process that serves the network has reported its counters.",
        |all| u64::from(all.front_answers),
    ),
    (
        "replacements_total",
        "Replacements of the program.",
        |all| all.replacements,
    ),
    (
        "front_restarts_total",
        "Unexpected ends of the process that serves the network, after which another was started.",
        |all| all.front_restarts,
    ),
    (
        "reloads_total",
        "Times that the files of the keys were read again.",
        |all| all.reloads,
    ),
    ("sessions_open", "Sessions now.", |all| all.sessions.open),
    ("sessions_opened_total", "Sessions opened.", |all| {
        all.sessions.opened
    }),
    ("sessions_closed_total", "Sessions closed or lost.", |all| {
        all.sessions.closed
    }),
    ("commands_running", "Commands that run now.", |all| {
        all.commands.running
    }),
    ("commands_accepted_total", "Commands accepted.", |all| {
        all.commands.accepted
    }),
    (
        "commands_denied_total",
        "Commands denied or refused.",
        |all| all.commands.denied,
    ),
    (
        "inits_received_total",
        "First datagrams (INIT) received, repeats included.",
        |all| all.handshakes.received,
    ),
    ("inits_answered_total", "Handshakes answered.", |all| {
        all.handshakes.answered
    }),
    ("retries_total", "RETRY datagrams sent.", |all| {
        all.handshakes.retries
    }),
    ("resets_total", "Stateless resets sent.", |all| {
        all.datagrams.resets
    }),
    ("datagrams_received_total", "Datagrams received.", |all| {
        all.datagrams.received
    }),
    (
        "received_bytes_total",
        "Octets of received datagrams.",
        |all| all.datagrams.received_bytes,
    ),
    ("datagrams_sent_total", "Datagrams sent.", |all| {
        all.datagrams.sent
    }),
    ("sent_bytes_total", "Octets of sent datagrams.", |all| {
        all.datagrams.sent_bytes
    }),
    (
        "datagrams_unsent_total",
        "Datagrams that the system refused to send.",
        |all| all.datagrams.unsent,
    ),
    ("plain_total", "Datagrams of plain text shown.", |all| {
        all.datagrams.plain
    }),
    (
        "audit_records_dropped_total",
        "Records that the audit lacks.",
        |all| all.dropped_records.audit,
    ),
    (
        "log_lines_dropped_total",
        "Lines that the log lacks.",
        |all| all.dropped_records.log,
    ),
];

const FAMILIES: &[Family] = &[
    (
        "commands_ended_total",
        "Commands ended, by outcome.",
        "outcome",
        |all| &all.commands.ended,
    ),
    (
        "inits_refused_total",
        "First datagrams (INIT) not answered, by reason.",
        "reason",
        |all| &all.handshakes.refused,
    ),
    (
        "datagrams_dropped_total",
        "Datagrams dropped, by reason, INITs included.",
        "reason",
        |all| &all.datagrams.dropped,
    ),
];

/// Returns the text of a status.
#[must_use]
pub fn metrics(status: &Status) -> String {
    let mut text = DOWN.replace("udpagent_up 0", "udpagent_up 1");
    let information = [
        ("version", &status.version),
        ("name", &status.name),
        ("key", &status.key),
    ];
    let labels = information.map(|(name, value)| label(name, value));
    head(
        &mut text,
        "info",
        "Version, name and public key of the agent.",
    );
    let _ = writeln!(text, "udpagent_info{{{}}} 1", labels.join(","));
    for (name, help, value) in SINGLE {
        head(&mut text, name, help);
        let _ = writeln!(text, "udpagent_{name} {}", value(status));
    }
    for (name, help, by, values) in FAMILIES {
        head(&mut text, name, help);
        for (value, count) in values(status) {
            let _ = writeln!(text, "udpagent_{name}{{{}}} {count}", label(by, value));
        }
    }
    text
}

fn head(text: &mut String, name: &str, help: &str) {
    let kind = if name.ends_with("_total") {
        "counter"
    } else {
        "gauge"
    };
    let _ = writeln!(
        text,
        "# HELP udpagent_{name} {help}\n# TYPE udpagent_{name} {kind}"
    );
}

/// Returns a label with its value escaped, first for people and then for the format.
fn label(name: &str, value: &str) -> String {
    let value = escape::line(value.as_bytes(), usize::MAX);
    let value = value.replace('\\', "\\\\").replace('"', "\\\"");
    format!("{name}=\"{value}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_help_and_type_once() {
        let mut status = Status::default();
        status.datagrams.dropped.insert("mac".into(), 3);
        let text = metrics(&status);
        let mut typed = BTreeMap::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert_eq!(typed.insert(name, kind), None, "{line}");
                assert!(text.contains(&format!("# HELP {name} ")), "{line}");
            } else if !line.starts_with('#') {
                let name = line.split(['{', ' ']).next().unwrap();
                assert!(typed.contains_key(name), "{line}");
            }
        }
        assert!(text.contains("\nudpagent_datagrams_dropped_total{reason=\"mac\"} 3\n"));
        assert!(text.starts_with("# HELP udpagent_up "));
    }

    #[test]
    fn the_value_of_a_label_is_escaped() {
        let status = Status {
            name: "a\"b\\c\nudpagent_up 7".into(),
            ..Status::default()
        };
        let text = metrics(&status);
        assert!(
            text.contains("name=\"a\\\"b\\\\c\\\\nudpagent_up 7\""),
            "{text}"
        );
        assert!(!text.contains("\nudpagent_up 7"));
    }
}
