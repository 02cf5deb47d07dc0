//! The restriction of the process that serves the network.
//!
//! The kernel, or the container of the tests, may lack a part; the tests then say so and check the rest.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::harness::{Agent, Child, Test, User, eventually, helper};

/// Name of the program as a probe, and its plan.
const PROBE: &str = "udpagent-sandbox";
const AUTO: &str = r#"{"demand":"auto","user":null}"#;

fn probe(arguments: &[&str]) -> Test {
    let mut command = Command::new(env!("CARGO_BIN_EXE_udpagent"));
    command.arg0(PROBE).args(arguments);
    Test::new(command)
}

fn in_force() -> serde_json::Value {
    let outcome = probe(&[AUTO]).outcome();
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    serde_json::from_slice(&outcome.stdout).unwrap()
}

/// The line of `udpagent check` about the sandbox of this machine.
pub fn line_of_check() -> String {
    let report = in_force();
    let mut parts = Vec::new();
    if report["in_force"]["identity"] == "WithoutCapabilities" {
        parts.push("no capabilities".to_owned());
    }
    if report["in_force"]["landlock"] != 0 {
        parts.push(format!("Landlock ABI {}", report["in_force"]["landlock"]));
    }
    if report["in_force"]["seccomp"] == true {
        parts.push("seccomp".to_owned());
    }
    format!("serves the network in a sandbox: {}", parts.join(", "))
}

fn is_complete() -> bool {
    let report = in_force();
    let complete = report["in_force"]["landlock"] != 0 && report["in_force"]["seccomp"] == true;
    if !complete {
        eprintln!("SKIPPED: this system lacks a part of the sandbox: {report}");
    }
    complete
}

/// Process id of the front.
fn front(agent: &Agent) -> i32 {
    let front = helper(agent.child.pid(), "udpagent-front");
    front.expect("a front runs").as_raw_pid()
}

/// A field of `/proc/PID/status`, for each thread.
fn of_threads(pid: i32, field: &str) -> Vec<String> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let value = |status: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        line.unwrap().trim_start_matches(':').trim().to_owned()
    };
    threads
        .map(|thread| value(&fs::read_to_string(thread.path().join("status")).unwrap()))
        .collect()
}

