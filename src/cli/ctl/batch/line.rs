//! Lines of `udpctl batch`: JSON objects, parsed into requests and their targets.
//!
//! Not the reading of lines. Invariant: a member that is not understood is an error that names it, so that nothing of a
//! request is left out.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::control::batch::{Line, Member, Request};
use crate::control::limits;
use crate::control::targets::{Expression, Inventory, Selection};
use crate::duration::{self, millis};
use crate::escape;
use crate::message::limits::LINE;
use crate::message::{self, Exec, OsText, RequestId, to_line};
use crate::net::Target;
use crate::rng::Rng;

/// Parser of lines. Public for fuzzing.
pub struct Parser {
    /// Groups and hosts, for the targets.
    pub inventory: Inventory,
    /// Source of request ids.
    pub rng: Rng,
    /// Time after which the agent treats the controller as gone.
    pub lease: Duration,
}

/// Members of a line.
#[derive(Default)]
struct Members {
    target: Option<Expression>,
    argv: Option<Vec<OsText>>,
    stdin: Option<OsText>,
    timeout: Option<Duration>,
    id: Option<RequestId>,
    user: Option<String>,
    env: Vec<(OsText, OsText)>,
    cwd: Option<OsText>,
}

impl Parser {
    /// Parses a line.
    pub fn line(&mut self, number: u64, bytes: &[u8]) -> Line {
        let (tag, content) = match object(bytes) {
            Ok(mut object) => {
                let tag = object.remove("tag");
                (tag, self.content(object, bytes.len()))
            }
            Err(error) => (None, Err(error)),
        };
        Line {
            number,
            tag,
            content,
        }
    }

    fn content(
        &mut self,
        object: Map<String, Value>,
        size: usize,
    ) -> Result<(Request, Vec<Member>), String> {
        let members = members(object)?;
        let set = members.target.ok_or("\"target\" is missing")?;
        let argv = members.argv.ok_or("\"argv\" is missing")?;
        let targets = self.targets(set)?;
        if members.id.is_some() && targets.len() > 1 {
            let count = targets.len();
            return Err(format!("\"id\": an id is for one target, not {count}"));
        }
        let mut exec = Exec::new(members.id.unwrap_or(RequestId([0; 16])), argv);
        exec.env = members.env;
        exec.cwd = members.cwd;
        exec.stdin = members.stdin.is_some();
        exec.timeout_ms = members.timeout.map(millis);
        exec.lease_ms = Some(millis(self.lease));
        exec.retain = members.id.is_some();
        exec.user = members.user;
        if to_line(&message::Request::Exec(exec.clone())).len() > LINE {
            return Err(format!(
                "a request without its input has at most {LINE} bytes"
            ));
        }
        let targets = targets.into_iter().map(|target| {
            let listed = self.inventory.user_of(&target);
            let listed = listed.map_err(|error| format!("\"target\": {error}"))?;
            Ok(Member {
                id: members.id.unwrap_or_else(|| RequestId(self.rng.bytes())),
                user: exec.user.clone().or_else(|| listed.map(str::to_owned)),
                target,
            })
        });
        let targets = targets.collect::<Result<_, String>>()?;
        let stdin = members.stdin.as_ref().map(OsText::as_os_str);
        let stdin = stdin.map(OsStr::as_bytes).map(Bytes::copy_from_slice);
        let request = Request {
            exec,
            stdin: stdin.unwrap_or_default(),
            size,
        };
        Ok((request, targets))
    }

    /// Returns the targets of a set, at least one.
    fn targets(&mut self, set: Expression) -> Result<Vec<Target>, String> {
        let selection = Selection {
            of: vec![set],
            without: Vec::new(),
        };
        let targets = selection.targets(&mut self.inventory);
        let targets = targets.map_err(|error| format!("\"target\": {error}"))?;
        if targets.is_empty() {
            return Err("\"target\": the set of targets is empty".into());
        }
        Ok(targets)
    }
}

fn object(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err("a request is a JSON object".into()),
        Err(error) => {
            let (words, column) = (error.to_string(), error.column());
            // The parser counts the lines of one line.
            let words = words.split(" at line ").next().unwrap_or_default();
            Err(format!("not JSON: {words} at column {column}"))
        }
    }
}

fn members(object: Map<String, Value>) -> Result<Members, String> {
    let mut members = Members::default();
    for (name, value) in object {
        let set = match name.as_str() {
            "target" => target(&value).map(|target| members.target = Some(target)),
            "argv" => argv(value).map(|argv| members.argv = Some(argv)),
            "stdin" => bytes(value).map(|stdin| members.stdin = Some(stdin)),
            "timeout" => timeout(&value).map(|timeout| members.timeout = Some(timeout)),
            "id" => id(&value).map(|id| members.id = Some(id)),
            "user" => text(&value).map(|user| members.user = Some(user.to_owned())),
            "env" => variables(value).map(|env| members.env = env),
            "cwd" => word(value).map(|cwd| members.cwd = Some(cwd)),
            _ => Err("no such member".into()),
        };
        set.map_err(|error: String| {
            let name = escape::line(name.as_bytes(), limits::NAME_SHOWN);
            format!("\"{name}\": {error}")
        })?;
    }
    Ok(members)
}

fn text(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| "write a text".into())
}

fn target(value: &Value) -> Result<Expression, String> {
    let set = text(value)?.parse::<Expression>();
    set.map_err(|error| error.to_string())
}

fn argv(value: Value) -> Result<Vec<OsText>, String> {
    match value {
        Value::Array(words) if !words.is_empty() => words.into_iter().map(word).collect(),
        _ => Err("write a list of texts, the program first".into()),
    }
}

