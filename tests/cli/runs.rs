//! `udpctl exec` on many hosts: rules that stop a run, hosts that are repeated, and runs that are continued.

use std::fs;

use crate::harness::{Agent, Test, User, eventually, port_to_keep};

/// Agent at `count` targets, the user who may use it, and the set of the targets in one word.
pub fn fleet(count: usize) -> (User, Agent, String, Vec<String>) {
    let user = User::new();
    let agent = Agent::start(&user, &["--bind", "0.0.0.0:0"]);
    agent.is_trusted_by(&user, count);
    let targets = agent.targets(count);
    let port = agent.addresses()[0].port();
    let set = format!("127.0.0.[1-{count}]:{port}");
    (user, agent, set, targets)
}

pub fn exec(user: &User, args: &[&str]) -> Test {
    user.udpctl([&["exec"], args].concat())
}

#[test]
fn a_canary_that_fails_keeps_the_other_hosts_from_beginning_and_they_can_be_rerun() {
    let (user, agent, set, targets) = fleet(4);
    let port = agent.addresses()[0].port();
    let rest = format!("127.0.0.[2-4]:{port}");
    exec(&user, &["--canary", "1", &set, "--", "false"])
        .stderr(format!(
            "udpctl: {0}: exited with status 1\n\
             udpctl: stopping: the canary failed; 3 hosts not begun\n\
             0 ok, 1 failed, 3 skipped of 4 in TIME\nfailed: {0}\nskipped: {rest}\n",
            targets[0]
        ))
        .status(6)
        .run();
    exec(
        &user,
        &["--rerun", "failed,skipped", "-b", "--", "echo", "again"],
    )
    .stdout(format!(
        "---------------\n{set} (4)\n---------------\nagain\n"
    ))
    .stderr("4 ok of 4 in TIME\n")
    .run();
    exec(&user, &["--rerun", "failed", "--", "true"])
        .stderr("udpctl: the set of targets is empty\n")
        .status(2)
        .run();
}

#[test]
fn too_many_errors_stop_a_run_and_a_limit_takes_the_first_hosts() {
    let (user, agent, set, targets) = fleet(4);
    let port = agent.addresses()[0].port();
    exec(
        &user,
        &["-f", "1", "--max-errors", "50%", &set, "--", "false"],
    )
    .stderr(format!(
        "udpctl: {}: exited with status 1\n\
             udpctl: {}: exited with status 1\n\
             udpctl: stopping: 2 hosts were not ok; 2 hosts not begun\n\
             0 ok, 2 failed, 2 skipped of 4 in TIME\n\
             failed: 127.0.0.[1-2]:{port}\nskipped: 127.0.0.[3-4]:{port}\n",
        targets[0], targets[1]
    ))
    .status(6)
    .run();
    exec(&user, &["--limit", "25%", &set, "--", "true"])
        .stderr(format!(
            "1 ok, 3 skipped of 4 in TIME\nskipped: 127.0.0.[2-4]:{port}\n"
        ))
        .run();
    exec(
        &user,
        &["-S", "--subst", &set, "--", "sh", "-c", "exit 1%n"],
    )
    .status(13)
    .outcome();
}

#[test]
fn the_first_failure_cancels_the_commands_on_the_other_hosts() {
    let (user, agent, set, targets) = fleet(3);
    let port = agent.addresses()[0].port();
    let go = user.path("go").display().to_string();
    // The first host fails when the other two are running.
    let script = format!(
        "if test %n = 0; then until test -e {go}1 -a -e {go}2; do :; done; exit 9; fi; : >{go}%n; exec sleep 600"
    );
    let outcome = exec(
        &user,
        &["--fail-fast", "--subst", &set, "--", "sh", "-c", &script],
    )
    .outcome();
    assert_eq!(outcome.status, 6, "{}", outcome.stderr);
    let stopping = format!(
        "udpctl: {}: exited with status 9\n\
         udpctl: stopping: a host was not ok, and the others are canceled\n",
        targets[0]
    );
    assert!(outcome.stderr.starts_with(&stopping), "{}", outcome.stderr);
    assert!(
        outcome
            .stderr
            .ends_with(&format!("stopped: 127.0.0.[2-3]:{port}\n")),
        "{}",
        outcome.stderr
    );
}

