//! Keys in memory: neither in a core dump nor readable by other processes of the same user.

use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use crate::harness::{Agent, Test, User, eventually};
use crate::users::{Nobody, nobody};

/// Owner of a file.
fn owner(file: &Path) -> u32 {
    std::fs::metadata(file).unwrap().uid()
}

#[test]
fn an_agent_without_root_is_not_dumpable_but_its_commands_are() {
    let user = User::new();
    let root = rustix::process::geteuid().is_root();
    let Nobody { uid, gid, .. } = nobody();
    let lower = |command: &mut Command| {
        if root {
            command.uid(uid).gid(gid);
        }
    };
    let lowered = |program: &str, args: &[&str]| {
        let mut command = user.command(program);
        command.args(args);
        lower(&mut command);
        command
    };
    if root {
        chown(user.path(""), Some(uid), Some(gid)).unwrap();
    }
    let agent = Agent::from(lowered("udpagent", &["--bind", "127.0.0.1:0"]));
    let process = format!("/proc/{}", agent.child.pid().as_raw_pid());
    // The files of a process that is not dumpable belong to root, not so their directory; proc(5).
    let environ = format!("{process}/environ");
    assert_eq!(owner(Path::new(&environ)), 0);
    let mut reader = Command::new("/bin/cat");
    reader.arg(&environ);
    lower(&mut reader);
    let read = reader.output().unwrap();
    assert!(!read.status.success() && read.stdout.is_empty());

    // Its commands are dumpable, from a file and from memory, and are ended with their descendants.
    let target = agent.target();
    let exec = |args: &[&str]| {
        let args = [&["exec", &target][..], args].concat();
        Test::new(lowered("udpctl", &args))
    };
    let me = if root { uid } else { owner(&user.path("")) };
    let no_home = || {
        if root {
            crate::users::no_home(&target)
        } else {
            String::new()
        }
    };
    let own = "stat -c %u /proc/self/environ; wc -c </proc/self/environ >/dev/null && echo read";
    exec(&["--shell", own])
        .stdout(format!("{me}\nread\n"))
        .stderr(no_home())
        .run();
    let script = user.path("script");
    std::fs::write(&script, format!("#!/bin/sh\n{own}\n")).unwrap();
    if root {
        chown(&script, Some(uid), Some(gid)).unwrap();
    }
    exec(&["--script", script.to_str().unwrap()])
        .stdout(format!("{me}\nread\n"))
        .stderr(no_home())
        .run();
    let tree = ["--timeout", "1s", "--shell", "setsid sleep 600 & sleep 600"];
    assert_eq!(exec(&tree).outcome().status, 124);
    eventually("the tree has ended", || agent.jobs().left().is_empty());
}
