//! `udpctl batch`: requests a line, records as commands end, lines that are none, a slow reader, and signals.

mod drivers;

use std::fs;
use std::io::Read as _;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;

use crate::harness::{Agent, Child, User, eventually};

const ID: &str = "0123456789abcdef0123456789abcdef";

/// A run of `udpctl batch -` with pipes to both ends.
fn start(user: &User, args: &[&str]) -> Child {
    let mut command = user.command("udpctl");
    command.arg("batch").args(args).arg("-");
    Child::start(command)
}

/// Records in the order of their lines, with ID for request ids that were drawn and 0 for durations.
fn records(stdout: &[u8]) -> Vec<String> {
    let text = std::str::from_utf8(stdout).unwrap();
    let mut records: Vec<(u64, String)> = text
        .lines()
        .map(|line| {
            let record: serde_json::Value = serde_json::from_str(line).unwrap();
            (record["line"].as_u64().unwrap(), masked(line))
        })
        .collect();
    records.sort();
    records.into_iter().map(|(_, record)| record).collect()
}

fn masked(record: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(record).unwrap();
    let id = value["id"].as_str().filter(|id| *id != ID).unwrap_or("-");
    let seconds = format!("\"seconds\":{}", value["seconds"]);
    record.replace(id, "ID").replace(&seconds, "\"seconds\":0")
}

/// The record of a command that ended and wrote to stdout, with the members from its cause or id to its outcome.
fn record(line: &str, host: &str, class: &str, outcome: &str, stdout: &str) -> String {
    let printed: String = serde_json::from_str(&format!("\"{stdout}\"")).unwrap();
    let bytes = printed.len();
    format!(
        r#"{{"v":1,"type":"exit","line":{line},"host":"{host}","class":"{class}",{outcome},"seconds":0,"stderr":{{"bytes":0,"text":""}},"stdout":{{"bytes":{bytes},"text":"{stdout}"}},"streams_open":false}}"#
    )
}

fn exited(line: &str, host: &str, stdout: &str) -> String {
    let outcome = r#""id":"ID","outcome":{"exited":{"code":0}}"#;
    record(line, host, "ok", outcome, stdout)
}