#[test]
fn batches_run_one_after_another() {
    let (user, _agent, set, _) = fleet(5);
    let log = user.path("log").display().to_string();
    let script = format!("echo begin %n >>{log}; echo end %n >>{log}");
    exec(
        &user,
        &[
            "--batch",
            "40%",
            "--batch-sleep",
            "1ms",
            "--subst",
            &set,
            "--",
            "sh",
            "-c",
            &script,
        ],
    )
    .stderr("5 ok of 5 in TIME\n")
    .run();
    let log = fs::read_to_string(log).unwrap();
    let batches: Vec<usize> = log
        .lines()
        .map(|line| {
            line.split(' ')
                .next_back()
                .unwrap()
                .parse::<usize>()
                .unwrap()
                / 2
        })
        .collect();
    assert!(batches.is_sorted(), "{log}");
}

#[test]
fn a_host_that_answers_late_is_reached_by_a_retry_and_the_command_runs_once() {
    let user = User::new();
    let port = port_to_keep();
    let bind = format!("127.0.0.1:{port}");
    let mut agent = Agent::on_a_port_to_keep(&user, &["--bind", &bind]);
    let target = agent.target();
    let log = user.path("log").display().to_string();
    // With a ticket the request is in the first datagram, which nobody takes.
    exec(&user, &[&target, "--", "true"]).run();
    agent.stop();
    let script = format!("echo ran >>{log}");
    let mut udpctl = user.command("udpctl");
    udpctl.args([
        "exec",
        &target,
        "--retries",
        "100",
        "--contact-timeout",
        "300ms",
        "-v",
    ]);
    udpctl.args(["--", "sh", "-c", &script]);
    let mut udpctl = crate::harness::Child::start(udpctl);
    udpctl.stderr_line(|line| line.contains("no answer; trying again"));
    agent.resume();
    let (status, stderr) = udpctl.wait();
    assert_eq!(status.code(), Some(0), "{stderr}");
    assert_eq!(fs::read_to_string(log).unwrap(), "ran\n");
    agent.kill();
}

#[test]
fn the_hosts_that_an_interrupted_run_left_are_named_together() {
    let (user, agent, set, _) = fleet(3);
    let log = user.path("log").display().to_string();
    let script = format!("echo %n >>{log}; trap '' TERM; sleep 600 & wait; wait");
    let mut udpctl = user.command("udpctl");
    udpctl.args(["exec", "--subst", &set, "--", "sh", "-c", &script]);
    let mut udpctl = crate::harness::Child::start(udpctl);
    eventually("all hosts run", || {
        fs::read_to_string(&log).is_ok_and(|text| text.lines().count() == 3)
    });
    agent.stop();
    udpctl.signal(rustix::process::Signal::INT);
    udpctl.stderr_line(|line| line.contains(&format!("pending: {set}")));
    udpctl.signal(rustix::process::Signal::INT);
    let (status, stderr) = udpctl.wait();
    agent.resume();
    assert_eq!(crate::harness::shell_status(status), Some(130));
    assert!(
        stderr.contains(&format!(
            "udpctl: left, and may still run; \"udpctl attach --run last\" comes back to them: {set}\n"
        )),
        "{stderr}"
    );
    assert!(
        stderr.trim_end().ends_with(&format!("lost (left): {set}")),
        "{stderr}"
    );
}

#[test]
fn the_hosts_of_the_last_run_are_groups() {
    let (user, agent, set, targets) = fleet(3);
    let port = agent.addresses()[0].port();
    user.udpctl(["targets", "@last:failed"])
        .stderr("udpctl: @last:failed: the inventory has no such group\n")
        .status(2)
        .run();
    exec(&user, &["--subst", &set, "--", "sh", "-c", "test %n = 1"]).outcome();
    user.udpctl(["targets", "--fold", "@last:failed"])
        .stdout(format!("127.0.0.[1,3]:{port}\n"))
        .run();
    user.udpctl(["targets", "@last:ok"])
        .stdout(format!("{}\n", targets[1]))
        .run();
}

