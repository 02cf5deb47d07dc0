//! `udpctl jobs`, `kill`, `wait`, `ping` and `send` on sets of hosts: a line for each host that fails, a summary, the
//! gravest exit status, and the end by a signal.

use std::time::Duration;

use rustix::process::Signal;

use crate::harness::{Agent, Child, Test, User, eventually};

const ID: &str = "0123456789abcdef0123456789abcdef";

/// A user with two agents.
struct Pair {
    user: User,
    targets: [String; 2],
    _agents: [Agent; 2],
}

impl Pair {
    fn new() -> Self {
        let user = User::new();
        let agents = [user.agent(), user.agent()];
        let mut targets = [agents[0].target(), agents[1].target()];
        // Against the order of their numbers, so that a summary shows that it keeps the order of the targets.
        targets.sort_by_key(|target| {
            let (_, port) = target.rsplit_once(':').unwrap();
            std::cmp::Reverse(port.parse::<u16>().unwrap())
        });
        Self {
            targets,
            _agents: agents,
            user,
        }
    }

    /// Starts a command under [`ID`] that goes on without its controller.
    fn start(&self, target: &str, script: &str) {
        self.user
            .udpctl(["exec", target, "--detach", "--id", ID, "--shell", script])
            .stdout(format!("{ID}\n"))
            .run();
    }

    /// Both targets, as a set, and as a summary writes it.
    fn set(&self) -> String {
        self.targets.join(",")
    }

    /// Runs `udpctl` and compares the status, that nothing is on stdout, and stderr: `lines` of hosts, which come as these
    /// answer, and the summary.
    #[track_caller]
    fn assert(&self, args: &[&str], status: i32, lines: &[String], summary: &[&str]) {
        let outcome = self.user.udpctl(args).outcome();
        assert_eq!(outcome.status, status, "{}", outcome.stderr);
        assert_eq!(String::from_utf8_lossy(&outcome.stdout), "");
        let mut got: Vec<&str> = outcome.stderr.lines().collect();
        assert_eq!(got.len(), lines.len() + summary.len(), "{}", outcome.stderr);
        let rest = got.split_off(lines.len());
        got.sort_unstable();
        let mut lines = lines.to_vec();
        lines.sort_unstable();
        assert_eq!(got, lines);
        let (counts, seconds) = rest[0].rsplit_once(" in ").unwrap();
        assert!(seconds.ends_with('s'), "{seconds}");
        assert_eq!((counts, &rest[1..]), (summary[0], &summary[1..]));
    }
}

/// Waits until a controller catches SIGINT, and sends it.
fn interrupt(udpctl: &Child) {
    let status = format!("/proc/{}/status", udpctl.pid().as_raw_nonzero());
    eventually("SIGINT is caught", || {
        let status = std::fs::read_to_string(&status).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = u64::from_str_radix(caught.unwrap().trim(), 16).unwrap();
        caught & (1 << (Signal::INT.as_raw() - 1)) != 0
    });
    udpctl.signal(Signal::INT);
}

#[test]
fn a_signal_reaches_the_job_of_every_host_and_wait_reports_each() {
    let pair = Pair::new();
    let [first, second] = &pair.targets;
    for target in &pair.targets {
        pair.start(target, "exec sleep 600");
    }
    pair.assert(&["kill", &pair.set(), &ID[..6]], 0, &[], &["2 ok of 2"]);
    let ended = |target| format!("udpctl: {target}: ended by signal 15 (TERM); request {ID}");
    pair.assert(
        &["wait", "-w", first, "-w", second, "--job", ID],
        3,
        &[ended(first), ended(second)],
        &["0 ok, 2 stopped of 2", &format!("stopped: {}", pair.set())],
    );
    let ended = |target| {
        format!(
            "udpctl: {target}: the command has ended already: ended by signal 15 (TERM); request {ID}"
        )
    };
    pair.assert(
        &["kill", &pair.set()],
        5,
        &[ended(first), ended(second)],
        &["0 ok, 2 failed of 2", &format!("failed: {}", pair.set())],
    );
}

