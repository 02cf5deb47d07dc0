//! Records of a batch for programs: one JSON object a line, of the types `exit` and `error`.
//!
//! Invariant: each record is one line, whatever a host prints or a line has.

use serde::Serialize;
use serde_json::Value;

use super::ready::Pending;
use crate::escape;
use crate::message::{Fate, VERSION};

/// Members that every record begins with.
#[derive(Serialize)]
struct Record<'a, T> {
    v: u32,
    r#type: &'a str,
    line: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<&'a Value>,
    #[serde(flatten)]
    more: T,
}

#[derive(Serialize)]
struct Exit<'a> {
    host: &'a str,
    class: &'a str,
    #[serde(flatten)]
    object: Value,
}

#[derive(Serialize)]
struct Error<'a> {
    error: &'a str,
}

/// Returns the record of a request's end, made of its host's JSON object.
pub(super) fn exit(pending: &Pending, fate: Fate, mut object: Value) -> String {
    if let Some(object) = object.as_object_mut() {
        object.remove("v");
        object.remove("host");
    }
    let more = Exit {
        host: pending.member.target.label(),
        class: fate.key(),
        object,
    };
    line("exit", pending.line, pending.tag.as_ref(), more)
}

/// Returns the record of a line that cannot be understood.
pub(super) fn error(number: u64, tag: Option<&Value>, error: &str) -> String {
    line("error", number, tag, Error { error })
}

fn line<T: Serialize>(r#type: &str, line: u64, tag: Option<&Value>, more: T) -> String {
    let record = Record {
        v: VERSION,
        r#type,
        line,
        tag,
        more,
    };
    let line = serde_json::to_string(&record).expect("strings and numbers have a JSON form");
    escape::json(&line).into_owned() + "\n"
}
