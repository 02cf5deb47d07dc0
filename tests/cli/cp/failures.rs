//! Items and copies that fail: each is named, and the status says so.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::json;

use crate::harness::{Agent, User};

#[test]
fn an_item_that_fails_is_named_and_the_others_are_copied() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    fs::create_dir_all(user.path("there/busy")).unwrap();
    for name in ["a", "busy", "z"] {
        fs::write(user.path(name), name).unwrap();
    }
    fs::create_dir(user.path("d")).unwrap();
    let to = user.path("there").display().to_string();
    let place = format!("{target}:{to}");
    user.udpctl(["cp", "a", "busy", "none", "d", "z", &place])
        .stderr(format!(
            "udpctl: none: No such file or directory\n\
             udpctl: d: is a directory; to copy it, use -r\n\
             udpctl: {target}: {to}/busy: Is a directory\n"
        ))
        .status(1)
        .run();
    assert!(fs::read(user.path("there/a")).unwrap() == b"a" && user.path("there/z").exists());
    // Down.
    user.udpctl(["cp", &format!("{place}/a"), &format!("{place}/none"), "d"])
        .stderr(format!(
            "udpctl: {target}: {to}/none: No such file or directory\n"
        ))
        .status(1)
        .run();
    assert!(user.path("d/a").exists());
}

#[test]
fn a_program_reads_what_was_copied_and_what_was_not() {
    let user = User::new();
    let agent = Agent::start(&user, &["--bind", "0.0.0.0:0"]);
    agent.is_trusted_by(&user, 2);
    fs::create_dir_all(user.path("there/busy")).unwrap();
    for name in ["a", "busy"] {
        fs::write(user.path(name), name).unwrap();
    }
    let port = agent.addresses()[0].port();
    let to = user.path("there").display().to_string();
    let objects = |args: &[&str]| {
        let outcome = user.udpctl([&["cp", "--json"], args].concat()).outcome();
        let text = String::from_utf8(outcome.stdout).unwrap();
        let objects: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        (outcome.status, outcome.stderr, objects)
    };
    let one = format!("127.0.0.1:{port}");
    let (status, stderr, objects_of_one) = objects(&["a", "busy", "none", &format!("{one}:{to}")]);
    assert_eq!(status, 1, "{stderr}");
    let [object] = &objects_of_one[..] else {
        panic!("{objects_of_one:?}");
    };
    let has = |member: &str, value: serde_json::Value| assert_eq!(object[member], value);
    has("v", 1.into());
    has("host", one.clone().into());
    has("outcome", json!({"exited": {"code": 1}}));
    has("complete", false.into());
    has("files", 1.into());
    has("bytes", 1.into());
    has("failed", 2.into());
    has(
        "failed_items",
        json!([
            {"path": "none", "side": "here", "error": "No such file or directory"},
            {"path": format!("{to}/busy"), "side": "host", "error": "Is a directory"},
        ]),
    );
    assert!(object.get("stdout").is_none(), "it is the copy itself");
    // The lines for people are there as well.
    assert!(
        stderr.contains("udpctl: none: No such file or directory\n"),
        "{stderr}"
    );
    let set = format!("127.0.0.[1-2]:{port}");
    let (status, stderr, mut of_two) = objects(&["-w", &set, "a", &format!(":{to}")]);
    assert_eq!(status, 0, "{stderr}");
    of_two.sort_by_key(|object| object["host"].to_string());
    for (object, host) in std::iter::zip(&of_two, [one, format!("127.0.0.2:{port}")]) {
        assert_eq!(object["host"], json!(host));
        assert_eq!(object["complete"], json!(true));
        assert_eq!(object["failed_items"], json!([]));
        assert_eq!((&object["files"], &object["bytes"]), (&json!(1), &json!(1)));
    }
    assert_eq!(of_two.len(), 2);
}

#[test]
fn what_is_wrong_here_is_found_before_a_host_is_contacted() {
    let user = User::new();
    fs::write(user.path("f"), "f").unwrap();
    fs::create_dir(user.path("d")).unwrap();
    // No agent is there, and none is known.
    for (args, stderr, status) in [
        (
            &["cp", "none", "192.0.2.1:"][..],
            "none: No such file or directory",
            1,
        ),
        (
            &["cp", "d", "192.0.2.1:"],
            "d: is a directory; to copy it, use -r",
            1,
        ),
        (
            &["cp", "192.0.2.1:x", "no/where"],
            "no: no such directory; make it first",
            255,
        ),
        (
            &["cp", "192.0.2.1:x", "192.0.2.1:y", "f"],
            "f: Not a directory",
            255,
        ),
        (
            &["cp", "192.0.2.1:x", "192.0.2.1:y", "new"],
            "new: no such directory; make it first",
            255,
        ),
        (
            &["cp", "192.0.2.1:x", "new/"],
            "new/: no such directory; make it first",
            255,
        ),
        (&["cp", "f", "d"], "no place has a host: write HOST:PATH", 2),
        (
            &["cp", "f", ":x"],
            "no host before \":\", and no option that names hosts",
            2,
        ),
        (
            &["cp", "192.0.2.1:x", "f", "192.0.2.1:y"],
            "the sources are on this machine, or on hosts, not both",
            2,
        ),
        (
            &["cp", "192.0.2.1:x", "192.0.2.2:y"],
            "a copy between hosts goes through this machine: copy from one, then to the other",
            2,
        ),
        (
            &["cp", "192.0.2.1:x", "192.0.2.2:y", "d"],
            "all sources are on the same hosts: write one set of hosts in front of each",
            2,
        ),
    ] {
        user.udpctl(args)
            .stderr(format!("udpctl: {stderr}\n"))
            .status(status)
            .run();
    }
}

