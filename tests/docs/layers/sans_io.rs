//! Code that says it is sans-IO names no socket, clock, thread, OS randomness or standard stream.

use super::source::{Sources, code, header, inline, library};

/// The files and folders that are sans-IO. The header of each says so, and no other header does.
const SANS_IO: [&str; 21] = [
    "wire/",
    "crypto/",
    "session/",
    "message/",
    "agent/core/",
    "agent/jobs/",
    "agent/chat/",
    "agent/outbox.rs",
    "agent/own_command.rs",
    "agent/access/policy_source.rs",
    "control/batch/intake.rs",
    "control/batch/ready.rs",
    "control/chat_client/",
    "control/contact/",
    "control/exec/remote_job/",
    "control/exec/show/",
    "control/exec/summary.rs",
    "control/exec/tally.rs",
    "control/fleet/",
    "control/query.rs",
    "control/window.rs",
];

/// Files whose headers mention sans-IO code elsewhere.
const MENTIONS: [&str; 5] = [
    "lib.rs",
    "agent/mod.rs",
    "control/mod.rs",
    "control/exec/mod.rs",
    "time.rs",
];

/// The part of these that keeps keys on disk.
const KEY_FILE: &str = "crypto/key_file.rs";

/// Names that sans-IO code may not contain.
const FORBIDDEN: [&str; 24] = [
    "UdpSocket",
    "TcpStream",
    "UnixStream",
    "mio::",
    "quinn_udp",
    "socket2",
    "rustix",
    "SystemTime",
    "time::Instant::now",
    "std::time::Instant",
    "std::thread",
    "thread::spawn",
    "thread::sleep",
    "getrandom",
    "println!",
    "eprintln!",
    "print!(",
    "io::stdout",
    "io::stderr",
    "io::stdin",
    "std::fs",
    "std::env",
    "std::process",
    "File::open",
];

fn is_listed(list: &[&str], path: &str) -> bool {
    list.iter().any(|entry| path.starts_with(entry))
}

/// True if the header says that its file or folder is sans-IO.
fn says_sans_io(text: &str) -> bool {
    header(text).to_lowercase().contains("sans-io")
}

fn header_faults(list: &[&str], sources: &Sources) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, text) in sources {
        if says_sans_io(text) && !is_listed(list, path) && !MENTIONS.contains(&path.as_str()) {
            faults.push(format!(
                "src/{path} says that it is sans-IO, but is not in the list"
            ));
        }
    }
    for entry in list {
        let file = match entry.strip_suffix('/') {
            Some(folder) => format!("{folder}/mod.rs"),
            None => (*entry).to_owned(),
        };
        if !sources.get(&file).is_some_and(|text| says_sans_io(text)) {
            faults.push(format!(
                "src/{file} does not say in its header that it is sans-IO"
            ));
        }
    }
    faults
}

fn content_faults(list: &[&str], sources: &Sources) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, text) in sources {
        if !is_listed(list, path) || path == KEY_FILE {
            continue;
        }
        for (number, line) in code(text) {
            for name in FORBIDDEN.iter().filter(|name| line.contains(**name)) {
                faults.push(format!("src/{path}:{number} names {name}"));
            }
            if line.contains("std::time::{") && line.contains("Instant") {
                faults.push(format!("src/{path}:{number} names the system's Instant"));
            }
        }
    }
    faults
}

#[test]
fn the_headers_and_the_list_of_sans_io_code_agree() {
    super::assert_none(&header_faults(&SANS_IO, &library()));
}

#[test]
fn sans_io_code_touches_no_socket_clock_thread_randomness_or_stdout() {
    super::assert_none(&content_faults(&SANS_IO, &library()));
}

#[test]
fn a_clock_in_sans_io_code_and_a_missing_header_are_noticed() {
    let sources = inline(&[
        (
            "wire/mod.rs",
            "//! Sans-IO.\n\nuse std::time::{Duration, Instant};\n",
        ),
        ("wire/frame.rs", "// std::fs\nuse std::fs;\n"),
        ("policy.rs", "//! Answers.\n"),
        ("query.rs", "//! A sans-IO\n//! machine.\n\nuse std::fs;\n"),
    ]);
    let list = ["wire/", "policy.rs"];
    let expected = [
        "src/query.rs says that it is sans-IO, but is not in the list",
        "src/policy.rs does not say in its header that it is sans-IO",
    ];
    assert_eq!(header_faults(&list, &sources), expected);
    let expected = [
        "src/wire/frame.rs:2 names std::fs",
        "src/wire/mod.rs:3 names the system's Instant",
    ];
    assert_eq!(content_faults(&list, &sources), expected);
}
