//! Objects of `udpctl cp --json`: those of `exec --json`, with what was copied.
//!
//! Invariant: an object says that a copy is complete only by the word of both sides.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::control::copy::{FailedItem, HostResult};
use crate::escape;

/// Returns a line for each host, in the order in which they ended.
pub fn lines(objects: &[(usize, Value)], results: &[HostResult]) -> String {
    let mut lines = String::new();
    for (index, object) in objects {
        let object = completed(object.clone(), &results[*index]).to_string();
        let _ = writeln!(lines, "{}", escape::json(&object));
    }
    lines
}

/// Adds what was copied.
fn completed(mut object: Value, result: &HostResult) -> Value {
    if let Some(members) = object.as_object_mut() {
        // They are the copy itself.
        members.remove("stdout");
    }
    object["complete"] = json!(result.is_complete);
    object["files"] = json!(result.counts.files);
    object["bytes"] = json!(result.counts.bytes);
    object["failed"] = json!(result.failures);
    object["failed_items"] = result.failed.iter().map(item).collect();
    object
}

/// Returns `{"path": "/srv/f", "side": "host", "error": "Permission denied"}`, with `b64` instead of `path` if it is not
/// UTF-8.
fn item(item: &FailedItem) -> Value {
    let side = if item.is_here { "here" } else { "host" };
    match std::str::from_utf8(&item.path) {
        Ok(path) => json!({"path": path, "side": side, "error": item.words}),
        Err(_) => json!({"b64": STANDARD.encode(&item.path), "side": side, "error": item.words}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copy::Counts;

    #[test]
    fn an_object_has_the_counts_and_names_each_failed_item_on_its_side() {
        let failed = |path: &[u8], is_here| FailedItem {
            path: path.into(),
            is_here,
            words: "Permission denied".into(),
        };
        let result = HostResult {
            is_complete: false,
            counts: Counts {
                files: 2,
                failed: 1,
                bytes: 30,
            },
            failures: 3,
            failed: vec![failed(b"a", true), failed(b"\xff", false)],
        };
        let object = json!({"v": 1, "host": "web", "stdout": {"bytes": 9}});
        let objects = [(1, object)];
        let line = lines(&objects, &[HostResult::default(), result]);
        let object: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            object,
            json!({
                "v": 1, "host": "web", "complete": false, "files": 2, "bytes": 30, "failed": 3,
                "failed_items": [
                    {"path": "a", "side": "here", "error": "Permission denied"},
                    {"b64": "/w==", "side": "host", "error": "Permission denied"},
                ],
            })
        );
        assert!(line.ends_with('\n'));
    }
}
