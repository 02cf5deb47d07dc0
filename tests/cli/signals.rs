//! Signals to udpctl: forwarded, or an end of the run.

use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::ExitStatus;

use rustix::process::Signal;

use crate::harness::{Agent, Child, User};

fn exec(user: &User, target: &str, args: &[&str], script: &str) -> Child {
    let mut command = user.command("udpctl");
    command.args(["exec", target]).args(args);
    command.args(["--", "sh", "-c", script]);
    Child::start(command)
}

/// A script that prints a line and waits for a signal. Its `sleep` ends by itself, because a child that is
/// forked while the signal arrives may miss it.
fn waiting(trap: &str) -> String {
    format!("trap '{trap}' TERM USR1 HUP; echo up; while :; do sleep 0.05; done")
}

#[test]
fn a_forwarded_signal_reaches_the_command() {
    let user = User::new();
    let agent = user.agent();
    for (names, signal) in [
        ("TERM", Signal::TERM),
        ("hup,usr1", Signal::USR1),
        ("TERM,HUP", Signal::HUP),
    ] {
        let script = waiting("echo got; exit 3");
        let mut udpctl = exec(&user, &agent.target(), &["--forward", names], &script);
        udpctl.stdout_line(|line| line == "up");
        udpctl.signal(signal);
        udpctl.stdout_line(|line| line == "got");
        let (status, stderr) = udpctl.wait();
        // The shell may report its children's ends; udpctl does not.
        assert_eq!(status.code(), Some(3), "{names}: {stderr}");
        assert!(!stderr.contains("udpctl"), "{names}: {stderr}");
    }
}

#[test]
fn a_signal_before_the_command_runs_is_kept_until_it_does() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    // The agent is stopped, so that nothing is accepted.
    agent.stop();
    let mut udpctl = exec(&user, &target, &["--forward", "USR1"], "sleep 600");
    let caught = format!("/proc/{}/status", udpctl.pid().as_raw_pid());
    crate::harness::eventually("the signal is caught", || {
        let status = std::fs::read_to_string(&caught).unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        mask.unwrap() & (1 << (Signal::USR1.as_raw() - 1)) != 0
    });
    udpctl.signal(Signal::USR1);
    agent.resume();
    let (status, stderr) = udpctl.wait();
    assert_eq!(status.code(), Some(138), "{stderr}");
    assert!(stderr.contains("ended by signal 10 (USR1)"), "{stderr}");
}

#[test]
fn the_first_signal_cancels_and_sets_the_exit_status() {
    let user = User::new();
    let agent = user.agent();
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let mut udpctl = exec(&user, &agent.target(), &[], "echo up; exec sleep 600");
        udpctl.stdout_line(|line| line == "up");
        udpctl.signal(signal);
        let (ended, stderr) = udpctl.wait();
        assert_eq!(
            crate::harness::shell_status(ended),
            Some(status),
            "{stderr}"
        );
        assert!(stderr.contains("canceled"), "{stderr}");
    }
}

#[test]
fn the_second_signal_exits_at_once_and_names_the_request() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    // The command ignores the cancel.
    let script = "trap '' TERM; echo up; while :; do sleep 600; done";
    let mut udpctl = exec(&user, &target, &[], script);
    udpctl.stdout_line(|line| line == "up");
    udpctl.signal(Signal::INT);
    udpctl.stderr_line(|line| line.contains("press Ctrl-C again"));
    udpctl.signal(Signal::INT);
    let (ended, stderr) = udpctl.wait();
    assert_eq!(crate::harness::shell_status(ended), Some(130));
    let line = stderr.lines().last().unwrap();
    let prefix = format!("udpctl: {target}: left, and it may still run; request ");
    let id = line
        .strip_prefix(&prefix)
        .unwrap_or_else(|| panic!("{stderr}"));
    // The request stays in the journal.
    let mine = user.udpctl(["jobs", "--mine"]).outcome();
    assert!(String::from_utf8(mine.stdout).unwrap().contains(id));
}

#[test]
fn a_signal_that_was_ignored_at_the_start_stays_ignored() {
    let user = User::new();
    let agent = user.agent();
    let mut command = user.command("nohup");
    command.args([env!("CARGO_BIN_EXE_udpctl"), "exec", &agent.target()]);
    command.args(["-i", "--", "sh", "-c", "echo up; cat"]);
    let mut udpctl = Child::start(command);
    udpctl.stdout_line(|line| line == "up");
    udpctl.signal(Signal::HUP);
    udpctl.type_in("typed\n");
    udpctl.stdout_line(|line| line == "typed");
    let (status, stderr) = udpctl.wait();
    assert_eq!(status.code(), Some(0), "{stderr}");
}

