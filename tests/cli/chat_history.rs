//! The history of a chat, over a restart of the agent.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, bounded};

use crate::harness::{Agent, Child, User, eventually};

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

/// Returns the numbers of the messages in a file of the history.
fn numbers(file: &Path) -> Vec<u32> {
    let text = fs::read_to_string(file).unwrap_or_default();
    // The last line may not be complete yet.
    let lines = text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    let number = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = line["text"].as_str().unwrap();
        text.strip_prefix("line ").unwrap().parse().unwrap()
    };
    lines.map(number).collect()
}

#[test]
fn each_line_that_is_piped_into_an_agent_during_reloads_is_said_once() {
    const RELOADS: usize = 4;
    let user = User::new();
    user.write("config/udpagent/udpagent.toml", "history = 1000\n");
    let mut agent = Agent::start(&user, &SERVE);
    let file = user.path("state/udpagent/chat");
    let mut next = 0;
    for reload in 0..RELOADS {
        let mut stdin = agent.child.take_stdin();
        let (done, reloaded) = bounded::<()>(0);
        let begin = next;
        let writer = std::thread::spawn(move || {
            let mut rest = String::new();
            while reloaded.recv_timeout(Duration::from_millis(1)) == Err(RecvTimeoutError::Timeout)
            {
                for number in [next, next + 1] {
                    rest.extend(["line ", &number.to_string(), "\n"]);
                }
                next += 2;
                // A part of a line is always under way.
                let last = rest.split_off(rest.len() - 3);
                stdin.write_all(rest.as_bytes()).unwrap();
                rest = last;
            }
            stdin.write_all(rest.as_bytes()).unwrap();
            (stdin, next)
        });
        // What is written before the next program reads its file stays in this one.
        eventually("something is kept", || numbers(&file).last() > Some(&begin));
        let before = user.path(format!("before{reload}"));
        fs::hard_link(&file, &before).unwrap();
        agent.child.signal(rustix::process::Signal::HUP);
        agent
            .child
            .stderr_line(|line| line.contains("has taken over"));
        drop(done);
        let (stdin, written) = writer.join().unwrap();
        agent.child.give_stdin(stdin);
        next = written;
        eventually("all is kept", || numbers(&file).last() == Some(&(next - 1)));
        let (before, after) = (numbers(&before), numbers(&file));
        assert!(before.contains(&begin), "{begin} {before:?}");
        assert!(before.contains(&(after[0])), "{before:?} {after:?}");
        for numbers in [before, after] {
            let is_next = |pair: &[u32]| pair[1] == pair[0] + 1;
            assert!(numbers.windows(2).all(is_next), "{numbers:?}");
        }
    }
}
