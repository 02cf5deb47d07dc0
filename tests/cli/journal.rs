//! The journal of a killed controller, and its use by the next one.

use std::fs;
use std::io::Read as _;
use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::Stdio;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::harness::{Agent, Child, DEADLINE, Test, User, eventually};

const ID: &str = "0123456789abcdef0123456789abcdef";

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn requests(user: &User) -> Vec<PathBuf> {
    fs::read_dir(user.path("state/udpctl/requests"))
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .collect()
}

/// Offsets of stdout in the only entry: bytes written, and bytes possibly written.
fn offsets(user: &User) -> Option<(u64, u64)> {
    let files = requests(user);
    let slots = files
        .iter()
        .find(|path| path.extension().is_some_and(|ending| ending == "slots"))?;
    let bytes = fs::read(slots).ok()?;
    let number = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    Some((number(8)?, number(16)?))
}

/// A file without repeating sections.
fn numbers(user: &User, length: usize) -> Vec<u8> {
    let mut all: Vec<u8> = (0..=length / 8)
        .flat_map(|number| format!("{number:07}\n").into_bytes())
        .collect();
    all.truncate(length);
    fs::write(user.path("numbers"), &all).unwrap();
    all
}

/// Runs a command that prints the numbers and returns 7, with a reader that takes some and then stops.
/// Kills the controller while it waits for the reader, and returns all that it had written.
fn killed_in_the_middle(user: &User, target: &str, args: &[&str], some: usize) -> Vec<u8> {
    let mut command = user.command("udpctl");
    let script = format!("cat {}; exit 7", user.path("numbers").display());
    command.args(["exec", target, "--id", ID]).args(args);
    command.args(["--", "sh", "-c", &script]);
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let mut process = command
        .stdin(Stdio::null())
        .stdout(writer.try_clone().unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdout = fs::File::from(reader);
    let mut got = vec![0; some];
    stdout.read_exact(&mut got).unwrap();
    let mut before = None;
    eventually("the pipe is full, and stays so", || {
        let mut fds = [PollFd::new(&writer, PollFlags::OUT)];
        let writable = poll(&mut fds, Some(&Timespec::default())).unwrap() > 0;
        let there = some as u64 + rustix::io::ioctl_fionread(&stdout).unwrap();
        let full = !writable && offsets(user) == Some((there, there));
        // A pipe is made larger once much was written to it, and is not full then.
        full && before.replace(there) == Some(there)
    });
    process.kill().unwrap();
    process.wait().unwrap();
    drop((writer, command));
    stdout.read_to_end(&mut got).unwrap();
    got
}

#[test]
fn attach_gives_exactly_the_rest_of_what_a_killed_controller_wrote() {
    for args in [&[][..], &["--on-disconnect", "keep"]] {
        let user = User::new();
        let agent = user.agent();
        let target = agent.target();
        let all = numbers(&user, 10 << 20);
        let first = killed_in_the_middle(&user, &target, args, 3 << 20);
        let outcome = user.udpctl(["attach", &target, ID]).outcome();
        assert_eq!((outcome.status, outcome.stderr.as_str()), (7, ""));
        assert!(!first.is_empty() && !outcome.stdout.is_empty());
        assert!([first, outcome.stdout].concat() == all, "exactly the rest");
    }
}

#[test]
fn attach_gives_exactly_the_rest_after_the_command_has_ended() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    let all = numbers(&user, 700_000);
    let first = killed_in_the_middle(&user, &target, &[], 128 << 10);
    user.udpctl(["wait", &target, ID]).status(7).run();
    let outcome = user.udpctl(["attach", &target, ID]).outcome();
    assert_eq!((outcome.status, outcome.stderr.as_str()), (7, ""));
    assert!([first, outcome.stdout].concat() == all, "exactly the rest");
}

