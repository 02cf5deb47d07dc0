//! Failures on this machine: each names its place and the reason of the system, once.
//!
//! Not the outcomes of commands, which are in `outcomes`. Invariant: every line of stderr is compared whole, or its reasons
//! are counted.

use crate::harness::{Test, User};

#[test]
fn the_cause_of_a_failure_is_printed_once() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    user.udpagent(["--bind", &target])
        .stderr(format!(
            "udpagent: {target}: cannot listen: Address already in use (os error 98); another udpagent may run \
             (\"udpagent status\", \"ss -lunp\"), or choose another port with --bind\n"
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

#[test]
fn the_reason_of_the_system_is_printed_once_by_every_subcommand() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    let missing = "No such file or directory (os error 2)";
    let folder = "Not a directory (os error 20)";
    for (line, reason) in [
        (&["exec", &target, "--script", "none"][..], missing),
        (&["exec", "--hostfile", "none", "--", "true"], missing),
        (
            &["exec", "--inventory", "none", "-g", "x", "--", "true"],
            missing,
        ),
        (&["batch", "none"], missing),
        (&["trust", "--import", "none"], missing),
        (
            &["exec", &target, "-o", "/dev/null/x", "--", "true"],
            folder,
        ),
        (
            &["exec", &target, "--joblog", "/dev/null/x", "--", "true"],
            folder,
        ),
    ] {
        let outcome = user.udpctl(line).outcome();
        let (place, rest) = outcome
            .stderr
            .split_once(&format!(": {reason}"))
            .unwrap_or_else(|| panic!("{}", outcome.stderr));
        let places = [
            "udpctl: none",
            "udpctl: -o /dev/null/x",
            "udpctl: --joblog /dev/null/x",
        ];
        assert!(places.contains(&place), "{}", outcome.stderr);
        assert_eq!(rest, "\n", "{line:?}");
    }
    for (variable, path, command) in [
        (
            "XDG_STATE_HOME",
            "/dev/null/x/udpagent/answered",
            &["--bind", "127.0.0.1:0"][..],
        ),
        (
            "XDG_CONFIG_HOME",
            "/dev/null/x/udpagent/udpagent.toml",
            &["--bind", "127.0.0.1:0"],
        ),
        ("XDG_CONFIG_HOME", "/dev/null/x/udpagent/identity", &["key"]),
    ] {
        let mut program = user.command("udpagent");
        program.args(command).env(variable, "/dev/null/x");
        let outcome = Test::new(program).outcome();
        assert!(
            outcome.stderr.ends_with(&format!("{path}: {folder}\n")),
            "{}",
            outcome.stderr
        );
        assert_eq!(
            outcome.stderr.matches("os error").count(),
            1,
            "{}",
            outcome.stderr
        );
    }
    // For a log in JSON, too.
    let outcome = user
        .udpagent(["--bind", &target, "--log-format", "json"])
        .outcome();
    assert_eq!(
        outcome.stderr.matches("os error").count(),
        1,
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_file_in_the_place_of_a_directory_is_named_with_its_option() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    let file = user.path("file");
    std::fs::write(&file, "").unwrap();
    let file = file.to_str().unwrap();
    for option in ["-o", "-e", "--log-dir"] {
        let reason = "Not a directory (os error 20)";
        user.udpctl(["exec", &target, option, file, "--", "true"])
            .stderr(format!("udpctl: {option} {file}: {reason}\n"))
            .status(255)
            .run();
    }
}
