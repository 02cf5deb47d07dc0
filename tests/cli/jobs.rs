//! Jobs that outlive the call that started them: detach, attach, lease, restart.

use std::path::PathBuf;

use crate::harness::{Agent, Child, User, eventually};

fn process(pid: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{}", pid.trim()))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_detached_command_goes_on_and_its_result_is_fetched_once() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    // Opening a named pipe waits for the other end.
    let go = user.path("go");
    rustix::fs::mkfifoat(rustix::fs::CWD, &go, rustix::fs::Mode::RWXU).unwrap();
    let script = format!("echo begin; cat {}; echo end; exit 5", go.display());
    let outcome = user
        .udpctl(["exec", &target, "--detach", "--", "sh", "-c", &script])
        .outcome();
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    let id = text(&outcome.stdout).trim().to_owned();
    assert_eq!(id.len(), 32);
    let listed = text(&user.udpctl(["jobs", &target]).outcome().stdout);
    assert!(
        listed.contains(&id) && listed.contains("running, sh -c "),
        "{listed}"
    );
    std::fs::write(&go, "").unwrap();
    let waited = user.udpctl(["wait", &target, &id[..6]]).outcome();
    assert_eq!(waited.status, 5, "{}", waited.stderr);
    user.udpctl(["attach", &target])
        .stdout("begin\nend\n")
        .status(5)
        .run();
    let listed = text(&user.udpctl(["jobs", &target]).outcome().stdout);
    assert!(!listed.contains(&id), "{listed}");
}

#[test]
fn the_same_id_runs_once_and_another_request_under_it_conflicts() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    let id = "0123456789abcdef0123456789abcdef";
    let script = format!("echo x >>{}; sleep 600", user.path("count").display());
    let count = ["sh", "-c", &script];
    for _ in 0..2 {
        let args = [&["exec", &target, "--id", id, "--detach", "--"], &count[..]].concat();
        let outcome = user.udpctl(args).outcome();
        assert_eq!(
            text(&outcome.stdout),
            format!("{id}\n"),
            "{}",
            outcome.stderr
        );
    }
    let outcome = user
        .udpctl(["exec", &target, "--id", id, "--", "other"])
        .outcome();
    assert_eq!(outcome.status, 255);
    assert!(
        outcome
            .stderr
            .contains("the request id is in use for another request"),
        "{}",
        outcome.stderr
    );
    user.udpctl(["kill", &target, id, "-s", "KILL"]).run();
    let waited = user.udpctl(["wait", &target, id]).outcome();
    assert_eq!(waited.status, 137, "{}", waited.stderr);
    let ended = "the command has ended already: ended by signal 9 (KILL)";
    user.udpctl(["kill", &target, id])
        .stderr(format!("udpctl: {target}: {ended}; request ID\n"))
        .status(1)
        .run();
    assert_eq!(std::fs::read_to_string(user.path("count")).unwrap(), "x\n");
}

#[test]
fn attach_after_a_killed_controller_loses_no_output() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    let id = "00000000000000000000000000000001";
    let mut command = user.command("udpctl");
    command.args([
        "exec",
        &target,
        "--on-disconnect",
        "keep",
        "--id",
        id,
        "--",
        "sh",
        "-c",
        "seq 1000000; exit 9",
    ]);
    let mut first = Child::start(command);
    // The controller is killed with output in flight.
    first.stdout_line(|line| line == "1000");
    first.kill();
    let whole = (1..=1_000_000).fold(String::new(), |whole, number| {
        whole + &format!("{number}\n")
    });
    let outcome = user.udpctl(["attach", &target, id]).outcome();
    assert_eq!(outcome.status, 9, "{}", outcome.stderr);
    let rest = text(&outcome.stdout);
    assert!(whole.ends_with(&rest), "the rest, without a gap");
    assert!(rest.len() > whole.len() / 2, "{} bytes", rest.len());
}

#[test]
fn a_process_tree_is_ended_with_its_leader() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    let script = "echo $$ >a; sleep 600 & echo $! >b; setsid sh -c 'echo $$ >c; exec sleep 600' & \
                  while [ ! -s c ]; do :; done; sleep 600";
    let home = user.home();
    user.udpctl([
        "exec",
        &target,
        "--timeout",
        "1s",
        "--cwd",
        &home,
        "--shell",
        script,
    ])
    .stderr(format!("udpctl: {target}: timed out; request ID\n"))
    .status(124)
    .run();
    for file in ["a", "b", "c"] {
        let pid = std::fs::read_to_string(user.path(file)).unwrap();
        eventually(file, || !process(&pid).exists());
    }
}

#[test]
fn a_command_ends_when_its_controller_is_gone_for_longer_than_the_lease() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    let mut command = user.command("udpctl");
    command.args([
        "exec",
        &target,
        "--lease",
        "1s",
        "--id",
        "00000000000000000000000000000002",
        "--",
        "sh",
        "-c",
        "echo $$; exec sleep 600",
    ]);
    let mut udpctl = Child::start(command);
    let pid = udpctl.stdout_line(|_| true);
    udpctl.kill();
    eventually("the command has ended", || !process(&pid).exists());
    user.udpctl(["wait", &target, "0000"])
        .stderr(format!(
            "udpctl: {target}: canceled: its controller was silent for longer than the lease; request ID\n"
        ))
        .status(255)
        .run();
}