#[test]
fn the_restricted_program_opens_no_file_starts_no_program_and_connects_no_socket() {
    if is_complete() {
        assert_eq!(in_force()["possible"], serde_json::json!([]));
        assert_eq!(in_force()["offload"], true);
        assert_eq!(in_force()["stream_pair"], true);
    }
    let outcome = probe(&[r#"{"demand":"off","user":null}"#]).outcome();
    let report: serde_json::Value = serde_json::from_slice(&outcome.stdout).unwrap();
    let all = [
        "open a file",
        "start a program",
        "make a socket",
        "make a pair of datagram sockets",
        "connect a socket",
        "signal another process",
    ];
    assert_eq!(report["possible"], serde_json::json!(all));
}

#[test]
fn every_thread_of_the_front_is_restricted_and_the_supervisor_is_not() {
    if !is_complete() {
        return;
    }
    let user = User::new();
    let mut agent = Agent::start(&user, &["-v", "--bind", "127.0.0.1:0"]);
    let line = line_of_check();
    let parts = line.strip_prefix("serves the network in a ").unwrap();
    agent.child.stderr_line(|line| line.ends_with(parts));
    user.udpctl(["ping", &agent.target()]).outcome();
    let front = front(&agent);
    let threads = of_threads(front, "Name").len();
    assert!(threads >= 3, "{threads} threads");
    for (field, value) in [
        ("NoNewPrivs", "1"),
        ("Seccomp", "2"),
        ("CapPrm", "0000000000000000"),
        ("CapEff", "0000000000000000"),
        ("CapInh", "0000000000000000"),
        ("CapAmb", "0000000000000000"),
    ] {
        assert_eq!(of_threads(front, field), vec![value; threads], "{field}");
    }
    let supervisor = agent.child.pid().as_raw_pid();
    assert_eq!(of_threads(supervisor, "Seccomp"), ["0"]);
}

#[test]
fn a_panic_of_the_restricted_program_prints_its_line_and_exits_with_70() {
    let outcome = probe(&[AUTO, "panic"]).outcome();
    let line = "udpagent: thread restricted failed: on purpose (";
    assert!(outcome.stderr.starts_with(line), "{}", outcome.stderr);
    assert_eq!(outcome.status, 70);
}

/// User and group ids that no other process has.
const IDS: u32 = 61_234;

/// Starts an agent on a system that has a user udpagent, in a mount namespace of its own.
fn agent_with_user(user: &User) -> Option<Agent> {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: only root can change to another user");
        return None;
    }
    let mut users = fs::read_to_string("/etc/passwd").unwrap();
    writeln!(
        users,
        "udpagent:x:{IDS}:{IDS}::/nonexistent:/usr/sbin/nologin"
    )
    .unwrap();
    let file = user.path("passwd");
    fs::write(&file, users).unwrap();
    let mut command = user.command("unshare");
    let script = "mount --bind \"$0\" /etc/passwd && exec \"$@\"";
    command
        .args(["--mount", "sh", "-c", script])
        .arg(file)
        .arg(env!("CARGO_BIN_EXE_udpagent"))
        .args(["-v", "--bind", "127.0.0.1:0"]);
    Some(Agent::from(command))
}

#[test]
fn the_front_of_root_becomes_the_user_udpagent_and_serves_as_before() {
    let user = User::new();
    user.authorize("user=root,nobody");
    user.write_config("sandbox = 'required'");
    let Some(mut agent) = agent_with_user(&user).filter(|_| is_complete()) else {
        return;
    };
    let target = agent.target();
    agent
        .child
        .stderr_line(|line| line.contains("sandbox: user udpagent, Landlock ABI "));
    let front = front(&agent);
    let threads = of_threads(front, "Name").len();
    let ids = [IDS.to_string().as_str(); 4].join("\t");
    assert_eq!(of_threads(front, "Uid"), vec![ids.clone(); threads]);
    assert_eq!(of_threads(front, "Gid"), vec![ids; threads]);
    assert_eq!(of_threads(front, "Groups"), vec![""; threads]);

    // Commands keep their own users.
    user.udpctl(["exec", &target, "--", "id", "-un"])
        .stdout("root\n")
        .run();
    // A home that does not exist is named on standard error.
    let other = user.udpctl(["exec", &target, "--user", "nobody", "--", "id", "-un"]);
    assert_eq!(other.outcome().stdout, b"nobody\n");
    let bytes = vec![b'x'; 3 << 20];
    user.udpctl(["exec", "-i", &target, "--", "cat"])
        .stdin(bytes.clone())
        .stdout(bytes)
        .run();

    // The chat, an invitation, and a changed authorized_keys.
    let mut chat = user.command("udpctl");
    chat.args(["chat", &target, "--name", "ann"]);
    let mut chat = Child::start(chat);
    agent.child.stdout_line(|line| line.contains("ann"));
    agent.child.type_in("hello\n");
    chat.stdout_line(|line| line.ends_with(": hello"));
    let invitation = user
        .udpagent(["invite", "--host", &target])
        .outcome()
        .stdout;
    let invitation = String::from_utf8(invitation).unwrap();
    let guest = User::new();
    guest
        .udpctl(["accept", invitation.split('\'').nth(1).unwrap()])
        .outcome();
    guest
        .udpctl(["exec", &target, "--", "echo", "invited"])
        .stdout("invited\n")
        .run();
    user.authorize("allow=true");
    eventually("the changed line counts", || {
        let exec = ["exec", &target, "--", "echo", "x"];
        user.udpctl(exec).outcome().status == 255
    });
}

/// Runs on a thread, and thus starts programs, whose calls of `call` fail as on a kernel that lacks it.
fn without<T: Send>(call: libc::c_long, run: impl FnOnce() -> T + Send) -> T {
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};
    let filter: BpfProgram = SeccompFilter::new(
        [(call, Vec::new())].into_iter().collect(),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::ENOSYS.unsigned_abs()),
        std::env::consts::ARCH.try_into().unwrap(),
    )
    .unwrap()
    .try_into()
    .unwrap();
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            apply_filter(&filter).unwrap();
            run()
        });
        thread.join().unwrap()
    })
}

#[test]
fn a_required_sandbox_refuses_to_start_with_less_and_auto_takes_what_there_is() {
    if !is_complete() {
        return;
    }
    for (call, part) in [
        (libc::SYS_landlock_create_ruleset, "Landlock"),
        (libc::SYS_seccomp, "seccomp"),
    ] {
        let user = User::new();
        user.write_config("sandbox = 'required'");
        let words =
            format!("udpagent: sandbox = \"required\", but this system does not have {part}\n");
        without(call, || {
            user.udpagent(["--bind", "127.0.0.1:0"])
                .status(1)
                .stderr(words.clone())
                .run();
        });
        let check = without(call, || user.udpagent(["check"]).outcome());
        assert_eq!((check.status, check.stderr), (1, words));
        user.write_config("sandbox = 'auto'");
        let mut agent = without(call, || {
            Agent::start(&user, &["-v", "--bind", "127.0.0.1:0"])
        });
        let line = agent.child.stderr_line(|line| line.contains("sandbox: "));
        assert!(!line.contains(part), "{line}");
        let target = agent.target();
        user.udpctl(["exec", &target, "--", "echo", "served"])
            .stdout("served\n")
            .run();
    }
}
