//! A record and its JSON line.
//!
//! Invariants: a record is one line of printable characters, whatever a peer wrote. It is complete:
//! argv is that of the process, byte for byte. Its size is bounded by that of the request, which is
//! a line of at most a mebibyte; one byte of the request takes at most six bytes here.

use std::fmt::Write as _;

use serde::Serialize;

use super::Event;
use crate::agent::access::Controller;
use crate::crypto::PublicKey;
use crate::escape;
use crate::message::RequestId;
use crate::peer_addr::PeerAddr;

/// Version of the format.
const VERSION: u8 = 1;

/// An event with the key, address and request that it concerns.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record<'a> {
    /// Key of the controller.
    pub key: Option<PublicKey>,
    /// Name of the key in the agent's files, if it is listed.
    pub name: Option<&'a str>,
    /// Address of the controller's session.
    pub address: Option<PeerAddr>,
    /// Id of the request.
    pub request: Option<RequestId>,
    /// The event.
    pub event: Event<'a>,
}

impl<'a> Record<'a> {
    /// Returns the record of an event in the life of a request.
    #[must_use]
    pub fn of_request(controller: &'a Controller, request: RequestId, event: Event<'a>) -> Self {
        Self {
            request: Some(request),
            ..Self::of_controller(controller, event)
        }
    }

    /// Returns the record of an event that concerns a controller but no command.
    #[must_use]
    pub fn of_controller(controller: &'a Controller, event: Event<'a>) -> Self {
        Self {
            key: Some(controller.key),
            name: controller.name.as_deref(),
            address: Some(controller.remote),
            request: None,
            event,
        }
    }

    /// Returns the record of an event that concerns a key in the agent's files.
    #[must_use]
    pub const fn of_key(key: PublicKey, name: &'a str, event: Event<'a>) -> Self {
        Self {
            key: Some(key),
            name: Some(name),
            address: None,
            request: None,
            event,
        }
    }

    /// Returns the record of an event that concerns the agent as a whole.
    #[must_use]
    pub const fn of_agent(event: Event<'a>) -> Self {
        Self {
            key: None,
            name: None,
            address: None,
            request: None,
            event,
        }
    }

    /// Returns the line with its line feed and the present time.
    #[must_use]
    pub fn to_line_now(&self) -> Vec<u8> {
        self.to_line(&now())
    }

    /// Returns the line with its line feed. `time` is written unchanged.
    #[must_use]
    pub fn to_line(&self, time: &str) -> Vec<u8> {
        let line = Line {
            v: VERSION,
            time,
            event: self.event.name(),
            key: self.key.map(|key| key.to_string()),
            name: self.name,
            address: self.address.map(|address| address.to_string()),
            request: self.request,
            details: &self.event,
        };
        let json = serde_json::to_string(&line).expect("every field has a JSON form");
        let mut line = visible(&json);
        line.push('\n');
        line.into_bytes()
    }
}

/// Beginning of every line, up to its time.
const BEGIN: &str = "{\"v\":1,\"time\":\"";

/// Length of a time with milliseconds.
const TIME: usize = "2026-01-02T03:04:05.678Z".len();

/// True for a whole line of an event that the front may record: what it cannot do is record that a command was
/// accepted, started or ended, or a change of the keys.
#[must_use]
pub fn is_front_line(line: &[u8]) -> bool {
    let Some(text) = std::str::from_utf8(line)
        .ok()
        .and_then(|text| text.strip_suffix('\n'))
    else {
        return false;
    };
    let rest = text.strip_prefix(BEGIN).and_then(|rest| rest.get(TIME..));
    let event = rest.and_then(|rest| rest.strip_prefix("\",\"event\":\""));
    let name = event.and_then(|rest| rest.split('"').next());
    let known = matches!(
        name,
        Some("denied" | "session_denied" | "attached" | "signaled" | "canceled")
    );
    known && text.ends_with('}') && escape::is_clean(text)
}

/// Returns the present time as records and log lines have it: UTC with milliseconds, RFC 3339.
#[must_use]
pub fn now() -> String {
    format!("{:.3}", jiff::Timestamp::now())
}

#[derive(Serialize)]
struct Line<'a> {
    v: u8,
    time: &'a str,
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<RequestId>,
    #[serde(flatten)]
    details: &'a Event<'a>,
}

