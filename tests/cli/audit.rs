//! The record of what ran: who, what, when, and how it ended.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Agent, User, eventually};

/// An agent with this configuration.
fn configured(user: &User, config: &str) -> Agent {
    user.write_config(config);
    user.agent()
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let parse = |line| serde_json::from_str(line).expect("a line is an object");
    whole.lines().map(parse).collect()
}

/// The lines, once there are so many.
fn wait_for(path: &Path, count: usize) -> Vec<Value> {
    eventually("enough lines", || lines(path).len() >= count);
    lines(path)
}

fn key(user: &User) -> String {
    let id = user.udpctl(["id"]).outcome().stdout;
    String::from_utf8(id).unwrap().trim().to_owned()
}

/// What of a record is new in each run is taken out and looked at by itself.
fn without_time_and_place(mut record: Value) -> Value {
    let object = record.as_object_mut().unwrap();
    let time = object.remove("time").unwrap();
    assert!(is_time(time.as_str().unwrap()), "{time}");
    let address = object.remove("address").unwrap();
    assert!(address.as_str().unwrap().starts_with("127.0.0.1:"));
    record
}

/// `2026-01-02T03:04:05.678Z`
fn is_time(text: &str) -> bool {
    let form = text
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c });
    form.eq("0000-00-00T00:00:00.000Z".chars())
}

const ID: &str = "000000000000000000000000000000aa";

#[test]
fn each_command_leaves_its_lines_with_all_that_is_known() {
    let user = User::new();
    user.authorize("");
    let path = user.path("audit");
    let config = format!("audit-file = '{}'\nname = 'tower'", path.display());
    let agent = configured(&user, &config);
    let target = agent.target();
    let own = user.udpctl(["exec", &target, "--", "id", "-un"]).outcome();
    let own = String::from_utf8(own.stdout).unwrap();
    wait_for(&path, 3);
    user.udpctl([
        "exec",
        &target,
        "--id",
        ID,
        "--env",
        "A=secret",
        "--cwd",
        "/",
        "--",
        "sh",
        "-c",
        "echo out; echo err >&2; exit 3",
    ])
    .stdout("out\n")
    .stderr("err\n")
    .status(3)
    .run();
    let all = wait_for(&path, 6).split_off(3);
    let pid = all[1]["pid"].clone();
    assert!(pid.as_u64().is_some_and(|pid| pid > 1), "{pid}");
    let base = |event: &str| json!({"v": 1, "event": event, "key": key(&user), "name": "me", "request": ID});
    let with = |event: &str, more: Value| {
        let mut record = base(event);
        let object = record.as_object_mut().unwrap();
        object.extend(more.as_object().unwrap().clone());
        record
    };
    let expected = [
        with(
            "accepted",
            json!({"argv": ["sh", "-c", "echo out; echo err >&2; exit 3"], "user": own.trim(),
                   "cwd": "/", "env": ["A"]}),
        ),
        with("started", json!({"pid": pid})),
        with(
            "ended",
            json!({"outcome": {"exited": {"code": 3}}, "stdout": 4, "stderr": 4}),
        ),
    ];
    let all: Vec<Value> = all.into_iter().map(without_time_and_place).collect();
    assert_eq!(all, expected);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains("secret"));
}

#[test]
fn what_is_denied_and_what_the_agent_ended_is_there_too() {
    let user = User::new();
    user.authorize("'allow=sh -c \"sleep 600\"' max-jobs=1");
    let path = user.path("audit");
    let agent = configured(&user, &format!("audit-file = '{}'", path.display()));
    let target = agent.target();
    let exec = |args: &[&str]| user.udpctl([&["exec", &target], args].concat()).outcome();
    exec(&["--id", ID, "--", "touch", "x"]);
    let sleep = ["--", "sh", "-c", "sleep 600"];
    exec(&[&["--id", ID, "--timeout", "1s"][..], &sleep].concat());
    let all = wait_for(&path, 4);
    let brief: Vec<Value> = all
        .iter()
        .map(|record| json!([record["event"], record["outcome"], record["cause"]]))
        .collect();
    assert_eq!(
        brief,
        [
            json!(["denied", {"denied": {}}, null]),
            json!(["accepted", null, null]),
            json!(["started", null, null]),
            json!(["ended", {"timed_out": {}}, "timeout"]),
        ]
    );
    assert_eq!(all[0]["argv"], json!(["touch", "x"]));
    exec(&[&["--detach"][..], &sleep].concat());
    exec(&[&["--id", ID][..], &sleep].concat());
    exec(&sleep);
    let all = wait_for(&path, 8);
    assert_eq!(all[6]["outcome"], json!({"expired": {}}));
    assert_eq!(all[7]["outcome"], json!({"busy": {}}));
}

