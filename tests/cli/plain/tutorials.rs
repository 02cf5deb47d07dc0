//! The five classic tutorial programs on UDP, in both roles, with both binaries: the scripts in this folder.

use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;

use crate::harness::{Agent, Child, User};

/// Returns false, and says so, if there is no Python here.
fn has_python() -> bool {
    let python = Command::new("python3").arg("--version").output();
    let has = python.is_ok_and(|output| output.status.success());
    if !has {
        println!("skipped: no python3 here");
    }
    has
}

/// Starts one of the programs.
fn program(user: &User, name: &str, args: &[&str]) -> Child {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/plain");
    let mut command = user.command("python3");
    command.arg(scripts.join(name)).args(args);
    Child::start(command)
}

/// Starts a program that binds a port, and returns it with the target of udpctl.
fn server(user: &User, name: &str, args: &[&str]) -> (Child, String) {
    let mut server = program(user, name, args);
    let line = server.stdout_line(|line| line.starts_with("ready at "));
    (server, format!("127.0.0.1:{}", &line["ready at ".len()..]))
}

/// Starts `udpctl ARGS`.
fn udpctl(user: &User, args: &[&str]) -> Child {
    let mut command = user.command("udpctl");
    command.args(args);
    Child::start(command)
}

fn ends_well(child: &mut Child) {
    let (status, stderr) = child.wait();
    assert!(status.success(), "{stderr}");
}

fn port_of(agent: &Agent) -> String {
    agent.port_of("127.0.0.1").to_string()
}

/// A port that was free a moment ago.
fn free_port() -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port().to_string()
}

#[test]
fn the_symmetric_messenger_talks_with_both_programs() {
    if !has_python() {
        return;
    }
    let user = User::new();
    let mut agent = user.agent();
    let own = free_port();
    let mut messenger = program(&user, "messenger.py", &[&own, &port_of(&agent)]);
    messenger.stdout_line(|line| line.starts_with("ready at "));
    messenger.type_in("hello agent\n");
    let shown = format!("127.0.0.1:{own} (unverified): hello agent");
    agent.child.stdout_line(|line| line == shown);
    agent.child.type_in("hello messenger\n");
    messenger.stdout_line(|line| line.ends_with(" says hello messenger"));
    ends_well(&mut messenger);

    let ports = [free_port(), free_port()];
    let mut messenger = program(&user, "messenger.py", &[&ports[0], &ports[1]]);
    messenger.stdout_line(|line| line.starts_with("ready at "));
    let peer = format!("127.0.0.1:{}", ports[0]);
    let bind = format!("127.0.0.1:{}", ports[1]);
    let mut chat = udpctl(&user, &["chat", "--plain", "--bind", &bind, &peer]);
    chat.type_in("hello messenger\n");
    messenger.stdout_line(|line| line == format!("{} says hello messenger", ports[1]));
    messenger.type_in("hello chat\n");
    chat.stdout_line(|line| line == format!("{peer} (unverified): hello chat"));
    chat.type_in("quit\n");
    ends_well(&mut chat);
}

#[test]
fn the_chat_in_two_steps_talks_with_both_programs() {
    if !has_python() {
        return;
    }
    let user = User::new();
    let mut agent = user.agent();
    let mut sender = program(&user, "two_steps.py", &["send", &port_of(&agent)]);
    sender.type_in("first step\nquit\n");
    agent
        .child
        .stdout_line(|line| line.ends_with(" (unverified): first step"));
    sender.stdout_line(|line| line == "bye");
    ends_well(&mut sender);

    let mut both = program(&user, "two_steps.py", &["chat", &port_of(&agent)]);
    both.type_in("second step\n");
    agent
        .child
        .stdout_line(|line| line.ends_with(" (unverified): second step"));
    agent.child.type_in("seen\n");
    both.stdout_line(|line| line == "received: seen");
    both.type_in("quit\n");
    both.stdout_line(|line| line == "bye");
    ends_well(&mut both);

    let (mut receiver, target) = server(&user, "two_steps.py", &["receive"]);
    user.udpctl(["send", "--plain", &target, "--", "one", "line"])
        .run();
    receiver.stdout_line(|line| line == "received: one line");
    user.udpctl(["chat", "--plain", "--linger", "10ms", &target])
        .stdin("two\nthree\n")
        .run();
    receiver.stdout_line(|line| line == "received: two");
    receiver.stdout_line(|line| line == "received: three");
}