/// Escapes the invisible characters of a JSON text as JSON does. A serialiser escapes only the
/// control characters of ASCII, but records are read on terminals.
#[must_use]
pub fn visible(json: &str) -> String {
    if escape::is_clean(json) {
        return json.to_owned();
    }
    let mut text = String::with_capacity(json.len());
    let (mut bytes, mut units) = ([0; 4], [0; 2]);
    for c in json.chars() {
        if c.is_ascii_graphic() || c == ' ' || escape::is_clean(c.encode_utf8(&mut bytes)) {
            text.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut units) {
            let _ = write!(text, "\\u{unit:04x}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::audit::Command;
    use crate::message::{Cause, Exec, OsText, Outcome};
    use serde_json::{Value, json};

    fn exec(argv: Vec<OsText>) -> Exec {
        Exec::new(RequestId([0xab; 16]), argv)
    }

    fn written(event: Event<'_>) -> String {
        let record = Record {
            key: Some(PublicKey([1; 32])),
            name: Some("alice"),
            address: Some(std::net::SocketAddr::from(([192, 0, 2, 7], 4444)).into()),
            request: Some(RequestId([0xab; 16])),
            event,
        };
        let line = record.to_line("2026-01-02T03:04:05.678Z");
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn an_audit_line_has_these_fields_in_this_order() {
        let mut exec = exec(vec!["ls".into(), "-l".into()]);
        exec.cwd = Some("/tmp".into());
        exec.env = vec![("A".into(), "secret".into())];
        exec.script = Some("abc".into());
        let line = written(Event::Accepted(Command::of(&exec, Some("root"))));
        let key = PublicKey([1; 32]);
        let begin = |event: &str| {
            format!(
                "{{\"v\":1,\"time\":\"2026-01-02T03:04:05.678Z\",\"event\":\"{event}\",\"key\":\"{key}\",\
                 \"name\":\"alice\",\"address\":\"192.0.2.7:4444\",\
                 \"request\":\"abababababababababababababababab\","
            )
        };
        // The digest of FIPS 180-2, appendix B.1.
        assert_eq!(
            line,
            begin("accepted")
                + "\"argv\":[\"ls\",\"-l\"],\"script\":{\"sha256\":\
                   \"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\",\"bytes\":3},\
                   \"user\":\"root\",\"cwd\":\"/tmp\",\"env\":[\"A\"]}\n"
        );
        let line = written(Event::Started { pid: 7 });
        assert_eq!(line, begin("started") + "\"pid\":7}\n");
        let line = written(Event::Ended {
            outcome: Outcome::Canceled {},
            cause: Some(Cause::Lease),
            stdout: 1,
            stderr: 2,
        });
        assert_eq!(
            line,
            begin("ended")
                + "\"outcome\":{\"canceled\":{}},\"cause\":\"lease\",\"stdout\":1,\"stderr\":2}\n"
        );
    }

    #[test]
    fn hostile_input_becomes_one_printable_line_that_parses_equal() {
        let hostile = "a\n{\"event\":\"accepted\"}\r\u{1b}[2J\u{7f}\u{9b}31m\u{202e}\u{200b}\u{2028}é\u{e0001}";
        let bytes = OsText::from(
            <std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(vec![0xff, b'\n']),
        );
        let exec = exec(vec![hostile.into(), bytes]);
        let line = written(Event::Denied {
            outcome: Outcome::Busy {},
            reason: None,
            command: Some(Command::of(&exec, None)),
        });
        let text = line.strip_suffix('\n').unwrap();
        assert!(escape::is_clean(text), "{text:?}");
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(value["argv"], json!([hostile, {"b64": "/wo="}]));
        assert_eq!(value["outcome"], json!({"busy": {}}));
        assert_eq!(value["event"], "denied");
    }

    #[test]
    fn an_audit_line_has_only_the_members_that_its_event_has() {
        let key = PublicKey([1; 32]);
        let controller = Controller {
            key,
            name: Some("alice".into()),
            remote: std::net::SocketAddr::from(([192, 0, 2, 7], 4444)).into(),
        };
        let request = RequestId([0xab; 16]);
        let of_request = |event| Record::of_request(&controller, request, event);
        let id = ",\"request\":\"abababababababababababababababab\"";
        let who = format!(",\"key\":\"{key}\",\"name\":\"alice\"");
        let there = format!("{who},\"address\":\"192.0.2.7:4444\"");
        let denied = Event::Denied {
            outcome: Outcome::Denied {},
            reason: Some("chat-only".into()),
            command: None,
        };
        let session_denied = |left_out| Event::SessionDenied {
            reason: "expires= has passed".into(),
            left_out,
        };
        let started = Event::AgentStarted {
            version: "0.1.0",
            pid: 7,
            listening: vec!["[::]:7000".into()],
            keys: 2,
        };
        let ended = Event::AgentEnded {
            commands: 3,
            denied: 1,
            sessions: 2,
        };
        for (record, members) in [
            (of_request(Event::Attached {}), format!("attached\"{there}{id}")),
            (
                of_request(Event::Signaled { signal: 9 }),
                format!("signaled\"{there}{id},\"signal\":9"),
            ),
            (of_request(Event::Canceled {}), format!("canceled\"{there}{id}")),
            (
                Record::of_controller(&controller, denied),
                format!("denied\"{there},\"outcome\":{{\"denied\":{{}}}},\"reason\":\"chat-only\""),
            ),
            (
                Record::of_controller(&controller, Event::Registered {}),
                format!("registered\"{there}"),
            ),
            (
                Record::of_controller(&controller, session_denied(0)),
                format!("session_denied\"{there},\"reason\":\"expires= has passed\""),
            ),
            (
                Record::of_controller(&controller, session_denied(3)),
                format!("session_denied\"{there},\"reason\":\"expires= has passed\",\"left_out\":3"),
            ),
            (Record::of_key(key, "alice", Event::KeyAdded {}), format!("key_added\"{who}")),
            (Record::of_key(key, "alice", Event::KeyRemoved {}), format!("key_removed\"{who}")),
            (Record::of_key(key, "alice", Event::KeyChanged {}), format!("key_changed\"{who}")),
            (
                Record::of_agent(Event::Reloaded { keys: 2, errors: 1 }),
                "reloaded\",\"keys\":2,\"errors\":1".into(),
            ),
            (
                Record::of_agent(started),
                "agent_started\",\"version\":\"0.1.0\",\"pid\":7,\"listening\":[\"[::]:7000\"],\"keys\":2"
                    .into(),
            ),
            (
                Record::of_agent(ended),
                "agent_ended\",\"commands\":3,\"denied\":1,\"sessions\":2".into(),
            ),
            (
                Record::of_agent(Event::Dropped { records: 5 }),
                "dropped\",\"records\":5".into(),
            ),
        ] {
            let line = String::from_utf8(record.to_line("T")).unwrap();
            assert_eq!(line, format!("{{\"v\":1,\"time\":\"T\",\"event\":\"{members}}}\n"));
        }
    }
}
