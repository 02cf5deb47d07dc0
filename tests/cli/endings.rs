//! Ends of commands under adverse conditions: without the right to kill, with many processes, without a `/proc`.

use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::harness::{Agent, Child, Test, User, children, eventually, helper, meanwhile};
use crate::users::{Nobody, nobody};

const IDS: [&str; 2] = [
    "00000000000000000000000000000001",
    "00000000000000000000000000000002",
];

fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("SKIPPED: only root can change to another user and make namespaces");
    }
    root
}

#[test]
fn a_command_that_the_agent_may_not_kill_is_reported_and_listed_until_it_is_gone() {
    if !is_root() {
        return;
    }
    let Nobody { uid, gid, .. } = nobody();
    let user = User::new();
    chown(user.path(""), Some(uid), Some(gid)).unwrap();
    // A program that becomes root for good.
    let root = user.path("root");
    std::fs::copy("/usr/bin/setpriv", &root).unwrap();
    std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o4755)).unwrap();
    let lowered = |program: &str, args: &[&str]| {
        let mut command = user.command(program);
        command.args(args).uid(uid).gid(gid);
        command
    };
    let agent = Agent::from(lowered("udpagent", &["--bind", "127.0.0.1:0"]));
    let target = agent.target();
    let script = "echo $$; exec sleep 600";
    let exec = |id: &str, more: &[&str]| {
        let first = ["exec", &target, "--timeout", "2s", "--id", id];
        let root = root.to_str().unwrap();
        let last = ["--", root, "--reuid", "0", "sh", "-c", script];
        Child::start(lowered("udpctl", &[&first[..], more, &last].concat()))
    };
    let mut plain = exec(IDS[0], &[]);
    let mut json = exec(IDS[1], &["--json"]);
    let pid = plain.stdout_line(|line| line.parse::<i32>().is_ok());
    let (status, stderr) = plain.wait();
    assert_eq!(status.code(), Some(124), "{stderr}");
    let line =
        format!("udpctl: {target}: the command could not be killed and still runs (pid {pid})");
    assert!(stderr.lines().any(|written| written == line), "{stderr}");
    assert!(PathBuf::from(format!("/proc/{pid}")).exists());
    let result = json.stdout_line(|line| line.contains("still_running"));
    let result: serde_json::Value = serde_json::from_str(&result).unwrap();
    assert_eq!(result["still_running"], true);
    assert_eq!(result["outcome"], serde_json::json!({"timed_out": {}}));
    json.wait();
    let printed = result["stdout"]["text"].as_str().unwrap();
    let pids: [i32; 2] = [&pid, printed].map(|pid| pid.trim().parse().unwrap());
    for (id, pid) in IDS.into_iter().zip(pids) {
        let is_listed = || {
            let listed = Test::new(lowered("udpctl", &["jobs", &target])).outcome();
            let listed = String::from_utf8(listed.stdout).unwrap();
            let mut lines = listed.lines().filter(|line| line.starts_with(id));
            lines.any(|line| line.contains("could not be killed and still runs"))
        };
        assert!(is_listed());
        let pid = Pid::from_raw(pid).unwrap();
        kill_process(pid, Signal::KILL).unwrap();
        eventually("it is listed so no more", || !is_listed());
    }
}

/// Number of commands that are canceled at once, and of other processes meanwhile.
const COMMANDS: usize = 150;
const OTHERS: usize = 1500;

#[test]
fn the_agent_answers_while_many_commands_end_among_many_processes() {
    let others = format!("for i in $(seq {OTHERS}); do sleep 600 & done; echo ready; wait");
    let mut command = Command::new("sh");
    command.args(["-c", &others]).process_group(0);
    let mut others = Child::start(command);
    others.stdout_line(|line| line == "ready");
    // Without a cgroup, the processes have to be found among all.
    let user = User::new();
    user.write_config("[cgroup]\nparent = 'off'");
    let agent = user.agent();
    let target = agent.target();
    let script = "trap '' TERM; sleep 600 & setsid sleep 600 & echo ready; wait";
    let start = |_| {
        let mut command = user.command("udpctl");
        command.args(["exec", &target, "--shell", script]);
        Child::start(command)
    };
    let mut commands: Vec<Child> = (0..COMMANDS).map(start).collect();
    for command in &mut commands {
        command.stdout_line(|line| line == "ready");
    }
    let jobs = agent.jobs();
    assert_eq!(jobs.left().len(), 3 * COMMANDS);
    let mut pings = 0;
    let ping = || {
        let pong = user.udpctl(["ping", &target]).outcome();
        assert_eq!(pong.status, 0, "{}", pong.stderr);
        pings += 1;
    };
    meanwhile(ping, || {
        for command in &commands {
            command.signal(Signal::INT);
        }
        for command in &mut commands {
            let (status, stderr) = command.wait();
            assert_eq!(crate::harness::shell_status(status), Some(130), "{stderr}");
            assert!(stderr.contains(": canceled; request "), "{stderr}");
        }
        eventually("all processes have ended", || jobs.left().is_empty());
    });
    assert!(pings >= 10, "{pings} pings while {COMMANDS} commands ended");
    kill_process_group(others.pid(), Signal::KILL).unwrap();
    others.wait();
}