#[test]
fn a_restarted_agent_reports_unknown_and_starts_nothing() {
    let user = User::new();
    let mut agent = crate::harness::Agent::on_a_port_to_keep(&user, &[]);
    let target = agent.target();
    let mut command = user.command("udpctl");
    command.args([
        "exec",
        &target,
        "--contact-timeout",
        "1s",
        "--cwd",
        user.path("").to_str().unwrap(),
        "--",
        "sh",
        "-c",
        "echo x >>count; echo up; exec sleep 600",
    ]);
    let mut udpctl = Child::start(command);
    udpctl.stdout_line(|line| line == "up");
    agent.kill();
    let _again = crate::harness::Agent::start(&user, &["--bind", &target]);
    let (status, stderr) = udpctl.wait();
    assert_eq!(status.code(), Some(255));
    assert!(
        stderr.contains("the agent does not know the request; request "),
        "{stderr}"
    );
    assert_eq!(std::fs::read_to_string(user.path("count")).unwrap(), "x\n");
}

#[test]
fn an_agent_that_is_stopped_cancels_its_commands() {
    let user = User::new();
    let mut agent = user.agent();
    let target = agent.target();
    let mut command = user.command("udpctl");
    command.args(["exec", &target, "--", "sh", "-c", "echo $$; exec sleep 600"]);
    let mut udpctl = Child::start(command);
    let pid = udpctl.stdout_line(|_| true);
    agent.child.signal(rustix::process::Signal::TERM);
    let (status, stderr) = udpctl.wait();
    assert_eq!(status.code(), Some(255));
    assert!(
        stderr.contains("canceled: the agent was shut down; request "),
        "{stderr}"
    );
    let (status, _) = agent.child.wait();
    assert!(status.success());
    assert!(!process(&pid).exists());
}

/// Starts a command, restarts the agent and asks about the command. Returns the controller's message, and
/// the process of the command.
fn over_a_restart(keep: &[&str]) -> (String, PathBuf) {
    let user = User::new();
    let audit = user.path("audit");
    user.write_config(&format!("audit-file = '{}'", audit.display()));
    let mut agent = Agent::on_a_port_to_keep(&user, keep);
    let target = agent.target();
    let id = "0000000000000000000000000000000f";
    let count = user.path("count");
    let script = format!("echo x >>{}; echo $$; exec sleep 600", count.display());
    let mut command = user.command("udpctl");
    command.args(["exec", &target, "--id", id, "--shell", &script]);
    let mut udpctl = Child::start(command);
    let pid = udpctl.stdout_line(|_| true);
    agent.child.signal(rustix::process::Signal::TERM);
    let (status, stderr) = udpctl.wait();
    assert_eq!(status.code(), Some(255));
    let (status, _) = agent.child.wait();
    assert!(status.success());
    let ended = std::fs::read_to_string(&audit).unwrap();
    let mut records = ended
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let ended = records.find(|record| record["event"] == "ended").unwrap();
    let lost = stderr.contains(": lost");
    assert_eq!(ended["outcome"].get("lost").is_some(), lost, "{ended}");
    assert_eq!(ended["cause"], "shutdown");
    let _again = Agent::start(&user, &["--bind", &target]);
    for verb in ["attach", "wait"] {
        let outcome = user.udpctl([verb, &target, id]).outcome();
        assert_eq!(outcome.status, 255, "{}", outcome.stderr);
        assert!(
            outcome
                .stderr
                .contains("the agent does not know the request"),
            "{}",
            outcome.stderr
        );
    }
    assert_eq!(std::fs::read_to_string(count).unwrap(), "x\n");
    (stderr, process(&pid))
}

#[test]
fn an_agent_with_keep_jobs_leaves_them_running_and_reports_unknown_later() {
    let (stderr, process) = over_a_restart(&["--keep-jobs"]);
    assert!(
        stderr.contains(": lost: accepted, but its result is not known: the agent was shut down"),
        "{stderr}"
    );
    assert!(process.exists());
    let pid = process.file_name().unwrap().to_str().unwrap();
    let pid = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

#[test]
fn an_agent_without_keep_jobs_ends_them_and_reports_unknown_later() {
    let (stderr, process) = over_a_restart(&[]);
    assert!(
        stderr.contains(": canceled: the agent was shut down"),
        "{stderr}"
    );
    assert!(!process.exists());
}

#[test]
fn a_detached_command_with_json_prints_an_object_without_an_outcome() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    let id = "0123456789abcdef0123456789abcdef";
    let line = ["exec", &target, "--detach", "--json", "--id", id, "--"];
    let outcome = user
        .udpctl([&line[..], &["sleep", "600"]].concat())
        .outcome();
    assert_eq!((&outcome.stderr[..], outcome.status), ("", 0));
    let mut object: serde_json::Value = serde_json::from_slice(&outcome.stdout).unwrap();
    object["seconds"] = 0.into();
    let empty = serde_json::json!({"bytes": 0, "text": ""});
    assert_eq!(
        object,
        serde_json::json!({"v": 1, "host": target, "id": id, "outcome": null, "stdout": empty, "stderr": empty,
                           "streams_open": false, "seconds": 0})
    );
    user.udpctl(["kill", &target, id]).run();
}

