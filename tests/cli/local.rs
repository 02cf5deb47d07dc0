//! `--local`: agent and controller in one process, without setup.

use crate::harness::User;

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
