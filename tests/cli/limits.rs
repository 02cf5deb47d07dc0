//! Limits of udpagent.toml: time, output, resources, number of jobs. The length of a request.

use crate::harness::{Agent, User, eventually};

fn said(target: &str, what: &str) -> String {
    format!("udpctl: {target}: {what}; request ID\n")
}

#[test]
fn the_agents_time_limit_is_reported_apart_from_the_requests_timeout() {
    let user = User::new();
    user.write_config("[limits]\nruntime = '1s'");
    let agent = user.agent();
    let target = agent.target();
    let sleep = ["--", "sleep", "600"];
    user.udpctl([&["exec", &target][..], &sleep].concat())
        .stderr(said(
            &target,
            "timed out: the agent lets no command run for longer",
        ))
        .status(124)
        .run();
    user.udpctl([&["exec", &target, "--timeout", "200ms"][..], &sleep].concat())
        .stderr(said(&target, "timed out"))
        .status(124)
        .run();
    let json = [&["exec", &target, "--json"][..], &sleep].concat();
    let json = user.udpctl(json).outcome();
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["outcome"], serde_json::json!({"timed_out": {}}));
    assert_eq!(json["cause"], "runtime");
}

#[test]
fn output_ends_at_the_limit_and_so_does_the_process_tree() {
    let user = User::new();
    user.write_config("[limits]\noutput = '100 kB'");
    let agent = user.agent();
    let target = agent.target();
    // Exactly the limit.
    let outcome = user
        .udpctl(["exec", &target, "--", "head", "-c", "100000", "/dev/zero"])
        .outcome();
    assert_eq!((outcome.status, outcome.stdout.len()), (0, 100_000));
    // More, on both outputs together, from a command that then waits, with a child.
    let script = "sleep 600 & echo $! >pid; head -c 60000 /dev/zero; head -c 60000 /dev/zero >&2; \
                  while :; do echo more; done";
    let home = user.home();
    let outcome = user
        .udpctl(["exec", &target, "--cwd", &home, "--shell", script])
        .outcome();
    let stderr = String::from_utf8_lossy(outcome.stderr.as_bytes()).into_owned();
    let line =
        format!("udpctl: {target}: canceled: the agent lets no command write more; request ");
    assert!(stderr.contains(&line), "{}", stderr.replace('\0', ""));
    assert_eq!(outcome.status, 255);
    let zeros = stderr.bytes().filter(|&byte| byte == 0).count();
    let written = outcome.stdout.len() + zeros;
    assert_eq!(written, 100_000);
    let pid = std::fs::read_to_string(user.path("pid")).unwrap();
    let process = std::path::PathBuf::from(format!("/proc/{}", pid.trim()));
    eventually("the tree has ended", || !process.exists());
    // A command that exits before the limit is noticed is no success either.
    let outcome = user
        .udpctl(["exec", &target, "--", "head", "-c", "100001", "/dev/zero"])
        .outcome();
    assert_eq!((outcome.status, outcome.stdout.len()), (255, 100_000));
    let args = [
        "exec",
        &target,
        "--json",
        "--",
        "head",
        "-c",
        "100001",
        "/dev/zero",
    ];
    let json = user.udpctl(args).outcome();
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["cause"], "output");
}

#[test]
fn a_process_has_the_configured_resource_limits() {
    let user = User::new();
    user.write_config(
        "[limits]\nopen-files = 40\nprocesses = 1000\nmemory = '512 MiB'\nfile-size = '1 MiB'\ncpu = '90s'\ncore = 0",
    );
    let agent = user.agent();
    let limits = user
        .udpctl(["exec", &agent.target(), "--", "cat", "/proc/self/limits"])
        .outcome();
    let limits = String::from_utf8(limits.stdout).unwrap();
    for (name, limit) in [
        ("Max open files", "40"),
        ("Max processes", "1000"),
        ("Max address space", "536870912"),
        ("Max file size", "1048576"),
        ("Max cpu time", "90"),
        ("Max core file size", "0"),
    ] {
        let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
        let words: Vec<&str> = line[name.len()..].split_whitespace().collect();
        assert_eq!(words[..2], [limit, limit], "{line}");
    }
    // The signal names the exceeded limit.
    let target = agent.target();
    let big = user.path("big");
    let script = format!("exec head -c 2000000 /dev/zero >{}", big.display());
    user.udpctl(["exec", &target, "--shell", &script])
        .stderr(said(&target, "ended by signal 25 (XFSZ)"))
        .status(153)
        .run();
}

