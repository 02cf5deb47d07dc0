//! Signals to udpctl: forwarded, or an end of the run.

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
        assert_eq!(ended.code(), Some(status), "{stderr}");
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
    assert_eq!(ended.code(), Some(130));
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
