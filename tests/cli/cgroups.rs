//! The cgroups of commands: their end, their removal, and their limits.
//!
//! Tests that may make no cgroup say so and check nothing.

use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Agent, Child, User, cgroups, eventually, helper, is_tidy, jobs_in};

const ID: &str = "00000000000000000000000000000001";

/// A leader, and a descendant that has left its session and has no marker, so that `/proc` does not tell whose it is.
/// Both ignore TERM. The descendant prints its process id.
const STRAY: &str = "trap '' TERM; (setsid env -i sh -c 'echo $$; exec sleep 600' &); sleep 600";

/// A command with a stray descendant.
struct Stray {
    udpctl: Child,
    descendant: PathBuf,
}

impl Stray {
    fn start(user: &User, agent: &Agent) -> Self {
        let mut command = user.command("udpctl");
        command.args(["exec", &agent.target(), "--id", ID, "--shell", STRAY]);
        let mut udpctl = Child::start(command);
        let is_pid = |line: &str| line.parse::<i32>().is_ok();
        let pid = udpctl.stdout_line(is_pid);
        Self {
            udpctl,
            descendant: PathBuf::from(format!("/proc/{pid}")),
        }
    }

    fn is_gone(&self) {
        eventually("the descendant is gone", || !self.descendant.exists());
    }

    fn kill(&self) {
        let pid = self.descendant.file_name().unwrap().to_str().unwrap();
        let pid = Pid::from_raw(pid.parse().unwrap()).unwrap();
        let _ = kill_process(pid, Signal::KILL);
    }
}

fn own_cgroup_of(text: &[u8]) -> String {
    let text = String::from_utf8(text.to_vec()).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("0::"));
    line.unwrap_or_default().to_owned()
}

#[test]
fn a_descendant_that_nothing_marks_is_ended_with_its_command() {
    let user = User::new();
    let agent = user.agent();
    let Some(directory) = cgroups(&agent) else {
        return;
    };
    let mut stray = Stray::start(&user, &agent);
    assert!(!is_tidy(&directory));
    let kill = ["kill", &agent.target(), ID, "-s", "KILL"];
    assert_eq!(user.udpctl(kill).outcome().status, 0);
    assert_eq!(stray.udpctl.wait().0.code(), Some(137));
    stray.is_gone();
    eventually("its cgroup is removed", || is_tidy(&directory));
}

#[test]
fn two_hundred_commands_and_their_agent_leave_no_cgroup() {
    let user = User::new();
    let agent = user.agent();
    let Some(directory) = cgroups(&agent) else {
        return;
    };
    for number in 0..200 {
        // Some leave a process behind that ends later.
        let script = match number % 10 {
            0 => "sleep 0.1 >&- 2>&- &",
            1 => "exec /no/such/program",
            _ => "true",
        };
        user.udpctl(["exec", &agent.target(), "--shell", script])
            .outcome();
    }
    eventually("no cgroup of a command", || is_tidy(&directory));
    assert!(directory.exists());
    drop(agent);
    assert!(!directory.exists());
}

#[test]
fn the_guard_ends_what_is_in_the_cgroups_of_a_killed_supervisor_and_removes_them() {
    let user = User::new();
    let mut agent = user.agent();
    let Some(directory) = cgroups(&agent) else {
        return;
    };
    let stray = Stray::start(&user, &agent);
    agent.child.kill();
    stray.is_gone();
    eventually("the cgroups are removed", || !directory.exists());
}

#[test]
fn the_next_agent_ends_what_a_killed_agent_has_left() {
    let user = User::new();
    let mut agent = user.agent();
    let Some(directory) = cgroups(&agent) else {
        return;
    };
    let stray = Stray::start(&user, &agent);
    let guard = helper(agent.child.pid(), "udpagent-guard").unwrap();
    kill_process(guard, Signal::KILL).unwrap();
    agent.child.kill();
    assert!(stray.descendant.exists());
    let _next = user.agent();
    stray.is_gone();
    eventually("the cgroups are removed", || !directory.exists());
}

#[test]
fn commands_that_are_kept_keep_their_cgroups_and_the_next_agent_leaves_them_alone() {
    let user = User::new();
    let mut agent = Agent::start(&user, &["--bind", "127.0.0.1:0", "--keep-jobs"]);
    agent.leaves_something_behind();
    let Some(directory) = cgroups(&agent) else {
        return;
    };
    let stray = Stray::start(&user, &agent);
    agent.child.signal(Signal::TERM);
    agent.child.wait();
    drop(agent);
    let next = user.agent();
    user.udpctl(["exec", &next.target(), "--", "true"]).run();
    assert!(stray.descendant.exists());
    assert_eq!(jobs_in(&directory).len(), 1);
    std::fs::write(directory.join("cgroup.kill"), "1").unwrap();
    stray.is_gone();
    drop(next);
    // What is empty is removed by the agent after that.
    drop(user.agent());
    eventually("the cgroups are removed", || !directory.exists());
    stray.kill();
}

