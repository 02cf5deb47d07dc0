//! `udpagent status` and `udpagent keys`: the answers of a running agent.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;

use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};

use crate::harness::{Agent, Child, User, eventually, helper};

fn id(user: &User) -> String {
    let id = user.udpctl(["id"]).outcome().stdout;
    String::from_utf8(id).unwrap().trim().to_owned()
}

/// The objects that a command prints with `--json`.
pub fn json(user: &User, args: &[&str]) -> Vec<Value> {
    let outcome = user.udpagent([args, &["--json"]].concat()).outcome();
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    let text = String::from_utf8(outcome.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).expect("a line is an object"))
        .collect()
}

pub fn status(user: &User) -> Value {
    json(user, &["status"]).pop().unwrap()
}

pub fn socket(user: &User) -> PathBuf {
    user.path("state/udpagent/agent.sock")
}

fn kill_front(agent: &Agent) {
    let front = || helper(agent.child.pid(), "udpagent-front");
    let killed = front().expect("a front runs");
    kill_process(killed, Signal::KILL).unwrap();
    eventually("another front", || front().is_some_and(|pid| pid != killed));
}

#[test]
fn status_counts_sessions_commands_and_datagrams() {
    let user = User::new();
    user.authorize("'allow=sh **' allow=true");
    let agent = user.agent();
    let target = agent.target();
    for args in [
        &["true"][..],
        &["sh", "-c", "exit 3"],
        &["sh", "-c", "kill $$"],
        &["ls"],
    ] {
        let args = [&["exec", &target, "--"], args].concat();
        user.udpctl(args).outcome();
    }
    let mut command = user.command("udpctl");
    command.args(["exec", "-i", &target, "--", "sh", "-c", "echo up; cat"]);
    let mut running = Child::start(command);
    running.stdout_line(|line| line == "up");
    std::net::UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .send_to(b"hello", &target)
        .unwrap();
    let mut all = Value::Null;
    eventually("everything is counted", || {
        all = status(&user);
        all["sessions"]["open"] == 1 && all["datagrams"]["plain"] == 1
    });
    // On a busy machine a controller may have come twice.
    let opened = all["sessions"]["opened"].as_u64().unwrap();
    assert!(opened >= 5, "{all}");
    assert_eq!(all["sessions"]["closed"], opened - 1);
    assert_eq!(
        all["commands"],
        json!({"running": 1, "accepted": 4, "denied": 1, "ended": {"exited": 2, "signaled": 1}})
    );
    assert_eq!(all["handshakes"]["answered"], opened);
    assert!(all["handshakes"]["received"].as_u64() >= Some(5), "{all}");
    let datagrams = &all["datagrams"];
    assert!(
        datagrams["received_bytes"].as_u64() > Some(5 * 1200),
        "{all}"
    );
    assert!(datagrams["sent"].as_u64() > Some(5), "{all}");
    assert_eq!(all["listening"], json!([target]));
    assert_eq!(all["key"], agent.key());
    assert_eq!(all["pid"], agent.child.pid().as_raw_pid());
    assert_eq!(
        (&all["v"], &all["front_answers"]),
        (&json!(1), &json!(true))
    );
    let shown = user.udpagent(["status"]).outcome();
    let shown = String::from_utf8(shown.stdout).unwrap();
    let subjects: Vec<&str> = shown.lines().map(|line| line[..11].trim()).collect();
    assert_eq!(
        subjects,
        [
            "agent",
            "version",
            "listens on",
            "up",
            "sandbox",
            "keys",
            "sessions",
            "commands",
            "handshakes",
            "datagrams",
            "missing",
            "front"
        ]
    );
    let commands = "\ncommands   1 running, 4 accepted, 1 denied; 3 ended (2 exited, 1 signaled)\n";
    assert!(shown.contains(commands), "{shown}");
    assert!(running.wait().0.success());
}

