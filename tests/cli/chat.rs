//! Chat both ways, and single messages with receipts.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;

use crate::harness::{Agent, Child, DEADLINE, POLL, User};

/// Bound of the time from a signal to the end of a chat: one second for receipts, half a second to close the
/// session, and a margin for a busy machine.
const PROMPTLY: Duration = Duration::from_secs(6);

fn chat(user: &User, agent: &Agent, name: &str) -> Child {
    let mut command = user.command("udpctl");
    command.args(["chat", &agent.target(), "--name", name]);
    Child::start(command)
}

#[test]
fn a_message_is_shown_by_the_agent_and_by_the_other_members() {
    let user = User::new();
    let mut agent = user.agent();
    let mut ann = chat(&user, &agent, "ann");
    agent.child.stdout_line(|line| line.contains("ann"));
    let mut bob = chat(&user, &agent, "bob");
    agent.child.stdout_line(|line| line.contains("bob"));

    ann.type_in("hello from ann\n");
    agent
        .child
        .stdout_line(|line| line == "ann(owner): hello from ann");
    bob.stdout_line(|line| line == "ann(owner): hello from ann");

    agent.child.type_in("hello from the agent\n");
    for member in [&mut ann, &mut bob] {
        member.stdout_line(|line| line.ends_with(": hello from the agent"));
    }

    ann.type_in("quit\n");
    let (status, stderr) = ann.wait();
    assert!(status.success(), "{stderr}");
    assert!(
        !ann.stdout_seen()
            .iter()
            .any(|line| line.contains("hello from ann")),
        "no member receives its own messages"
    );
    // A member also leaves at the end of its input, once everything is delivered.
    bob.type_in("last words\x1b[31m\n");
    let (status, stderr) = bob.wait();
    assert!(status.success(), "{stderr}");
    agent
        .child
        .stdout_line(|line| line == "bob(owner): last words\\u{1b}[31m");
}

#[test]
fn a_message_is_delivered_or_its_failure_is_named() {
    let user = User::new();
    let mut agents = [user.agent(), user.agent()];
    let targets = [agents[0].target(), agents[1].target()];
    user.udpctl(["send", &targets[0], "--", "one", "line"])
        .run();
    agents[0]
        .child
        .stdout_line(|line| line.ends_with(": one line"));
    user.udpctl(["send", &targets[0], &targets[1], "--", "-"])
        .stdin("to both\n")
        .stderr("2 ok of 2 in TIME\n")
        .run();
    for agent in &mut agents {
        agent.child.stdout_line(|line| line.ends_with(": to both"));
    }
    // Two of three agents confirm it: a quorum of two or of 60% is reached.
    let no_key =
        "no key known for this agent; run \"udpagent invite\" there and paste its line here";
    for (quorum, status) in [
        (&[][..], 4),
        (&["2"], 0),
        (&["60%"], 0),
        (&["3"], 4),
        (&["67%"], 4),
    ] {
        let quorum = quorum.iter().flat_map(|quorum| ["--quorum", quorum]);
        let hosts = ["-w", "192.0.2.1", &targets[0], "-w", &targets[1]];
        let words = [
            &["send"],
            &hosts[..],
            &quorum.collect::<Vec<_>>(),
            &["--", "again"],
        ];
        user.udpctl(words.concat())
            .stderr(format!(
                "udpctl: 192.0.2.1: not delivered: {no_key}\n\
                 2 ok, 1 unreachable of 3 in TIME\nunreachable: 192.0.2.1\n"
            ))
            .status(status)
            .run();
    }
    user.udpctl(["send", "--quorum", "2", &targets[0], "--", "never"])
        .stderr("udpctl: a quorum of 2 cannot be reached: the number of targets is 1\n")
        .status(2)
        .run();
    for quorum in ["0", "101%", "half"] {
        let send = ["send", "--quorum", quorum, &targets[0], "--", "never"];
        assert_eq!(user.udpctl(send).outcome().status, 2, "{quorum}");
    }
    // A word without its "--" is no target: nothing is sent to the first one either.
    user.udpctl(["send", &targets[0], "hello", "from", "chat", "only"])
        .stderr(format!(
            "udpctl: put \"--\" before the message: udpctl send {} -- hello from chat only\n",
            targets[0]
        ))
        .status(2)
        .run();
    user.udpctl(["send", &targets[0], "--", "the", "last"])
        .run();
    agents[0]
        .child
        .stdout_line(|line| line.ends_with(": the last"));
    let said = agents[0].child.stdout_seen().iter();
    let refused = ["never", "hello", "only"];
    let is_refused = |line: &&String| refused.iter().any(|word| line.contains(word));
    assert_eq!(said.filter(is_refused).count(), 0);
}