#[test]
fn request_and_reply_work_with_both_programs() {
    if !has_python() {
        return;
    }
    let user = User::new();
    let reply = ["--bind", "127.0.0.1:0", "--reply", "Hello UDP Client"];
    let mut agent = Agent::start(&user, &reply);
    let mut client = program(&user, "request_reply.py", &["client", &port_of(&agent)]);
    client.stdout_line(|line| line == "message from server: Hello UDP Client");
    ends_well(&mut client);
    agent
        .child
        .stdout_line(|line| line.ends_with(" (unverified): Hello UDP Server"));

    let (mut server, target) = server(&user, "request_reply.py", &["server"]);
    let wait = ["send", "--plain", "--no-newline", "--reply-wait", "60s"];
    user.udpctl([&wait[..], &[&target, "--", "hi"]].concat())
        .stdout("Hello UDP Client\n")
        .run();
    server.stdout_line(|line| line == "message from client: b'hi'");
    let targets = [&target, &agent.target(), "--", "hi, both of you"];
    let outcome = user.udpctl([&wait[..], &targets].concat()).outcome();
    let stdout = String::from_utf8(outcome.stdout).unwrap();
    let mut lines: Vec<&str> = stdout.lines().collect();
    lines.sort_unstable();
    let wanted = targets[..2].iter();
    let wanted = wanted.map(|target| format!("{target}: Hello UDP Client"));
    let mut wanted: Vec<String> = wanted.collect();
    wanted.sort_unstable();
    assert_eq!(lines, wanted, "{}", outcome.stderr);
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    server.stdout_line(|line| line == "message from client: b'hi, both of you'");
}

#[test]
fn the_listener_works_with_both_programs() {
    if !has_python() {
        return;
    }
    let user = User::new();
    let mut agent = user.agent();
    let mut said = program(
        &user,
        "listener.py",
        &["say", &port_of(&agent), "hi \x1b[2J"],
    );
    ends_well(&mut said);
    agent
        .child
        .stdout_line(|line| line.ends_with(" (unverified): hi \\u{1b}[2J"));

    let (mut listener, target) = server(&user, "listener.py", &["listen"]);
    user.udpctl(["send", "--plain", &target, "--", "heard"])
        .run();
    listener.stdout_line(|line| line == "b'heard\\n'");
    user.udpctl([
        "send",
        "--plain",
        "--reply-wait",
        "50ms",
        &target,
        "--",
        "answer",
    ])
    .stderr(format!("udpctl: {target}: no answer within 50ms\n"))
    .status(4)
    .run();
    listener.stdout_line(|line| line == "b'answer\\n'");
}

#[test]
fn the_echo_works_with_both_programs_also_for_the_same_line_twice() {
    if !has_python() {
        return;
    }
    let user = User::new();
    let reply = ["--bind", "127.0.0.1:0", "--reply", "OK...{text}"];
    let agent = Agent::start(&user, &reply);
    let mut client = program(&user, "echo.py", &["client", &port_of(&agent)]);
    for text in ["hello", "hello", "hello", "bye"] {
        client.type_in(&format!("{text}\n"));
        client.stdout_line(|line| line == format!("Server reply: OK...{text}"));
    }
    ends_well(&mut client);

    let (mut server, target) = server(&user, "echo.py", &["server"]);
    user.udpctl([
        "send",
        "--plain",
        "--reply-wait",
        "60s",
        &target,
        "--",
        "hello",
    ])
    .stdout("OK...hello\n")
    .run();
    server
        .stdout_line(|line| line.starts_with("Message[127.0.0.1:") && line.ends_with("] - hello"));
    let mut chat = udpctl(&user, &["chat", "--plain", &target]);
    chat.type_in("again\n");
    chat.stdout_line(|line| line == format!("{target} (unverified): OK...again"));
    chat.type_in("quit\n");
    ends_well(&mut chat);
}