#[test]
fn a_bulk_transfer_over_loopback_uses_large_datagrams_and_a_short_one_does_not() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    let sent = || {
        let datagrams = &status(&user)["datagrams"];
        [&datagrams["sent"], &datagrams["sent_bytes"]].map(|value| value.as_u64().unwrap())
    };
    user.udpctl(["exec", &target, "--", "true"]).run();
    let [datagrams, bytes] = sent();
    assert!(bytes <= 1200 * datagrams, "{datagrams}: {bytes}");
    let zeros = ["exec", &target, "--", "head", "-c", "50000000", "/dev/zero"];
    let output = user.udpctl(zeros).outcome();
    assert_eq!((output.status, output.stdout.len()), (0, 50_000_000));
    let [more, further] = sent();
    let average = (further - bytes) / (more - datagrams);
    assert!(average > 30_000, "{average} octets in a datagram");
    assert_eq!(status(&user)["datagrams"]["unsent"], 0);
}

#[test]
fn an_init_under_another_agents_key_is_counted_as_refused() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    assert_eq!(status(&user)["handshakes"]["refused"]["mac"], 0);
    let stranger = User::new();
    let wrong = id(&stranger);
    stranger
        .udpctl(["trust", &target, &wrong])
        .stdout(format!("{target} is trusted now\n"))
        .run();
    stranger
        .udpctl(["ping", &target, "--contact-timeout", "300ms"])
        .outcome();
    let refused = &status(&user)["handshakes"]["refused"];
    assert!(refused["mac"].as_u64() > Some(0), "{refused}");
}

#[test]
fn counters_do_not_decrease_when_the_front_is_replaced() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    user.udpctl(["exec", &target, "--", "true"]).run();
    let before = status(&user);
    kill_front(&agent);
    user.udpctl(["exec", &target, "--", "true"]).run();
    let mut after = Value::Null;
    eventually("the new front answers", || {
        after = status(&user);
        after["front_answers"] == true
    });
    assert_eq!(after["front_restarts"], 1);
    assert!(
        after["handshakes"]["answered"].as_u64() >= Some(2),
        "{after}"
    );
    for name in ["received", "received_bytes", "sent", "sent_bytes"] {
        let value = |all: &Value| all["datagrams"][name].as_u64().unwrap();
        assert!(value(&after) > value(&before), "{name}");
    }
}

#[test]
fn a_front_that_does_not_answer_delays_the_status_for_a_moment_only() {
    let user = User::new();
    let agent = user.agent();
    user.udpctl(["exec", &agent.target(), "--", "true"]).run();
    status(&user);
    let front = helper(agent.child.pid(), "udpagent-front").unwrap();
    kill_process(front, Signal::STOP).unwrap();
    let all = status(&user);
    kill_process(front, Signal::CONT).unwrap();
    assert_eq!(all["front_answers"], false);
    assert!(all["handshakes"]["answered"].as_u64() >= Some(1), "{all}");
    eventually("it answers again", || {
        status(&user)["front_answers"] == true
    });
}

