//! Arguments of `--shell` and `--script` without `--`, which are not taken for hosts.

use crate::harness::User;

#[test]
fn an_argument_of_a_text_or_script_is_not_taken_for_a_host() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    user.write("s.sh", "#!/bin/sh\ntouch \"$1\"\n");
    let (script, ran) = (user.path("s.sh"), user.path("ran"));
    let script = script.to_str().unwrap();
    let touch = format!("touch {}", ran.display());
    let rest =
        "a text of --shell with spaces is quoted, and a \"--\" at the end says that all are hosts";
    for (words, line, fault) in [
        (
            vec![&*target, "--shell", &touch, "no.invalid"],
            format!("{target} --shell '{touch}' -- no.invalid"),
            "no.invalid stands behind what to run, and a host before it",
        ),
        (
            vec!["--script", script, &target, "/etc", "3"],
            format!("--script {script} {target} -- /etc 3"),
            "/etc is not a host",
        ),
        (
            vec![&*target, "3", "--shell", &touch],
            format!("{target} --shell '{touch}' -- 3"),
            "3 is not a host",
        ),
        (
            vec!["-w", &target, "--shell", &touch, "x.invalid"],
            format!("-w {target} --shell '{touch}' -- x.invalid"),
            "x.invalid stands behind what to run, and a host before it",
        ),
        (
            vec!["--rerun", "failed", "--shell", &touch, "x.invalid"],
            format!("--rerun failed --shell '{touch}' -- x.invalid"),
            "x.invalid stands behind what to run, and a host before it",
        ),
        (
            vec!["--rerun=failed", "--script", script, "x.invalid", "3"],
            format!("'--rerun=failed' --script {script} -- x.invalid 3"),
            "x.invalid stands behind what to run, and a host before it",
        ),
    ] {
        let outcome = user.udpctl([&["exec"], &words[..]].concat()).outcome();
        let hint = format!("put \"--\" before arguments: udpctl exec {line}");
        let wanted = format!("udpctl: {fault}; nothing was sent; {hint}; {rest}\n");
        assert_eq!((outcome.stderr, outcome.status), (wanted, 2), "{words:?}");
    }
    assert!(!ran.exists());
    // Hosts and sets are taken as such; and a line with "--" as it is.
    for words in [
        ["exec", &target, &target, "--shell", &touch],
        ["exec", "--shell", &touch, &target, &target],
    ] {
        assert_eq!(user.udpctl(words).outcome().status, 0);
        std::fs::remove_file(&ran).unwrap();
    }
    let dashed = [
        "exec",
        "--contact-timeout",
        "1s",
        &target,
        "no.invalid",
        "--shell",
        "true",
        "--",
    ];
    assert_eq!(user.udpctl(dashed).outcome().status, 4);
}