#[test]
fn an_agent_under_nohup_survives_sighup() {
    let user = User::new();
    let mut command = user.command("nohup");
    command.arg(env!("CARGO_BIN_EXE_udpagent"));
    command.args(["--bind", "127.0.0.1:0"]);
    let mut agent = Agent::from(command);
    agent.child.signal(Signal::HUP);
    let script = "grep SigIgn /proc/$$/status";
    // A command does not inherit the ignored signal.
    user.udpctl(["exec", &agent.target(), "--shell", script])
        .stdout("SigIgn:\t0000000000000000\n")
        .run();
    agent.child.signal(Signal::TERM);
    let (status, stderr) = agent.child.wait();
    assert_eq!(status.code(), Some(0), "{stderr}");
}

/// Starts `udpctl exec` with a known agent that is stopped, and sends SIGINT once the request is on its way.
fn interrupted_without_an_answer(format: &[&str]) -> (ExitStatus, Vec<String>, String, String) {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    // With a ticket, the first datagram has the command.
    user.udpctl(["exec", &target, "--", "true"]).run();
    agent.stop();
    let limit = ["--contact-timeout", "1h"];
    let mut udpctl = exec(&user, &target, &[&limit, format].concat(), "exec sleep 600");
    catches_sigint(&udpctl);
    let mine = || user.udpctl(["jobs", "--mine", "--contact-timeout", "1ms"]);
    crate::harness::eventually("the request is recorded", || {
        String::from_utf8_lossy(&mine().outcome().stdout).contains("no answer")
    });
    udpctl.signal(Signal::INT);
    let (status, stderr) = udpctl.wait();
    let stdout = udpctl.stdout_seen().to_vec();
    agent.resume();
    (status, stdout, stderr, target)
}

fn catches_sigint(udpctl: &Child) {
    let status = format!("/proc/{}/status", udpctl.pid().as_raw_pid());
    crate::harness::eventually("SIGINT is caught", || {
        let status = std::fs::read_to_string(&status).unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        mask.unwrap() & (1 << (Signal::INT.as_raw() - 1)) != 0
    });
}

#[test]
fn ctrl_c_ends_udpctl_at_once_while_the_only_host_has_never_answered() {
    let (status, stdout, stderr, target) = interrupted_without_an_answer(&[]);
    assert_eq!(status.signal(), Some(Signal::INT.as_raw()), "{stderr}");
    assert!(stdout.is_empty());
    let (text, id) = stderr.rsplit_once(' ').unwrap();
    assert_eq!(
        text,
        format!(
            "udpctl: no agent has answered yet; the request was sent, and may still be accepted\n\
             udpctl: {target}: no answer (is udpagent running there, and does it know this controller's key?); request"
        )
    );
    assert_eq!(id.len(), 32);
    let (status, stdout, stderr, target) = interrupted_without_an_answer(&["--json"]);
    assert_eq!(status.signal(), Some(Signal::INT.as_raw()), "{stderr}");
    let object: serde_json::Value = serde_json::from_str(&stdout.concat()).unwrap();
    assert_eq!(object["host"], *target);
    assert_eq!(object["outcome"], serde_json::json!({"unreachable": {}}));
}

#[test]
fn ctrl_c_stops_the_loop_of_a_shell_around_udpctl() {
    let user = User::new();
    let agent = user.agent();
    let mut shell = user.command("/usr/bin/env");
    let line = format!(
        "for n in 1 2 3; do {} exec {} -- sh -c 'echo up; exec sleep 600'; done; echo not reached",
        env!("CARGO_BIN_EXE_udpctl"),
        agent.target()
    );
    shell.args(["--default-signal=INT", "bash", "-c", &line]);
    // The terminal sends the signal to the whole process group.
    shell.process_group(0);
    let mut shell = Child::start(shell);
    shell.stdout_line(|line| line == "up");
    rustix::process::kill_process_group(shell.pid(), Signal::INT).unwrap();
    let (status, stderr) = shell.wait();
    assert_eq!(status.signal(), Some(Signal::INT.as_raw()), "{stderr}");
    assert_eq!(shell.stdout_seen(), ["up"]);
}

#[test]
fn a_status_of_130_without_a_signal_is_a_plain_status() {
    let user = User::new();
    let agent = user.agent();
    let mut udpctl = exec(&user, &agent.target(), &[], "exit 130");
    let (status, stderr) = udpctl.wait();
    assert_eq!((status.code(), &stderr[..]), (Some(130), ""));
}