#[test]
fn attach_names_output_that_is_no_longer_held() {
    for json in [false, true] {
        let user = User::new();
        let agent = user.agent();
        let target = agent.target();
        let all = numbers(&user, 40 << 20);
        // More than the agent holds at most: the largest window of a stream, and what it reads ahead.
        killed_in_the_middle(&user, &target, &[], 24 << 20);
        let mut args = vec!["attach", &target, ID, "--from", "0"];
        args.extend(json.then_some("--json"));
        let outcome = user.udpctl(args).outcome();
        assert_eq!(outcome.status, 255, "{}", outcome.stderr);
        let note = outcome.stderr.lines().next().unwrap();
        let lost: usize = note
            .strip_prefix(&format!("udpctl: {target}: "))
            .and_then(|rest| rest.split(' ').next())
            .unwrap()
            .parse()
            .unwrap();
        assert_eq!(
            note,
            format!(
                "udpctl: {target}: {lost} bytes of stdout (0 to {lost}) are no longer held; request {ID}"
            )
        );
        assert!(lost > 1 << 20, "{lost}");
        if json {
            let object = text(&outcome.stdout);
            let missing = format!("\"missing\":{{\"stderr\":0,\"stdout\":{lost}}}");
            assert!(object.contains(&missing), "{}", &object[..200]);
        } else {
            assert!(outcome.stdout == all[lost..], "the rest");
        }
    }
}

#[test]
fn a_completed_run_leaves_no_journal_and_local_runs_write_none() {
    let user = User::new();
    let agent = user.agent();
    user.udpctl(["exec", &agent.target(), "--", "sh", "-c", "exit 3"])
        .status(3)
        .run();
    user.udpctl(["exec", &agent.target(), "--", "/no/such"])
        .status(127)
        .stderr(format!(
            "udpctl: {}: could not be started: No such file or directory: /no/such; request ID\n",
            agent.target()
        ))
        .run();
    assert!(requests(&user).is_empty(), "{:?}", requests(&user));
    user.udpctl(["exec", "--local", "--", "true"]).run();
}

#[test]
fn a_request_is_journaled_before_anything_is_sent() {
    let user = User::new();
    let agent = user.agent();
    // A bound socket that never answers.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    silent.set_read_timeout(Some(DEADLINE)).unwrap();
    let target = silent.local_addr().unwrap().to_string();
    let trust = ["trust", &target, agent.key()];
    assert_eq!(user.udpctl(trust).outcome().status, 0);
    let mut command = user.command("udpctl");
    command.args(["exec", &target, "--id", ID, "--", "true"]);
    let mut udpctl = Child::start(command);
    silent.recv_from(&mut [0; 2048]).expect("a datagram");
    udpctl.kill();
    let list = user.udpctl(["jobs", "--mine", "--contact-timeout", "300ms"]);
    let list = text(&list.outcome().stdout);
    assert!(
        list.contains(ID) && list.contains("no answer, true"),
        "{list}"
    );
}

#[test]
fn jobs_mine_lists_requests_until_their_results_are_known() {
    let user = User::new();
    let mut agent = Agent::on_a_port_to_keep(&user, &[]);
    let target = agent.target();
    let outcome = user
        .udpctl(["exec", &target, "--detach", "--", "sleep", "600"])
        .outcome();
    let detached = text(&outcome.stdout).trim().to_owned();
    let mut command = user.command("udpctl");
    command.args(["exec", &target, "--", "sh", "-c", "echo up; exec sleep 601"]);
    let mut attached = Child::start(command);
    attached.stdout_line(|line| line == "up");
    let mine = |args: &[&str], status: i32| {
        let outcome = user.udpctl([&["jobs", "--mine"], args].concat()).outcome();
        assert_eq!(outcome.status, status, "{}", outcome.stderr);
        text(&outcome.stdout)
    };
    let row = |list: &str, what: &str| -> String {
        let row = list.lines().find(|line| line.ends_with(what));
        row.unwrap_or_else(|| panic!("{what}: {list}")).to_owned()
    };
    let list = mine(&[&target], 0);
    assert!(row(&list, "running, sleep 600").starts_with(&format!("{target}  {detached} ")));
    row(
        &list,
        "running (attached here), sh -c 'echo up; exec sleep 601'",
    );
    attached.kill();
    row(&mine(&[], 0), "running, sh -c 'echo up; exec sleep 601'");
    // A collected result is no longer listed.
    user.udpctl(["kill", &target, &detached]).run();
    let outcome = user.udpctl(["attach", &target, &detached]).outcome();
    assert_eq!(outcome.status, 143, "{}", outcome.stderr);
    assert!(!mine(&[], 0).contains(&detached));

    agent.kill();
    let list = mine(&["--contact-timeout", "1s"], 1);
    row(&list, "-  no answer, sh -c 'echo up; exec sleep 601'");
    let _again = Agent::start(&user, &["--bind", &target]);
    let list = mine(&["--json"], 0);
    assert!(
        list.contains("\"state\":{\"unknown\":{}}") && list.contains("\"attached\":false"),
        "{list}"
    );
    // The result is shown only once.
    assert_eq!(mine(&[], 0).lines().count(), 1);
    assert!(requests(&user).is_empty());
}

