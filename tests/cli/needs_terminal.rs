//! Note about a command that needs a terminal.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt as _;

use crate::harness::{Pty, User};

#[test]
fn a_full_screen_program_that_fails_without_a_terminal_is_told_to_a_person_only() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    for (name, status) in [("top", 3), ("less", 0), ("topology", 3)] {
        user.write(name, &format!("#!/bin/sh\nexit {status}\n"));
        set_permissions(user.path(name), Permissions::from_mode(0o755)).unwrap();
    }
    let program = |name: &str| user.path(name).to_str().unwrap().to_owned();
    let note = "udpctl: top needs a terminal; use -t\r\n";
    for (options, name, status, shown) in [
        (&[][..], "top", 3, note),
        (&[], "less", 0, ""),
        (&[], "topology", 3, ""),
        (&["--json"], "top", 3, ""),
        (&["--detach"], "top", 0, ""),
    ] {
        let mut command = user.command("udpctl");
        command.arg("exec").args(options);
        command.args([&*target, "--", &program(name)]);
        let mut here = Pty::start(command);
        assert_eq!(here.wait(), Some(status), "{name}");
        let told = here.rest().contains("needs a terminal");
        assert_eq!(told, !shown.is_empty(), "{:?}", here.rest());
        assert!(here.rest().ends_with(shown), "{:?}", here.rest());
    }
    // A script sees nothing of it.
    user.udpctl(["exec", &target, "--", &program("top")])
        .status(3)
        .run();
}

#[test]
fn a_program_that_refuses_to_ask_for_a_password_is_told_to_a_person_who_failed() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    let sudo = "sudo: a terminal is required to read the password; either use the -S option";
    let old = "sudo: no tty present and no askpass program specified";
    for (line, status, note) in [
        (sudo, 1, "udpctl: sudo needs a terminal; use -t\r\n"),
        (old, 1, "udpctl: sudo needs a terminal; use -t\r\n"),
        (
            "su: must be run from a terminal",
            1,
            "udpctl: su needs a terminal; use -t\r\n",
        ),
        (sudo, 0, ""),
        ("sudo: a password is required", 1, ""),
    ] {
        let mut command = user.command("udpctl");
        command.args(["exec", &target, "--shell"]);
        command.args([&*format!("echo \"$1\" >&2; exit {status}"), "--", line]);
        let mut here = Pty::start(command);
        assert_eq!(here.wait(), Some(status), "{line}");
        assert!(
            here.rest().ends_with(&format!("{line}\r\n{note}")),
            "{:?}",
            here.rest()
        );
    }
}
