//! The replacement of the agent's program by SIGHUP: commands go on, under another program too.

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;

use rustix::process::{Signal, kill_process};

use crate::harness::{
    Agent, Child, Terminal, User, children, disturbed_commands, eventually, helper, meanwhile,
    waiting,
};

/// Number of times that the program is replaced while commands run.
const REPLACEMENTS: usize = 5;

/// Replaces the program and waits until the next one serves.
fn reload(user: &User, agent: &mut Agent) {
    agent.child.signal(Signal::HUP);
    agent
        .child
        .stderr_line(|line| line.contains("has taken over"));
    let ping = user.udpctl(["ping", &agent.target()]).outcome();
    assert_eq!(ping.status, 0, "{}", ping.stderr);
}

/// Asks for a replacement that fails, and returns the reason.
fn refused_reload(agent: &mut Agent) -> String {
    agent.child.signal(Signal::HUP);
    let line = agent
        .child
        .stderr_line(|line| line.contains("the program is not replaced"));
    line.split_once("not replaced: ").unwrap().1.to_owned()
}

/// Starts a command that waits for a file and ends with `exit`, whose program is the same until then.
fn start_waiting(user: &User, target: &str, go: &Path, exit: u8) -> Child {
    let mut command = user.command("udpctl");
    command.args(["exec", target, "--shell", &waiting(go, exit)]);
    let mut child = Child::start(command);
    child.stdout_line(|line| line == "begun");
    child
}

fn ends_with(mut child: Child, go: &Path, exit: i32) {
    fs::write(go, "").unwrap();
    child.stdout_line(|line| line == "done");
    let (status, errors) = child.wait();
    assert_eq!(status.code(), Some(exit), "{errors}");
    fs::remove_file(go).unwrap();
}

#[test]
fn running_commands_survive_replacements_of_the_program_to_the_last_byte() {
    let user = User::new();
    let mut agent = user.agent();
    let (target, pid) = (agent.target(), agent.child.pid());
    let probe = UdpSocket::bind("127.0.0.1:0").unwrap();
    probe.connect(&target).unwrap();
    let probing = || {
        // The system answers a datagram that finds no socket; the next one fails then.
        probe.send(&[0xff; 8]).expect("the socket stays open");
        std::thread::sleep(Duration::from_millis(1));
    };
    meanwhile(probing, || {
        disturbed_commands(&user, &target, || {
            for _ in 0..REPLACEMENTS {
                reload(&user, &mut agent);
            }
        });
    });
    assert_eq!(agent.child.pid(), pid);
}