#[test]
fn what_a_killed_run_has_not_written_is_collected_from_all_its_hosts() {
    let (user, agent, set, targets) = fleet(3);
    let go = user.path("go");
    let script = format!(
        "echo first; until test -e {}; do sleep 0.01; done; echo second %n; exit %n",
        go.display()
    );
    let mut udpctl = user.command("udpctl");
    udpctl.args(["exec", "--subst", &set, "--", "sh", "-c", &script]);
    let mut udpctl = crate::harness::Child::start(udpctl);
    for _ in &targets {
        udpctl.stdout_line(|line| line.ends_with(": first"));
    }
    eventually("the lines are recorded as written", || {
        let files = fs::read_dir(user.path("state/udpctl/requests")).unwrap();
        let mut files = files.map(|file| file.unwrap().path());
        let slots = files.find(|path| path.extension().is_some_and(|end| end == "slots"));
        slots.is_some_and(|path| {
            let bytes = fs::read(path).unwrap();
            let number =
                |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
            (0..3).all(|slot| number(64 * slot + 8) == Some(6))
        })
    });
    udpctl.kill();
    // A later run that has ended by itself without an answer has nothing to collect.
    let silent = format!("127.0.0.9:{}", crate::harness::port_to_keep());
    let trusted = user.udpctl(["trust", &silent, agent.key()]).outcome();
    assert_eq!(trusted.status, 0);
    // With a ticket, the first datagram has the request.
    user.udpctl(["exec", &targets[0], "--", "true"]).run();
    let line = ["exec", "--contact-timeout", "10ms", &silent, "--", "true"];
    assert_eq!(user.udpctl(line).outcome().status, 255);
    // A failure of this machine is not the status of a host.
    let identity = user.path("config/udpctl/identity");
    let key = fs::read(&identity).unwrap();
    fs::write(&identity, "no key\n").unwrap();
    let failed = user.udpctl(["attach", "--run", "last"]).outcome();
    assert_eq!(failed.status, 1, "{}", failed.stderr);
    fs::write(&identity, key).unwrap();
    let attached = std::thread::spawn({
        let user = user.command("udpctl");
        move || {
            let mut attach = user;
            attach.args(["attach", "--run", "last"]);
            attach.output().unwrap()
        }
    });
    fs::write(&go, "").unwrap();
    let output = attached.join().unwrap();
    let mut lines: Vec<&str> = std::str::from_utf8(&output.stdout)
        .unwrap()
        .lines()
        .collect();
    lines.sort_unstable();
    let wanted: Vec<String> = (0..3)
        .map(|rank| format!("{}: second {rank}", targets[rank]))
        .collect();
    assert_eq!(lines, wanted, "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(5));
    user.udpctl(["attach", "--run", "last"])
        .stderr("udpctl: nothing to collect: the runs that have ended have all results that there are; \"udpctl jobs --mine\" lists \
             requests in progress and those without an answer\n")
        .status(255)
        .run();
}

#[test]
fn a_host_whose_name_is_looked_up_gets_the_whole_input() {
    let user = User::new();
    let agent = Agent::start(&user, &["--bind", "127.0.0.1:0"]);
    let port = agent.addresses()[0].port();
    let (address, name) = (format!("127.0.0.1:{port}"), format!("localhost:{port}"));
    let input = "line\n".repeat(10_000);
    let outcome = exec(&user, &["-i", &address, &name, "--", "wc", "-c"])
        .stdin(input)
        .outcome();
    let mut lines: Vec<&str> = std::str::from_utf8(&outcome.stdout)
        .unwrap()
        .lines()
        .collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [format!("{address}: 50000"), format!("{name}: 50000")]
    );
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
}

#[test]
fn a_silent_host_is_no_skipped_one_when_errors_stop_the_run() {
    let (user, _agent, set, targets) = fleet(1);
    assert_eq!(set.matches('[').count(), 1);
    let silent = std::net::UdpSocket::bind("127.0.9.9:0").unwrap();
    let silent = silent.local_addr().unwrap().to_string();
    exec(
        &user,
        &[
            "--max-errors",
            "1",
            "--retries",
            "2",
            "--contact-timeout",
            "300ms",
            &targets[0],
            &silent,
            "--",
            "false",
        ],
    )
    .stderr(format!(
        "udpctl: {0}: exited with status 1\n\
         udpctl: {silent}: no answer\n\
         0 ok, 1 failed, 1 unreachable of 2 in TIME\nfailed: {0}\nunreachable: {silent}\n",
        targets[0]
    ))
    .status(4)
    .run();
}

#[test]
fn more_hosts_are_in_progress_where_commands_run_for_long() {
    let hosts = 300;
    let (user, _agent, _, targets) = fleet(hosts);
    let (count, fifo) = (user.path("count"), user.path("fifo"));
    fs::write(&count, "").unwrap();
    let mode = rustix::fs::Mode::from(0o600);
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, kind, mode, 0).unwrap();
    // Each waits until somebody opens the other end, and all of them have to run for that.
    let script = format!("echo x >>{}; : <{}", count.display(), fifo.display());
    let set = targets.join(",");
    let (user, set, script) = (&user, &set, &script);
    std::thread::scope(|scope| {
        let run = scope.spawn(move || exec(user, &[set, "--shell", script]).outcome());
        eventually("all of them run", || {
            fs::read_to_string(&count).unwrap().lines().count() == hosts
        });
        fs::OpenOptions::new().write(true).open(&fifo).unwrap();
        let outcome = run.join().unwrap();
        assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    });
}
