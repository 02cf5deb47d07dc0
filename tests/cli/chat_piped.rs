//! A chat whose lines come from a pipe: input that is not sent is named, however the chat ends.

use std::io::Write as _;
use std::time::Duration;

use rustix::process::Signal;

use crate::harness::{Child, User, shell_status};

/// Lines of a kilobyte, more than are in flight together, in the chat and in the pipe to it.
fn many_lines() -> String {
    let text = "!".repeat(1000);
    let lines = (1..=400).map(|number| format!("{number} {text}\n"));
    lines.collect::<Vec<_>>().concat()
}

/// Checks that each line of the input is named as not delivered, or is behind the line that the note names.
fn names_all(stderr: &str) {
    let lines: Vec<_> = stderr.lines().collect();
    let named: Vec<_> = lines
        .iter()
        .filter_map(|line| line.strip_prefix("* not delivered (")?.split_once("): "))
        .map(|(_, text)| text.split_once(' ').unwrap().0.to_owned())
        .collect();
    let wanted: Vec<_> = (1..=named.len()).map(|number| number.to_string()).collect();
    assert!(!named.is_empty(), "{stderr}");
    assert_eq!(named, wanted);
    let note = format!("* input behind line {} was not read", named.len());
    assert!(lines.contains(&&note[..]), "{note}: {stderr}");
}

#[test]
fn input_that_a_chat_has_not_read_is_named_when_a_signal_ends_it() {
    let user = User::new();
    let mut agent = user.agent();
    for signal in [Signal::TERM, Signal::INT] {
        let mut command = user.command("udpctl");
        command.args(["chat", &agent.target(), "--name", "ann"]);
        let mut ann = Child::start(command);
        agent.child.stdout_line(|line| line == "* ann(owner) came");
        agent.stop();
        let mut stdin = ann.take_stdin();
        let lines = many_lines();
        // More than the pipe and the reader hold, so that some are sent, and less than blocks this test.
        let (first, rest) = lines.split_at(95 * 1004);
        stdin.write_all(first.as_bytes()).unwrap();
        let rest = rest.to_owned();
        let writer = std::thread::spawn(move || {
            // The pipe is closed before all is written.
            let _ = stdin.write_all(rest.as_bytes());
        });
        ann.signal(signal);
        assert!(ann.ends_within(Duration::from_secs(30)));
        writer.join().unwrap();
        agent.resume();
        let (status, stderr) = ann.wait();
        assert_eq!(status.code(), Some(255), "{stderr}");
        names_all(&stderr);
    }
}

#[test]
fn input_that_a_chat_has_not_read_is_named_when_its_agent_is_not_there() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    drop(agent);
    let chat = ["chat", &target, "--contact-timeout", "1s"];
    let outcome = user.udpctl(chat).stdin(many_lines()).outcome();
    assert_eq!(outcome.status, 255);
    names_all(&outcome.stderr);
    // Nothing is behind the end of the input.
    for input in ["", "one\n\n", "one\nquit\n"] {
        let outcome = user.udpctl(chat).stdin(input).outcome();
        assert_eq!(outcome.status, 255);
        assert!(!outcome.stderr.contains("not read"), "{}", outcome.stderr);
    }
}

#[test]
fn input_that_may_follow_is_named_when_the_chat_is_interrupted() {
    let user = User::new();
    let mut agent = user.agent();
    for (signal, code) in [(Signal::TERM, 255), (Signal::INT, 130)] {
        let mut command = user.command("udpctl");
        command.args(["chat", &agent.target(), "--name", "ann"]);
        let mut ann = Child::start(command);
        ann.type_in("one\n\ntwo\n");
        agent.child.stdout_line(|line| line.ends_with(": two"));
        ann.signal(signal);
        assert!(ann.ends_within(Duration::from_secs(30)));
        let (status, stderr) = ann.wait();
        assert_eq!(shell_status(status), Some(code));
        assert_eq!(stderr, "* input behind line 3 was not read");
        agent.child.stdout_line(|line| line == "* ann(owner) left");
    }
}

#[test]
fn a_message_that_is_empty_or_blank_is_refused_before_anything_is_sent() {
    let user = User::new();
    let mut agent = user.agent();
    let target = agent.target();
    for (text, input) in [
        ("-", ""),
        ("-", "\n"),
        ("-", " \t\n"),
        ("", ""),
        (" \u{3000}", ""),
    ] {
        user.udpctl(["send", &target, "--", text])
            .stdin(input)
            .stderr("udpctl: the message is empty; nothing was sent\n")
            .status(2)
            .run();
    }
    user.udpctl(["send", &target, "--", "text"]).run();
    let said = agent.child.stdout_line(|line| line.starts_with("owner: "));
    assert_eq!(said, "owner: text");
}