#[test]
fn another_program_takes_over_and_one_that_cannot_run_does_not() {
    let user = User::new();
    let program = user.path("udpagent");
    fs::copy(env!("CARGO_BIN_EXE_udpagent"), &program).unwrap();
    let mut command = user.command(program.to_str().unwrap());
    command.args(["--bind", "127.0.0.1:0"]);
    let mut agent = Agent::from(command);
    let go = user.path("go");
    let running = start_waiting(&user, &agent.target(), &go, 3);
    let executed = format!("/proc/{}/exe", agent.child.pid().as_raw_pid());
    let executed = || fs::metadata(&executed).unwrap().ino();
    let first = executed();
    let put = |content: &[u8]| {
        let aside = user.path("aside");
        fs::write(&aside, content).unwrap();
        fs::set_permissions(&aside, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(&aside, &program).unwrap();
    };
    put(b"#!/bin/sh\necho out of order >&2\nexit 1\n");
    assert_eq!(refused_reload(&mut agent), "out of order");
    put(b"no program");
    let reason = refused_reload(&mut agent);
    let names_it = format!("{}: Exec format error", program.display());
    assert!(reason.starts_with(&names_it), "{reason}");
    fs::remove_file(&program).unwrap();
    let reason = refused_reload(&mut agent);
    let names_it = format!("{}: No such file", program.display());
    assert!(reason.starts_with(&names_it), "{reason}");
    assert_eq!(executed(), first);
    put(&fs::read(env!("CARGO_BIN_EXE_udpagent")).unwrap());
    reload(&user, &mut agent);
    assert_ne!(executed(), first);
    ends_with(running, &go, 3);
}

#[test]
fn a_replaced_program_has_read_the_configuration_again_and_a_wrong_one_replaces_nothing() {
    let user = User::new();
    user.write_config("bind = [\"127.0.0.1:0\"]\n");
    let mut agent = Agent::start(&user, &[]);
    let target = agent.target();
    let go = user.path("go");
    let running = start_waiting(&user, &target, &go, 4);
    user.write_config("bind = [\"127.0.0.1:0\"]\n[limits]\njobs = \"many\"\n");
    let reason = refused_reload(&mut agent);
    assert!(reason.contains("jobs"), "{reason}");
    user.write_config("bind = [\"127.0.0.1:0\", \"127.0.0.2:0\"]\n[limits]\noutput = \"1k\"\n");
    reload(&user, &mut agent);
    let limited = user.udpctl(["exec", &target, "--", "head", "-c", "5000", "/dev/zero"]);
    assert_eq!(limited.outcome().stdout.len(), 1000);
    ends_with(running, &go, 4);
}

#[test]
fn udpagent_reload_waits_for_the_next_program_and_tells_why_there_is_none() {
    let user = User::new();
    let missing = user.udpagent(["reload"]).outcome();
    assert_eq!(missing.status, 1);
    assert!(
        missing.stderr.contains("no agent answers"),
        "{}",
        missing.stderr
    );
    let mut agent = user.agent();
    // A result that is kept is no running command.
    for args in [&["exec", "--detach"][..], &["wait"]] {
        let argv: &[&str] = if args[0] == "exec" {
            &["--", "true"]
        } else {
            &[]
        };
        let target = agent.target();
        let args = [args, &[target.as_str()], argv].concat();
        assert_eq!(user.udpctl(args).outcome().status, 0);
    }
    let go = user.path("go");
    let running = start_waiting(&user, &agent.target(), &go, 3);
    let version = env!("CARGO_PKG_VERSION");
    user.udpagent(["reload"])
        .stdout(format!(
            "version {version} has taken over; 1 command runs\n"
        ))
        .run();
    agent
        .child
        .stderr_line(|line| line.contains("has taken over, with 1 running command;"));
    user.write_config("bind = 3\n");
    let refused = user.udpagent(["reload"]).outcome();
    assert_eq!(refused.status, 1);
    let file = user.path("config/udpagent/udpagent.toml");
    let words = format!(
        "udpagent: the agent goes on as before: {}:1: bind",
        file.display()
    );
    assert!(refused.stderr.starts_with(&words), "{}", refused.stderr);
    ends_with(running, &go, 3);
    let status = user.udpagent(["status", "--json"]).outcome();
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["replacements"], 1);
    assert_eq!(status["front_restarts"], 0, "the front did not fail");
    // Counters go on.
    assert_eq!(status["commands"]["accepted"], 2);
    assert_eq!(status["commands"]["ended"]["exited"], 2);
}

#[test]
fn udpagent_reload_names_what_is_not_in_force() {
    let user = User::new();
    user.write_config("bind = '127.0.0.1:0'\n[limits]\njobs = 2\n");
    let _agent = Agent::start(&user, &[]);
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap();
    user.write_config(&format!(
        "bind = ['127.0.0.1:0', '{taken}']\n[limits]\njobs = 3\n"
    ));
    let reload = user.udpagent(["reload"]).outcome();
    assert_eq!(reload.status, 1);
    assert_eq!(
        reload.stderr,
        format!(
            "udpagent: not in force: bind {taken}: Address already in use (os error 98)\n\
             udpagent: not in force: jobs = 3: it is 2 until the agent is restarted\n"
        )
    );
    let stdout = String::from_utf8(reload.stdout).unwrap();
    assert!(
        stdout.contains(" has taken over; 0 commands run"),
        "{stdout}"
    );
    let status = user.udpagent(["status"]).outcome().stdout;
    let status = String::from_utf8(status).unwrap();
    let lacks = format!("lacks      bind {taken}: ");
    assert!(status.contains(&lacks), "{status}");
}

