//! A record and its JSON line.
//!
//! Invariants: a record is one line of printable characters, whatever a peer wrote. It is complete:
//! argv is that of the process, byte for byte. Its size is bounded by that of the request, which is
//! a line of at most a mebibyte; one byte of the request takes at most six bytes here.

use std::fmt::Write as _;

use ring::digest::{SHA256, digest};
use serde::Serialize;

use crate::crypto::PublicKey;
use crate::escape;
use crate::message::{Cause, Exec, OsText, Outcome, RequestId};
use crate::peer_addr::PeerAddr;

/// Version of the format.
const VERSION: u8 = 1;

/// An event in the life of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record<'a> {
    /// Key of the request.
    pub key: PublicKey,
    /// Name of the key in the agent's files, if it is listed.
    pub name: Option<&'a str>,
    /// Address from which the session was opened.
    pub address: PeerAddr,
    /// Id of the request.
    pub request: RequestId,
    /// The event.
    pub event: Event<'a>,
}

/// Event in the life of a request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(untagged)]
pub enum Event<'a> {
    /// The request was accepted and will be started.
    Accepted(Command<'a>),
    /// The process was started.
    Started {
        /// Process id.
        pid: i32,
    },
    /// The command has ended.
    Ended {
        /// Outcome.
        outcome: Outcome,
        /// Reason why the agent ended it, if it did.
        #[serde(skip_serializing_if = "Option::is_none")]
        cause: Option<Cause>,
        /// Bytes of stdout.
        stdout: u64,
        /// Bytes of stderr.
        stderr: u64,
    },
    /// The request was denied.
    Denied {
        /// Outcome that the controller receives.
        outcome: Outcome,
        /// The command asked for.
        #[serde(flatten)]
        command: Command<'a>,
    },
}

/// The command of a request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Command<'a> {
    argv: &'a [OsText],
    #[serde(skip_serializing_if = "Option::is_none")]
    script: Option<Script>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cwd: Option<&'a OsText>,
    /// Names only: values may be secrets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    env: Vec<&'a OsText>,
}

/// Identification of a script.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Script {
    /// SHA-256 of the text, in hexadecimal.
    pub sha256: String,
    /// Length in bytes.
    pub bytes: usize,
}

impl Script {
    fn of(text: &OsText) -> Self {
        let bytes = text.as_os_str().as_encoded_bytes();
        let mut sha256 = String::new();
        for byte in digest(&SHA256, bytes).as_ref() {
            let _ = write!(sha256, "{byte:02x}");
        }
        let bytes = bytes.len();
        Self { sha256, bytes }
    }
}

impl<'a> Command<'a> {
    /// Returns the command of a request. `user` is the user that it runs as, or asks for.
    #[must_use]
    pub fn of(exec: &'a Exec, user: Option<&'a str>) -> Self {
        Self {
            argv: &exec.argv,
            script: exec.script.as_ref().map(Script::of),
            user,
            cwd: exec.cwd.as_ref(),
            env: exec.env.iter().map(|(name, _)| name).collect(),
        }
    }
}

impl Event<'_> {
    /// Returns the name of the event in the record.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Accepted(_) => "accepted",
            Self::Started { .. } => "started",
            Self::Ended { .. } => "ended",
            Self::Denied { .. } => "denied",
        }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    v: u8,
    time: &'a str,
    event: &'static str,
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    address: String,
    request: RequestId,
    #[serde(flatten)]
    details: &'a Event<'a>,
}

impl Record<'_> {
    /// Returns the line with its line feed. `time` is written unchanged.
    #[must_use]
    pub fn to_line(&self, time: &str) -> Vec<u8> {
        let line = Line {
            v: VERSION,
            time,
            event: self.event.name(),
            key: self.key.to_string(),
            name: self.name,
            address: self.address.to_string(),
            request: self.request,
            details: &self.event,
        };
        let json = serde_json::to_string(&line).expect("every field has a JSON form");
        let mut line = visible(&json);
        line.push('\n');
        line.into_bytes()
    }
}

/// Escapes the invisible characters of a JSON text as JSON does. A serialiser escapes only the
/// control characters of ASCII, but records are read on terminals.
fn visible(json: &str) -> String {
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
    use serde_json::{Value, json};

    fn exec(argv: Vec<OsText>) -> Exec {
        Exec::new(RequestId([0xab; 16]), argv)
    }

    fn written(event: Event<'_>) -> String {
        let record = Record {
            key: PublicKey([1; 32]),
            name: Some("alice"),
            address: std::net::SocketAddr::from(([192, 0, 2, 7], 4444)).into(),
            request: RequestId([0xab; 16]),
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
        let bytes = OsText(std::os::unix::ffi::OsStringExt::from_vec(vec![0xff, b'\n']));
        let exec = exec(vec![hostile.into(), bytes]);
        let line = written(Event::Denied {
            outcome: Outcome::Busy {},
            command: Command::of(&exec, None),
        });
        let text = line.strip_suffix('\n').unwrap();
        assert!(escape::is_clean(text), "{text:?}");
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(value["argv"], json!([hostile, {"b64": "/wo="}]));
        assert_eq!(value["outcome"], json!({"busy": {}}));
        assert_eq!(value["event"], "denied");
    }
}