/// An agent in a pid namespace whose `/proc` shows another.
struct Enclosed {
    user: User,
    unshare: Child,
    target: String,
}

/// Means of an enclosed agent to get a `/proc` of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Means {
    Capable,
    /// It may not mount.
    Incapable,
}

impl Enclosed {
    fn new(parent: &str, means: Means) -> Self {
        let user = User::new();
        user.write_config(&format!("[cgroup]\nparent = '{parent}'"));
        let mut command = user.command("unshare");
        command.args(["--pid", "--fork", "--kill-child"]);
        if means == Means::Incapable {
            command.args(["setpriv", "--bounding-set", "-sys_admin"]);
        }
        command.args([env!("CARGO_BIN_EXE_udpagent"), "--bind", "127.0.0.1:0"]);
        let mut unshare = Child::start(command);
        let line = unshare.stderr_line(|line| line.contains(" listens on "));
        let (_, target) = line.rsplit_once(" listens on ").unwrap();
        let target = target.to_owned();
        Self {
            user,
            unshare,
            target,
        }
    }

    /// Starts a command whose processes have `name` as their name, and waits until they run. One has left the session.
    fn exec(&self, name: &str, options: &[&str]) -> Child {
        let mut command = self.user.command("udpctl");
        let sleep = format!("exec -a {name} sleep 600");
        let script = format!("trap '' TERM; setsid bash -c '{sleep}' & {sleep}");
        command.args(["exec", &self.target]).args(options);
        command.args(["--", "bash", "-c", &script]);
        let udpctl = Child::start(command);
        eventually("both processes run", || processes(name).len() == 2);
        udpctl
    }

    /// Ends the agent, which has left no zombie.
    fn end(mut self) {
        let agent = helper(self.unshare.pid(), "udpagent").unwrap();
        eventually("no zombie", || children(agent).is_empty());
        kill_process(agent, Signal::TERM).unwrap();
        self.unshare.wait();
    }
}

/// Processes with this name as their argument 0.
fn processes(name: &str) -> Vec<Pid> {
    let is_named = |pid: &Pid| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|&byte| byte == 0).next() == Some(name.as_bytes())
    };
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(Pid::from_raw).filter(is_named).collect()
}

#[test]
fn in_a_pid_namespace_without_its_proc_timeout_cancel_and_lease_end_all_of_a_command() {
    if !is_root() {
        return;
    }
    for parent in ["off", "auto"] {
        let agent = Enclosed::new(parent, Means::Capable);
        let name = |way: &str| format!("enclosed-{way}-{parent}-{}", std::process::id());
        let names = ["timeout", "cancel", "lease"].map(name);
        let is_gone = |name: &str| {
            eventually("the command has ended", || processes(name).is_empty());
        };
        let mut by_timeout = agent.exec(&names[0], &["--timeout", "1s"]);
        let mut by_cancel = agent.exec(&names[1], &[]);
        let mut by_lease = agent.exec(&names[2], &["--lease", "1s"]);
        by_cancel.signal(Signal::INT);
        by_lease.kill();
        assert_eq!(by_timeout.wait().0.code(), Some(124));
        assert_eq!(crate::harness::shell_status(by_cancel.wait().0), Some(130));
        for name in &names {
            is_gone(name);
        }
        agent.end();
    }
}

#[test]
fn an_agent_that_can_get_no_proc_says_so_ends_process_groups_and_leaves_no_zombie() {
    if !is_root() {
        return;
    }
    let agent = Enclosed::new("off", Means::Incapable);
    let said = agent.unshare.stderr_seen();
    let warning = "there is no /proc of this pid namespace";
    assert!(said.iter().any(|line| line.contains(warning)), "{said:#?}");
    let name = format!("incapable-{}", std::process::id());
    let mut udpctl = agent.exec(&name, &["--timeout", "1s"]);
    let (status, stderr) = udpctl.wait();
    assert_eq!(status.code(), Some(124), "{stderr}");
    let left = processes(&name);
    assert_eq!(left.len(), 1, "the one that has left the process group");
    kill_process(left[0], Signal::KILL).unwrap();
    agent.end();
}
