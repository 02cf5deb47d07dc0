//! Programs that drive `udpctl batch` through pipes: those of examples/.

use std::process::Command;

use super::{exited, records};
use crate::harness::{Agent, Test, User};

/// A run of one of the examples, which find `udpctl` by the search path.
fn example(user: &User, name: &str, args: &[&str]) -> Test {
    let root = env!("CARGO_MANIFEST_DIR");
    let programs = std::path::Path::new(env!("CARGO_BIN_EXE_udpctl"));
    let programs = programs.parent().unwrap().display();
    let mut command = user.command(&format!("{root}/examples/{name}"));
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{programs}:{path}")).args(args);
    Test::new(command)
}

#[test]
fn the_example_in_shell_runs_a_command_on_each_target() {
    let user = User::new();
    let agent = Agent::start(&user, &["--bind", "0.0.0.0:0"]);
    agent.is_trusted_by(&user, 2);
    let targets = agent.targets(2);
    let args = [&targets[0], &targets[1], "--", "printf", "%s.", r#"a "b\c"#];
    let outcome = example(&user, "batch.sh", &args).outcome();
    let wanted = [1, 2].map(|line| {
        let place = format!(r#"{line},"tag":{line}"#);
        exited(&place, &targets[line - 1], r#"a \"b\\c."#)
    });
    assert_eq!(records(&outcome.stdout), wanted, "{}", outcome.stderr);
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    assert_eq!(example(&user, "batch.sh", &["web1"]).outcome().status, 2);
}

#[test]
fn the_example_in_python_matches_the_records_by_tag() {
    let python = Command::new("python3").arg("--version").output();
    if !python.is_ok_and(|output| output.status.success()) {
        println!("skipped: no python3 here");
        return;
    }
    let user = User::new();
    let agent = Agent::start(&user, &["--bind", "0.0.0.0:0"]);
    agent.is_trusted_by(&user, 2);
    let targets = agent.targets(2);
    let args = [&targets[0], "@none", &targets[1], "--", "echo", "hi"];
    example(&user, "batch.py", &args)
        .stdout(format!(
            "{}: ok: 'hi\\n'\n@none: \"target\": @none: the inventory has no such group\n{}: ok: 'hi\\n'\n",
            targets[0], targets[1]
        ))
        .stderr("2 ok of 2 in TIME\nbad lines: 1\n")
        .status(2)
        .run();
}