#[test]
fn a_command_whose_limits_cannot_be_applied_is_denied_and_the_reason_is_named() {
    let user = User::new();
    let off = "commands have no cgroups, so those with limits are denied";
    user.write_config("[cgroup]\nparent = 'off'\nmemory = '64 MiB'");
    let place = "runs commands without cgroups: they are switched off\n";
    let check = user.udpagent(["check"]).outcome();
    assert_eq!(
        (check.status, check.stderr),
        (1, format!("udpagent: {off}\n"))
    );
    assert!(String::from_utf8(check.stdout).unwrap().contains(place));
    user.authorize("");
    let check = user.udpagent(["check", "me", "--", "true"]).outcome();
    let answer = String::from_utf8(check.stdout).unwrap();
    assert_eq!(check.status, 1);
    assert!(answer.starts_with(&format!("no: {off} (")), "{answer}");
    let audit = user.path("audit");
    let config = format!(
        "audit-file = '{}'\n[cgroup]\nparent = 'off'\nmemory = '64 MiB'",
        audit.display()
    );
    user.write_config(&config);
    let mut command = user.command("udpagent");
    command.args(["--bind", "127.0.0.1:0"]);
    let agent = Agent::from(command);
    assert!(
        agent
            .child
            .stderr_seen()
            .iter()
            .any(|line| line.ends_with(off))
    );
    let target = agent.target();
    let ran = user.path("ran");
    let touch = ["exec", &target, "--", "touch", ran.to_str().unwrap()];
    user.udpctl(touch)
        .stderr(format!("udpctl: {target}: denied; request ID\n"))
        .status(255)
        .run();
    assert!(!ran.exists());
    let reason = r#""reason":"its limits need a cgroup, and commands have none""#;
    eventually("the reason is in the audit log", || {
        let text = std::fs::read_to_string(&audit).unwrap();
        let denied = text
            .lines()
            .filter(|line| line.contains(r#""event":"denied""#));
        denied.into_iter().any(|line| line.contains(reason))
    });
}

#[test]
fn a_limit_without_its_controller_is_named_and_only_its_commands_are_denied() {
    let user = User::new();
    let Some(directory) = cgroups(&user.agent()) else {
        return;
    };
    let place = directory.parent().unwrap();
    let controllers = std::fs::read_to_string(place.join("cgroup.controllers")).unwrap();
    if controllers.contains("pids") {
        eprintln!("SKIPPED: there is a controller pids");
        return;
    }
    user.authorize("pids=7");
    let place = place.display();
    let lack = format!(
        "{place}: this cgroup does not have the controller, so commands with a limit of pids are denied"
    );
    let check = user.udpagent(["check"]).outcome();
    let note = format!("udpagent: {lack} by an agent that is started here\n");
    assert_eq!((check.status, check.stderr), (0, note));
    let line = format!("runs each command in a cgroup below {place}\n");
    assert!(String::from_utf8(check.stdout).unwrap().contains(&line));
    let check = user.udpagent(["check", "me", "--", "true"]).outcome();
    let answer = String::from_utf8(check.stdout).unwrap();
    assert_eq!(check.status, 1);
    assert!(
        answer.starts_with(&format!("no: {lack} by an agent")),
        "{answer}"
    );
    let agent = user.agent();
    assert!(
        agent
            .child
            .stderr_seen()
            .iter()
            .any(|line| line.ends_with(&lack))
    );
    let target = agent.target();
    let denied = format!("udpctl: {target}: denied; request ID\n");
    let exec = ["exec", &target, "--", "true"];
    user.udpctl(exec).stderr(denied).status(255).run();
    user.authorize("");
    eventually("the key has no limit any more", || {
        user.udpctl(exec).outcome().status == 0
    });
}

/// Line of a shell that enters the directory of its own cgroup.
fn enter_own_cgroup() -> String {
    let own = "/proc/self/cgroup";
    format!(
        "cd \"$(awk '/cgroup2/ {{ print $2; exit }}' /proc/mounts)$(sed -n 's/^0:://p' {own})\""
    )
}

/// Prints a number from the file of a controller of its own cgroup.
fn print(file: &str, field: usize) -> String {
    format!(
        "{} && \
         awk 'NR == 1 || /nr_throttled/ {{ n = ${field} }} END {{ print n }}' {file}",
        enter_own_cgroup()
    )
}

#[test]
fn the_cgroup_of_a_command_can_be_read_whatever_the_umask_of_the_agent() {
    let user = User::new();
    let mut command = user.command("sh");
    command.args(["-c", "umask 077; exec \"$@\"", "sh"]);
    command.args([
        env!("CARGO_BIN_EXE_udpagent"),
        "-v",
        "--bind",
        "127.0.0.1:0",
    ]);
    let agent = Agent::from(command);
    if cgroups(&agent).is_none() {
        return;
    }
    let script = format!("{} && stat -c %a . ..", enter_own_cgroup());
    let words = ["exec", &agent.target(), "--shell", &script];
    let outcome = user.udpctl(words).outcome();
    assert_eq!(&outcome.stdout[..], b"755\n755\n", "{}", outcome.stderr);
}

#[test]
fn limits_are_in_force_where_the_kernel_has_the_controllers() {
    let user = User::new();
    let Some(directory) = cgroups(&user.agent()) else {
        return;
    };
    let place = directory.parent().unwrap();
    let controllers = std::fs::read_to_string(place.join("cgroup.controllers")).unwrap();
    // A cgroup other than the root has no processes of its own if it passes controllers on, but it has this one.
    let is_root = !place.join("cgroup.type").exists();
    let processes = std::fs::read_to_string(place.join("cgroup.procs")).unwrap();
    let own = std::process::id().to_string();
    if !is_root && processes.lines().any(|pid| pid == own) {
        eprintln!("SKIPPED: this process is in {}", place.display());
        return;
    }
    let has = |name: &str| {
        let found = controllers.split_whitespace().any(|one| one == name);
        if !found {
            eprintln!("SKIPPED: there is no controller {name}");
        }
        found
    };
    let run = |option: &str, script: &str| {
        user.authorize(option);
        let agent = user.agent();
        let words = ["exec", &agent.target(), "--shell", script];
        let outcome = user.udpctl(words).outcome();
        let stdout = String::from_utf8(outcome.stdout).unwrap();
        (outcome.status, stdout.trim().to_owned(), outcome.stderr)
    };
    if has("pids") {
        let (status, most, errors) = run("pids=4", &print("pids.max", 1));
        assert_eq!((status, &most[..]), (0, "4"), "{errors}");
        // Those that were started end before the command does.
        let many = "sh -c 'for i in 1 2 3 4 5 6; do sleep 0.2 & done'; s=$?; sleep 0.5; exit $s";
        let (status, _, errors) = run("pids=4", many);
        assert!(status != 0 && errors.contains("fork"), "{status} {errors}");
    }
    if has("memory") {
        let large = "x=$(head -c 200000000 /dev/zero | tr '\\0' a); echo survived";
        let (status, survived, errors) = run("memory=32MiB", large);
        assert_eq!((status, &survived[..]), (128 + 9, ""), "{errors}");
    }
    if has("cpu") {
        let busy = "i=0; while [ $i -lt 300000 ]; do i=$((i + 1)); done;";
        let script = format!("{busy} {}", print("cpu.stat", 2));
        let (status, throttled, errors) = run("cpu=10", &script);
        assert_eq!(status, 0, "{errors}");
        assert!(throttled.parse::<u64>().unwrap() > 0, "{throttled}");
    }
}

#[test]
fn the_owner_chooses_the_place_of_the_cgroups_or_none() {
    let user = User::new();
    let Some(place) = cgroups(&user.agent()) else {
        return;
    };
    let chosen = place.with_file_name(format!("test-{}", std::process::id()));
    std::fs::create_dir(&chosen).unwrap();
    user.write_config(&format!("[cgroup]\nparent = '{}'", chosen.display()));
    let agent = user.agent();
    let args = ["exec", &agent.target(), "--", "cat", "/proc/self/cgroup"];
    let cgroup = own_cgroup_of(&user.udpctl(args).outcome().stdout);
    let name = chosen.file_name().unwrap().to_str().unwrap();
    assert!(cgroup.contains(&format!("/{name}/udpagent-")), "{cgroup}");
    drop(agent);
    std::fs::remove_dir(&chosen).unwrap();
    // A place that cannot be used is an error, because the owner relies on it.
    let failed = user.udpagent(["--bind", "127.0.0.1:0"]).outcome();
    assert_eq!(failed.status, 1);
    let words = format!("cgroup.parent: {}: No such file", chosen.display());
    assert!(failed.stderr.contains(&words), "{}", failed.stderr);
    user.write_config("[cgroup]\nparent = 'off'");
    let agent = user.agent();
    let args = ["exec", &agent.target(), "--", "cat", "/proc/self/cgroup"];
    let cgroup = own_cgroup_of(&user.udpctl(args).outcome().stdout);
    let own = std::fs::read("/proc/self/cgroup").unwrap();
    assert_eq!(cgroup, own_cgroup_of(&own));
    assert!(!Path::new(&chosen).exists());
}