#[test]
fn four_thousand_piped_lines_are_all_delivered() {
    let user = User::new();
    let mut agent = user.agent();
    let lines: Vec<String> = (1..=4000).map(|number| number.to_string()).collect();
    let outcome = user
        .udpctl(["chat", &agent.target(), "--name", "seq"])
        .stdin(lines.join("\n") + "\n")
        .outcome();
    assert_eq!((outcome.status, &outcome.stderr[..]), (0, ""));
    agent.child.stdout_line(|line| line.ends_with(": 4000"));
    let said = agent.child.stdout_seen().iter();
    let said: Vec<_> = said
        .filter_map(|line| Some(line.split_once("): ")?.1.to_owned()))
        .collect();
    assert_eq!(said, lines);
}

#[test]
fn a_chat_member_that_types_nothing_receives_megabytes() {
    let user = User::new();
    let mut agent = user.agent();
    let mut listener = chat(&user, &agent, "ear");
    agent.child.stdout_line(|line| line.contains("ear"));
    let mut speaker = chat(&user, &agent, "mouth");
    let text = "x".repeat(16_000);
    // One at a time, so that the listener misses none.
    for number in 0..100 {
        speaker.type_in(&format!("{number} {text}\n"));
        let begin = format!("mouth(owner): {number} x");
        let line = listener.stdout_line(|line| line.starts_with(&begin));
        assert_eq!(line.len(), begin.len() - 1 + text.len());
    }
}

#[test]
fn a_signal_ends_a_chat_that_a_stopped_agent_blocks() {
    for signal in [Signal::TERM, Signal::INT] {
        let user = User::new();
        let mut agent = user.agent();
        let mut ann = chat(&user, &agent, "ann");
        agent.child.stdout_line(|line| line.contains("ann"));
        agent.stop();
        // More than the pipe and the reader hold, so that some messages are sent, and less than these and the
        // messages in flight together, so that no write blocks.
        let line = format!("nobody takes this{}\n", "!".repeat(983));
        for _ in 0..95 {
            ann.stdin().write_all(line.as_bytes()).unwrap();
        }
        ann.signal(signal);
        let ended = ann.ends_within(PROMPTLY);
        agent.resume();
        assert!(ended, "{signal:?} does not end the chat");
        let (status, stderr) = ann.wait();
        assert_eq!(status.code(), Some(255));
        assert!(
            stderr.contains("* not delivered (no receipt): nobody takes this"),
            "{stderr}"
        );
    }
}

#[test]
fn a_signal_ends_a_chat_whose_output_nobody_reads() {
    let user = User::new();
    let mut agent = user.agent();
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = user.command("udpctl");
    command.args(["chat", &agent.target(), "--name", "stuck"]);
    let mut stuck = command
        .stdin(Stdio::piped())
        .stdout(writer)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    drop(command);
    agent.child.stdout_line(|line| line.contains("stuck"));
    let mut speaker = chat(&user, &agent, "mouth");
    let text = "x".repeat(8_000);
    for number in 0..400 {
        speaker.type_in(&format!("{number} {text}\n"));
    }
    agent.child.stdout_line(|line| line.contains(": 399 x"));
    let pid = rustix::process::Pid::from_child(&stuck);
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    let deadline = std::time::Instant::now() + PROMPTLY;
    while stuck.try_wait().unwrap().is_none() {
        if std::time::Instant::now() > deadline {
            let _ = stuck.kill();
            let _ = stuck.wait();
            panic!("SIGTERM does not end the chat");
        }
        std::thread::sleep(POLL);
    }
    drop(reader);
}

