//! udpagent-protocol(7) describes every message with all its members, and the lines that it shows are messages.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use udpagent::crypto::PublicKey;
use udpagent::message::{
    self, Cause, CopyFiles, CopyWork, JobState, JobView, Lines, OnDisconnect, OsText, Outcome,
};
use udpagent::message::{
    Exec, Forward, ForwardTarget, Reply, Request, RequestId, RoomName, Terminal, Window, to_line,
};

/// A label, and the octets that the page shows under it.
pub type Value = (String, Vec<u8>);

/// The source of the page.
pub fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("man/udpagent-protocol.7");
    fs::read_to_string(path).unwrap()
}

/// The text below a heading (`Sh` or `Ss`), up to the next of its kind or above.
pub fn section(page: &str, title: &str) -> String {
    let start = |macros: &[&str], line: &str| {
        let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
        macros.contains(&name).then(|| rest.to_owned())
    };
    let mut lines = page.lines();
    let kind = lines
        .find_map(|line| {
            let heading = start(&[".Sh", ".Ss"], line)?;
            (heading == title).then(|| line[..3].to_owned())
        })
        .unwrap_or_else(|| panic!("no section {title}"));
    let ends: &[&str] = if kind == ".Sh" {
        &[".Sh"]
    } else {
        &[".Sh", ".Ss"]
    };
    let body: Vec<&str> = lines
        .take_while(|line| start(ends, line).is_none())
        .collect();
    body.join("\n")
}

/// The lines of the literal displays of a text.
fn displays(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    text.lines().filter(move |line| {
        let edge = line.starts_with(".Bd") || line.starts_with(".Ed");
        inside = line.starts_with(".Bd") || inside && !edge;
        inside && !edge
    })
}

/// The labelled octets of a section: a label ends with a colon; the indented lines below it hold hexadecimal
/// digits up to a semicolon, or a JSON line, which ends with `}}`.
pub fn values(page: &str, title: &str) -> Vec<Value> {
    let mut values: Vec<Value> = Vec::new();
    for line in displays(&section(page, title)) {
        if let Some(label) = line.strip_suffix(':').filter(|_| !line.starts_with(' ')) {
            values.push((label.to_owned(), Vec::new()));
            continue;
        }
        let (_, octets) = values.last_mut().expect("a label stands first");
        let text = line.trim();
        if text.starts_with(['{', '"']) {
            octets.extend_from_slice(text.as_bytes());
            if text.ends_with("}}") {
                octets.push(b'\n');
            }
            continue;
        }
        let digits: String = text.split(';').next().unwrap().split(' ').collect();
        let pairs = digits.as_bytes().chunks(2);
        octets.extend(pairs.map(|pair| {
            let pair = std::str::from_utf8(pair).unwrap();
            u8::from_str_radix(pair, 16).unwrap_or_else(|_| panic!("{line}"))
        }));
    }
    values
}

/// The JSON lines of a section, joined where the page breaks them.
fn json_lines(title: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in displays(&section(&page(), title)) {
        match lines.last_mut() {
            Some(last) if line.starts_with(' ') => last.push_str(line.trim()),
            _ => lines.push(line.to_owned()),
        }
    }
    lines
}

fn read_back<T: serde::Serialize + serde::de::DeserializeOwned>(line: &str) {
    let mut lines = Lines::default();
    lines.push(format!("{line}\n").as_bytes());
    let message: T = lines.next().unwrap().unwrap_or_else(|error| {
        panic!("{line}: {error:?}");
    });
    let text = |bytes: &[u8]| -> serde_json::Value { serde_json::from_slice(bytes).unwrap() };
    assert_eq!(text(&to_line(&message)), text(line.as_bytes()), "{line}");
}

#[test]
fn the_lines_shown_are_messages() {
    let (requests, replies) = (json_lines("Requests"), json_lines("Replies"));
    assert_eq!((requests.len(), replies.len()), (15, 17));
    for line in requests {
        read_back::<Request>(&line);
    }
    for line in replies {
        read_back::<Reply>(&line);
    }
    for line in json_lines("Outcomes") {
        serde_json::from_str::<Outcome>(&line).unwrap();
    }
}

