//! Plain-text datagrams: shown in one escaped line, answered only if configured.

mod flood;
mod tutorials;

use std::net::UdpSocket;

use crate::harness::{Agent, Child, DEADLINE, User};

fn peer() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket
}

#[test]
fn plain_text_is_one_labelled_line_and_typed_lines_go_back() {
    let user = User::new();
    let mut agent = user.agent();
    let peer = peer();
    let address = peer.local_addr().unwrap();
    peer.send_to(b"hello\n", agent.target()).unwrap();
    agent
        .child
        .stdout_line(|line| line == format!("{address} (unverified): hello"));
    peer.send_to(b"two\nlines \x1b[31m\xe2\x80\xae\xff", agent.target())
        .unwrap();
    agent.child.stdout_line(|line| {
        line == format!("{address} (unverified): two\\nlines \\u{{1b}}[31m\\u{{202e}}\\xff")
    });
    agent.child.type_in("welcome\n");
    let mut buffer = [0; 100];
    let (length, from) = peer.recv_from(&mut buffer).unwrap();
    assert_eq!(from.to_string(), agent.target());
    assert_eq!(&buffer[..length], b"welcome\n");
}

#[test]
fn hostile_datagrams_do_no_harm() {
    let user = User::new();
    let mut agent = user.agent();
    let peer = peer();
    let target = agent.target();
    peer.send_to(&vec![b'x'; 65_507], &target).unwrap();
    let line = agent.child.stdout_line(|line| line.contains("xxxx"));
    assert!(line.len() < 2000, "{} bytes", line.len());
    for _ in 0..5000 {
        peer.send_to(b"", &target).unwrap();
        peer.send_to(b"\xf8UA\x11garbage", &target).unwrap();
        peer.send_to(b"flood", &target).unwrap();
    }
    user.udpctl(["exec", &target, "--", "echo", "alive"])
        .stdout("alive\n")
        .run();
}

#[test]
fn a_plain_text_reply_is_sent_only_if_configured() {
    let user = User::new();
    let agent = Agent::start(&user, &["--bind", "127.0.0.1:0", "--reply", "OK...{text}"]);
    let peer = peer();
    peer.send_to(b"hello", agent.target()).unwrap();
    let mut buffer = [0; 100];
    let (length, _) = peer.recv_from(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"OK...hello");
}

#[test]
fn a_closed_port_is_named_and_plain_text_to_it_fails() {
    let user = User::new();
    let closed = peer().local_addr().unwrap();
    let refused = "nothing listens there (port unreachable)";
    for wait in [&[][..], &["--reply-wait", "60s"]] {
        let target = closed.to_string();
        user.udpctl([&["send", "--plain"], wait, &[&target, "--", "hello"]].concat())
            .stderr(format!(
                "udpctl: {closed}: not delivered: {closed}: {refused}\n"
            ))
            .status(4)
            .run();
    }
    user.udpctl(["chat", "--plain", &closed.to_string()])
        .stdin("hello\n")
        .stderr(format!("* not delivered ({closed}: {refused}): hello\n"))
        .status(255)
        .run();
    // The other target gets it all the same.
    let open = peer();
    let address = open.local_addr().unwrap();
    let targets = [closed.to_string(), address.to_string()];
    let options = ["send", "--plain", "--no-newline"];
    user.udpctl([&options[..], &[&targets[0], &targets[1], "--", "hello"]].concat())
        .stderr(format!(
            "udpctl: {closed}: not delivered: {closed}: {refused}\n"
        ))
        .status(4)
        .run();
    let mut buffer = [0; 100];
    assert_eq!(open.recv(&mut buffer).unwrap(), 5);
    let encrypted = ["send", "--reply-wait", "1s", "web1", "--", "hello"];
    assert_eq!(user.udpctl(encrypted).outcome().status, 2);
}

#[test]
fn a_chat_in_plain_text_names_lines_behind_the_one_that_was_answered_when_the_peer_closes() {
    let user = User::new();
    let peer = peer();
    let address = peer.local_addr().unwrap();
    let mut command = user.command("udpctl");
    command.args(["chat", "--plain", &address.to_string()]);
    let mut chat = Child::start(command);
    chat.type_in("one\ntwo\n");
    let mut buffer = [0; 100];
    peer.recv_from(&mut buffer).unwrap();
    // Whether it has read the second one, nobody knows.
    let (_, from) = peer.recv_from(&mut buffer).unwrap();
    peer.send_to(b"answer to one\n", from).unwrap();
    chat.stdout_line(|line| line.ends_with("answer to one"));
    drop(peer);
    chat.type_in("three\n");
    let refused = "nothing listens there (port unreachable)";
    let words = format!("* may not have arrived ({address}: {refused}): 2 lines, from: two");
    chat.stderr_line(|line| line == words);
    chat.close_stdin();
    assert_eq!(chat.wait().0.code(), Some(255));
}

#[test]
#[ignore = "needs nc"]
fn netcat_says_hello() {
    let user = User::new();
    let mut agent = user.agent();
    let mut shell = user.command("bash");
    let port = agent.port_of("127.0.0.1");
    shell.args(["-c", &format!("echo hello | nc -u -w1 127.0.0.1 {port}")]);
    crate::harness::Test::new(shell).outcome();
    agent
        .child
        .stdout_line(|line| line.ends_with(" (unverified): hello"));
}

#[test]
#[ignore = "needs ncat"]
fn ncat_says_hello() {
    let user = User::new();
    let mut agent = user.agent();
    let mut shell = user.command("bash");
    let port = agent.port_of("127.0.0.1");
    shell.args([
        "-c",
        &format!("echo hello | ncat -u --send-only 127.0.0.1 {port}"),
    ]);
    crate::harness::Test::new(shell).outcome();
    agent
        .child
        .stdout_line(|line| line.ends_with(" (unverified): hello"));
}