#[test]
fn a_key_that_asks_for_the_name_of_the_agent_gets_another_one() {
    let user = User::new();
    let mut agent = Agent::start(&user, &["--bind", "127.0.0.1:0", "--name", "my-hall"]);
    let target = agent.target();
    let guest = User::new();
    for (asked, given) in [
        ("my hall", "my_hall-2"),
        ("MY-HALL-2", "MY-HALL-2-2"),
        ("owner", "owner-2"),
    ] {
        let guest = if asked == "my hall" {
            &guest
        } else {
            &User::new()
        };
        let invite = user
            .udpagent(["invite", "--host", &target])
            .outcome()
            .stdout;
        let invite = String::from_utf8(invite).unwrap();
        let invite = invite.split('\'').nth(1).unwrap();
        guest
            .udpctl(["accept", invite, "--name", asked])
            .stdout(format!(
                "{target} is trusted now; my-hall calls this controller {given}\n"
            ))
            .stderr(format!(
                "udpctl: {target}: the name \"{asked}\" is that of the agent or of another key there, looks like one, or has \
                 characters that names do not have\n"
            ))
            .run();
    }
    let mut member = chat(&guest, &agent, "my_hall-2");
    agent.child.stdout_line(|line| line == "* my_hall-2 came");
    agent.child.type_in("from the agent\n");
    member.stdout_line(|line| line == "my-hall: from the agent");
}

#[test]
fn a_key_with_the_name_of_the_agent_and_a_second_session_are_marked() {
    let user = User::new();
    let key = User::new();
    let id = String::from_utf8(key.udpctl(["id"]).outcome().stdout).unwrap();
    let line = format!("{} hall\n", id.trim());
    user.write("config/udpagent/authorized_keys", &line);
    let mut agent = Agent::start(&user, &["--bind", "127.0.0.1:0", "--name", "hall"]);
    let trust = ["trust", &agent.target(), agent.key()];
    assert_eq!(key.udpctl(trust).outcome().status, 0);
    let mut member = chat(&key, &agent, "hall");
    agent.child.stdout_line(|line| line == "* (hall) came");
    let _second = chat(&key, &agent, "hall");
    agent.child.stdout_line(|line| line == "* (hall)#2 came");
    member.type_in("hello\n");
    agent.child.stdout_line(|line| line == "(hall): hello");
    key.udpctl(["send", &agent.target(), "--", "sent"]).run();
    agent.child.stdout_line(|line| line == "(hall): sent");
}

#[test]
fn a_piped_chat_waits_for_answers_after_all_is_delivered() {
    let user = User::new();
    let mut agent = user.agent();
    let mut command = user.command("udpctl");
    command.args(["chat", &agent.target(), "--name", "ann", "--linger", "1h"]);
    let mut ann = Child::start(command);
    ann.type_in("question\n");
    ann.close_stdin();
    agent
        .child
        .stdout_line(|line| line == "ann(owner): question");
    agent.child.type_in("answer\n");
    ann.stdout_line(|line| line.ends_with(": answer"));
    assert!(ann.is_running());
    ann.signal(Signal::TERM);
    let (status, stderr) = ann.wait();
    assert!(status.success(), "{stderr}");
    user.udpctl(["chat", &agent.target(), "--linger", "50ms"])
        .stdin("the end\n")
        .run();
    agent.child.stdout_line(|line| line == "owner: the end");
}