#[test]
fn detached_commands_results_and_terminals_survive_a_replacement() {
    let user = User::new();
    let mut agent = user.agent();
    let target = agent.target();
    let [ended, terminal] = [
        "0000000000000000000000000000e0de",
        "00000000000000000000000000007e57",
    ];
    let [go, written] = ["go", "written"].map(|name| user.path(name));
    // What it has written since is more than is held: the screen alone shows the first line.
    let script = format!(
        "printf 'a screen\\n'; head -c 3000000 /dev/zero | tr '\\0' '\\r'; touch {}; \
         while [ ! -e {} ]; do sleep 0.05; done; exit 6",
        written.display(),
        go.display()
    );
    let detach = |id: &str, more: &[&str], script: &str| {
        let mut words = vec!["exec", "--detach", "--id", id, &target];
        words.extend(more);
        words.extend(["--shell", script]);
        assert_eq!(user.udpctl(words).outcome().status, 0);
    };
    detach(ended, &[], "echo a result; echo an error >&2; exit 5");
    detach(terminal, &["-t"], &script);
    let listed = || String::from_utf8(user.udpctl(["jobs", &target]).outcome().stdout).unwrap();
    let has = |id: &str, state: &str| {
        let both = |line: &str| line.contains(id) && line.contains(state);
        listed().lines().any(both)
    };
    eventually("one has ended", || {
        has(ended, "exited with status 5") && has(terminal, "running")
    });
    eventually("all is written", || written.exists());
    reload(&user, &mut agent);
    assert!(
        has(ended, "exited with status 5") && has(terminal, "running"),
        "{}",
        listed()
    );
    let result = user.udpctl(["attach", &target, ended]).outcome();
    assert_eq!((result.status, &result.stdout[..]), (5, &b"a result\n"[..]));
    reload(&user, &mut agent);
    let mut command = user.command("udpctl");
    command.args(["attach", &target, terminal]);
    let mut attached = Child::start(command);
    attached.stdout_line(|line| line.contains("a screen"));
    fs::write(&go, "").unwrap();
    let (status, errors) = attached.wait();
    assert_eq!(status.code(), Some(6), "{errors}");
    // The ids are known as before.
    let again = ["exec", "--id", ended, &target, "--", "true"];
    assert_ne!(user.udpctl(again).outcome().status, 0);
}

#[test]
fn a_command_that_is_being_ended_gets_kill_after_a_replacement() {
    let user = User::new();
    let mut agent = user.agent();
    let mut command = user.command("udpctl");
    let script = "trap '' TERM; echo up; while :; do sleep 0.05; done";
    command.args([
        "exec",
        &agent.target(),
        "--timeout",
        "1s",
        "--shell",
        script,
    ]);
    let mut deaf = Child::start(command);
    deaf.stdout_line(|line| line == "up");
    let jobs = agent.jobs();
    let audit = |agent: &mut Agent| {
        agent
            .child
            .stderr_line(|line| line.contains("\"ended\"") && line.contains("timed_out"));
    };
    std::thread::sleep(Duration::from_millis(1200));
    reload(&user, &mut agent);
    audit(&mut agent);
    let (status, errors) = deaf.wait();
    assert_eq!(status.code(), Some(124), "{errors}");
    eventually("nothing is left", || jobs.left().is_empty());
}

#[test]
fn replacements_leave_no_descriptor_and_no_process_behind() {
    let user = User::new();
    let mut agent = user.agent();
    let pid = agent.child.pid();
    let descriptors = format!("/proc/{}/fd", pid.as_raw_pid());
    user.udpctl(["ping", &agent.target()]).outcome();
    let count = || fs::read_dir(&descriptors).map(Iterator::count);
    let all = || {
        let children = format!("/proc/{0}/task/{0}/children", pid.as_raw_pid());
        fs::read_to_string(children)
            .unwrap()
            .split_whitespace()
            .count()
    };
    reload(&user, &mut agent);
    eventually("the helpers of the first program have ended", || all() == 3);
    let before = count().unwrap();
    for _ in 0..10 {
        reload(&user, &mut agent);
    }
    eventually("the helpers of all but one have ended", || all() == 3);
    assert_eq!(count().unwrap(), before);
    assert!(children(pid).is_empty());
}

