//! Keys that may copy, and where.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use crate::harness::{User, eventually};
use crate::users::{no_home, nobody};

/// A user whose own agent lets their key do what `options` say, and the directories of the test.
fn restricted(options: &str) -> User {
    let user = User::new();
    for directory in ["in", "out", "other"] {
        fs::create_dir(user.path(directory)).unwrap();
    }
    fs::write(user.path("f"), "f").unwrap();
    fs::write(user.path("out/g"), "g").unwrap();
    fs::write(user.path("other/secret"), "secret").unwrap();
    symlink(user.path("other"), user.path("in/link")).unwrap();
    symlink("../other/secret", user.path("out/link")).unwrap();
    let options = options.replace("HOME", &user.home());
    user.authorize(&options);
    user
}

#[test]
fn a_restricted_key_needs_copy_and_is_told_the_direction() {
    let (from, to) = ("read:DIR", "write:DIR");
    for (options, denied) in [
        ("allow=true", &[from, to][..]),
        ("chat-only", &[from, to]),
        ("allow=true copy=read:HOME/out", &[to]),
        ("copy=write:HOME/in", &[from]),
    ] {
        let user = restricted(options);
        let mut agent = user.agent();
        let (target, home) = (agent.target(), user.home());
        for rule in denied {
            let (words, places) = if *rule == from {
                ("from", [format!("{target}:{home}/out/g"), "g".into()])
            } else {
                ("to", ["f".into(), format!("{target}:{home}/in")])
            };
            user.udpctl(["cp", &places[0], &places[1]])
                .stderr(format!(
                    "udpctl: {target}: denied: this key may not copy files {words} this host (udpctl cp); request ID\n"
                ))
                .status(255)
                .run();
            let reason = format!("copies {words} here only by copy= with DIR or {rule}");
            agent.child.stderr_line(|line| line.contains(&reason));
        }
    }
}

#[test]
fn a_key_copies_beneath_the_directories_of_its_line_alone() {
    let user = restricted("chat-only copy=write:HOME/in copy=read:HOME/out");
    let audit = user.path("audit");
    user.write_config(&format!("audit-file = '{}'", audit.display()));
    let mut agent = user.agent();
    let denied = "denied: a path of the copy is beneath no directory of copy=";
    let (target, home) = (agent.target(), user.home());
    let checked = user.udpagent(["check"]).outcome().stdout;
    let checked = String::from_utf8(checked).unwrap();
    let rules = format!("copies files by copy=write:{home}/in or copy=read:{home}/out\n");
    assert!(checked.contains(&rules), "{checked}");
    user.udpctl(["cp", "f", &format!("{target}:{home}/in")])
        .run();
    assert_eq!(fs::read(user.path("in/f")).unwrap(), b"f");
    user.udpctl(["cp", &format!("{target}:{home}/out/g"), "."])
        .run();
    assert_eq!(fs::read(user.path("g")).unwrap(), b"g");
    for path in ["out", "other/new", "in/../other", "in/link/new", "in/link"] {
        let to = format!("{home}/{path}");
        user.udpctl(["cp", "f", &format!("{target}:{to}")])
            .stderr(format!(
                "udpctl: {target}: {to}: this key may not copy there\n"
            ))
            .status(1)
            .run();
        agent.child.stderr_line(|line| line.contains(denied));
    }
    for path in ["in/f", "other/secret", "out/link"] {
        let from = format!("{home}/{path}");
        user.udpctl(["cp", &format!("{target}:{from}"), "stolen"])
            .stderr(format!(
                "udpctl: {target}: {from}: this key may not copy there\n"
            ))
            .status(1)
            .run();
        agent.child.stderr_line(|line| line.contains(denied));
    }
    // One for each, behind its end.
    let record = "\"outcome\":{\"denied\":{}},\"reason\":\"a path of the copy is beneath no directory of copy=\"}";
    eventually("the records", || {
        let text = fs::read_to_string(&audit).unwrap();
        text.matches(record).count() == 8
    });
    let text = fs::read_to_string(&audit).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let is_of = |line: &str, event: &str| line.contains(&format!("\"event\":\"{event}\""));
    for pair in lines.windows(2).filter(|pair| is_of(pair[1], "denied")) {
        assert!(is_of(pair[0], "ended"), "{pair:?}");
    }
    assert!(!user.path("stolen").exists());
    assert_eq!(fs::read_dir(user.path("other")).unwrap().count(), 1);
}

#[test]
fn a_directory_of_a_rule_that_is_replaced_by_a_link_leads_nowhere() {
    let user = restricted("copy=HOME/in");
    let agent = user.agent();
    let (target, home) = (agent.target(), user.home());
    let to = format!("{home}/in");
    user.udpctl(["cp", "f", &format!("{target}:{to}")]).run();
    // Whoever may write to the directory above has put a link in its place.
    fs::rename(user.path("in"), user.path("away")).unwrap();
    symlink(user.path("other"), user.path("in")).unwrap();
    for to in [to.clone(), format!("{to}/new")] {
        user.udpctl(["cp", "f", &format!("{target}:{to}")])
            .stderr(format!(
                "udpctl: {target}: {to}: this key may not copy there\n"
            ))
            .status(1)
            .run();
    }
    assert_eq!(fs::read_dir(user.path("other")).unwrap().count(), 1);
    let checked = user.udpagent(["check"]).outcome();
    let words = format!(
        "copy={to} copies nothing: {to} is a symbolic link; name the directory that it leads to\n"
    );
    assert!(checked.stderr.ends_with(&words), "{}", checked.stderr);
    assert_eq!(checked.status, 1);
}

#[test]
fn files_are_read_and_written_with_the_rights_of_the_keys_user() {
    if !rustix::process::geteuid().is_root() {
        return eprintln!("SKIPPED: only root can change to another user");
    }
    let user = restricted("user=nobody");
    let permit = |path: &str, mode| {
        fs::set_permissions(user.path(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    permit(".", 0o755);
    permit("in", 0o777);
    permit("other/secret", 0o600);
    let agent = user.agent();
    let (target, home) = (agent.target(), user.home());
    user.udpctl(["cp", "f", &format!("{target}:{home}/in")])
        .stderr(no_home(&target))
        .run();
    let written = fs::metadata(user.path("in/f")).unwrap();
    assert_eq!(written.uid(), nobody().uid);
    for (from, to, failed) in [
        ("f".to_owned(), format!("{target}:{home}/out"), "out/f"),
        (
            format!("{target}:{home}/other/secret"),
            "stolen".into(),
            "other/secret",
        ),
    ] {
        user.udpctl(["cp", &from, &to])
            .stderr(format!(
                "udpctl: {target}: {home}/{failed}: Permission denied\n{}",
                no_home(&target)
            ))
            .status(1)
            .run();
    }
}
