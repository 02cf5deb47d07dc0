//! `udpctl exec` on several hosts: labels, counts, names, and the exit status for all.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::Instant;

use crate::harness::{Agent, DEADLINE, User};

fn sorted(text: &[u8]) -> Vec<String> {
    let mut lines: Vec<String> = String::from_utf8_lossy(text)
        .lines()
        .map(str::to_owned)
        .collect();
    lines.sort();
    lines
}

#[test]
fn every_output_line_is_labelled_and_the_summary_counts_hosts() {
    let user = User::new();
    let agents = [
        user.agent(),
        user.agent(),
        Agent::start(&user, &["--bind", "[::1]:0"]),
    ];
    let targets: Vec<String> = agents.iter().map(Agent::target).collect();
    let mut args = vec!["exec"];
    args.extend(targets.iter().map(String::as_str));
    args.extend(["--", "sh", "-c", "printf 'one\\ntwo\\33[31m'; echo err >&2"]);
    let outcome = user.udpctl(args).outcome();
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    let mut wanted: Vec<String> = targets
        .iter()
        .flat_map(|target| {
            [
                format!("{target}: one"),
                format!("{target}: two\\u{{1b}}[31m"),
            ]
        })
        .collect();
    wanted.sort();
    assert_eq!(sorted(&outcome.stdout), wanted);
    let stderr: Vec<&str> = outcome.stderr.lines().collect();
    assert_eq!(stderr.len(), 4);
    assert!(stderr[3].starts_with("3 ok of 3 in "), "{}", stderr[3]);
}

#[test]
fn a_silent_host_is_named_and_never_success() {
    let user = User::new();
    let agent = user.agent();
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap().to_string();
    user.udpctl(["trust", &silent, agent.key()])
        .stdout(format!("{silent} is trusted now\n"))
        .run();
    let target = agent.target();
    user.udpctl([
        "exec",
        &target,
        &silent,
        "--contact-timeout",
        "300ms",
        "--",
        "echo",
        "hi",
    ])
    .stdout(format!("{target}: hi\n"))
    .stderr(format!(
        "udpctl: {silent}: no answer\n\
         1 ok, 1 unreachable of 2 in TIME\nunreachable: {silent}\n"
    ))
    .status(4)
    .run();
}

#[test]
fn a_host_without_a_key_or_address_does_not_affect_the_others() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    let outcome = user
        .udpctl([
            "exec",
            &target,
            "192.0.2.1",
            "nowhere.invalid",
            "--",
            "echo",
            "hi",
        ])
        .outcome();
    assert_eq!(outcome.status, 4);
    assert_eq!(
        String::from_utf8_lossy(&outcome.stdout),
        format!("{target}: hi\n")
    );
    assert!(
        outcome.stderr.contains(
            "udpctl: 192.0.2.1: no key known for this agent; run \"udpagent invite\" there and paste \
             its line here\n"
        ),
        "{}",
        outcome.stderr
    );
    let lines: Vec<&str> = outcome.stderr.lines().collect();
    let [.., counts, names] = lines[..] else {
        panic!("{lines:?}");
    };
    assert!(
        counts.starts_with("1 ok, 2 unreachable of 3 in "),
        "{counts}"
    );
    assert_eq!(names, "unreachable: 192.0.2.1,nowhere.invalid");
}

#[test]
fn different_outcomes_give_the_gravest_exit_status() {
    let user = User::new();
    let agents = [user.agent(), user.agent()];
    let targets: Vec<String> = agents.iter().map(Agent::target).collect();
    let outcome = user
        .udpctl(["exec", &targets[0], &targets[1], "--", "false"])
        .outcome();
    assert_eq!(outcome.status, 5);
    assert!(
        outcome
            .stderr
            .contains(&format!("udpctl: {}: exited with status 1\n", targets[1])),
        "{}",
        outcome.stderr
    );
    let outcome = user
        .udpctl([
            "exec",
            &targets[0],
            &targets[1],
            "--timeout",
            "100ms",
            "--",
            "sleep",
            "600",
        ])
        .outcome();
    assert_eq!(outcome.status, 3, "{}", outcome.stderr);
}

#[test]
fn ping_reports_each_host() {
    let user = User::new();
    let agent = Agent::start(&user, &["--bind", "127.0.0.1:0", "--name", "web"]);
    let target = agent.target();
    let outcome = user.udpctl(["ping", &target]).outcome();
    let stdout = String::from_utf8_lossy(&outcome.stdout).into_owned();
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    let version = env!("CARGO_PKG_VERSION");
    assert!(
        stdout.starts_with(&format!("{target}: web (udpagent {version}) in ")),
        "{stdout}"
    );
    assert!(stdout.ends_with(" ms\n"), "{stdout}");
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap().to_string();
    user.udpctl(["trust", &silent, agent.key()])
        .stdout(format!("{silent} is trusted now\n"))
        .run();
    user.udpctl(["ping", &silent, "--contact-timeout", "300ms"])
        .stderr(format!("udpctl: {silent}: no answer (is udpagent running there, and does it know this controller's key?)\n"))
        .status(1)
        .run();
}

#[test]
fn a_host_that_stops_reading_does_not_block_the_stdin_of_the_others() {
    let user = User::new();
    let agents = [user.agent(), user.agent()];
    let targets = [agents[0].target(), agents[1].target()];
    // Opening a named pipe waits for the other end.
    let go = user.path("go");
    rustix::fs::mkfifoat(rustix::fs::CWD, &go, rustix::fs::Mode::RWXU).unwrap();
    // The first host does not read, and stays until the other one has read everything.
    let script = "if mkdir first 2>/dev/null; then exec <&-; cat go; else wc -c; : >go; fi";
    let home = user.home();
    let outcome = user
        .udpctl([
            "exec",
            &targets[0],
            &targets[1],
            "-i",
            "--cwd",
            &home,
            "--shell",
            script,
        ])
        .stdin(vec![b'x'; 8 << 20])
        .outcome();
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    let counted = String::from_utf8(outcome.stdout).unwrap();
    let wanted = targets.map(|target| format!("{target}: 8388608\n"));
    assert!(wanted.contains(&counted), "{counted}");
}

#[test]
fn hosts_that_write_without_end_take_turns() {
    /// Lines beyond what the window of a stream and the queue of an output hold.
    const LINES: u64 = 600_000;
    let user = User::new();
    user.authorize("");
    let agent = Agent::start(&user, &["--bind", "0.0.0.0:0"]);
    agent.is_trusted_by(&user, 3);
    // Which host is first is left to chance.
    for _ in 0..4 {
        let mut command = user.command("udpctl");
        command
            .arg("exec")
            .args(agent.targets(3))
            .args(["--", "yes"]);
        command.stdin(Stdio::null()).stderr(Stdio::null());
        let mut udpctl = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(udpctl.stdout.take().unwrap());
        let mut shown: BTreeMap<String, u64> = BTreeMap::new();
        let deadline = Instant::now() + DEADLINE;
        while shown.len() < 3 || shown.values().any(|&lines| lines < LINES) {
            let mut line = String::new();
            stdout.read_line(&mut line).unwrap();
            *shown.entry(line).or_default() += 1;
            if Instant::now() > deadline {
                break;
            }
        }
        udpctl.kill().unwrap();
        udpctl.wait().unwrap();
        let have_turns = shown.len() == 3 && shown.values().all(|&lines| lines >= LINES);
        assert!(have_turns, "{shown:?}");
    }
}