#[test]
fn the_status_can_be_asked_for_while_the_program_is_replaced() {
    let user = User::new();
    let mut agent = user.agent();
    let mut answers = 0;
    let ask = || {
        let status = user.udpagent(["status"]).outcome();
        assert_eq!(status.status, 0, "after {answers}: {}", status.stderr);
        answers += 1;
    };
    meanwhile(ask, || {
        for _ in 0..REPLACEMENTS {
            reload(&user, &mut agent);
        }
    });
}

#[test]
fn a_trial_that_does_not_answer_leaves_no_process_behind() {
    let user = User::new();
    let program = user.path("udpagent");
    fs::copy(env!("CARGO_BIN_EXE_udpagent"), &program).unwrap();
    let mut command = user.command(program.to_str().unwrap());
    command.args(["--bind", "127.0.0.1:0"]);
    let mut agent = Agent::from(command);
    fs::remove_file(&program).unwrap();
    fs::write(&program, "#!/bin/sh\nsleep 3600 &\nsleep 3601\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(refused_reload(&mut agent), "it does not answer");
    eventually("no process is left, and no zombie", || {
        children(agent.child.pid()).is_empty()
    });
}

#[test]
#[ignore = "needs tmux"]
fn an_agent_ends_when_its_terminal_is_closed() {
    let here = Terminal::new();
    let [pid, log] = ["pid", "log"].map(|name| here.user.path(name));
    let (pid_file, log_file) = (pid.display(), log.display());
    here.line(&format!(
        "sh -c 'echo $$ >{pid_file}; exec udpagent --bind 127.0.0.1:0 2>{log_file}'"
    ));
    eventually("it listens", || {
        fs::read_to_string(&log).is_ok_and(|log| log.contains("listens on"))
    });
    let pid = fs::read_to_string(pid).unwrap();
    let process = format!("/proc/{}", pid.trim());
    assert!(Path::new(&process).exists());
    here.tmux(&["kill-server"]);
    eventually("it has ended", || !Path::new(&process).exists());
}

#[test]
fn a_program_whose_guard_is_gone_is_replaced_and_gets_another() {
    let user = User::new();
    let mut agent = user.agent();
    let guard = || helper(agent.child.pid(), "udpagent-guard");
    let killed = guard().expect("a guard runs");
    kill_process(killed, Signal::KILL).unwrap();
    eventually("it has ended", || guard() != Some(killed));
    user.udpctl(["exec", &agent.target(), "--", "true"]).run();
    let go = user.path("go");
    let running = start_waiting(&user, &agent.target(), &go, 3);
    reload(&user, &mut agent);
    assert!(helper(agent.child.pid(), "udpagent-guard").is_some());
    ends_with(running, &go, 3);
}

#[test]
fn an_agent_that_is_stopped_while_its_program_is_replaced_ends_as_always() {
    let script = "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.05; done";
    for delay in [0, 3, 10, 20, 40] {
        let user = User::new();
        let mut agent = user.agent();
        let mut command = user.command("udpctl");
        command.args(["exec", &agent.target(), "--shell", script]);
        let mut udpctl = Child::start(command);
        udpctl.stdout_line(|line| line == "up");
        agent.child.signal(Signal::HUP);
        // Somewhere in the course of the replacement.
        std::thread::sleep(Duration::from_millis(delay));
        agent.child.signal(Signal::TERM);
        udpctl.stdout_line(|line| line == "bye");
        let (status, errors) = agent.child.wait();
        assert_eq!(status.code(), Some(0), "{errors}");
        let (_, errors) = udpctl.wait();
        assert!(errors.contains("canceled"), "{errors}");
    }
}
