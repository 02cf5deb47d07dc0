//! Commands, limits of access and the shutdown of a running agent.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant as Deadline};

use bytes::Bytes;

use super::caller::{Caller, command};
use crate::agent::access::{Sources, invite};
use crate::agent::config::Switch;
use crate::agent::daemon::{Agent, Config, Plain, Trust, start, unix_now};
use crate::agent::jobs::{self};
use crate::agent::{CgroupLimits, CgroupParent};
use crate::crypto::SecretKey;
use crate::home::AgentHome;
use crate::message::{CloseCode, Outcome, Reply, Request, StartStep};
use crate::net;
use crate::session::Closed;
use crate::wire::Lane;

fn key() -> SecretKey {
    SecretKey::generate(&mut net::rng().unwrap())
}

fn agent(trust: Trust) -> Agent {
    start(Config {
        identity: key(),
        name: "tower".into(),
        binds: vec![([127, 0, 0, 1], 0).into()],
        trust,
        exec: Switch::On,
        jobs: jobs::Config::default(),
        sessions_per_key: crate::session::limits::SESSIONS_PER_KEY,
        plain: Plain::Off,
        bot: None,
        cgroup_limits: CgroupLimits::default(),
        cgroup_parent: CgroupParent::Off,
        log: None,
        recorder: None,
        guard: None,
        replay_log: None,
        history: super::super::History::default(),
        resources: Vec::new(),
        audit: None,
    })
    .unwrap()
}

fn pair() -> (Agent, Caller) {
    let identity = key();
    let agent = agent(Trust::Keys(vec![identity.public()]));
    let caller = Caller::new(identity, agent.key(), agent.addresses()[0], None);
    (agent, caller)
}

const fn exited(code: u8) -> Outcome {
    Outcome::Exited { code }
}

/// Returns true if a process exists and is no zombie.
fn is_alive(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(") ").next().unwrap_or_default();
    !state.is_empty() && !state.starts_with('Z')
}

#[test]
fn a_command_returns_its_output_and_its_status() {
    let (_agent, mut caller) = pair();
    let report = caller.run(&[
        "sh",
        "-c",
        "echo \"$1\"; echo oops >&2; exit 7",
        "sh",
        "a  b",
    ]);
    assert_eq!(report.outcome, exited(7));
    assert_eq!(report.stdout, b"a  b\n");
    assert_eq!(report.stderr, b"oops\n");
    assert!(!report.streams_open);
    let missing = caller.run(&["/nonexistent/program"]);
    assert_eq!(
        missing.outcome,
        Outcome::SpawnFailed {
            errno: 2,
            step: StartStep::Program
        }
    );
    let killed = caller.run(&["sh", "-c", "kill -9 $$"]);
    let core = false;
    assert_eq!(killed.outcome, Outcome::Signaled { signal: 9, core });
}

#[test]
fn no_byte_of_a_large_output_is_lost_at_the_end() {
    let (_agent, mut caller) = pair();
    let report = caller.run(&["sh", "-c", "head -c 10485760 /dev/zero; exit 7"]);
    assert_eq!(report.outcome, exited(7));
    assert_eq!(report.stdout.len(), 10 << 20);
}

#[test]
fn a_background_child_does_not_delay_the_result() {
    let (agent, mut caller) = pair();
    let began = Deadline::now();
    let report = caller.run(&["sh", "-c", "sleep 600 & echo $!"]);
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(report.outcome, exited(0));
    assert!(report.streams_open);
    let child = String::from_utf8(report.stdout).unwrap();
    assert!(is_alive(child.trim()), "a background child is not ended");
    agent.stop();
    let _ = std::process::Command::new("kill")
        .arg(child.trim())
        .status();
}

#[test]
fn stdin_reaches_the_command_and_ends() {
    let (_agent, mut caller) = pair();
    let mut exec = command(&["cat"]);
    exec.stdin = true;
    let call = caller.exec(exec);
    for piece in [&b"one "[..], b"two"] {
        caller.write(call, Lane::Data, Bytes::from_static(piece), false);
        caller.until("the echo", |caller| {
            caller.stdout(call).ends_with(piece).then_some(())
        });
    }
    caller.write(call, Lane::Data, Bytes::new(), true);
    let report = caller.report(call);
    assert_eq!(report.stdout, b"one two");
    let ignored = caller.run(&["sh", "-c", "wc -c"]);
    assert_eq!(
        ignored.stdout, b"0\n",
        "stdin is empty unless the request asks for it"
    );
}

