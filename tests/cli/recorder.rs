//! An agent whose log nobody reads, and a recorder that cannot write.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{ChildStderr, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use udpagent::client::{Client, Host};
use udpagent::crypto::key_file;

use crate::harness::{DEADLINE, User, eventually, helper};

/// Argument that fills the pipe to the log, and then each queue before it.
const LONG: usize = 20_000;

/// An agent with a pipe for its log that nobody reads.
struct Unread {
    process: std::process::Child,
    stderr: Option<ChildStderr>,
    client: Client,
    host: Host,
}

impl Unread {
    /// Starts an agent, and reads its log up to its addresses.
    fn start(user: &User) -> Self {
        let mut command: Command = user.command("udpagent");
        command.args(["--bind", "127.0.0.1:0", "-v"]);
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        let mut process = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = process.stderr.take().unwrap();
        let line = loop {
            let line = read_line(&mut stderr);
            if line.contains(" listens on ") {
                break line;
            }
        };
        let (name, address) = line.split_once(" listens on ").unwrap();
        let key = name.rsplit(' ').next().unwrap().parse().unwrap();
        let identity = key_file::load(&user.path("config/udpctl/identity")).unwrap();
        let client = Client::new(identity).unwrap();
        let host = client.host(address, key).unwrap();
        let stderr = Some(stderr);
        Self {
            process,
            stderr,
            client,
            host,
        }
    }

    /// Runs `true` with a long argument. Returns true if it ran.
    fn exec(&mut self) -> bool {
        self.run(&["true", &"x".repeat(LONG)])
    }

    fn run(&mut self, argv: &[&str]) -> bool {
        let report = self.client.exec(&self.host, argv).run();
        report.is_ok_and(|report| report.is_success())
    }