/// One request of each kind, with all members. Each names the next, so that without a new kind this does not
/// compile.
fn requests() -> Vec<Request> {
    let id = RequestId([1; 16]);
    let window = Window {
        rows: 1,
        columns: 1,
    };
    let key = PublicKey([9; 32]);
    let mut all = vec![Request::Exec(exec(id, window))];
    loop {
        let next = match all.last().unwrap() {
            Request::Exec(_) => Request::Forward(Forward {
                id,
                to: ForwardTarget::tcp("x", 1).unwrap(),
                user: Some("x".into()),
                lease_ms: Some(1),
                age_ms: 1,
            }),
            Request::Forward(_) => Request::Copy(CopyFiles {
                id,
                work: CopyWork::Write {
                    to: "x".into(),
                    directory: true,
                    preserve: true,
                },
                user: Some("x".into()),
                timeout_ms: Some(1),
                lease_ms: Some(1),
                age_ms: 1,
            }),
            Request::Copy(_) => Request::Attach {
                id,
                stdout: Some(0),
                stderr: Some(0),
                key: Some(key),
            },
            Request::Attach { .. } => Request::Jobs { all: true },
            Request::Jobs { .. } => Request::Wait { id, key: Some(key) },
            Request::Wait { .. } => Request::Signal {
                id,
                signal: 1,
                key: Some(key),
            },
            Request::Signal { .. } => Request::Cancel {},
            Request::Cancel {} => Request::Resize(window),
            Request::Resize(_) => Request::Ping {},
            Request::Ping {} => Request::Chat {
                after: None,
                id: None,
                name: Some("x".into()),
                history: 1,
                room: room(),
                whispers: true,
            },
            Request::Chat { .. } => Request::Say {
                number: 0,
                text: "x".into(),
                room: room(),
                bot: true,
                action: true,
            },
            Request::Say { .. } => Request::Whisper {
                number: 0,
                to: "x".into(),
                text: "x".into(),
            },
            Request::Whisper { .. } => Request::Register { name: "x".into() },
            Request::Register { .. } => break,
            other => panic!("{other:?} needs an example here"),
        };
        all.push(next);
    }
    assert_eq!(
        all.len(),
        kinds::<Request>(),
        "a request has no example here"
    );
    all
}

fn room() -> Option<RoomName> {
    "x".parse().ok()
}

/// A command with all members.
fn exec(id: RequestId, window: Window) -> Exec {
    let mut exec = Exec::new(id, vec!["true".into()]);
    exec.script = Some("x".into());
    exec.user = Some("x".into());
    exec.terminal = Some(Terminal {
        term: "x".into(),
        window,
    });
    exec.env = vec![("X".into(), "1".into())];
    exec.cwd = Some("/".into());
    exec.stdin = true;
    exec.timeout_ms = Some(1);
    exec.lease_ms = Some(1);
    exec.on_disconnect = OnDisconnect::Keep;
    exec.retain = true;
    exec.age_ms = 1;
    exec
}