#[test]
fn jobs_mine_asks_about_each_request_at_its_own_host() {
    let user = User::new();
    let (one, other) = (user.agent(), user.agent());
    assert_eq!(one.key(), other.key());
    let detach = |target: &str| {
        let outcome = user
            .udpctl(["exec", target, "--detach", "--", "sleep", "600"])
            .outcome();
        text(&outcome.stdout).trim().to_owned()
    };
    let (first, second) = (detach(&one.target()), detach(&other.target()));
    // Typed last, and nobody is there.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap().to_string();
    let trust = user.udpctl(["trust", &silent, one.key()]).outcome();
    assert_eq!(trust.status, 0, "{}", trust.stderr);
    let mistyped = ["exec", &silent, "--id", ID, "--contact-timeout", "100ms"];
    let mut command = user.command("udpctl");
    command.args(mistyped).args(["--", "sleep", "600"]);
    assert!(!command.status().unwrap().success());
    for _ in 0..2 {
        let list = user.udpctl(["jobs", "--mine", "--contact-timeout", "2s"]);
        let list = text(&list.outcome().stdout);
        for (target, id) in [(one.target(), &first), (other.target(), &second)] {
            let row = list.lines().find(|line| line.contains(id.as_str()));
            let row = row.unwrap_or_else(|| panic!("{id}: {list}"));
            assert!(row.starts_with(&target), "{row}");
            assert!(row.ends_with("running, sleep 600"), "{row}");
        }
    }
    // With a target, only the requests made there.
    let list = user.udpctl(["jobs", "--mine", &one.target()]).outcome();
    let list = text(&list.stdout);
    assert!(list.contains(&first) && !list.contains(&second), "{list}");
    for (agent, id) in [(&one, &first), (&other, &second)] {
        user.udpctl(["kill", &agent.target(), id]).run();
    }
}

#[test]
fn a_given_id_is_not_started_again_after_an_agent_restart() {
    let user = User::new();
    let mut agent = Agent::on_a_port_to_keep(&user, &[]);
    let target = agent.target();
    let script = format!("echo x >>{}", user.path("count").display());
    let args = ["exec", &target, "--id", ID, "--", "sh", "-c", &script];
    user.udpctl(args).run();
    agent.kill();
    let _again = Agent::start(&user, &["--bind", &target]);
    user.udpctl(args)
        .stderr(format!(
            "udpctl: {target}: the agent does not know the request; request ID\n"
        ))
        .status(255)
        .run();
    assert_eq!(fs::read_to_string(user.path("count")).unwrap(), "x\n");
}

/// Starts a command on an agent that is not there yet, and returns when it has asked for it. `state` is a directory
/// without tickets.
fn ask_an_absent_agent(user: &User, target: &str, state: &str, args: &[&str]) -> Child {
    // The front of an agent that was killed has the port for another moment.
    let mut bound = None;
    eventually("the port is free", || {
        bound = UdpSocket::bind(target).ok();
        bound.is_some()
    });
    let socket = bound.unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut command = user.command("udpctl");
    command.env("UDPCTL_STATE_DIR", user.path(state));
    command.args(["exec", target, "--contact-timeout", "60s"]);
    command.args(args);
    let udpctl = Child::start(command);
    socket.recv(&mut [0; 2000]).unwrap();
    udpctl
}

