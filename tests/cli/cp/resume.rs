//! Copies that are interrupted, and made again.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{Child, User, eventually};

/// Length of the file.
const SIZE: usize = 48 << 20;

/// Name and length of what an interrupted copy has left in a directory.
fn partial(directory: &Path) -> Option<(PathBuf, u64)> {
    let entries = fs::read_dir(directory).unwrap();
    let mut entries = entries.map(|entry| entry.unwrap());
    let is_partial =
        |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(".udpctl-");
    let found = entries.find(is_partial)?;
    Some((found.path(), found.metadata().ok()?.len()))
}

#[test]
fn a_copy_whose_controller_was_killed_is_continued() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    let content = super::bytes(SIZE);
    fs::write(user.path("f"), &content).unwrap();
    let there = user.path("there");
    fs::create_dir(&there).unwrap();
    fs::write(there.join("f"), "before").unwrap();
    let place = format!("{target}:{}", there.display());
    let mut command = user.command("udpctl");
    command.args(["cp", "f", &place]);
    let mut controller = Child::start(command);
    eventually("a part has arrived", || {
        partial(&there).is_some_and(|(_, length)| length > 1 << 20)
    });
    controller.kill();
    assert_eq!(fs::read(there.join("f")).unwrap(), b"before");
    // The agent would end it after the lease.
    agent.jobs().kill();
    let (path, length) = partial(&there).unwrap();
    assert!(length < SIZE as u64);
    user.udpctl(["cp", "f", &place]).run();
    assert!(fs::read(there.join("f")).unwrap() == content);
    assert!(!path.exists());
}
