//! Records of a run for programs: one JSON object a line, of the types `start`, `out`, `exit` and `summary`.
//!
//! Invariant: whatever a host prints, each record is one line of JSON, and the texts of an output's records
//! together are the output, byte for byte.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::Value;

use crate::control::exec::Output;
use crate::escape;
use crate::message::{Fate, RequestId, VERSION};

/// Members that every record about a host begins with.
#[derive(Serialize)]
struct Record<'a, T> {
    v: u32,
    r#type: &'a str,
    host: &'a str,
    #[serde(flatten)]
    more: T,
}

#[derive(Serialize)]
struct Start {
    id: RequestId,
}

#[derive(Serialize)]
struct Out<'a> {
    stream: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    b64: Option<String>,
}

#[derive(Serialize)]
struct Exit<'a> {
    class: &'a str,
    #[serde(flatten)]
    object: Value,
}

/// Returns the record of a command that was accepted.
pub(super) fn start(host: &str, id: RequestId) -> String {
    line("start", host, Start { id })
}

/// Returns the record of a piece of an output: its `text`, or `b64` if it is not UTF-8.
pub(super) fn out(host: &str, output: Output, bytes: &[u8]) -> String {
    let text = std::str::from_utf8(bytes).ok();
    let out = Out {
        stream: name(output),
        text,
        b64: text.is_none().then(|| STANDARD.encode(bytes)),
    };
    line("out", host, out)
}

/// Returns the record of a host's end, made of its JSON object.
pub(super) fn exit(host: &str, fate: Fate, mut object: Value) -> String {
    if let Some(object) = object.as_object_mut() {
        object.remove("v");
        object.remove("host");
    }
    let class = fate.key();
    line("exit", host, Exit { class, object })
}

const fn name(output: Output) -> &'static str {
    match output {
        Output::Stdout => "stdout",
        Output::Stderr => "stderr",
    }
}

fn line<T: Serialize>(r#type: &str, host: &str, more: T) -> String {
    let record = Record {
        v: VERSION,
        r#type,
        host,
        more,
    };
    let line = serde_json::to_string(&record).expect("strings and numbers have a JSON form");
    escape::json(&line).into_owned() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_is_one_line_that_parses_to_what_was_printed() {
        let id = RequestId([0xab; 16]);
        assert_eq!(
            start("web1", id),
            "{\"v\":1,\"type\":\"start\",\"host\":\"web1\",\"id\":\"abababababababababababababababab\"}\n"
        );
        for bytes in [
            &b"a\nb\x1b\"\\\n"[..],
            "é\u{2028}\n".as_bytes(),
            &[0xff, b'\n', 0],
        ] {
            let record = out("h", Output::Stderr, bytes);
            assert_eq!(record.matches('\n').count(), 1, "{record}");
            assert!(!record.contains('\u{2028}'), "{record}");
            let value: Value = serde_json::from_str(&record).unwrap();
            let read = match (&value["text"], &value["b64"]) {
                (Value::String(text), Value::Null) => text.clone().into_bytes(),
                (Value::Null, Value::String(text)) => STANDARD.decode(text).unwrap(),
                _ => panic!("{record}"),
            };
            assert_eq!(read, bytes);
            assert_eq!(value["stream"], "stderr");
        }
    }
}
