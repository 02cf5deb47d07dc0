//! The audit log: key, command, time and outcome.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Agent, Child, User, eventually};

/// Starts an agent with a configuration.
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

/// The records of requests.
fn of_requests(path: &Path) -> Vec<Value> {
    let all = lines(path).into_iter();
    all.filter(|record| record["request"].is_string()).collect()
}

/// The records of requests, once there are `count`.
fn wait_for(path: &Path, count: usize) -> Vec<Value> {
    eventually("enough lines", || of_requests(path).len() >= count);
    of_requests(path)
}

/// Waits for a record that contains these members, and returns it.
fn wait_for_record(path: &Path, members: &Value) -> Value {
    let wanted = members.as_object().unwrap();
    let is_it = |record: &Value| {
        let mut wanted = wanted.iter();
        wanted.all(|(name, value)| record[name] == *value)
    };
    eventually(&format!("a record {members}"), || {
        lines(path).iter().any(is_it)
    });
    lines(path).into_iter().find(is_it).unwrap()
}

fn key(user: &User) -> String {
    let id = user.udpctl(["id"]).outcome().stdout;
    String::from_utf8(id).unwrap().trim().to_owned()
}

/// Checks and removes the members that differ in each run.
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
fn each_command_leaves_complete_audit_records() {
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
fn denied_and_canceled_commands_are_in_the_audit_log() {
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
    assert_eq!(all[0]["reason"], "no allow= matches the command");
    exec(&[&["--detach"][..], &sleep].concat());
    exec(&[&["--id", ID][..], &sleep].concat());
    exec(&sleep);
    let all = wait_for(&path, 8);
    assert_eq!(all[6]["outcome"], json!({"conflict": {}}));
    assert_eq!(all[7]["outcome"], json!({"busy": {}}));
}

#[test]
fn a_required_audit_record_is_written_before_the_command_starts() {
    let user = User::new();
    let path = user.path("audit");
    let agent = configured(
        &user,
        &format!("audit = 'required'\naudit-file = '{}'", path.display()),
    );
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
fn an_audit_record_stays_one_line_whatever_a_peer_writes() {
    let user = User::new();
    let path = user.path("audit");
    let agent = configured(&user, &format!("audit-file = '{}'", path.display()));
    let hostile = "x\n{\"v\":1,\"event\":\"ended\"}\r\n\u{9b}2J\u{202e}\u{2028}";
    let argv = ["exec", &agent.target(), "--", "true", hostile];
    user.udpctl(argv).run();
    let all = wait_for(&path, 3);
    assert_eq!(all.len(), 3);
    assert_eq!(lines(&path).len(), 4, "and the start of the agent");
    assert_eq!(all[0]["argv"], json!(["true", hostile]));
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(
        text.bytes()
            .all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte))
    );
}

#[test]
fn a_rotated_audit_file_is_opened_anew() {
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
    assert_eq!(of_requests(&away).len(), 3);
}