#[test]
fn the_examples_of_the_manual_kill_the_jobs_of_a_group() {
    let pair = Pair::new();
    let groups = format!("[groups]\nweb = \"{}\"\n", pair.set());
    pair.user.write("config/udpctl/hosts.toml", &groups);
    let page = include_str!("../../man/udpctl.1").replace("\\-", "-");
    let blocks = page
        .split(".nf\n")
        .filter_map(|rest| Some(rest.split_once(".fi\n")?.0));
    let blocks: Vec<&str> = blocks
        .filter(|block| block.contains("udpctl kill -g") && block.contains("udpctl wait -g"))
        .collect();
    assert_eq!(blocks.len(), 2);
    let programs = std::path::Path::new(env!("CARGO_BIN_EXE_udpctl")).parent();
    // In the second one, the job of the first is listed, too.
    for block in blocks {
        let mut command = pair.user.command("sh");
        let path = format!("{}:/usr/bin:/bin", programs.unwrap().display());
        command.args(["-c", block]).env("PATH", path);
        let outcome = Test::new(command).outcome();
        assert_eq!(outcome.status, 3, "{block}{}", outcome.stderr);
        for line in ["2 ok of 2 in ", "0 ok, 2 stopped of 2 in "] {
            let is_summary = |shown: &str| shown.starts_with(line);
            assert!(
                outcome.stderr.lines().any(is_summary),
                "{block}{}",
                outcome.stderr
            );
        }
    }
}

#[test]
fn a_host_without_the_job_is_counted_as_failed_and_the_others_go_on() {
    let pair = Pair::new();
    let [first, second] = &pair.targets;
    pair.start(first, "exec sleep 600");
    let no_job = format!("udpctl: {second}: no such job; \"udpctl jobs {second}\" lists the jobs");
    let unknown = "udpctl: 192.0.2.1: no key known for this agent; run \"udpagent invite\" there and paste its line here";
    pair.assert(
        &["kill", &format!("192.0.2.1,{}", pair.set())],
        4,
        &[unknown.to_owned(), no_job.clone()],
        &[
            "1 ok, 1 failed, 1 unreachable of 3",
            &format!("failed: {second}"),
            "unreachable: 192.0.2.1",
        ],
    );
    let ended = format!("udpctl: {first}: ended by signal 15 (TERM); request {ID}");
    pair.assert(
        &["wait", &pair.set()],
        3,
        &[ended, no_job],
        &[
            "0 ok, 1 failed, 1 stopped of 2",
            &format!("failed: {second}"),
            &format!("stopped: {first}"),
        ],
    );
}

#[test]
fn wait_prints_nothing_about_a_command_that_returned_0() {
    let pair = Pair::new();
    let [first, second] = &pair.targets;
    pair.start(first, "exit 0");
    pair.start(second, "exit 3");
    pair.assert(
        &["wait", &pair.set()],
        5,
        &[format!(
            "udpctl: {second}: exited with status 3; request {ID}"
        )],
        &["1 ok, 1 failed of 2", &format!("failed: {second}")],
    );
}

#[test]
fn jobs_of_several_hosts_are_in_the_order_of_the_targets() {
    let pair = Pair::new();
    let [first, second] = &pair.targets;
    for target in &pair.targets {
        pair.start(target, "exec sleep 600");
    }
    let outcome = pair
        .user
        .udpctl(["jobs", "-w", second, "-w", first, "-w", "192.0.2.1"])
        .outcome();
    assert_eq!(outcome.status, 4, "{}", outcome.stderr);
    let table = String::from_utf8(outcome.stdout).unwrap();
    let hosts: Vec<&str> = table
        .lines()
        .filter_map(|row| row.split_whitespace().next())
        .collect();
    assert_eq!(hosts, ["HOST", second, first]);
    let lines: Vec<&str> = outcome.stderr.lines().collect();
    assert!(
        lines[1].starts_with("2 ok, 1 unreachable of 3 in "),
        "{lines:?}"
    );
    assert_eq!(lines[2..], ["unreachable: 192.0.2.1"]);
}

#[test]
fn ctrl_c_ends_a_wait_for_several_hosts_and_their_jobs_go_on() {
    let pair = Pair::new();
    for target in &pair.targets {
        pair.start(target, "exec sleep 600");
    }
    let mut command = pair.user.command("udpctl");
    command.args(["wait", &pair.set(), ID]);
    let mut wait = Child::start(command);
    interrupt(&wait);
    let (status, stderr) = wait.wait();
    assert_eq!(crate::harness::shell_status(status), Some(130), "{stderr}");
    let (counts, names) = stderr.split_once('\n').unwrap();
    assert!(
        counts.starts_with("0 ok, 2 lost (left) of 2 in "),
        "{stderr}"
    );
    assert_eq!(names, format!("lost (left): {}", pair.set()));
    pair.assert(&["kill", &pair.set()], 0, &[], &["2 ok of 2"]);
}

