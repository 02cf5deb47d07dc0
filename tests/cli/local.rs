//! `--local`: an agent of the command alone, without setup.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

use super::harness::{Child, Test, User, eventually};

#[test]
fn a_local_command_runs_through_a_real_socket_and_leaves_nothing() {
    let user = User::new();
    user.udpctl([
        "exec",
        "--local",
        "--",
        "sh",
        "-c",
        "echo out; echo err >&2; exit 3",
    ])
    .stdout("out\n")
    .stderr("err\n")
    .status(3)
    .run();
    assert!(!user.path("config").exists(), "throw-away keys");
    assert!(!user.path("state").exists(), "nothing is remembered");
}

#[test]
fn local_ping_and_local_stdin_work() {
    let user = User::new();
    let outcome = user.udpctl(["ping", "--local"]).outcome();
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    assert!(outcome.stdout.starts_with(b"local: "));
    user.udpctl(["exec", "--local", "-i", "--", "tr", "a-z", "A-Z"])
        .stdin("loud")
        .stdout("LOUD")
        .run();
}

/// Installs udpctl to `bin` of the user's home, where another udpagent may be beside it.
fn install(user: &User) {
    fs::create_dir(user.path("bin")).unwrap();
    let (program, copy) = (env!("CARGO_BIN_EXE_udpctl"), user.path("bin/udpctl"));
    if fs::hard_link(program, &copy).is_err() {
        fs::copy(program, &copy).unwrap();
    }
}

/// Writes a script to `path` of the user's home.
fn write_program(user: &User, path: &str, script: &str) {
    user.write(path, script);
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(user.path(path), mode).unwrap();
}

/// A run of the installed udpctl with `more` before the other directories in PATH.
fn installed(user: &User, more: &Path, args: &[&str]) -> Test {
    let mut command: Command = user.command(user.path("bin/udpctl").to_str().unwrap());
    let path = format!("{}:/usr/bin:/bin", more.display());
    command.env("PATH", path).args(args);
    Test::new(command)
}

#[test]
fn a_local_command_without_udpagent_says_what_to_install() {
    let user = User::new();
    install(&user);
    let missing = "udpctl: --local needs udpagent, which is neither beside udpctl nor in PATH; install both programs\n";
    for (args, status) in [
        (&["exec", "--local", "--", "true"][..], 255),
        (&["ping", "--local"], 1),
    ] {
        installed(&user, &user.path("none"), args)
            .stderr(missing)
            .status(status)
            .run();
    }
    let programs = Path::new(env!("CARGO_BIN_EXE_udpagent")).parent().unwrap();
    installed(&user, programs, &["exec", "--local", "--", "echo", "it"])
        .stdout("it\n")
        .run();
}

#[test]
fn a_local_command_refuses_the_udpagent_of_another_release() {
    let user = User::new();
    install(&user);
    let program = user.path("bin/udpagent");
    let programs = Path::new(env!("CARGO_BIN_EXE_udpagent")).parent().unwrap();
    let version = env!("CARGO_PKG_VERSION");
    for (script, answer) in [
        ("echo udpagent 0.0.9", "udpagent 0.0.9"),
        ("printf 'udpagent\\033[2J'", "udpagent\\u{1b}[2J"),
        ("exit 1", ""),
    ] {
        write_program(&user, "bin/udpagent", &format!("#!/bin/sh\n{script}\n"));
        // The one beside udpctl is preferred.
        installed(&user, programs, &["exec", "--local", "--", "true"])
            .stderr(format!(
                "udpctl: {}: not the udpagent of this udpctl {version}, as it answers \"{answer}\"; install both programs \
                 from one release\n",
                program.display()
            ))
            .status(255)
            .run();
    }
    let failed =
        format!("#!/bin/sh\necho 'udpagent {version}, agent of --local'\necho failed: no socket\n");
    write_program(&user, "bin/udpagent", &failed);
    installed(&user, programs, &["ping", "--local"])
        .stderr(format!(
            "udpctl: {}: the agent of --local: no socket\n",
            program.display()
        ))
        .status(1)
        .run();
}

#[test]
fn a_udpagent_that_is_not_started_by_udpctl_for_a_local_command_prints_its_version() {
    let user = User::new();
    let version = format!("udpagent {}\n", env!("CARGO_PKG_VERSION"));
    user.udpagent(["--version", "ua1:key"])
        .stdout(version)
        .run();
}

/// Starts a local command that waits; returns it, its process and the agent.
fn waiting(user: &User) -> (Child, Pid, Pid) {
    let mut command = user.command("udpctl");
    let script = "echo $$ $PPID; exec sleep 600";
    command.args(["exec", "--local", "--", "sh", "-c", script]);
    let mut child = Child::start(command);
    let line = child.stdout_line(|line| line.contains(' '));
    let mut pids = line
        .split_whitespace()
        .map(|pid| Pid::from_raw(pid.parse().unwrap()).unwrap());
    let (process, agent) = (pids.next().unwrap(), pids.next().unwrap());
    (child, process, agent)
}

fn exists(process: Pid) -> bool {
    Path::new(&format!("/proc/{}/exe", process.as_raw_nonzero())).exists()
}

#[test]
fn a_local_command_ends_with_a_udpctl_that_is_killed() {
    let user = User::new();
    let (mut udpctl, process, agent) = waiting(&user);
    udpctl.kill();
    eventually("the command and its agent end", || {
        !exists(process) && !exists(agent)
    });
}

#[test]
fn the_death_of_the_agent_of_a_local_command_ends_udpctl() {
    let user = User::new();
    let (mut udpctl, process, agent) = waiting(&user);
    kill_process(agent, Signal::KILL).unwrap();
    let (status, stderr) = udpctl.wait();
    // Nobody is there to end it.
    let _ = kill_process(process, Signal::KILL);
    assert_eq!(status.code(), Some(255), "{stderr}");
    let ended = "udpctl: the agent of --local ended: signal: 9 (SIGKILL); what it ran may go on";
    assert_eq!(stderr, ended);
}

#[test]
fn a_local_command_whose_agent_is_stopped_ends_all_the_same() {
    let user = User::new();
    let (mut udpctl, process, agent) = waiting(&user);
    kill_process(agent, Signal::STOP).unwrap();
    // The second one does not wait for the agent's answer.
    udpctl.signal(Signal::INT);
    udpctl.signal(Signal::TERM);
    let (status, stderr) = udpctl.wait();
    assert!(!status.success(), "{stderr}");
    eventually("the agent ends", || !exists(agent));
    // It was left behind, and is ended by hand.
    let _ = kill_process(process, Signal::KILL);
}