#[test]
fn a_directory_of_the_host_that_is_not_there_is_named() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    for name in ["f", "g"] {
        fs::write(user.path(name), name).unwrap();
    }
    fs::create_dir(user.path("d")).unwrap();
    let to = user.path("there").display().to_string();
    for (args, path) in [
        (&["f"][..], "/"),
        (&["f"], "/new"),
        (&["f"], "/new/"),
        (&["f", "g"], ""),
        (&["-r", "d"], "/new"),
    ] {
        let place = format!("{target}:{to}{path}");
        user.udpctl(["cp"].iter().chain(args).chain([&&*place]))
            .stderr(format!(
                "udpctl: {target}: {to}: no such directory; make it first\n"
            ))
            .status(1)
            .run();
    }
    assert!(!user.path("there").exists());
    // A directory may be the new one.
    user.udpctl(["cp", "-r", "d", &format!("{target}:{to}/")])
        .run();
    assert!(user.path("there").is_dir());
}

#[test]
fn nothing_is_written_through_a_link_in_the_destination() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    for directory in ["tree/d", "there/tree", "outside"] {
        fs::create_dir_all(user.path(directory)).unwrap();
    }
    fs::write(user.path("tree/d/f"), "new").unwrap();
    fs::write(user.path("tree/g"), "new").unwrap();
    fs::write(user.path("outside/f"), "kept").unwrap();
    symlink(user.path("outside"), user.path("there/tree/d")).unwrap();
    symlink("../../outside/f", user.path("there/tree/g")).unwrap();
    let to = user.path("there").display().to_string();
    user.udpctl(["cp", "-r", "tree", &format!("{target}:{to}")])
        .stderr(format!("udpctl: {target}: {to}/tree/d: Not a directory\n"))
        .status(1)
        .run();
    assert_eq!(fs::read(user.path("outside/f")).unwrap(), b"kept");
    assert_eq!(fs::read(user.path("there/tree/g")).unwrap(), b"new");
    assert!(!user.path("there/tree/g").is_symlink());
}

#[test]
fn a_full_disk_fails_the_file_and_leaves_nothing_of_it() {
    let user = User::new();
    let disk = user.path("disk");
    fs::create_dir(&disk).unwrap();
    let mount = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m", "none"])
        .arg(&disk)
        .output();
    if !mount.is_ok_and(|output| output.status.success()) {
        return eprintln!("skipped: this user cannot mount a file system");
    }
    let unmount = || {
        std::process::Command::new("umount")
            .arg(&disk)
            .status()
            .unwrap()
    };
    let agent = user.agent();
    let target = agent.target();
    fs::write(user.path("large"), vec![7; 3 << 20]).unwrap();
    fs::write(user.path("small"), "small").unwrap();
    let place = format!("{target}:{}", disk.display());
    let outcome = user.udpctl(["cp", "large", "small", &place]).outcome();
    let names: Vec<_> = fs::read_dir(&disk)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(unmount().success());
    let wanted = format!(
        "udpctl: {target}: {}/large: No space left on device\n",
        disk.display()
    );
    assert_eq!((&*outcome.stderr, outcome.status), (&*wanted, 1));
    assert_eq!(names, ["small"]);
}

#[test]
fn an_agent_without_an_answer_is_unreachable() {
    let user = User::new();
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap().to_string();
    let agent = user.agent();
    user.udpctl(["trust", &silent, agent.key()])
        .stdout(format!("{silent} is trusted now\n"))
        .run();
    fs::write(user.path("f"), "f").unwrap();
    let args = [
        "cp",
        "--contact-timeout",
        "300ms",
        "f",
        &format!("{silent}:x"),
    ];
    let outcome = user.udpctl(args).outcome();
    assert_eq!(outcome.status, 255, "{}", outcome.stderr);
    let start = format!("udpctl: {silent}: no answer");
    assert!(outcome.stderr.starts_with(&start), "{}", outcome.stderr);
}
