//! Hosts that do not answer, and what the user reads about them while the contact lasts.

use crate::harness::{Agent, Child, User, port_to_keep};

const REFUSED: &str = "nothing listens there (port unreachable)";

/// A user who trusts an agent at an address where nothing listens.
fn refused_target() -> (User, String) {
    let user = User::new();
    let target = format!("127.0.0.1:{}", port_to_keep());
    let agent = user.agent();
    assert_eq!(
        user.udpctl(["trust", &target, agent.key()])
            .outcome()
            .status,
        0
    );
    (user, target)
}

#[test]
fn a_refused_contact_is_told_and_explained_by_every_subcommand() {
    let (user, target) = refused_target();
    let id = "0123456789abcdef0123456789abcdef";
    let told = format!("{target}: {REFUSED}; still trying for 300ms\n");
    let ended = format!("no answer: {REFUSED}");
    for (args, note, end, status) in [
        (&["ping"][..], "udpctl:", ended.clone(), 1),
        (&["jobs"], "udpctl:", ended.clone(), 1),
        (&["kill", id], "udpctl:", ended.clone(), 1),
        (&["wait", id], "udpctl:", ended.clone(), 255),
        (&["attach"], "udpctl:", ended.clone(), 255),
        (
            &["attach", id],
            "udpctl:",
            format!("{ended}; request ID"),
            255,
        ),
        (
            &["exec", "true"],
            "udpctl:",
            format!("{ended}; request ID"),
            255,
        ),
        (
            &["send", "hi"],
            "udpctl:",
            format!("not delivered: {ended}"),
            255,
        ),
        (&["chat"], "*", ended.clone(), 255),
    ] {
        let (subcommand, rest) = args.split_first().unwrap();
        let mut line = vec![*subcommand, &target, "--contact-timeout", "300ms"];
        if matches!(*subcommand, "exec" | "send") {
            line.push("--");
        }
        line.extend(rest);
        let outcome = user.udpctl(&line).outcome();
        let wanted = format!("{note} {told}udpctl: {target}: {end}\n");
        let stderr = crate::harness::masked(&outcome.stderr);
        assert_eq!((stderr, outcome.status), (wanted, status), "{line:?}");
    }
}

#[test]
fn a_refusal_is_told_before_the_contact_timeout_and_ends_nothing() {
    let (user, target) = refused_target();
    user.authorize("");
    let mut command = user.command("udpctl");
    command.args(["exec", &target, "--", "echo", "hello"]);
    let mut exec = Child::start(command);
    exec.stderr_line(|line| line.contains(REFUSED));
    let _agent = Agent::start(&user, &["--bind", &target]);
    let (status, stderr) = exec.wait();
    assert!(status.success(), "{stderr}");
    assert_eq!(exec.stdout_seen(), ["hello"]);
    assert_eq!(
        stderr,
        format!("udpctl: {target}: {REFUSED}; still trying for 10s")
    );
}

#[test]
fn a_refusal_is_told_once_although_the_host_is_tried_again() {
    let (user, target) = refused_target();
    let args = ["exec", &target, "--retries", "1"];
    user.udpctl([&args[..], &["--contact-timeout", "300ms", "--", "true"]].concat())
        .stderr(format!(
            "udpctl: {target}: {REFUSED}; still trying for 300ms\n\
             udpctl: {target}: no answer: {REFUSED}; request ID\n"
        ))
        .status(255)
        .run();
}