#[test]
fn a_command_finds_its_own_acceptance_on_record() {
    let user = User::new();
    let path = user.path("audit");
    let agent = configured(&user, &format!("audit-file = '{}'", path.display()));
    let target = agent.target();
    for _ in 0..20 {
        let args = ["exec", &target, "--", "grep", "-c", "accepted"];
        let args = [&args[..], &[path.to_str().unwrap()]].concat();
        let count = user.udpctl(args).outcome().stdout;
        let ended = lines(&path)
            .iter()
            .filter(|record| record["event"] == "accepted")
            .count();
        assert_eq!(String::from_utf8(count).unwrap(), format!("{ended}\n"));
    }
}

#[test]
fn what_a_peer_writes_stays_one_line() {
    let user = User::new();
    let path = user.path("audit");
    let agent = configured(&user, &format!("audit-file = '{}'", path.display()));
    let hostile = "x\n{\"v\":1,\"event\":\"ended\"}\r\n\u{9b}2J\u{202e}\u{2028}";
    let argv = ["exec", &agent.target(), "--", "true", hostile];
    user.udpctl(argv).run();
    let all = wait_for(&path, 3);
    assert_eq!(all.len(), 3);
    assert_eq!(all[0]["argv"], json!(["true", hostile]));
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(
        text.bytes()
            .all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte))
    );
}

#[test]
fn a_file_that_is_rotated_is_begun_anew() {
    let user = User::new();
    let path = user.path("audit");
    let agent = configured(&user, &format!("audit-file = '{}'", path.display()));
    let run = || user.udpctl(["exec", &agent.target(), "--", "true"]).run();
    run();
    wait_for(&path, 3);
    let away = user.path("audit.1");
    std::fs::rename(&path, &away).unwrap();
    run();
    wait_for(&path, 3);
    assert_eq!(lines(&away).len(), 3);
}

#[test]
fn records_go_to_standard_error_where_somebody_collects_it() {
    let user = User::new();
    let mut agent = user.agent();
    user.udpctl(["exec", &agent.target(), "--", "true"]).run();
    for event in ["accepted", "started", "ended"] {
        let line = agent.child.stderr_line(|line| line.starts_with('{'));
        let record: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(record["event"], event);
    }
    drop(agent);
    let mut agent = configured(&user, "audit = 'off'");
    user.udpctl(["exec", &agent.target(), "--", "true"]).run();
    agent.child.signal(rustix::process::Signal::TERM);
    let (_, stderr) = agent.child.wait();
    assert!(!stderr.contains("accepted"), "{stderr}");
}

#[test]
fn a_required_record_that_cannot_be_written_lets_nothing_run() {
    let user = User::new();
    let trace = user.path("ran");
    let mut agent = configured(&user, "audit = 'required'\naudit-file = '/dev/full'");
    let target = agent.target();
    for _ in 0..2 {
        let args = ["exec", &target, "--", "touch", trace.to_str().unwrap()];
        user.udpctl(args)
            .stderr(format!("udpctl: {target}: denied; request ID\n"))
            .status(255)
            .run();
    }
    assert!(!trace.exists());
    agent.child.signal(rustix::process::Signal::TERM);
    let (_, stderr) = agent.child.wait();
    let said = "/dev/full: No space left on device (os error 28); no command runs";
    assert_eq!(stderr.matches(said).count(), 1, "once a minute: {stderr}");

    // One that is wished for only does not hold anything up.
    let agent = configured(&user, "audit = 'on'\naudit-file = '/dev/full'");
    user.udpctl(["exec", &agent.target(), "--", "true"]).run();
}

#[test]
fn an_agent_does_not_start_without_the_record_that_it_requires() {
    let user = User::new();
    let path = user.path("none/audit");
    user.write_config(&format!(
        "audit = 'required'\naudit-file = '{}'",
        path.display()
    ));
    user.udpagent(["--bind", "127.0.0.1:0"])
        .stderr(format!(
            "udpagent: 127.0.0.1:0: {}: No such file or directory (os error 2); audit = \"required\" lets \
             nothing run without a record\n",
            path.display()
        ))
        .status(1)
        .run();
}