#[test]
fn the_limit_of_jobs_is_enforced() {
    let user = User::new();
    user.write_config("[limits]\njobs = 1");
    let agent = user.agent();
    let target = agent.target();
    let outcome = user
        .udpctl(["exec", &target, "--detach", "--", "sleep", "600"])
        .outcome();
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    user.udpctl(["exec", &target, "--", "true"])
        .stderr(said(&target, "busy"))
        .status(255)
        .run();
}

#[test]
fn a_command_has_the_usual_umask_and_oom_score_whatever_the_agent_has() {
    let user = User::new();
    // Lowering the score needs a privilege; raising it does not.
    let script = "umask 077; echo 500 >/proc/self/oom_score_adj; exec \"$@\"";
    let mut command = user.command("sh");
    command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_udpagent")]);
    command.args(["--bind", "127.0.0.1:0"]);
    let agent = Agent::from(command);
    let adjustment = format!("/proc/{}/oom_score_adj", agent.child.pid().as_raw_pid());
    assert_eq!(std::fs::read_to_string(adjustment).unwrap(), "500\n");
    let script = "umask; cat /proc/self/oom_score_adj";
    user.udpctl(["exec", &agent.target(), "--shell", script])
        .stdout("0022\n0\n")
        .run();
}

#[test]
fn few_descriptors_are_said_at_the_start_and_busy_commands_in_the_log() {
    // 128 of the agent itself, and 11 for each command.
    let limit = "ulimit -n 150; exec \"$@\"";
    let user = User::new();
    let mut command = user.command("sh");
    command.args(["-c", limit, "sh"]);
    command.args([env!("CARGO_BIN_EXE_udpagent"), "--bind", "127.0.0.1:0"]);
    let mut agent = Agent::from(command);
    let target = agent.target();
    for _ in 0..2 {
        let args = ["exec", &target, "--detach", "--", "sleep", "600"];
        assert_eq!(user.udpctl(args).outcome().status, 0);
    }
    for _ in 0..3 {
        user.udpctl(["exec", &target, "--", "true"])
            .stderr(said(&target, "busy"))
            .status(255)
            .run();
    }
    let mut command = user.command("sh");
    command.args(["-c", limit, "sh"]);
    command.args([env!("CARGO_BIN_EXE_udpagent"), "check"]);
    let checked = crate::harness::Test::new(command).outcome().stdout;
    let checked = String::from_utf8(checked).unwrap();
    let few = "runs 2000 commands at a time, only 2 with the limit of open files of this process,";
    assert!(checked.contains(few), "{checked}");
    agent.child.signal(rustix::process::Signal::TERM);
    let (_, log) = agent.child.wait();
    let few = "the limit of open files, 150, suffices for 2 of 2000 commands at a time";
    assert_eq!(log.matches(few).count(), 1, "{log}");
    let busy = "busy: a command was refused, the last one of ";
    assert_eq!(log.matches(busy).count(), 1, "once a minute: {log}");
}

#[test]
fn arguments_beyond_the_length_of_a_request_are_refused_before_anything_is_sent() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    // 840 kB, and three bytes of JSON beside each word.
    let words: Vec<String> = (0..105_000).map(|number| format!("{number:08}")).collect();
    let line = |program: &str| {
        let line = ["exec", &target, "--", program].map(str::to_owned);
        [&line[..], &words].concat()
    };
    let outcome = user.udpctl(line("true")).outcome();
    assert_eq!((outcome.status, &outcome.stdout[..]), (2, &b""[..]));
    let (length, advice) = outcome.stderr.split_once(" bytes in a request").unwrap();
    let length = length.strip_prefix("udpctl: the command takes ").unwrap();
    assert!(
        (105_000 * 11..105_000 * 11 + 1000).contains(&length.parse().unwrap()),
        "{length}"
    );
    assert_eq!(
        advice,
        ", with three or more added to each argument and variable, and at most 1047552 fit; pass long lists through \
         standard input (-i), or as a script (--script)\n"
    );
    let mine = user.udpctl(["jobs", "--mine", "--json"]).outcome();
    assert_eq!(String::from_utf8_lossy(&mine.stdout), "");
    // As long as can be: what the kernel takes is started.
    let words = &words[..90_000];
    let most = [&line("echo")[..4], words].concat();
    user.udpctl(most).stdout(words.join(" ") + "\n").run();
    // With the name of the host in the place of a word, it is too long for one host.
    let long = [
        &["exec", "--subst", &target, "--", "echo"][..],
        &vec!["%h%h%h%h%h%h%h%h"; 15_000],
    ]
    .concat();
    let outcome = user.udpctl(long).outcome();
    assert_eq!(outcome.status, 2, "{}", outcome.stderr);
    assert!(
        outcome.stderr.starts_with("udpctl: the command takes "),
        "{}",
        outcome.stderr
    );
}