#[test]
fn a_long_command_is_listed_with_an_ellipsis() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    let script = format!("exec sleep 600 # {}", "x".repeat(4000));
    let line = ["exec", &target, "--detach", "--shell", &script];
    assert_eq!(user.udpctl(line).outcome().status, 0);
    let listed = text(&user.udpctl(["jobs", &target]).outcome().stdout);
    let (_, command) = listed.trim_end().rsplit_once("running, ").unwrap();
    // 200 bytes of the command line.
    let start = "/bin/sh -c 'exec sleep 600 # ";
    assert_eq!(
        command,
        format!("{start}{}…", "x".repeat(200 - start.len()))
    );
    let json = user.udpctl(["jobs", "--json", &target]).outcome().stdout;
    let job: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let shown = job["argv"][2].as_str().unwrap();
    let kept = shown.strip_suffix('…').unwrap();
    assert!(script.starts_with(kept) && kept.len() > 400, "{shown}");
    assert_eq!(job["argv"].as_array().unwrap().len(), 3);
    user.udpctl(["kill", &target]).run();
}

#[test]
fn a_job_that_runs_is_meant_before_those_that_have_ended() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    let detached = |argv: &[&str]| {
        let line = ["exec", &target, "--detach", "--"];
        user.udpctl([&line[..], argv].concat()).outcome().stdout
    };
    let id = |printed: &[u8]| {
        String::from_utf8(printed.to_vec())
            .unwrap()
            .trim()
            .to_owned()
    };
    let (first, second) = (id(&detached(&["true"])), id(&detached(&["false"])));
    eventually("both have ended", || {
        let listed = user.udpctl(["jobs", &target]).outcome().stdout;
        !String::from_utf8(listed).unwrap().contains("running")
    });
    let named = [(&second, "false"), (&first, "true")].map(|(id, command)| {
        // The prefix is longer for ids that begin alike.
        format!("{} ({command}, ended)", &id[..8])
    });
    user.udpctl(["wait", &target])
        .stderr(format!(
            "udpctl: {target}: 2 jobs could be meant; name one of them: {}\n",
            named.join(", ")
        ))
        .status(255)
        .run();
    detached(&["sleep", "600"]);
    user.udpctl(["kill", &target]).run();
    eventually("it has ended", || agent.jobs().left().is_empty());
}

#[test]
fn nothing_is_sent_if_the_last_word_is_neither_a_host_nor_a_job() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    user.udpctl(["exec", &target, "--detach", "--", "sleep", "600"])
        .outcome();
    for verb in ["kill", "wait"] {
        let outcome = user.udpctl([verb, &target, "3f2o.invalid"]).outcome();
        let told = "udpctl: \"3f2o.invalid\" is neither a host nor the beginning of a request id, and nothing was \
                    sent: cannot resolve \"3f2o.invalid\"";
        assert!(outcome.stderr.starts_with(told), "{}", outcome.stderr);
        assert_eq!((outcome.status, &outcome.stdout[..]), (2, &b""[..]));
    }
    assert_eq!(agent.jobs().left().len(), 1);
    user.udpctl(["kill", &target]).run();
}

#[test]
fn jobs_that_could_be_meant_are_named() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    let start = |id: &str, seconds: &str| {
        let line = ["exec", &target, "--detach", "--id", id, "--", "sleep"];
        let outcome = user.udpctl([&line[..], &[seconds]].concat()).outcome();
        assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    };
    start("0123456789abcdef0123456789abcdef", "601");
    start("0123456789abcd000000000000000000", "602");
    let two = "0123456789abcd0 (sleep 602), 0123456789abcde (sleep 601)";
    for (line, status) in [
        (&["kill", &target][..], 1),
        (&["kill", &target, "0123"], 1),
        (&["wait", &target], 255),
        (&["attach", &target], 255),
    ] {
        user.udpctl(line)
            .stderr(format!(
                "udpctl: {target}: 2 jobs could be meant; name one of them: {two}\n"
            ))
            .status(status)
            .run();
    }
    for number in 3..7 {
        start(
            &format!("{number}1{}", "0".repeat(30)),
            &format!("60{number}"),
        );
    }
    let newest = "61000000 (sleep 606), 51000000 (sleep 605), 41000000 (sleep 604), 31000000 (sleep 603), \
                  0123456789abcd0 (sleep 602)";
    user.udpctl(["kill", &target])
        .stderr(format!(
            "udpctl: {target}: 6 jobs could be meant; name one of them: {newest} and 1 more; \"udpctl jobs {target}\" lists them\n"
        ))
        .status(1)
        .run();
}