    /// Reads the log from here on.
    fn read(&mut self) -> Receiver<String> {
        let mut stderr = self.stderr.take().unwrap();
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let (mut rest, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
            while let Ok(length @ 1..) = stderr.read(&mut buffer) {
                rest.extend_from_slice(&buffer[..length]);
                while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
                    let line: Vec<u8> = rest.drain(..=end).collect();
                    let _ = sender.send(String::from_utf8(line).unwrap());
                }
            }
        });
        lines
    }

    fn stop(&mut self) {
        kill_process(Pid::from_child(&self.process), Signal::TERM).unwrap();
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn read_line(stream: &mut ChildStderr) -> String {
    let (mut line, mut byte) = (Vec::new(), [0]);
    while stream.read(&mut byte).unwrap() == 1 && byte != *b"\n" {
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap()
}

#[test]
fn commands_run_while_nobody_reads_the_log_and_missing_records_are_counted() {
    const COMMANDS: usize = 500;

    let user = User::new();
    let mut agent = Unread::start(&user);
    let began = Instant::now();
    for number in 0..COMMANDS {
        assert!(agent.exec(), "command {number}");
        assert!(
            began.elapsed() < DEADLINE,
            "{number} commands in {DEADLINE:?}"
        );
    }
    let lines = agent.read();
    let (mut records, mut dropped) = (0, 0);
    // The count is in the log as soon as there is room, not only at the end.
    while dropped == 0 {
        let line = lines
            .recv_timeout(DEADLINE)
            .expect("a count of dropped records");
        count(&line, &mut records, &mut dropped);
    }
    agent.stop();
    while let Ok(line) = lines.recv_timeout(DEADLINE) {
        count(&line, &mut records, &mut dropped);
    }
    assert!(agent.process.wait().unwrap().success());
    // Three for each command, and the start and the end of the agent; the first line may come before the addresses.
    let all = u64::try_from(3 * COMMANDS + 2).unwrap();
    let counted = records + dropped;
    assert!(
        (all - 1..=all).contains(&counted),
        "{records} + {dropped} of {all}"
    );
    assert!(records > 100, "{records}");
}

/// Counts a line, if it is a record.
fn count(line: &str, records: &mut u64, dropped: &mut u64) {
    let Ok(record) = serde_json::from_str::<Value>(line) else {
        return;
    };
    if record["event"] == "dropped" {
        *dropped += record["records"].as_u64().unwrap();
    } else {
        *records += 1;
    }
}

/// Kills the recorder of an agent, and waits until another one runs.
fn kill_recorder(agent: Pid) {
    let recorder = || helper(agent, "udpagent-record");
    let killed = recorder().unwrap();
    kill_process(killed, Signal::KILL).unwrap();
    eventually("a new recorder runs", || {
        recorder().is_some_and(|new| new != killed)
    });
}

/// Counts the events in an audit file.
fn events(user: &User, event: &str) -> usize {
    let text = std::fs::read_to_string(user.path("audit.jsonl")).unwrap();
    let records = text.lines().map(|line| serde_json::from_str(line).unwrap());
    records
        .filter(|record: &Value| record["event"] == event)
        .count()
}

#[test]
fn a_recorder_that_dies_is_replaced_and_its_records_are_written_by_the_next_one() {
    for demand in ["on", "required"] {
        let user = User::new();
        let file = user.path("audit.jsonl");
        user.write_config(&format!(
            "audit = '{demand}'\naudit-file = '{}'",
            file.display()
        ));
        let mut agent = user.agent();
        let target = agent.target();
        let exec = || user.udpctl(["exec", &target, "--", "true"]).run();
        exec();
        for _ in 0..3 {
            kill_recorder(agent.child.pid());
            exec();
        }
        let status = user.udpagent(["status", "--json"]).outcome();
        let status: Value = serde_json::from_slice(&status.stdout).unwrap();
        assert_eq!(status["dropped_records"]["audit"], 0, "{status}");
        agent.child.signal(Signal::TERM);
        assert!(agent.child.wait().0.success());
        for event in ["accepted", "started", "ended"] {
            // Without a demand, the acceptance is recorded too.
            assert_eq!(events(&user, event), 4, "{event} {demand}");
        }
        assert_eq!(events(&user, "agent_ended"), 1);
        let log = agent.child.stderr_seen();
        let replaced = log
            .iter()
            .filter(|line| line.contains("the recorder has ended; a new one is started"));
        assert_eq!(replaced.count(), 3, "{log:?}");
    }
}

#[test]
fn commands_are_denied_while_no_recorder_can_write_their_required_records() {
    let user = User::new();
    let file = user.path("audit.jsonl");
    let config = format!("audit = 'required'\naudit-file = '{}'", file.display());
    user.write_config(&config);
    let mut agent = user.agent();
    let target = agent.target();
    let exec = || {
        user.udpctl(["exec", &target, "--", "true"])
            .outcome()
            .status
    };
    assert_eq!(exec(), 0);
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    let recorder = helper(agent.child.pid(), "udpagent-record").unwrap();
    kill_process(recorder, Signal::KILL).unwrap();
    for _ in 0..3 {
        assert_eq!(exec(), 255);
    }
    std::fs::remove_dir(&file).unwrap();
    eventually("records are written again", || exec() == 0);
    agent.child.signal(Signal::TERM);
    let (status, log) = agent.child.wait();
    assert!(status.success());
    assert!(log.contains("the recorder cannot write"), "{log}");
    // The records of the first command went with the first file, and no other ran before.
    assert_eq!(events(&user, "started"), 1);
}

#[test]
fn records_that_a_recorder_takes_with_it_are_counted_in_their_place() {
    // Several times what fills the pipe.
    const COMMANDS: usize = 300;

    let user = User::new();
    let mut agent = Unread::start(&user);
    let pid = Pid::from_child(&agent.process);
    for _ in 0..COMMANDS {
        assert!(agent.run(&["true"]));
    }
    // It cannot write the record that it has taken.
    kill_recorder(pid);
    let lines = agent.read();
    let (mut records, mut dropped) = (0, 0);
    while dropped == 0 {
        let line = lines.recv_timeout(DEADLINE).expect("a count");
        count(&line, &mut records, &mut dropped);
    }
    agent.stop();
    while let Ok(line) = lines.recv_timeout(DEADLINE) {
        count(&line, &mut records, &mut dropped);
    }
    assert!(agent.process.wait().unwrap().success());
    assert_eq!(dropped, 1);
    let (all, counted) = (3 * COMMANDS as u64 + 2, records + dropped);
    assert!((all - 1..=all).contains(&counted), "{counted} of {all}");
}

#[test]
fn records_that_a_recorder_takes_with_it_are_counted_after_a_replacement_that_follows_at_once() {
    let user = User::new();
    let mut agent = Unread::start(&user);
    let pid = Pid::from_child(&agent.process);
    for _ in 0..300 {
        assert!(agent.run(&["true"]));
    }
    kill_recorder(pid);
    kill_process(pid, Signal::HUP).unwrap();
    let lines = agent.read();
    let next = || lines.recv_timeout(DEADLINE).expect("another line");
    while !next().contains("has taken over") {}
    let status = user.udpagent(["status", "--json"]).outcome();
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["dropped_records"]["audit"], 1, "{status}");
    agent.stop();
    assert!(agent.process.wait().unwrap().success());
}

#[test]
fn an_agent_whose_log_nobody_reads_ends_in_time() {
    let user = User::new();
    let mut agent = Unread::start(&user);
    for _ in 0..50 {
        assert!(agent.exec());
    }
    agent.stop();
    let began = Instant::now();
    assert!(agent.process.wait().unwrap().success());
    assert!(began.elapsed().as_secs() < 8, "{:?}", began.elapsed());
}

#[test]
fn a_required_record_that_the_recorder_does_not_write_in_time_denies_the_command() {
    let user = User::new();
    user.write_config("audit = 'required'");
    let mut agent = Unread::start(&user);
    let mut ran = 0;
    while agent.exec() {
        ran += 1;
        assert!(ran < 1000, "the pipe never fills");
    }
    assert!(ran > 0);
    // Only the first one waits for the recorder.
    let began = Instant::now();
    for _ in 0..20 {
        assert!(!agent.exec());
    }
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
    let lines = agent.read();
    let _ = std::io::stdout().flush();
    let until = Instant::now() + DEADLINE;
    while !agent.exec() {
        assert!(Instant::now() < until, "denied although the log is read");
    }
    drop(lines);
}

/// Returns the counter of missing audit records.
fn missing(user: &User) -> u64 {
    let status = user.udpagent(["status", "--json"]).outcome();
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    status["dropped_records"]["audit"].as_u64().unwrap()
}

#[test]
fn records_that_could_not_be_written_are_counted_and_the_log_says_when_they_are_again() {
    // A command has three records; a denied one has none of its acceptance, and its denial.
    for (demand, status, each) in [("on", 0, 3), ("required", 255, 2)] {
        let user = User::new();
        let file = user.path("audit.jsonl");
        user.write_config(&format!(
            "audit = '{demand}'\naudit-file = '{}'",
            file.display()
        ));
        let mut agent = user.agent();
        let target = agent.target();
        let exec = || {
            let args = ["exec", &target, "--", "true"];
            user.udpctl(args).outcome().status
        };
        assert_eq!(exec(), 0);
        eventually("its end is recorded", || events(&user, "ended") == 1);
        let set_mode = |mode| {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        set_mode(0o602);
        for _ in 0..4 {
            assert_eq!(exec(), status, "{demand}");
        }
        eventually("all are counted", || missing(&user) == 4 * each);
        set_mode(0o600);
        assert_eq!(exec(), 0);
        eventually("its end is recorded", || events(&user, "ended") == 2);
        let text = std::fs::read_to_string(&file).unwrap();
        let records = text.lines().map(|line| serde_json::from_str(line).unwrap());
        let dropped = records.filter(|record: &Value| record["event"] == "dropped");
        let dropped: Vec<_> = dropped.map(|record| record["records"].clone()).collect();
        assert_eq!(dropped, [4 * each], "{text}");
        assert_eq!(missing(&user), 4 * each);
        agent.child.signal(Signal::TERM);
        let (_, log) = agent.child.wait();
        let again = format!(
            "audit records are written again; {} could not be written",
            4 * each
        );
        assert_eq!(log.matches(&again).count(), 1, "{log}");
        let denied = log
            .matches("denied: its audit record cannot be written")
            .count();
        assert_eq!(denied, if demand == "on" { 0 } else { 4 }, "{log}");
        let ended = if demand == "on" {
            "6 commands, 0 denied"
        } else {
            "2 commands, 4 denied"
        };
        assert!(log.contains(ended), "{log}");
    }
}
