//! Options of authorized_keys, as a running agent enforces them.

use crate::harness::{Agent, Child, User};

/// A user with options for the own key at the own agent.
fn restricted(options: &str) -> (User, Agent) {
    let user = User::new();
    user.authorize(options);
    let agent = user.agent();
    (user, agent)
}

/// Runs `udpctl exec` and checks that the only answer is a denial, without a reason.
#[track_caller]
fn denied(user: &User, agent: &Agent, args: &[&str]) {
    denied_as(user, agent, args, "denied");
}

/// Runs `udpctl exec` and checks that the only answer is a denial in these words.
#[track_caller]
fn denied_as(user: &User, agent: &Agent, args: &[&str], words: &str) {
    let target = agent.target();
    user.udpctl([&["exec", &target], args].concat())
        .stderr(format!("udpctl: {target}: {words}; request ID\n"))
        .status(255)
        .run();
}

#[test]
fn allow_is_compared_word_by_word() {
    let (user, agent) = restricted("'allow=echo one *' 'allow=printf **'");
    let target = agent.target();
    let echo = ["exec", &target, "--", "echo", "one"];
    user.udpctl([&echo[..], &["two"]].concat())
        .stdout("one two\n")
        .run();
    user.udpctl(["exec", &target, "--", "printf", "%s.", "a b", "c"])
        .stdout("a b.c.")
        .run();
    denied(&user, &agent, &["--", "echo", "one"]);
    denied(&user, &agent, &["--", "echo", "one", "two", "three"]);
    denied(&user, &agent, &["--", "/bin/echo", "one", "two"]);
    denied(&user, &agent, &["--shell", "echo one two"]);
}

#[test]
fn options_cannot_change_the_meaning_of_an_allowed_command() {
    let (user, agent) = restricted("allow=cat");
    let script = user.path("cat");
    std::fs::write(&script, "#!/bin/sh\necho mine\n").unwrap();
    // The kind of the request is named, and nothing tells whether the key has the command.
    for command in ["cat", "id"] {
        for (options, kind) in [
            (["--env", "PATH=/tmp"], "set variables (--env)"),
            (["--cwd", "/tmp"], "choose the working directory (--cwd)"),
            // At a terminal many programs offer a shell.
            (["-t", "--lease=60s"], "use a terminal (-t)"),
            (
                ["--script", script.to_str().unwrap()],
                "run scripts (--script)",
            ),
            (["--user", "nobody"], "run commands as that user (--user)"),
        ] {
            let args = [&options[..], &["--", command]].concat();
            let words = format!("denied: this key may not {kind}");
            denied_as(&user, &agent, &args, &words);
        }
    }
    denied(&user, &agent, &["--", "id"]);
    user.udpctl(["exec", "-i", &agent.target(), "--", "cat"])
        .stdin("as it is")
        .stdout("as it is")
        .run();
}

#[test]
fn a_chat_only_key_runs_nothing() {
    let (user, agent) = restricted("chat-only");
    let target = agent.target();
    denied(&user, &agent, &["--", "true"]);
    user.udpctl(["send", &target, "--", "hello"]).run();
    let ping = user.udpctl(["ping", &target]).outcome();
    assert_eq!(ping.status, 0, "{}", ping.stderr);
}

#[test]
fn a_key_outside_its_from_addresses_gets_no_answer() {
    let (user, agent) = restricted("from=192.0.2.0/24");
    let target = agent.target();
    let args = ["exec", &target, "--contact-timeout", "1s", "--", "true"];
    let outcome = user.udpctl(args).outcome();
    assert_eq!(outcome.status, 255);
    assert!(outcome.stderr.contains(": no answer"), "{}", outcome.stderr);
    user.authorize("from=192.0.2.0/24,127.0.0.0/8");
    user.udpctl(["exec", &target, "--", "echo", "here"])
        .stdout("here\n")
        .run();
}

#[test]
fn max_jobs_bounds_the_commands_of_a_key() {
    let (user, agent) = restricted("max-jobs=1");
    let target = agent.target();
    let mut command = user.command("udpctl");
    command.args(["exec", "-i", &target, "--", "sh", "-c", "echo up; cat"]);
    let mut first = Child::start(command);
    first.stdout_line(|line| line == "up");
    user.udpctl(["exec", &target, "--", "true"])
        .stderr(format!("udpctl: {target}: busy; request ID\n"))
        .status(255)
        .run();
    // The command ends with its input.
    assert!(first.wait().0.success());
    user.udpctl(["exec", &target, "--", "true"]).run();
}
