//! SIGINT before the commands of a run have begun: while programs name the hosts, while names are looked up, while hosts are
//! silent, and before an attachment has begun.
//!
//! Invariant: a stage is reached by an event that the test has seen, and no test waits for a time to pass.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;

use super::{Fleet, assert_end, fifo, first, second};
use crate::harness::{Child, DEADLINE, User, eventually};

/// Waits until a controller catches SIGINT.
fn catches(udpctl: &Child) {
    let status = format!("/proc/{}/status", udpctl.pid().as_raw_pid());
    eventually("SIGINT is caught", || {
        let status = fs::read_to_string(&status).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = u64::from_str_radix(caught.unwrap().trim(), 16).unwrap();
        // SIGTERM is caught next. Before, the handler of SIGINT may be there and do nothing yet.
        caught & (1 << (Signal::TERM.as_raw() - 1)) != 0
    });
}

/// True if datagrams have come to the agent that it has not taken.
fn has_untaken(fleet: &Fleet) -> bool {
    let port = format!(":{:04X} ", fleet.agent.addresses()[0].port());
    let sockets = fs::read_to_string("/proc/net/udp").unwrap();
    let mut fields = sockets.lines().filter_map(|line| {
        let queues = line.split_ascii_whitespace().nth(4)?;
        line.contains(&port).then_some(queues)
    });
    fields.any(|queues| !queues.ends_with(":00000000"))
}

/// Stops the agent after it has taken what earlier controllers have sent.
fn stop(fleet: &Fleet) {
    eventually("all is taken", || !has_untaken(fleet));
    fleet.agent.stop();
}

/// Waits until the stopped agent is sent something.
fn is_sent_something(fleet: &Fleet) {
    eventually("something is sent", || has_untaken(fleet));
}

#[test]
fn ctrl_c_ends_a_run_whose_hosts_are_silent() {
    // Without tickets nothing is sent before an agent answers.
    let fleet = Fleet::new();
    stop(&fleet);
    let mut udpctl = fleet.exec(&[], "exec sleep 600");
    catches(&udpctl);
    udpctl.signal(Signal::INT);
    let (status, stderr) = udpctl.wait();
    assert_eq!(crate::harness::shell_status(status), Some(130), "{stderr}");
    assert!(
        stderr
            .lines()
            .last()
            .unwrap()
            .ends_with(&format!(": {}", fleet.set)),
        "{stderr}"
    );
    fleet.agent.resume();
    fleet.is_tidy();
    // With tickets the first datagram has the command, which begins nevertheless.
    fleet.exec(&[], "true").wait();
    let pending = format!("pending: {}", fleet.set);
    stop(&fleet);
    let mut udpctl = fleet.exec(&[], "exec sleep 600");
    catches(&udpctl);
    is_sent_something(&fleet);
    assert!(first(&mut udpctl).ends_with(&pending));
    fleet.agent.resume();
    let names = [format!("stopped: {}", fleet.set)];
    assert_end(udpctl.wait(), "0 ok, 3 stopped of 3", &names);
    fleet.is_tidy();
    stop(&fleet);
    let mut udpctl = fleet.exec(&[], "exec sleep 600");
    catches(&udpctl);
    is_sent_something(&fleet);
    assert!(first(&mut udpctl).ends_with(&pending));
    let (status, stderr) = second(&mut udpctl);
    fleet.agent.resume();
    assert!(
        stderr.contains("udpctl: left, and may still run; "),
        "{stderr}"
    );
    let names = [format!("lost (left): {}", fleet.set)];
    assert_end((status, stderr), "0 ok, 3 lost (left) of 3", &names);
}

/// Starts a controller for which the names of hosts are in a pipe. Returns `None` where that cannot be arranged.
fn with_slow_names(user: &User, args: &[&str]) -> Option<Child> {
    let unshared = Command::new("unshare").args(["--mount", "true"]).status();
    let is_possible = unshared.is_ok_and(|status| status.success());
    if !is_possible || !Path::new("/proc/self/wchan").exists() {
        println!("skipped: no mount namespaces or wait channels here");
        return None;
    }
    let names = user.path("names");
    fifo(&names);
    let program = env!("CARGO_BIN_EXE_udpctl");
    let script = format!(
        "mount --bind names /etc/hosts && exec /usr/bin/env --default-signal=INT {program} \"$@\""
    );
    let mut command = user.command("unshare");
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command
        .args(["--mount", "sh", "-c", &script, "sh"])
        .args(args);
    Some(Child::start(command))
}

/// Waits until a controller looks for a name, which takes for ever: it opens a pipe that nobody writes.
fn looks_up(udpctl: &Child) {
    has_thread(udpctl, "wchan", "wait_for_partner");
}