#[test]
fn both_programs_print_a_chat_as_json() {
    let user = User::new();
    let mut agent = Agent::start(
        &user,
        &["--bind", "127.0.0.1:0", "--name", "hall", "--json"],
    );
    let mut command = user.command("udpctl");
    command.args(["chat", &agent.target(), "--json"]);
    let mut ann = Child::start(command);
    ann.stdout_line(|line| line == r#"{"v":1,"joined":{"name":"owner","members":[]}}"#);
    agent
        .child
        .stdout_line(|line| line == r#"{"v":1,"came":{"name":"owner"}}"#);
    ann.type_in("a \u{202e}b\u{9b}\n");
    agent.child.stdout_line(|line| {
        line == r#"{"v":1,"said":{"from":"owner","text":"a \u202eb\u009b","unverified":false}}"#
    });
    agent.child.type_in("\"hello\"\n");
    ann.stdout_line(|line| {
        line == r#"{"v":1,"said":{"from":"hall","text":"\"hello\"","unverified":false}}"#
    });
    let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = peer.local_addr().unwrap();
    peer.send_to(b"plain\n", agent.target()).unwrap();
    let said =
        format!(r#"{{"v":1,"said":{{"from":"{address}","text":"plain","unverified":true}}}}"#);
    agent.child.stdout_line(|line| line == said);
    ann.stdout_line(|line| line == said);
    peer.send_to(&[b'x'; 1030], agent.target()).unwrap();
    let text = "x".repeat(1024);
    let said = format!(
        r#"{{"v":1,"said":{{"from":"{address}","text":"{text}","unverified":true,"cut":6}}}}"#
    );
    agent.child.stdout_line(|line| line == said);
    ann.stdout_line(|line| line == said);
    ann.type_in("quit\n");
    let (status, stderr) = ann.wait();
    assert!(status.success(), "{stderr}");
    agent
        .child
        .stdout_line(|line| line == r#"{"v":1,"left":{"name":"owner"}}"#);
}

#[test]
fn emoji_and_right_to_left_text_are_shown_as_they_are_and_isolated() {
    let user = User::new();
    let mut agent = user.agent();
    let mut ear = chat(&user, &agent, "ear");
    agent.child.stdout_line(|line| line.contains("ear"));
    for (text, shown) in [
        (
            "\u{1f469}\u{200d}\u{1f4bb} at work",
            "\u{1f469}\u{200d}\u{1f4bb} at work",
        ),
        ("a\u{200d}b", "a\\u{200d}b"),
        ("שלום (1)", "\u{2068}שלום (1)\u{2069}"),
        ("שלום\u{2069}", "\u{2068}שלום\\u{2069}\u{2069}"),
    ] {
        user.udpctl(["send", &agent.target(), "--", text]).run();
        let line = format!("owner: {shown}");
        agent.child.stdout_line(|seen| seen == line);
        ear.stdout_line(|seen| seen == line);
    }
    let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.send_to("שלום\n".as_bytes(), agent.target()).unwrap();
    let end = " (unverified): \u{2068}שלום\u{2069}";
    agent.child.stdout_line(|line| line.ends_with(end));
    ear.stdout_line(|line| line.ends_with(end));
    peer.send_to(&[b'x'; 1030], agent.target()).unwrap();
    agent
        .child
        .stdout_line(|line| line.ends_with("xx [+6 bytes]"));
    ear.stdout_line(|line| line.ends_with("xx [+6 bytes]"));
}

/// Killed when dropped.
struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn an_agent_whose_output_nobody_reads_counts_lines_where_they_are_missing() {
    let user = User::new();
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = user.command("udpagent");
    command.args(["--bind", "127.0.0.1:0", "--name", "hall"]);
    command.stdin(Stdio::null()).stdout(writer);
    let mut agent = Killed(command.stderr(Stdio::piped()).spawn().unwrap());
    drop(command);
    let log = BufReader::new(agent.0.stderr.take().unwrap());
    let mut log = log.lines().map(Result::unwrap);
    let listening = log.find(|line| line.contains(" listens on ")).unwrap();
    let target = listening.rsplit(' ').next().unwrap();
    let lines = 4000;
    let text = "x".repeat(200);
    let said = (0..lines).map(|number| format!("{number} {text}\n"));
    user.udpctl(["chat", target])
        .stdin(said.collect::<String>())
        .run();
    let (sender, gap) = std::sync::mpsc::channel();
    let shown = std::thread::spawn(move || {
        let (mut next, mut gaps) = (0, 0);
        for line in BufReader::new(reader).lines().map(Result::unwrap) {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["*", missed, "lines", "not", "shown"] => {
                    next += missed.parse::<usize>().unwrap();
                    gaps += 1;
                    sender.send(()).unwrap();
                }
                ["owner:", "end"] => return (next, gaps),
                // The news that a member has joined or left is a line, too.
                ["*", ..] => next += 1,
                [_, number, _] => {
                    assert_eq!(number.parse::<usize>().unwrap() + 1, next);
                    next += 1;
                }
                _ => panic!("{line}"),
            }
        }
        panic!("the output has ended after {next} lines");
    });
    // Nothing waits any more, so that the last line is shown.
    gap.recv_timeout(DEADLINE).unwrap();
    user.udpctl(["send", target, "--", "end"]).run();
    let (seen, gaps) = shown.join().unwrap();
    // Beside the lines, one member has joined and left.
    assert_eq!((seen, gaps), (lines + 2, 1));
    let pid = rustix::process::Pid::from_child(&agent.0);
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    assert!(agent.0.wait().unwrap().success());
}