#[test]
fn each_request_has_a_record_and_a_bad_line_stops_nothing() {
    let user = User::new();
    let agent = user.agent();
    let host = agent.target();
    let lines = format!(
        r#"{{"target":"{host}","argv":["printf","%s","hi"],"tag":{{"a":[1]}}}}
{{"target":"{host}","argv":["true"],"tag":"two","comand":1}}

no JSON
{{"target":"{host}","argv":["sh","-c","cat; echo $A; pwd; exit 3"],"stdin":"in\n","env":{{"A":"b"}},"cwd":"/"}}
{{"target":"{host}","argv":["sleep","600"],"timeout":"20ms"}}
{{"target":"{host}","argv":["/no/such"]}}
{{"target":"192.0.2.1:7000","argv":["true"]}}
{{"target":"no.such.invalid","argv":["true"],"tag":9}}
{{"target":"{host}","argv":["cat"],"stdin":{{"b64":"/wA="}}}}"#
    );
    let outcome = user.udpctl(["batch", "-"]).stdin(lines).outcome();
    let got = records(&outcome.stdout);
    let code = r#""id":"ID","outcome":{"exited":{"code":3}}"#;
    let timed_out = r#""cause":"timeout","id":"ID","outcome":{"timed_out":{}}"#;
    let none =
        r#""id":"ID","note":"/no/such","outcome":{"spawn_failed":{"errno":2,"step":"program"}}"#;
    assert_eq!(
        got[..6],
        [
            exited(r#"1,"tag":{"a":[1]}"#, &host, "hi"),
            r#"{"v":1,"type":"error","line":2,"tag":"two","error":"\"comand\": no such member"}"#
                .to_owned(),
            r#"{"v":1,"type":"error","line":4,"error":"not JSON: expected ident at column 2"}"#
                .to_owned(),
            record("5", &host, "failed", code, "in\\nb\\n/\\n"),
            record("6", &host, "stopped", timed_out, ""),
            record("7", &host, "failed", none, ""),
        ]
    );
    assert_eq!(
        got[6],
        concat!(
            r#"{"v":1,"type":"exit","line":8,"host":"192.0.2.1:7000","class":"unreachable","id":"ID","#,
            r#""note":"no key known for this agent; run \"udpagent invite\" there and paste its line here","#,
            r#""outcome":{"unreachable":{}},"seconds":0,"stderr":{"bytes":0},"stdout":{"bytes":0},"streams_open":false}"#
        )
    );
    assert!(
        got[7].contains(r#""line":9,"tag":9,"host":"no.such.invalid","class":"unreachable","#)
            && got[7].contains(r#""note":"cannot resolve \"no.such.invalid\": "#),
        "{}",
        got[7]
    );
    assert!(
        got[8].contains(r#""stdout":{"b64":"/wA=","bytes":2}"#),
        "{}",
        got[8]
    );
    let lines: Vec<&str> = outcome.stderr.lines().collect();
    let (counts, _) = lines[0].rsplit_once(" in ").unwrap();
    assert_eq!(
        (counts, &lines[1..]),
        (
            "2 ok, 2 failed, 1 stopped, 2 unreachable of 7",
            &[
                format!("failed: {host}").as_str(),
                format!("stopped: {host}").as_str(),
                "unreachable: 192.0.2.1:7000,no.such.invalid",
                "bad lines: 2",
            ][..]
        )
    );
    assert_eq!(outcome.status, 2);
}

#[test]
fn the_status_is_that_of_several_targets() {
    let user = User::new();
    let agent = user.agent();
    let host = agent.target();
    for (argv, status, summary) in [
        ("true", 0, "1 ok of 1 in TIME\n".to_owned()),
        (
            "false",
            5,
            format!("0 ok, 1 failed of 1 in TIME\nfailed: {host}\n"),
        ),
    ] {
        let file = user.path("requests");
        fs::write(&file, format!(r#"{{"target":"{host}","argv":["{argv}"]}}"#)).unwrap();
        let batch = user.udpctl(["batch", file.to_str().unwrap()]);
        let outcome = batch.outcome();
        assert_eq!(outcome.status, status, "{}", outcome.stderr);
        let (begin, _) = summary.split_once("TIME").unwrap();
        assert!(outcome.stderr.starts_with(begin), "{}", outcome.stderr);
    }
    user.udpctl(["batch", "-"])
        .stderr("0 ok of 0 in TIME\n")
        .run();
}

#[test]
fn a_line_is_acted_upon_as_soon_as_it_is_read_and_the_end_waits_for_the_last_command() {
    let user = User::new();
    let agent = user.agent();
    let host = agent.target();
    let (go, up) = (user.path("go"), user.path("up"));
    let mut batch = start(&user, &[]);
    let script = format!(
        "touch {}; until test -e {}; do sleep 0.01; done; echo late",
        up.display(),
        go.display()
    );
    batch.type_in(&format!(
        "{{\"target\":\"{host}\",\"argv\":[\"sh\",\"-c\",\"{script}\"]}}\n"
    ));
    eventually("the first command runs", || up.exists());
    // A later line ends first.
    batch.type_in(&format!(
        "{{\"target\":\"{host}\",\"argv\":[\"echo\",\"soon\"],\"tag\":2}}\n"
    ));
    let soon = batch.stdout_line(|_| true);
    assert_eq!(masked(&soon), exited(r#"2,"tag":2"#, &host, "soon\\n"));
    // The last line has no newline, and the input ends while commands run.
    batch.type_in(&format!(r#"{{"target":"{host}","argv":["echo","last"]}}"#));
    batch.close_stdin();
    let last = batch.stdout_line(|_| true);
    assert_eq!(masked(&last), exited("3", &host, "last\\n"));
    assert!(batch.is_running());
    fs::write(go, "").unwrap();
    let late = batch.stdout_line(|_| true);
    assert_eq!(masked(&late), exited("1", &host, "late\\n"));
    let (status, stderr) = batch.wait();
    assert!(stderr.starts_with("3 ok of 3 in "), "{stderr}");
    assert_eq!(status.code(), Some(0));
}

#[test]
fn a_set_is_a_request_for_each_member_and_input_longer_than_the_credit_arrives_whole() {
    let user = User::new();
    let agent = Agent::start(&user, &["--bind", "0.0.0.0:0"]);
    agent.is_trusted_by(&user, 3);
    let targets = agent.targets(3);
    let port = agent.addresses()[0].port();
    let stdin = "x".repeat(1 << 20);
    let lines = format!(
        r#"{{"target":"127.0.0.[1-3]:{port}","argv":["wc","-c"],"stdin":"{stdin}","tag":0}}"#
    );
    let outcome = user
        .udpctl(["batch", "-f", "2", "-"])
        .stdin(lines)
        .outcome();
    let mut wanted: Vec<String> = targets
        .iter()
        .map(|host| exited(r#"1,"tag":0"#, host, "1048576\\n"))
        .collect();
    wanted.sort();
    assert_eq!(records(&outcome.stdout), wanted);
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
}

#[test]
fn a_request_with_an_id_runs_once_and_one_in_progress_is_not_displaced() {
    let user = User::new();
    let agent = user.agent();
    let host = agent.target();
    let runs = user.path("runs");
    let line = format!(
        "{{\"target\":\"{host}\",\"argv\":[\"sh\",\"-c\",\"echo x >>{0}; cat {0}\"],\"id\":\"{ID}\"}}\n",
        runs.display()
    );
    let wanted = exited("1", &host, "x\\n").replacen("ID", ID, 1);
    for _ in 0..2 {
        let outcome = user.udpctl(["batch", "-"]).stdin(line.as_str()).outcome();
        assert_eq!(records(&outcome.stdout), std::slice::from_ref(&wanted));
    }
    assert_eq!(fs::read_to_string(&runs).unwrap(), "x\n");

    let mut batch = start(&user, &[]);
    batch.type_in(&line);
    let first = batch.stdout_line(|_| true);
    assert_eq!(masked(&first), wanted, "a repeat in another process");
    batch.type_in(&line);
    let second = batch.stdout_line(|_| true);
    assert_eq!(
        masked(&second),
        wanted.replacen("\"line\":1", "\"line\":2", 1)
    );
    let id = "00000000000000000000000000000001";
    let sleep = format!(r#"{{"target":"{host}","argv":["sleep","600"],"id":"{id}"}}"#);
    batch.type_in(&format!("{sleep}\n{sleep}\n"));
    assert_eq!(
        batch.stdout_line(|_| true),
        r#"{"v":1,"type":"error","line":4,"error":"\"id\": a request with this id is in progress there"}"#
    );
    batch.signal(Signal::INT);
    let (status, _) = batch.wait();
    assert_eq!(crate::harness::shell_status(status), Some(130));
}

#[test]
fn no_request_begins_while_records_wait_for_a_slow_reader() {
    const REQUESTS: usize = 40;
    let user = User::new();
    let agent = user.agent();
    let host = agent.target();
    let begun = user.path("begun");
    fs::create_dir(&begun).unwrap();
    let file = user.path("requests");
    let line = |number| {
        let begun = begun.display();
        let script = format!("touch {begun}/{number}; head -c 2000000 /dev/zero | tr '\\\\0' x");
        format!(r#"{{"target":"{host}","argv":["sh","-c","{script}"]}}"#)
    };
    let lines: Vec<String> = (0..REQUESTS).map(line).collect();
    fs::write(&file, lines.join("\n")).unwrap();
    let mut command = user.command("udpctl");
    command.args(["batch", "-f", "4"]).arg(&file);
    let mut batch = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let count = || fs::read_dir(&begun).unwrap().count();
    eventually("records wait", || {
        count() >= 5 && agent.jobs().left().is_empty()
    });
    // Further commands would begin while these run.
    for _ in 0..REQUESTS {
        let exec = user.udpctl(["exec", &host, "--", "true"]);
        assert_eq!(exec.outcome().status, 0);
    }
    assert!(count() < REQUESTS / 2, "{} have begun", count());
    let mut stdout = Vec::new();
    batch
        .stdout
        .take()
        .unwrap()
        .read_to_end(&mut stdout)
        .unwrap();
    assert!(batch.wait().unwrap().success());
    let records: Vec<serde_json::Value> = std::str::from_utf8(&stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(records.len(), REQUESTS);
    for record in records {
        let output = &record["stdout"];
        assert_eq!(
            (&output["bytes"], &output["kept"]),
            (&2_000_000.into(), &(1 << 20).into())
        );
        assert_eq!(output["text"].as_str().unwrap().len(), 1 << 20);
    }
}

#[test]
fn ctrl_c_cancels_what_runs_and_skips_what_waits() {
    let user = User::new();
    let agent = user.agent();
    let host = agent.target();
    let mut batch = start(&user, &["-f", "1"]);
    let up = user.path("up");
    let script = format!("touch {}; exec sleep 600", up.display());
    batch.type_in(&format!(
        "{{\"target\":\"{host}\",\"argv\":[\"sh\",\"-c\",\"{script}\"],\"tag\":1}}\n\
         {{\"target\":\"{host}\",\"argv\":[\"true\"],\"tag\":2}}\nbad\n"
    ));
    // The error says that the lines before were read.
    batch.stdout_line(|line| line.contains("\"error\""));
    eventually("the first command runs", || up.exists());
    batch.signal(Signal::INT);
    let skipped = format!(
        r#"{{"v":1,"type":"exit","line":2,"tag":2,"host":"{host}","class":"skipped","id":"ID","outcome":null,"seconds":0,"stderr":{{"bytes":0}},"stdout":{{"bytes":0}},"streams_open":false}}"#
    );
    assert_eq!(masked(&batch.stdout_line(|_| true)), skipped);
    let canceled = batch.stdout_line(|_| true);
    assert!(
        canceled.contains(r#""line":1,"tag":1,"#) && canceled.contains(r#""canceled":{}"#),
        "{canceled}"
    );
    let (status, stderr) = batch.wait();
    let lines: Vec<&str> = stderr.lines().collect();
    assert_eq!(
        lines[0],
        "udpctl: no further line is read; canceling; press Ctrl-C again to leave at once"
    );
    let (counts, _) = lines[1].rsplit_once(" in ").unwrap();
    assert_eq!(counts, "0 ok, 1 stopped, 1 skipped of 2");
    let class = |name: &str| format!("{name}: {host}");
    assert_eq!(
        lines[2..],
        [&class("stopped"), &class("skipped"), "bad lines: 1"]
    );
    assert_eq!(crate::harness::shell_status(status), Some(130));
    eventually("no command is left", || agent.jobs().left().is_empty());
}

#[test]
fn a_second_ctrl_c_leaves_within_a_second_and_names_what_may_still_run() {
    let user = User::new();
    let agent = user.agent();
    let host = agent.target();
    let mut batch = start(&user, &[]);
    let up = user.path("up");
    let script = format!("touch {}; exec sleep 600", up.display());
    batch.type_in(&format!(
        "{{\"target\":\"{host}\",\"argv\":[\"sh\",\"-c\",\"{script}\"]}}\n"
    ));
    eventually("the command runs", || up.exists());
    agent.stop();
    batch.signal(Signal::INT);
    batch.stderr_line(|line| line.contains("press Ctrl-C again"));
    batch.signal(Signal::INT);
    assert!(batch.ends_within(Duration::from_secs(2)));
    let record = batch.stdout_line(|_| true);
    assert!(
        record.contains(r#""class":"left","#) && record.contains(r#""outcome":null"#),
        "{record}"
    );
    batch.stderr_line(|line| {
        line == format!(
            "udpctl: left, and may still run; \"udpctl jobs --mine\" lists them: {host}"
        )
    });
    let (status, _) = batch.wait();
    assert_eq!(crate::harness::shell_status(status), Some(130));
    agent.resume();
    // It is in the journal, with its own command.
    let mine = user.udpctl(["jobs", "--mine", "--json"]).outcome();
    let mine = String::from_utf8(mine.stdout).unwrap();
    assert!(mine.contains("exec sleep 600"), "{mine}");
}

#[test]
fn a_reader_that_leaves_ends_the_batch() {
    let user = User::new();
    let agent = user.agent();
    let host = agent.target();
    let mut command = user.command("udpctl");
    command
        .args(["batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut batch = command.spawn().unwrap();
    drop(batch.stdout.take());
    let line = format!("{{\"target\":\"{host}\",\"argv\":[\"true\"]}}\n");
    let mut stdin = batch.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, line.as_bytes()).unwrap();
    let output = batch.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(141));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    drop(stdin);
}

/// Runs this many requests to one host, and returns what was written to standard error.
fn many(user: &User, host: &str, count: usize) -> String {
    let line = format!("{{\"target\":\"{host}\",\"argv\":[\"true\"]}}\n");
    let outcome = user
        .udpctl(["batch", "-"])
        .stdin(line.repeat(count))
        .outcome();
    outcome.stderr.split(" in ").next().unwrap().to_owned()
}

#[test]
fn hundreds_of_requests_to_one_host_are_all_ok() {
    let user = User::new();
    let agent = user.agent();
    assert_eq!(many(&user, &agent.target(), 200), "200 ok of 200");
}

/// More handshakes than an agent takes at once, so that those of an unpaced run are dropped.
#[test]
#[ignore = "takes half a minute"]
fn batches_of_thousands_of_requests_to_one_host_reach_it_without_dropped_handshakes() {
    let user = User::new();
    let agent = user.agent();
    for _ in 0..2 {
        assert_eq!(many(&user, &agent.target(), 3000), "3000 ok of 3000");
    }
    let status = crate::owner::status(&user);
    assert_eq!(status["handshakes"]["refused"]["key"], 0, "{status}");
}
