//! `--script`: a local file that runs on the host without a file there.

use std::fs;

use crate::harness::User;

fn write(user: &User, name: &str, text: impl AsRef<[u8]>) -> String {
    let path = user.path(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_script_runs_with_its_interpreter_arguments_and_stdin() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    let plain = write(&user, "deploy.sh", "echo \"$0 $# $2\"; cat; exit 7");
    user.udpctl([
        "exec", &target, "-i", "--script", &plain, "--", "a b", "c d",
    ])
    .stdin("typed\n")
    .stdout("/proc/self/fd/3 2 c d\ntyped\n")
    .status(7)
    .run();
    let sed = write(&user, "numbers", "#!/bin/sed -nf\n2p\n");
    user.udpctl(["exec", &target, "-i", "--script", &sed])
        .stdin("1\n2\n3\n")
        .stdout("2\n")
        .run();
    // The script sees its own text only, and cannot change it.
    let own = write(
        &user,
        "own",
        "#!/bin/sh\necho x 2>&- >>$0; readlink $0; ls /proc/$$/fd | grep -c .\n",
    );
    let outcome = user.udpctl(["exec", &target, "--script", &own]).outcome();
    let text = String::from_utf8(outcome.stdout).unwrap();
    assert!(text.contains("/memfd:script"), "{text}");
    let stolen = write(&user, "lost", "#!/no/such/interpreter\n");
    user.udpctl(["exec", &target, "--script", &stolen])
        .stderr(format!(
            "udpctl: {target}: could not be started: No such file or directory: the interpreter of lost; request ID\n"
        ))
        .status(127)
        .run();
}

#[test]
fn a_script_up_to_the_size_limit_runs_and_a_larger_one_is_refused() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    let line = "echo $LINE_OF_NO_MEANING_BUT_LENGTH >/dev/null\n";
    let end = "echo end\n";
    let filled = line.repeat((262_144 - end.len()) / line.len()) + end;
    let most = write(&user, "most", filled);
    user.udpctl(["exec", &target, "--script", &most])
        .stdout("end\n")
        .run();
    let more = write(&user, "more", "#".repeat(262_145));
    user.udpctl(["exec", &target, "--script", &more])
        .stderr(format!(
            "udpctl: {more}: a script has at most 262144 bytes\n"
        ))
        .status(255)
        .run();
    let outcome = user.udpctl(["exec", &target, "--script", "-"]).outcome();
    assert_eq!(outcome.status, 2);
    assert!(outcome.stderr.contains("sh -s"), "{}", outcome.stderr);
    let outcome = user
        .udpctl(["exec", &target, "--script", &most, "--shell", "x"])
        .outcome();
    assert_eq!(outcome.status, 2);
}

#[test]
fn jobs_lists_a_script_by_its_name() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    let sleep = write(&user, "wait.sh", "sleep 600");
    let args = ["exec", &target, "--detach", "--script", &sleep, "--", "x"];
    let outcome = user.udpctl(args).outcome();
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    let listed = user.udpctl(["jobs", &target]).outcome();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.ends_with("running, wait.sh x\n"), "{listed}");
}
