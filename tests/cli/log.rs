//! The agent's log: its default level, its sentences, and its JSON lines.

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Agent, Child, User};

const ID: &str = "000000000000000000000000000000aa";

/// Ends an agent and returns its log from the line that `stderr_line` has not returned.
fn end(agent: &mut Agent) -> String {
    agent.child.signal(Signal::TERM);
    let (status, stderr) = agent.child.wait();
    assert_eq!(status.code(), Some(0), "{stderr}");
    stderr
}

/// The line without its time.
fn after_time(line: &str) -> &str {
    let (time, rest) = line.split_once(' ').unwrap();
    assert!(time.len() == 24 && time.ends_with('Z'), "{line}");
    rest
}

#[test]
fn the_default_log_has_keys_denials_and_the_end_but_no_sessions_and_commands() {
    let user = User::new();
    user.authorize("allow=true");
    user.write_config("audit = 'off'");
    let mut agent = user.agent();
    let target = agent.target();
    user.udpctl(["exec", &target, "--", "true"]).run();
    assert_eq!(
        user.udpctl(["exec", &target, "--id", ID, "--", "ls"])
            .outcome()
            .status,
        255
    );
    let denied = agent.child.stderr_line(|line| line.contains("denied: "));
    let denied = after_time(&denied);
    let begin = "INFO  denied: no allow= matches the command address=127.0.0.1:";
    assert!(denied.starts_with(begin), "{denied}");
    assert!(
        denied.ends_with(&format!(" name=me request={ID}")),
        "{denied}"
    );
    std::fs::remove_file(user.path("config/udpagent/authorized_keys")).unwrap();
    let changed = agent
        .child
        .stderr_line(|line| line.contains("key changed: owner"));
    assert!(
        after_time(&changed).starts_with("INFO  key changed: owner key=ua1:"),
        "{changed}"
    );
    agent
        .child
        .stderr_line(|line| line.contains("keys read again: 1"));
    let log = end(&mut agent);
    let last = log.lines().last().unwrap();
    let sentence = "INFO  ended: 2 sessions, 1 commands, 1 denied";
    assert!(after_time(last).starts_with(sentence), "{log}");
    assert!(!log.contains("accepted: "), "{log}");
}

#[test]
fn the_verbose_log_says_in_words_how_commands_ended() {
    let user = User::new();
    user.write_config("audit = 'off'");
    let mut agent = Agent::start(&user, &["--bind", "127.0.0.1:0", "-v"]);
    let target = agent.target();
    user.udpctl(["exec", &target, "--", "true"]).run();
    user.udpctl(["exec", &target, "--", "sh", "-c", "kill -9 $$"])
        .outcome();
    let log = end(&mut agent);
    for sentence in [
        "DEBUG session of owner ",
        "DEBUG accepted: true ",
        "DEBUG ended: exited 0 ",
        "DEBUG ended: killed by signal 9 (KILL) ",
    ] {
        let mut lines = log.lines().map(after_time);
        assert!(
            lines.any(|line| line.starts_with(sentence)),
            "{sentence}: {log}"
        );
    }
}

#[test]
fn every_line_of_a_json_log_is_an_object_the_first_included() {
    let user = User::new();
    user.write_config("audit = 'on'");
    let holder = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    let start = |args: &[&str]| {
        let mut command = user.command("udpagent");
        command.args(["--log-format", "json", "-v"]).args(args);
        Child::start(command)
    };
    let parse = |line: &str| serde_json::from_str::<Value>(line).expect("a line is an object");

    let mut agent = start(&["--bind", "127.0.0.1:0", "--bind", &taken]);
    let first = parse(&agent.stderr_line(|line| line.contains("listens on")));
    let message = first["message"].as_str().unwrap();
    let target = message.split("listens on ").nth(1).unwrap();
    user.udpctl(["exec", target, "--id", ID, "--", "sh", "-c", "exit 3"])
        .status(3)
        .run();
    agent.signal(Signal::TERM);
    let (_, log) = agent.wait();
    let all: Vec<Value> = log.lines().map(parse).collect();
    assert!(
        all.iter()
            .all(|line| line["time"].as_str().unwrap().len() == 24),
        "{log}"
    );
    let with = |event: &str, level: &str| {
        let found = all
            .iter()
            .find(|line| line["event"] == event && line["level"] == level);
        found
            .unwrap_or_else(|| panic!("no {event} in {log}"))
            .clone()
    };
    let mut warned = all.iter().filter(|line| line["level"] == "warn");
    let begin = format!("{taken}: ");
    let is_it = |line: &Value| line["message"].as_str().unwrap().starts_with(&begin);
    assert!(warned.any(is_it), "{log}");
    // The audit's record and the line of the log have the same names for the same things.
    let ended = with("ended", "debug");
    assert_eq!(ended["message"], "ended: exited 3");
    let audit = all
        .iter()
        .find(|line| line["v"] == 1 && line["event"] == "ended");
    for member in ["key", "name", "address", "request"] {
        assert_eq!(ended[member], audit.unwrap()[member], "{log}");
    }

    let mut failed = start(&["--bind", &taken]);
    let (status, log) = failed.wait();
    assert_eq!(status.code(), Some(1));
    let last = parse(log.lines().last().unwrap());
    assert_eq!(last["level"], "error");
    drop(holder);
}

#[test]
fn a_denied_session_of_a_listed_key_is_logged_with_its_reason_once_a_minute() {
    let user = User::new();
    user.authorize("from=192.0.2.1");
    let mut agent = user.agent();
    let target = agent.target();
    let exec = ["exec", &target, "--contact-timeout", "300ms", "--", "true"];
    for _ in 0..2 {
        assert_eq!(user.udpctl(exec).outcome().status, 255);
    }
    let log = end(&mut agent);
    let lines: Vec<_> = log
        .lines()
        .filter(|line| line.contains("session denied: "))
        .collect();
    let [line] = lines[..] else { panic!("{log}") };
    let sentence = "INFO  session denied: from= does not let 127.0.0.1 connect address=127.0.0.1:";
    assert!(after_time(line).starts_with(sentence), "{line}");
    assert!(line.contains(" name=me"), "{line}");
}