/// Parses a text or `{"b64": …}`.
fn bytes(value: Value) -> Result<OsText, String> {
    serde_json::from_value(value)
        .map_err(|_| "write a text, or {\"b64\": \"…\"} with base64".to_owned())
}

/// Parses the same without the character that ends words in the system.
fn word(value: Value) -> Result<OsText, String> {
    let word = bytes(value)?;
    if word.as_os_str().as_bytes().contains(&0) {
        return Err("no text can have a NUL character".into());
    }
    Ok(word)
}

fn timeout(value: &Value) -> Result<Duration, String> {
    match value {
        Value::String(text) => duration::parse(text),
        Value::Number(seconds) => duration::parse(&seconds.to_string()),
        _ => Err("write a number of seconds, or a text as \"500ms\" or \"5m\"".into()),
    }
}

fn id(value: &Value) -> Result<RequestId, String> {
    let id = text(value)?.parse::<RequestId>();
    id.map_err(|error| error.to_string())
}

fn variables(value: Value) -> Result<Vec<(OsText, OsText)>, String> {
    let Value::Object(variables) = value else {
        return Err("write an object with the values by name".into());
    };
    let variable = |(name, value): (String, Value)| {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err("a name is not empty and has no \"=\"".to_owned());
        }
        Ok((OsText::from(name.as_str()), word(value)?))
    };
    variables.into_iter().map(variable).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Line {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("hosts.toml");
        let mut parser = Parser {
            inventory: Inventory::load(&path, directory.path().join("cache"), &[]).unwrap(),
            rng: Rng::from_seed([1; 32]),
            lease: Duration::from_secs(60),
        };
        parser.line(7, line.as_bytes())
    }

    #[test]
    fn a_request_has_its_members_and_a_target_for_each_member_of_the_set() {
        let id = "0123456789abcdef0123456789abcdef";
        let line = parse(&format!(
            r#"{{"target":"web1","argv":["cat",{{"b64":"/w=="}}],"stdin":"hi","timeout":1.5,"id":"{id}",
               "user":"www","env":{{"A":"b=c"}},"cwd":"/srv","tag":[1]}}"#
        ));
        assert_eq!((line.number, &line.tag), (7, &Some(serde_json::json!([1]))));
        let (request, members) = line.content.unwrap();
        let exec = &request.exec;
        assert_eq!(exec.argv[0], "cat".into());
        assert_eq!(exec.argv[1].as_os_str().as_bytes(), [0xff]);
        assert_eq!(exec.timeout_ms, Some(1500));
        assert_eq!(exec.env, [("A".into(), "b=c".into())]);
        assert_eq!(exec.cwd, Some("/srv".into()));
        assert!(exec.stdin && exec.retain && request.stdin == "hi");
        assert_eq!(members[0].id.to_string(), id);
        assert_eq!(members[0].user.as_deref(), Some("www"));

        let line = parse(r#"{"target":"web[1-3]","argv":["true"],"timeout":"2m"}"#);
        let (request, members) = line.content.unwrap();
        assert!(!request.exec.stdin && !request.exec.retain);
        assert_eq!(request.exec.timeout_ms, Some(120_000));
        let names = members.iter().map(|member| member.target.label());
        assert!(names.eq(["web1", "web2", "web3"]));
        assert!(members[0].id != members[1].id);
    }

    #[test]
    fn an_error_names_the_member_and_what_to_write() {
        let many = format!(r#""target":"w","argv":["{}"]"#, "x".repeat(LINE));
        for (line, error) in [
            ("{", "not JSON: EOF while parsing an object at column 1"),
            ("[]", "a request is a JSON object"),
            (r#"{"argv":["true"]}"#, "\"target\" is missing"),
            (r#"{"target":"w"}"#, "\"argv\" is missing"),
            (
                r#"{"argv":[]}"#,
                "\"argv\": write a list of texts, the program first",
            ),
            (
                r#"{"argv":"ls"}"#,
                "\"argv\": write a list of texts, the program first",
            ),
            (
                r#"{"argv":[1]}"#,
                "\"argv\": write a text, or {\"b64\": \"…\"} with base64",
            ),
            (
                r#"{"argv":["\u0000"]}"#,
                "\"argv\": no text can have a NUL character",
            ),
            (r#"{"comand\u001b":1}"#, "\"comand\\u{1b}\": no such member"),
            (r#"{"target":7}"#, "\"target\": write a text"),
            (
                r#"{"target":"@web","argv":["true"]}"#,
                "\"target\": @web: the inventory has no such group",
            ),
            (
                r#"{"timeout":0}"#,
                "\"timeout\": a duration must be longer than zero",
            ),
            (
                r#"{"timeout":"1y"}"#,
                "\"timeout\": write a number with ms, s, m, h or d, or several such as 1m30s",
            ),
            (
                r#"{"id":"x"}"#,
                "\"id\": a request id is 32 hexadecimal digits",
            ),
            (
                r#"{"target":"w[1-2]","argv":["true"],"id":"00000000000000000000000000000000"}"#,
                "\"id\": an id is for one target, not 2",
            ),
            (
                r#"{"env":{"A=":""}}"#,
                "\"env\": a name is not empty and has no \"=\"",
            ),
            (
                &format!("{{{many}}}"),
                "a request without its input has at most 1048576 bytes",
            ),
        ] {
            let line = parse(line);
            assert_eq!(line.content.unwrap_err(), error);
        }
        let line = parse(r#"{"tag":"a","argv":7}"#);
        assert_eq!(line.tag, Some("a".into()), "its sender recognises it");
    }
}