#[test]
fn ctrl_c_counts_the_hosts_that_were_not_asked_as_skipped() {
    let user = User::new();
    // Its key is trusted on every loopback address; nothing listens at these.
    let _agent = user.agent();
    let set = "127.0.0.2:[20001-25000]";
    let long = ["--contact-timeout", "60s"];
    for line in [
        [&["ping", set][..], &long].concat(),
        [&["jobs", set][..], &long].concat(),
        [&["kill", set, ID][..], &long].concat(),
        [&["send", set][..], &long, &["--", "hello"]].concat(),
    ] {
        let mut command = user.command("udpctl");
        command.args(&line);
        let mut udpctl = Child::start(command);
        interrupt(&udpctl);
        assert!(udpctl.ends_within(Duration::from_secs(10)), "{line:?}");
        let (status, stderr) = udpctl.wait();
        assert_eq!(crate::harness::shell_status(status), Some(130), "{stderr}");
        let lines: Vec<&str> = stderr.lines().collect();
        let [.., counts, left, skipped] = lines[..] else {
            panic!("{stderr}");
        };
        let asked: usize = counts.split(' ').nth(2).unwrap().parse().unwrap();
        let rest = 5000 - asked;
        assert!(
            counts.starts_with(&format!(
                "0 ok, {asked} lost (left), {rest} skipped of 5000 in "
            )),
            "{counts}"
        );
        let last = 20_000 + asked;
        assert_eq!(left, format!("lost (left): 127.0.0.2:[20001-{last}]"));
        assert_eq!(skipped, format!("skipped: 127.0.0.2:[{}-25000]", last + 1));
    }
}

#[test]
fn kill_takes_signals_as_kill_1_and_several_targets() {
    let pair = Pair::new();
    let [first, second] = &pair.targets;
    // The only job needs no name; later, results of earlier ones are kept.
    for (signal, id, names_job, words) in [
        ("-9", format!("a{}", &ID[1..]), false, "9 (KILL)"),
        ("-KILL", format!("b{}", &ID[1..]), true, "9 (KILL)"),
        ("-SIGHUP", format!("c{}", &ID[1..]), true, "1 (HUP)"),
    ] {
        for target in &pair.targets {
            let line = ["exec", target, "--detach", "--id", &id, "--", "sleep"];
            let outcome = pair.user.udpctl([&line[..], &["600"]].concat()).outcome();
            assert_eq!(outcome.status, 0, "{}", outcome.stderr);
        }
        let job: &[&str] = if names_job { &[&id[..6]] } else { &[] };
        let line = [&["kill", signal, first, second][..], job].concat();
        pair.assert(&line, 0, &[], &["2 ok of 2"]);
        let ended = |target| format!("udpctl: {target}: ended by signal {words}; request {id}");
        pair.assert(
            &["wait", first, second, &id],
            3,
            &[ended(first), ended(second)],
            &["0 ok, 2 stopped of 2", &format!("stopped: {}", pair.set())],
        );
    }
    for wrong in ["-65", "-NOPE"] {
        pair.user
            .udpctl(["kill", wrong, first])
            .stderr(format!(
                "error: invalid value '{}' for '--signal <SIGNAL>': write the name of a signal, such as TERM, or a \
                 number from 1 to 64\n\nFor more information, try '--help'.\n",
                &wrong[1..]
            ))
            .status(2)
            .run();
    }
}

#[test]
fn a_failure_of_this_machine_is_1_with_several_targets_and_255_with_one() {
    let pair = Pair::new();
    let [first, second] = &pair.targets;
    let identity = pair.user.path("config/udpctl/identity");
    std::fs::write(&identity, "no key\n").unwrap();
    for (targets, status) in [(&[first, second][..], 1), (&[first], 255)] {
        let mut line = vec!["wait", "--job", ID];
        line.extend(targets.iter().map(|target| target.as_str()));
        let outcome = pair.user.udpctl(line).outcome();
        let begin = format!("udpctl: {}: ", identity.display());
        assert!(outcome.stderr.starts_with(&begin), "{}", outcome.stderr);
        assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
        assert_eq!(outcome.status, status);
    }
}

#[test]
fn a_job_that_was_collected_is_said_to_be_by_every_subcommand() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    let detached = user.udpctl(["exec", "--detach", &target, "--", "echo", "hi"]);
    let id = String::from_utf8(detached.outcome().stdout).unwrap();
    let id = id.trim();
    user.udpctl(["attach", &target, id]).stdout("hi\n").run();
    let words = "already collected, or older than the agent remembers";
    for (subcommand, status) in [("attach", 255), ("wait", 255), ("kill", 1)] {
        user.udpctl([subcommand, &target, id])
            .stderr(format!("udpctl: {target}: {words}; request ID\n"))
            .status(status)
            .run();
    }
}
