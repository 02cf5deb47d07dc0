//! A chat whose lines come from a pipe: input that is not sent is named, however the chat ends.

use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;

use crate::harness::{Agent, Child, User, eventually, port_to_keep, shell_status};

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
fn a_chat_that_is_interrupted_when_all_its_input_is_read_names_none() {
    let user = User::new();
    let mut agent = user.agent();
    for (signal, code) in [(Signal::TERM, 0), (Signal::INT, 130)] {
        let mut command = user.command("udpctl");
        command.args(["chat", &agent.target(), "--name", "ann"]);
        let mut ann = Child::start(command);
        ann.type_in("one\n\ntwo\n");
        agent.child.stdout_line(|line| line.ends_with(": two"));
        ann.signal(signal);
        assert!(ann.ends_within(Duration::from_secs(30)));
        let (status, stderr) = ann.wait();
        assert_eq!(shell_status(status), Some(code));
        assert_eq!(stderr, "");
        agent.child.stdout_line(|line| line == "* ann(owner) left");
    }
}

/// Number of messages to each of three agents.
const EACH: usize = 30;

#[test]
fn the_lines_of_a_pipe_arrive_each_once_although_the_agent_dies_and_comes_back() {
    let user = User::new();
    let target = format!("127.0.0.1:{}", port_to_keep());
    let mut agent = Agent::start(&user, &["--bind", &target]);
    let mut command = user.command("udpctl");
    command.args(["chat", &target, "--contact-timeout", "4s"]);
    let mut chat = Child::start(command);
    let history = user.path("state/udpagent/chat");
    let mut heard = Vec::new();
    // At the last time, the input ends before the chat has joined again.
    for round in 0..3 {
        let lines = round * EACH..(round + 1) * EACH;
        for number in lines.clone() {
            chat.type_in(&format!("line {number}\n"));
        }
        if round > 0 {
            agent = Agent::start(&user, &["--bind", &target]);
        }
        if round == 2 {
            chat.close_stdin();
        }
        let last = format!(": line {}", lines.end - 1);
        agent.child.stdout_line(|line| line.ends_with(&last));
        let said = agent.child.stdout_seen().iter();
        let said = said.filter_map(|line| line.split_once(": line "));
        heard.extend(said.map(|(_, number)| number.parse::<usize>().unwrap()));
        if round < 2 {
            // A line whose receipt was lost is known to the next agent.
            eventually("the last line is kept", || {
                let kept = std::fs::read_to_string(&history).unwrap_or_default();
                kept.contains(&last[2..])
            });
            agent.kill();
        }
    }
    let (status, stderr) = chat.wait();
    assert!(status.success(), "{stderr}");
    assert_eq!(heard, (0..3 * EACH).collect::<Vec<_>>());
    assert!(!stderr.contains("not delivered"), "{stderr}");
}

#[test]
fn a_chat_whose_agent_does_not_come_back_after_the_end_of_the_input_names_what_is_not_delivered() {
    let user = User::new();
    let mut agent = user.agent();
    let mut command = user.command("udpctl");
    command.args(["chat", &agent.target(), "--contact-timeout", "1s"]);
    let mut chat = Child::start(command);
    chat.type_in("one\n");
    agent.child.stdout_line(|line| line.ends_with(": one"));
    agent.kill();
    chat.type_in("two\nthree\n");
    chat.close_stdin();
    assert!(chat.ends_within(Duration::from_secs(60)));
    let (status, stderr) = chat.wait();
    assert_eq!(status.code(), Some(255));
    let named: Vec<_> = stderr
        .lines()
        .filter(|line| line.starts_with("* not delivered (no receipt): "))
        .collect();
    let [.., two, three] = named[..] else {
        panic!("{stderr}");
    };
    assert!(two.ends_with(": two") && three.ends_with(": three"));
    assert!(stderr.ends_with(": no answer any more"), "{stderr}");
    assert!(!stderr.contains("not read"), "{stderr}");
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

#[test]
fn a_message_that_cannot_be_written_is_said_and_fails_a_chat_and_a_closed_pipe_ends_it() {
    let user = User::new();
    let mut agent = user.agent();
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let (_, closed) = std::io::pipe().unwrap();
    let words = "* standard output: No space left on device (os error 28)\n";
    for (output, code, said) in [
        (Stdio::from(full), 255, words),
        (Stdio::from(closed), 0, ""),
    ] {
        let mut command = user.command("udpctl");
        command.args(["chat", &agent.target(), "--name", "ann"]);
        command.stdin(Stdio::piped()).stdout(output);
        let mut ann = command.stderr(Stdio::piped()).spawn().unwrap();
        let stdin = ann.stdin.take();
        agent.child.stdout_line(|line| line == "* ann(owner) came");
        agent.child.type_in("hello\n");
        let ended = ann.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&ended.stderr), said);
        assert_eq!(ended.status.code(), Some(code));
        agent.child.stdout_line(|line| line == "* ann(owner) left");
        drop(stdin);
    }
}