/// Waits until a thread of a controller has this content in a file of /proc.
fn has_thread(udpctl: &Child, file: &str, content: &str) {
    let threads = format!("/proc/{}/task", udpctl.pid().as_raw_pid());
    eventually(content, || {
        let mut threads = fs::read_dir(&threads).unwrap().flatten();
        threads.any(|thread| {
            let read = fs::read_to_string(thread.path().join(file));
            read.is_ok_and(|read| read.trim_end() == content)
        })
    });
}

#[test]
fn ctrl_c_ends_a_run_while_names_are_looked_up() {
    let fleet = Fleet::new();
    let up = fleet.user.path("up0").display().to_string();
    let script = format!(": >{up}; exec sleep 600");
    let target = fleet.some("1");
    let args = [
        "exec",
        "--contact-timeout",
        "1h",
        &target,
        "slow.invalid:7000",
        "--shell",
        &script,
    ];
    let Some(mut udpctl) = with_slow_names(&fleet.user, &args) else {
        return;
    };
    looks_up(&udpctl);
    fleet.runs(0);
    let line = first(&mut udpctl);
    assert!(line.ends_with(&format!("pending: {target}")), "{line}");
    let classes = [
        format!("stopped: {target}"),
        "skipped: slow.invalid:7000".into(),
    ];
    assert_end(udpctl.wait(), "0 ok, 1 stopped, 1 skipped of 2", &classes);
    fleet.is_tidy();
}

#[test]
fn ctrl_c_ends_an_attachment_before_it_has_begun_and_the_commands_go_on() {
    let user = User::new();
    let agent = user.agent();
    let port = agent.addresses()[0].port();
    let (name, up) = (format!("localhost:{port}"), user.path("up"));
    let script = format!(": >{}; exec sleep 600", up.display());
    let mut command = user.command("udpctl");
    command.args(["exec", &name, "--shell", &script]);
    let mut udpctl = Child::start(command);
    eventually("the command runs", || up.exists());
    udpctl.kill();
    if let Some(mut attach) = with_slow_names(&user, &["attach", "--run", "last"]) {
        looks_up(&attach);
        attach.signal(Signal::INT);
        assert!(attach.ends_within(DEADLINE), "the name is still looked up");
        assert_eq!(attach.wait().0.signal(), Some(Signal::INT.as_raw()));
    }
    agent.stop();
    let mut command = user.command("udpctl");
    command.args(["attach", "--contact-timeout", "1h", &name]);
    let mut attach = Child::start(command);
    has_thread(&attach, "comm", "network");
    attach.signal(Signal::INT);
    assert!(attach.ends_within(DEADLINE), "the agent is still asked");
    assert_eq!(attach.wait().0.signal(), Some(Signal::INT.as_raw()));
    agent.resume();
    assert!(
        agent
            .jobs()
            .left()
            .iter()
            .any(|process| process.name == "sleep")
    );
}

#[test]
fn ctrl_c_ends_a_program_that_names_the_hosts_and_the_run() {
    let user = User::new();
    let directory = user.path("config/udpctl");
    fs::create_dir_all(&directory).unwrap();
    let program = "echo $$ >begun.new; mv begun.new begun; exec sleep 600";
    let groups = format!("[groups]\nslow = {{ exec = \"{program}\" }}\n");
    fs::write(directory.join("hosts.toml"), groups).unwrap();
    let inventory = user.path("inventory");
    fs::write(&inventory, format!("#!/bin/sh\n{program}\n")).unwrap();
    fs::set_permissions(&inventory, fs::Permissions::from_mode(0o700)).unwrap();
    let inventory = inventory.display().to_string();
    for hosts in [
        &["-g", "slow"][..],
        &["--inventory", &inventory, "-g", "web"],
    ] {
        let mut command = user.command("udpctl");
        command
            .arg("exec")
            .args(hosts)
            .args(["--", "true"])
            .process_group(0);
        let mut udpctl = Child::start(command);
        let begun = user.path("begun");
        eventually("the program runs", || begun.exists());
        let program = fs::read_to_string(&begun).unwrap();
        fs::remove_file(begun).unwrap();
        // As a terminal sends it.
        rustix::process::kill_process_group(udpctl.pid(), Signal::INT).unwrap();
        let (status, stderr) = udpctl.wait();
        assert_eq!(
            (status.signal(), &stderr[..]),
            (Some(Signal::INT.as_raw()), "")
        );
        let program = PathBuf::from(format!("/proc/{}", program.trim()));
        eventually("the program has ended", || !program.exists());
    }
}
