//! layers import downward only, the sans-IO ones touch nothing of the world, files stay
//! small, nothing is left half done.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// The layers, each with all that it may name; see the crate's own page.
const LAYERS: [(&str, &[&str]); 15] = [
    ("time", &[]),
    ("rng", &[]),
    ("escape", &[]),
    ("duration", &[]),
    ("contain", &[]),
    ("home", &["rng", "time", "escape"]),
    ("wire", &["time", "rng", "escape"]),
    ("crypto", &["wire", "time", "rng"]),
    ("session", &["crypto", "wire", "time", "rng", "escape"]),
    (
        "net",
        &["session", "crypto", "wire", "time", "rng", "escape"],
    ),
    (
        "message",
        &["session", "crypto", "wire", "time", "rng", "escape"],
    ),
    ("process", &["time", "escape", "contain"]),
    (
        "agent",
        &[
            "process", "message", "net", "session", "crypto", "wire", "time", "rng", "duration",
            "escape", "home", "contain",
        ],
    ),
    (
        "control",
        &[
            "message", "net", "session", "crypto", "wire", "time", "rng", "escape", "home",
            "contain",
        ],
    ),
    (
        "cli",
        &[
            "agent", "control", "process", "message", "net", "session", "crypto", "wire", "time",
            "rng", "duration", "escape", "home", "contain",
        ],
    ),
];

/// Where the sans-IO code stands, below `src`.
const SANS_IO: [&str; 7] = [
    "wire/",
    "crypto/",
    "session/",
    "message/",
    "agent/core",
    "agent/jobs",
    "control/exec/remote_job",
];

/// The one part of these that keeps keys on disk.
const KEY_FILE: &str = "crypto/key_file.rs";

/// What sans-IO code may not name.
const WORLDLY: [&str; 24] = [
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

/// What says that something is not finished.
const HALF_DONE: [&str; 6] = ["TODO", "FIXME", "dbg!", "unimplemented!", "todo!", "XXX"];

const LONGEST_FILE: usize = 450;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below a folder, with its path from there.
fn sources(folder: &str) -> Vec<(String, String)> {
    let base = root().join(folder);
    let mut out = Vec::new();
    let mut folders = vec![base.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.expect("a readable folder").path();
            if path.is_dir() && path.file_name().is_none_or(|name| name != "target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a readable file");
                out.push((below(&base, &path), text));
            }
        }
    }
    out.sort();
    out
}

fn below(base: &Path, path: &Path) -> String {
    let path = path.strip_prefix(base).expect("found below it");
    path.to_string_lossy().into_owned()
}

/// The code without its comments. A `//` inside a string ends the line here too; no harm is done.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let uncommented = |line| str::split(line, "//").next().unwrap_or_default();
    text.lines()
        .map(uncommented)
        .enumerate()
        .map(|(i, line)| (i + 1, line))
}

/// The names at the top of the crate that the code says: `crate::NAME` and `crate::{NAME, …}`.
fn crate_names(text: &str) -> Vec<String> {
    let mut all = String::new();
    for (_, line) in code(text) {
        all.push_str(line);
        all.push(' ');
    }
    let mut names = Vec::new();
    for (at, start) in all.match_indices("crate::") {
        let before = all[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &all[at + start.len()..];
        match rest.strip_prefix('{') {
            None => names.push(ident(rest)),
            Some(group) => names.extend(group_names(group)),
        }
    }
    names
}

/// The first name of each member of a `use` group.
fn group_names(group: &str) -> Vec<String> {
    let (mut depth, mut member, mut members) = (0, String::new(), Vec::new());
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => members.push(std::mem::take(&mut member)),
            _ => member.push(c),
        }
    }
    members.push(member);
    let names = members.iter().map(|member| ident(member.trim()));
    names.filter(|name| !name.is_empty()).collect()
}

fn ident(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

fn no_faults(faults: &str) {
    assert!(faults.is_empty(), "\n{faults}");
}

#[test]
fn imports_point_downward() {
    let mut faults = String::new();
    for (path, text) in sources("src") {
        let layer = path.split(['/', '.']).next().unwrap_or_default();
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
            assert!(
                matches!(layer, "lib" | "bin"),
                "src/{path} belongs to no layer"
            );
            continue;
        };
        for name in crate_names(&text) {
            if name != layer && !allowed.contains(&name.as_str()) {
                let _ = writeln!(
                    faults,
                    "src/{path} imports crate::{name}, which is not below it"
                );
            }
        }
    }
    no_faults(&faults);
}

#[test]
fn sans_io_code_touches_no_socket_clock_thread_randomness_or_stdout() {
    let mut faults = String::new();
    for (path, text) in sources("src") {
        let sans_io = SANS_IO.iter().any(|folder| path.starts_with(folder));
        if !sans_io || path == KEY_FILE {
            continue;
        }
        for (number, line) in code(&text) {
            let grouped = line.contains("std::time::{") && line.contains("Instant");
            for word in WORLDLY.iter().filter(|word| line.contains(**word)) {
                let _ = writeln!(faults, "src/{path}:{number} names {word}");
            }
            if grouped {
                let _ = writeln!(faults, "src/{path}:{number} names the system's Instant");
            }
        }
    }
    no_faults(&faults);
}

#[test]
fn nothing_is_left_half_done() {
    let mut faults = String::new();
    for (path, text) in sources("src") {
        for (number, line) in text.lines().enumerate() {
            for word in HALF_DONE.iter().filter(|word| line.contains(**word)) {
                let _ = writeln!(faults, "src/{path}:{} has {word}", number + 1);
            }
        }
    }
    no_faults(&faults);
}

#[test]
fn a_file_is_one_concept_and_says_which() {
    let mut faults = String::new();
    for folder in ["src", "tests", "examples", "benches"] {
        for (path, text) in sources(folder) {
            let lines = text.lines().count();
            if lines > LONGEST_FILE {
                let _ = writeln!(faults, "{folder}/{path} has {lines} lines: split it");
            }
            if !text.trim_start().starts_with("//!") && !text.starts_with("#!") {
                let _ = writeln!(faults, "{folder}/{path} does not begin with what it is");
            }
        }
    }
    no_faults(&faults);
}

#[test]
fn a_fault_would_be_noticed() {
    let text = "use crate::{net::{Net, x}, wire};\n// crate::cli\nlet a = crate::agent::core::Service; my_crate::b";
    assert_eq!(crate_names(text), ["net", "wire", "agent"]);
    let (_, line) = code("let x = 1; // std::fs").next().unwrap();
    assert!(!line.contains("std::fs"));
    assert!(sources("src").len() > 30);
}