#[test]
fn a_canceled_command_ends_with_its_tree() {
    let (_agent, mut caller) = pair();
    let tree = "sleep 600 & echo $!; setsid sleep 600 & echo $!; echo $$; exec sleep 600";
    let call = caller.exec(command(&["sh", "-c", tree]));
    let lines = |text: &[u8]| text.split(|&byte| byte == b'\n').count() - 1;
    caller.until("the tree", |caller| {
        (lines(caller.stdout(call)) == 3).then_some(())
    });
    caller.write(
        call,
        Lane::Control,
        crate::message::to_line(&Request::Cancel {}).into(),
        false,
    );
    let report = caller.report(call);
    assert_eq!(report.outcome, Outcome::Canceled {});
    let deadline = Deadline::now() + Duration::from_secs(8);
    for pid in String::from_utf8(report.stdout).unwrap().lines() {
        while is_alive(pid) {
            assert!(Deadline::now() < deadline, "process {pid} is still running");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

#[test]
fn a_stopped_agent_ends_its_jobs_and_delivers_their_results() {
    let (agent, mut caller) = pair();
    let stubborn = "trap '' TERM; echo $$; sleep 600";
    let call = caller.exec(command(&["sh", "-c", stubborn]));
    caller.until("its pid", |caller| {
        caller.stdout(call).ends_with(b"\n").then_some(())
    });
    let began = Deadline::now();
    agent.stop();
    assert!(began.elapsed() < Duration::from_secs(8));
    let report = caller.report(call);
    assert_eq!(report.outcome, Outcome::Canceled {});
    let pid = String::from_utf8(report.stdout).unwrap();
    assert!(!is_alive(pid.trim()));
    let closed = caller.until("the end of the session", |caller| caller.closed.take());
    let shutdown = CloseCode::Shutdown as u64;
    assert!(matches!(closed, Closed::ByPeer { code, .. } if code == shutdown));
}

fn files(directory: &Path) -> (AgentHome, Trust) {
    let home = AgentHome::at(directory);
    let sources = Sources {
        agent: home.clone(),
        control: None,
    };
    (home, Trust::Files(sources))
}

#[test]
fn a_key_that_is_removed_from_the_file_loses_its_session_and_its_job() {
    let directory = tempfile::tempdir().unwrap();
    let (home, trust) = files(directory.path());
    let identity = key();
    let line = format!("{} alice\n", identity.public());
    fs::write(home.authorized_keys(), line).unwrap();
    let agent = agent(trust);
    let mut caller = Caller::new(identity, agent.key(), agent.addresses()[0], None);
    let call = caller.exec(command(&["sh", "-c", "echo $$; exec sleep 600"]));
    caller.until("its pid", |caller| {
        caller.stdout(call).ends_with(b"\n").then_some(())
    });
    let pid = String::from_utf8(caller.stdout(call).clone()).unwrap();
    fs::write(home.authorized_keys(), "").unwrap();
    let closed = caller.until("the end of the session", |caller| caller.closed.take());
    let revoked = CloseCode::Revoked as u64;
    assert!(matches!(closed, Closed::ByPeer { code, .. } if code == revoked));
    let deadline = Deadline::now() + Duration::from_secs(8);
    while is_alive(pid.trim()) {
        assert!(Deadline::now() < deadline, "process {pid} is still running");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn an_invitation_registers_one_controller_once() {
    let directory = tempfile::tempdir().unwrap();
    let (home, trust) = files(directory.path());
    let agent = agent(trust);
    let mut rng = net::rng().unwrap();
    let token = invite::create(&home, &[], &mut rng, unix_now()).unwrap();
    let token = *token.as_bytes();
    let identity = key();
    let mut caller = Caller::new(identity, agent.key(), agent.addresses()[0], Some(token));
    let early = caller.run(&["true"]);
    assert_eq!(early.outcome, Outcome::Denied {});
    let name = "guest".into();
    let call = caller.call(&Request::Register { name });
    let agent_name = "tower".into();
    let registered = Reply::Registered {
        name: "guest".into(),
        agent: agent_name,
        listed: false,
    };
    assert_eq!(caller.reply(call), registered);
    assert_eq!(caller.run(&["true"]).outcome, exited(0));

    let mut late = Caller::new(key(), agent.key(), agent.addresses()[0], Some(token));
    let closed = late.until("no answer", |caller| caller.closed.take());
    assert_eq!(closed, Closed::Unreachable);
}
