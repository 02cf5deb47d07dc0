//! What cannot be understood is refused with status 2 and a hint; what others read can be closed.

use crate::harness::{Test, User};

#[test]
fn nonsense_is_refused_before_anything_happens() {
    let user = User::new();
    for args in [
        &["exec"][..],
        &["exec", "host"],
        &["exec", "host:notaport", "--", "true"],
        &["exec", "host:0", "--", "true"],
        &["exec", "host", "--timeout", "soon", "--", "true"],
        &["exec", "host", "--id", "12", "--", "true"],
        &["exec", "host", "--env", "X", "--", "true"],
        &["exec", "host", "--detach", "-i", "--", "true"],
        &["trust", "host", "notakey"],
        &["ping"],
        &["nonsense"],
        &[],
    ] {
        let outcome = user.udpctl(args).outcome();
        assert_eq!(outcome.status, 2, "{args:?}: {}", outcome.stderr);
        assert!(outcome.stdout.is_empty() && !outcome.stderr.is_empty());
    }
    assert!(!user.path("config").exists(), "nothing was created");
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let user = User::new();
    for line in ["id", "completions bash", "--help"] {
        let mut shell = user.command("bash");
        let program = env!("CARGO_BIN_EXE_udpctl");
        shell.args(["-c", &format!("{program} {line} | true")]);
        let outcome = Test::new(shell).outcome();
        assert_eq!(outcome.stderr, "", "{line}");
    }
}

#[test]
fn completions_are_for_every_command() {
    let user = User::new();
    let outcome = user.udpctl(["completions", "bash"]).outcome();
    let script = String::from_utf8(outcome.stdout).unwrap();
    for command in ["exec", "chat", "send", "ping", "accept", "trust", "id"] {
        assert!(script.contains(&format!("udpctl,{command})")), "{command}");
    }
}

#[test]
fn a_status_is_explained_in_the_words_of_the_table() {
    let user = User::new();
    user.udpctl(["explain", "lost"])
        .stdout(
            "lost: accepted, then no answer\n  \
             The agent had accepted the command and then did not answer, or it ended and left the command \
             running. The command may have run.\n  \
             exit status: 255\n  \
             {\"lost\":{}}\n",
        )
        .run();
    let outcome = user.udpctl(["explain", "130"]).outcome();
    let text = String::from_utf8(outcome.stdout).unwrap();
    for part in [
        "signal 2 (INT)",
        "exited with status 130",
        "130 with several targets:",
    ] {
        assert!(text.contains(part), "{text}");
    }
    let outcome = user.udpctl(["explain", "fine"]).outcome();
    assert_eq!(outcome.status, 2);
    assert!(outcome.stderr.contains("timed_out"), "{}", outcome.stderr);
}

#[test]
fn what_failed_is_said_once() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    user.udpagent(["--bind", &target])
        .stderr(format!(
            "udpagent: {target}: cannot listen: Address already in use (os error 98)\n"
        ))
        .status(1)
        .run();
    let outcome = user
        .udpagent(["--bind", &target, "--config", "/dev/null/x"])
        .outcome();
    assert_eq!(outcome.status, 1);
    assert_eq!(
        outcome.stderr,
        "udpagent: /dev/null/x: Not a directory (os error 20)\n"
    );
}