#[test]
fn a_first_contact_runs_the_command_on_an_agent_that_was_started_meanwhile() {
    let user = User::new();
    let mut agent = Agent::on_a_port_to_keep(&user, &[]);
    let target = agent.target();
    let trust = user.udpctl(["trust", &target, agent.key()]).outcome();
    assert_eq!(trust.status, 0, "{}", trust.stderr);
    agent.kill();
    let mut udpctl = ask_an_absent_agent(&user, &target, "first", &["--", "echo", "hello"]);
    let agent = Agent::start(&user, &["--bind", &target]);
    let (status, errors) = udpctl.wait();
    assert!(status.success(), "{errors}");
    assert_eq!(udpctl.stdout_seen(), ["hello"]);
    drop(agent);
    // An earlier run of the agent may have got a chosen id from somebody else.
    let id = ["--id", ID, "--", "echo", "hello"];
    let mut udpctl = ask_an_absent_agent(&user, &target, "second", &id);
    let _agent = Agent::start(&user, &["--bind", &target]);
    let (status, errors) = udpctl.wait();
    assert_eq!(status.code(), Some(255));
    let words = "the agent does not know the request; request ";
    assert!(errors.contains(words), "{errors}");
    assert!(udpctl.stdout_seen().is_empty());
}

#[test]
fn a_request_that_another_udpctl_is_making_is_not_started_under_its_id() {
    let user = User::new();
    let mut agent = Agent::on_a_port_to_keep(&user, &[]);
    let target = agent.target();
    // The same agent at an address that it does not listen on.
    let elsewhere = target.replace("127.0.0.1", "127.0.0.2");
    for target in [&target, &elsewhere] {
        let trust = user.udpctl(["trust", target, agent.key()]).outcome();
        assert_eq!(trust.status, 0, "{}", trust.stderr);
    }
    let script = format!("echo x >>{}", user.path("count").display());
    let mut first = ask_an_absent_agent(&user, &elsewhere, "other", &["--shell", &script]);
    let run = |args: &[&str]| {
        let mut command = user.command("udpctl");
        command.env("UDPCTL_STATE_DIR", user.path("other"));
        command.args(args);
        Test::new(command).outcome()
    };
    let listed = run(&["jobs", "--mine", "--contact-timeout", "100ms"]);
    let listed = text(&listed.stdout);
    let id = listed.split_whitespace().find(|word| word.len() == 32);
    let id = id.unwrap_or_else(|| panic!("{listed}")).to_owned();
    // This run of the agent is older than the request, the next one is not.
    let second = run(&["exec", &target, "--id", &id, "--shell", &script]);
    assert_eq!(second.status, 255);
    assert!(second.stderr.contains("does not know"), "{}", second.stderr);
    agent.kill();
    let _agent = Agent::start(&user, &["--bind", &elsewhere]);
    let (status, errors) = first.wait();
    assert!(status.success(), "{errors}");
    assert_eq!(fs::read_to_string(user.path("count")).unwrap(), "x\n");
}

#[test]
fn without_a_writable_journal_commands_run_but_not_those_with_an_id() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    let udpctl = |args: &[&str]| {
        let mut command = user.command("udpctl");
        command
            .env("UDPCTL_STATE_DIR", "/dev/null/state")
            .args(args);
        crate::harness::Test::new(command)
    };
    udpctl(&["exec", &target, "--", "echo", "hi"])
        .stdout("hi\n")
        .stderr(
            "udpctl: the request is not recorded in the journal: /dev/null/state/requests: Not a directory (os error 20)\n",
        )
        .run();
    let file = user.path("ran");
    let outcome = udpctl(&[
        "exec",
        &target,
        "--id",
        ID,
        "--",
        "touch",
        file.to_str().unwrap(),
    ])
    .outcome();
    assert_eq!(outcome.status, 255);
    assert!(outcome.stderr.contains("--id"), "{}", outcome.stderr);
    assert!(!file.exists());
}