/// Number of variants of a message: serde names them all when it meets one that it does not know.
fn kinds<T: serde::de::DeserializeOwned + std::fmt::Debug>() -> usize {
    let error = serde_json::from_str::<T>(r#"{"no such message":{}}"#).unwrap_err();
    let error = error.to_string();
    let (_, names) = error.split_once("expected one of ").unwrap();
    names.matches('`').count() / 2
}

/// A job with all members.
fn job(id: RequestId) -> JobView {
    JobView {
        id,
        argv: vec!["x".into()],
        age_ms: 1,
        state: JobState::Running {},
        stdout: 0,
        stderr: 0,
        still_running: true,
        key: Some(PublicKey([9; 32])),
        name: Some("x".into()),
    }
}

/// A message with all members.
fn said() -> Reply {
    Reply::Said {
        cut: None,
        position: None,
        from: "x".into(),
        text: "x".into(),
        unverified: true,
        age_ms: Some(1),
        room: room(),
        bot: true,
        action: true,
    }
}

/// One reply of each kind, likewise.
fn replies() -> Vec<Reply> {
    let id = RequestId([1; 16]);
    let name = || "x".to_owned();
    let mut all = vec![Reply::Accepted {
        id,
        stdout: 0,
        stderr: 0,
        stdin: 0,
        terminal: true,
        kept: true,
        screen: Some(OsText::from("x")),
    }];
    loop {
        let next = match all.last().unwrap() {
            Reply::Accepted { .. } => Reply::Started {
                pid: 1,
                home: Some(2),
            },
            Reply::Started { .. } => Reply::Exit {
                outcome: Outcome::Denied {},
                stdout: 0,
                stderr: 0,
                streams_open: true,
                cause: Some(Cause::Lease),
                still_running: true,
            },
            Reply::Exit { .. } => Reply::Jobs {
                jobs: vec![job(id)],
                left_out: 1,
            },
            Reply::Jobs { .. } => Reply::Pong {
                name: name(),
                version: name(),
            },
            Reply::Pong { .. } => Reply::Registered {
                name: name(),
                agent: name(),
                listed: true,
            },
            Reply::Registered { .. } => Reply::Joined {
                position: None,
                name: name(),
                room: room(),
                members: vec![name()],
            },
            Reply::Joined { .. } => said(),
            Reply::Said { .. } => Reply::Whispered {
                from: name(),
                text: name(),
                room: room(),
            },
            Reply::Whispered { .. } => Reply::Came {
                name: name(),
                room: room(),
            },
            Reply::Came { .. } => Reply::Left {
                name: name(),
                room: room(),
            },
            Reply::Left { .. } => Reply::Delivered {
                position: None,
                number: 0,
                members: 0,
            },
            Reply::Delivered { .. } => Reply::Missed { messages: 1 },
            Reply::Missed { .. } => Reply::Denied {},
            Reply::Denied {} => Reply::Done {},
            Reply::Done {} => Reply::NoJob {},
            Reply::NoJob {} => Reply::Unsupported { reason: name() },
            Reply::Unsupported { .. } => break,
            other => panic!("{other:?} needs an example here"),
        };
        all.push(next);
    }
    assert_eq!(all.len(), kinds::<Reply>(), "a reply has no example here");
    all
}

/// Every name of a member below a value.
fn names(value: &serde_json::Value, out: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(object) => {
            for (name, value) in object {
                out.push(name.clone());
                names(value, out);
            }
        }
        serde_json::Value::Array(array) => array.iter().for_each(|value| names(value, out)),
        _ => {}
    }
}

/// The entries of the list of messages in a section, by name.
fn entries(title: &str) -> BTreeMap<String, String> {
    let mut entries = BTreeMap::new();
    for entry in section(&page(), title).split("\n.It Ic ").skip(1) {
        let (head, body) = entry.split_once('\n').unwrap();
        for name in head.split(" , Ic ") {
            entries.insert(name.to_owned(), body.to_owned());
        }
    }
    entries
}

fn is_described<T: serde::Serialize>(title: &str, messages: &[T]) {
    let entries = entries(title);
    assert_eq!(entries.len(), messages.len(), "{title}");
    for message in messages {
        let serde_json::Value::Object(object) = serde_json::to_value(message).unwrap() else {
            panic!("not an object");
        };
        let (name, members) = object.into_iter().next().unwrap();
        let entry = entries
            .get(&name)
            .unwrap_or_else(|| panic!("{title} does not describe {name}"));
        let lines = entry.lines().filter(|line| line.starts_with('.'));
        let macros = lines.collect::<Vec<_>>().join(" ").replace("\\(dq", " ");
        let mut wanted = Vec::new();
        names(&members, &mut wanted);
        for member in wanted {
            let described = macros
                .split(|c: char| !(c.is_alphanumeric() || c == '_'))
                .any(|word| word == member);
            // An outcome has a section of its own.
            let elsewhere = name == "exit" && member == "denied";
            assert!(described || elsewhere, "{title}: {name} lacks {member}");
        }
    }
}

#[test]
fn every_message_and_every_member_is_described() {
    is_described("Requests", &requests());
    is_described("Replies", &replies());
    let outcomes = section(&page(), "Outcomes");
    for outcome in message::outcome::ALL {
        let row = format!(".It Cm {} Ta", outcome.row().name);
        assert!(outcomes.contains(&row), "Outcomes lacks {row}");
    }
    for cause in [
        Cause::Requested,
        Cause::Timeout,
        Cause::Runtime,
        Cause::Output,
        Cause::Lease,
        Cause::Revoked,
        Cause::Shutdown,
    ] {
        let name = serde_json::to_value(cause).unwrap();
        let quoted = format!(".Ql {}", name.as_str().unwrap());
        assert!(section(&page(), "Replies").contains(&quoted), "{quoted}");
    }
}
