//! The history of a chat, over a restart of the agent.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::harness::{Agent, Child, User};

const SERVE: [&str; 4] = ["--bind", "127.0.0.1:0", "--name", "hall"];

/// Joins the chat with JSON output, and returns the texts of the history and the first new message, which is sent then.
fn history(user: &User, agent: &mut Agent) -> Vec<String> {
    let mut command = user.command("udpctl");
    command.args(["chat", &agent.target(), "--json", "--name", "late"]);
    let mut late = Child::start(command);
    late.stdout_line(|line| line.starts_with(r#"{"v":1,"joined""#));
    agent.child.stdout_line(|line| line == "* late(owner) came");
    agent.child.type_in("new\n");
    late.stdout_line(|line| {
        line == r#"{"v":1,"said":{"from":"hall","text":"new","unverified":false}}"#
    });
    let seen = late.stdout_seen().iter();
    let said = seen.filter_map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let said = line
            .get("said")
            .filter(|said| said.get("age_ms").is_some())?;
        Some(format!(
            "{}: {}",
            said["from"].as_str()?,
            said["text"].as_str()?
        ))
    });
    said.collect()
}

#[test]
fn the_history_is_shown_to_those_who_join_and_survives_a_restart() {
    let user = User::new();
    let mut agent = Agent::start(&user, &SERVE);
    let outcome = user
        .udpctl(["chat", &agent.target()])
        .stdin("one\ntwo\u{1b}[2J\n")
        .outcome();
    assert_eq!((outcome.status, &outcome.stdout[..]), (0, &b""[..]));
    let expected = ["owner: one", "owner: two\u{1b}[2J"];
    assert_eq!(history(&user, &mut agent), expected);
    agent.child.type_in("by the agent\n");
    drop(agent);

    let file = user.path("state/udpagent/chat");
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut agent = Agent::start(&user, &SERVE);
    let mut expected = expected.map(str::to_owned).to_vec();
    expected.extend(["hall: new".into(), "hall: by the agent".into()]);
    assert_eq!(history(&user, &mut agent), expected);
    // In a pipe each line is a new message.
    user.udpctl(["chat", &agent.target()])
        .stdin("three\n")
        .run();
    drop(agent);

    user.write("config/udpagent/udpagent.toml", "history = 0\n");
    let mut agent = Agent::start(&user, &SERVE);
    assert!(!file.exists());
    user.udpctl(["send", &agent.target(), "--", "gone"]).run();
    assert_eq!(history(&user, &mut agent), [""; 0]);
    drop(agent);
    assert!(!file.exists());
}

#[test]
fn what_was_typed_at_the_agent_just_before_its_end_is_in_the_history() {
    let user = User::new();
    let mut agent = Agent::start(&user, &SERVE);
    let lines: Vec<String> = (0..5000).map(|number| format!("line {number}")).collect();
    agent.child.type_in(&(lines.join("\n") + "\n"));
    drop(agent);
    let mut agent = Agent::start(&user, &SERVE);
    let expected: Vec<String> = lines[4900..]
        .iter()
        .map(|line| format!("hall: {line}"))
        .collect();
    assert_eq!(history(&user, &mut agent), expected);
}