#[test]
fn audit_records_can_go_to_stderr() {
    let user = User::new();
    let mut agent = user.agent();
    user.udpctl(["exec", &agent.target(), "--", "true"]).run();
    for event in ["accepted", "started", "ended"] {
        let line = agent
            .child
            .stderr_line(|line| line.starts_with("{\"v\":") && !line.contains("agent_started"));
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
fn nothing_runs_if_a_required_audit_record_cannot_be_written() {
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

    // An optional audit log blocks nothing.
    let agent = configured(&user, "audit = 'on'\naudit-file = '/dev/full'");
    user.udpctl(["exec", &agent.target(), "--", "true"]).run();
}

#[test]
fn an_agent_does_not_start_without_its_required_audit_log() {
    let user = User::new();
    let path = user.path("none/audit");
    user.write_config(&format!(
        "audit = 'required'\naudit-file = '{}'",
        path.display()
    ));
    user.udpagent(["--bind", "127.0.0.1:0"])
        .stderr(format!(
            "udpagent: {}: No such file or directory (os error 2); audit = \"required\" lets \
             nothing run without a record\n",
            path.display()
        ))
        .status(1)
        .run();
}

#[test]
fn a_fifo_is_no_audit_file_whether_it_is_read_or_not() {
    use rustix::fs::{CWD, Mode, OFlags, mkfifoat, open};

    let user = User::new();
    let path = user.path("audit");
    mkfifoat(CWD, &path, Mode::RWXU).unwrap();
    let config = |demand| format!("audit = '{demand}'\naudit-file = '{}'", path.display());
    let refused = |reason: &str| {
        user.udpagent(["--bind", "127.0.0.1:0"])
            .stderr(format!(
                "udpagent: {}: {reason}; audit = \"required\" lets nothing run without a record\n",
                path.display()
            ))
            .status(1)
            .run();
    };
    user.write_config(&config("required"));
    refused("No such device or address (os error 6)");
    let reader = open(
        &path,
        OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .unwrap();
    refused("is not a regular file");
    drop(reader);

    let mut agent = configured(&user, &config("on"));
    user.udpctl(["exec", &agent.target(), "--", "true"]).run();
    agent.child.signal(rustix::process::Signal::TERM);
    let (_, log) = agent.child.wait();
    let said = "No such device or address (os error 6); commands run without a record";
    assert_eq!(log.matches(said).count(), 1, "once a minute: {log}");
}

#[test]
fn attachments_signals_and_cancels_are_in_the_audit_log() {
    let user = User::new();
    let path = user.path("audit");
    let agent = configured(&user, &format!("audit-file = '{}'", path.display()));
    let target = agent.target();
    let start = |id: &str| {
        let args = [
            "exec", &target, "--detach", "--id", id, "--", "sleep", "600",
        ];
        assert_eq!(user.udpctl(args).outcome().status, 0);
    };
    start(ID);
    user.udpctl(["kill", &target, ID, "-s", "USR1"]).outcome();
    wait_for_record(
        &path,
        &json!({"event": "signaled", "request": ID, "signal": 10}),
    );
    user.udpctl(["attach", &target, ID]).outcome();
    let record = wait_for_record(&path, &json!({"event": "attached", "request": ID}));
    assert_eq!(record["key"], key(&user));

    let other = ID.replace('a', "b");
    let mut command = user.command("udpctl");
    command.args(["exec", &target, "--id", &other, "--"]);
    command.args(["sh", "-c", "echo runs; exec sleep 600"]);
    let mut udpctl = Child::start(command);
    wait_for_record(&path, &json!({"event": "started", "request": other}));
    // Before it has heard from the agent, it ends without a cancel.
    udpctl.stdout_line(|line| line == "runs");
    udpctl.signal(rustix::process::Signal::INT);
    udpctl.wait();
    wait_for_record(&path, &json!({"event": "canceled", "request": other}));
    let ended = wait_for_record(&path, &json!({"event": "ended", "request": other}));
    assert_eq!(ended["cause"], "requested");
}

#[test]
fn denied_sessions_are_in_the_audit_log_once_a_minute_for_each_key() {
    let (user, stranger) = (User::new(), User::new());
    user.authorize("from=192.0.2.1");
    let path = user.path("audit");
    let agent = configured(&user, &format!("audit-file = '{}'", path.display()));
    let target = agent.target();
    stranger
        .udpctl(["trust", &target, agent.key()])
        .stdout(format!("{target} is trusted now\n"))
        .run();
    let not_from = "from= does not let 127.0.0.1 connect";
    let not_listed = "no valid line has this key or name";
    for (who, name, reason) in [
        (&user, json!("me"), not_from),
        (&stranger, Value::Null, not_listed),
    ] {
        for _ in 0..2 {
            let ping = ["ping", &target, "--contact-timeout", "300ms"];
            assert_ne!(who.udpctl(ping).outcome().status, 0);
        }
        let denied = json!({"event": "session_denied", "key": key(who)});
        let denied = wait_for_record(&path, &denied);
        assert!(
            denied["address"]
                .as_str()
                .unwrap()
                .starts_with("127.0.0.1:")
        );
        assert_eq!(
            (&denied["name"], &denied["reason"]),
            (&name, &json!(reason))
        );
    }
    let all = lines(&path).into_iter();
    let denied = all.filter(|record| record["event"] == "session_denied");
    assert_eq!(denied.count(), 2);
}

#[test]
fn keys_invitations_reloads_and_the_agents_start_and_end_are_in_the_audit_log() {
    let (user, guest) = (User::new(), User::new());
    let path = user.path("audit");
    let mut agent = configured(&user, &format!("audit-file = '{}'", path.display()));
    let target = agent.target();
    let started = wait_for_record(&path, &json!({"event": "agent_started"}));
    assert_eq!(started["listening"], json!([target]));
    assert_eq!(started["pid"], agent.child.pid().as_raw_pid());

    let invite = user.udpagent(["invite", "--host", &target]).outcome();
    let invite = String::from_utf8(invite.stdout).unwrap();
    let invitation = invite.split('\'').nth(1).unwrap();
    let accept = || {
        guest
            .udpctl(["accept", invitation, "--name", "ann"])
            .outcome()
    };
    assert_eq!(accept().status, 0);
    let id = key(&guest);
    let registered = wait_for_record(&path, &json!({"event": "registered", "key": id}));
    assert!(
        registered["address"]
            .as_str()
            .unwrap()
            .starts_with("127.0.0.1:")
    );

    user.write_line(id.as_bytes(), "chat-only");
    wait_for_record(
        &path,
        &json!({"event": "key_changed", "key": id, "name": "me"}),
    );
    let exec = ["exec", &target, "--", "true"];
    assert_eq!(guest.udpctl(exec).outcome().status, 255);
    let denied = wait_for_record(&path, &json!({"event": "denied", "key": id}));
    assert_eq!(denied["reason"], "chat-only: this key runs no commands");

    let keys = user.path("config/udpagent/authorized_keys");
    std::fs::remove_file(&keys).unwrap();
    wait_for_record(
        &path,
        &json!({"event": "key_removed", "key": id, "name": "me"}),
    );
    std::fs::write(&keys, "nonsense\n").unwrap();
    wait_for_record(&path, &json!({"event": "reloaded", "errors": 2}));
    user.write_line(id.as_bytes(), "");
    wait_for_record(
        &path,
        &json!({"event": "key_added", "key": id, "name": "me"}),
    );

    agent.child.signal(rustix::process::Signal::TERM);
    agent.child.wait();
    let ended = wait_for_record(&path, &json!({"event": "agent_ended"}));
    assert_eq!(ended["commands"], 0);
    assert_eq!(ended["denied"], 1);
}