#[test]
fn metrics_go_to_stdout_or_replace_a_file_as_a_whole() {
    let user = User::new();
    let file = user.path("metrics/udpagent.prom");
    let to_file = format!("--metrics={}", file.display());
    let missing = user.udpagent(["status", &to_file]).outcome();
    assert_eq!(missing.status, 1);
    assert!(
        missing.stderr.contains("no such directory"),
        "{}",
        missing.stderr
    );
    fs::create_dir(user.path("metrics")).unwrap();
    let no_agent = format!("udpagent: {}: no agent answers\n", socket(&user).display());
    user.udpagent(["status", &to_file])
        .stderr(no_agent)
        .status(1)
        .run();
    assert!(
        fs::read_to_string(&file)
            .unwrap()
            .ends_with("\nudpagent_up 0\n")
    );

    let name = "a\"b\\\x1b";
    let agent = Agent::start(&user, &["--bind", "127.0.0.1:0", "--name", name]);
    user.udpctl(["exec", &agent.target(), "--", "true"]).run();
    let inode = fs::metadata(&file).unwrap().ino();
    user.udpagent(["status", &to_file]).run();
    let meta = fs::metadata(&file).unwrap();
    assert_ne!(meta.ino(), inode, "renamed into its place");
    assert_eq!(meta.permissions().mode() & 0o777, 0o644);
    assert_eq!(fs::read_dir(user.path("metrics")).unwrap().count(), 1);
    let text = fs::read_to_string(&file).unwrap();
    for line in [
        "udpagent_up 1",
        "# TYPE udpagent_sessions_opened_total counter",
        "udpagent_sessions_opened_total 1",
        "udpagent_commands_ended_total{outcome=\"exited\"} 1",
        "udpagent_datagrams_dropped_total{reason=\"forged\"} 0",
    ] {
        assert!(text.lines().any(|there| there == line), "{line}: {text}");
    }
    assert!(text.contains(",name=\"a\\\"b\\\\\\\\u{1b}\","), "{text}");
    let printed = user.udpagent(["status", "--metrics"]).outcome();
    let names = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| line.starts_with("# TYPE"));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(
        names(&String::from_utf8(printed.stdout).unwrap()),
        names(&text)
    );
    // People see the name escaped.
    let shown = user.udpagent(["status"]).outcome().stdout;
    let shown = String::from_utf8(shown).unwrap();
    assert!(
        shown.starts_with("agent      a\"b\\\\u{1b} ua1:"),
        "{shown:?}"
    );
}

#[test]
fn keys_are_listed_with_options_sessions_and_last_use() {
    let (host, guest, idle) = (User::new(), User::new(), User::new());
    let (key, unused) = (id(&guest), id(&idle));
    fs::create_dir_all(host.path("config/udpagent")).unwrap();
    fs::write(
        host.path("config/udpagent/authorized_keys"),
        format!("{unused} idle chat-only expires=2001-01-01\n{key} ann 'allow=sh **'\n"),
    )
    .unwrap();
    let offline = json(&host, &["keys"]);
    assert_eq!(offline[0]["sessions"], Value::Null);
    let agent = host.agent();
    let target = agent.target();
    guest
        .udpctl(["trust", &target, agent.key()])
        .stdout(format!("{target} is trusted now\n"))
        .run();
    let mut command = guest.command("udpctl");
    command.args(["exec", "-i", &target, "--", "sh", "-c", "echo up; cat"]);
    let mut running = Child::start(command);
    running.stdout_line(|line| line == "up");
    let listed = json(&host, &["keys"]);
    let brief: Vec<Value> = listed
        .iter()
        .map(|key| json!([key["name"], key["options"], key["sessions"], key["expired"]]))
        .collect();
    assert_eq!(
        brief[..2],
        [
            json!(["ann", ["allow=sh **"], 1, false]),
            json!([
                "idle",
                ["chat-only", "expires=2001-01-01T00:00:00Z"],
                0,
                true
            ]),
        ]
    );
    assert_eq!(
        (&listed[0]["key"], &listed[1]["last_seen"]),
        (&json!(key), &Value::Null)
    );
    let seen = listed[0]["last_seen"].as_str().unwrap().to_owned();
    assert!(running.wait().0.success());
    eventually("its session has ended", || {
        let ann = &json(&host, &["keys"])[0];
        ann["sessions"] == 0 && ann["last_seen"].as_str().unwrap() > seen.as_str()
    });
    let table = host.udpagent(["keys"]).outcome();
    let table = String::from_utf8(table.stdout).unwrap();
    let lines: Vec<&str> = table.lines().collect();
    assert!(
        lines[0].starts_with("NAME   SESSIONS  LAST SEEN    KEY "),
        "{table}"
    );
    assert!(lines[1].starts_with("ann           0  "), "{table}");
    assert!(
        lines[1].ends_with(&format!(" ago       {key}  allow='sh **'")),
        "{table}"
    );
    assert!(
        lines[2].ends_with(" chat-only expires=2001-01-01T00:00:00Z (expired)"),
        "{table}"
    );
    assert!(
        lines
            .last()
            .unwrap()
            .starts_with("last seen since the start of the agent, ")
    );
}
