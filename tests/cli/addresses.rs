//! A host with two addresses, `twin`, which has ::1 and 127.0.0.1 in a hosts file of the test's own.

use std::net::UdpSocket;
use std::process::Command;

use crate::harness::{Agent, Child, Pty, Test, User, eventually, port_to_keep};

/// Shows the hosts file $1 in place of the system's to the program that follows.
const WITH_HOSTS: &str = r#"mount --bind "$1" /etc/hosts && shift && exec "$@""#;

/// Returns false, and says so, where a test cannot have a hosts file of its own or an IPv6 loopback address.
fn is_possible() -> bool {
    let unshared = Command::new("unshare").args(["--mount", "true"]).status();
    let possible =
        unshared.is_ok_and(|status| status.success()) && UdpSocket::bind("[::1]:0").is_ok();
    if !possible {
        eprintln!("SKIPPED: no hosts file of its own, or no IPv6");
    }
    possible
}

/// A command that knows `twin`.
fn udpctl(user: &User, args: &[&str]) -> Command {
    let hosts = user.path("hosts");
    std::fs::write(&hosts, "::1 twin\n127.0.0.1 twin\n").unwrap();
    let mut command = user.command("unshare");
    command.args(["--mount", "sh", "-c", WITH_HOSTS, "sh"]);
    command.arg(hosts).arg(env!("CARGO_BIN_EXE_udpctl"));
    command.args(args);
    command
}

#[test]
fn an_agent_at_one_of_two_addresses_is_found_and_its_address_is_named() {
    if !is_possible() {
        return;
    }
    for host in ["127.0.0.1", "[::1]"] {
        let user = User::new();
        user.authorize("");
        let address = format!("{host}:{}", port_to_keep());
        let agent = Agent::start(&user, &["--bind", &address]);
        let twin = format!("twin:{}", agent.port_of(host));

        let pong = Test::new(udpctl(&user, &["ping", &twin])).outcome();
        let line = String::from_utf8(pong.stdout).unwrap();
        assert!(
            line.starts_with(&format!("{twin}: "))
                && line.ends_with(&format!(" ms from {address}\n")),
            "{line}{}",
            pong.stderr
        );
        Test::new(udpctl(&user, &["exec", "-v", &twin, "--", "echo", "hello"]))
            .stdout("hello\n")
            .stderr(format!(
                "udpctl: {twin}: answered at {address}\nudpctl: {twin}: exited with status 0; request ID\n"
            ))
            .run();
        Test::new(udpctl(&user, &["exec", &twin, "--", "echo", "hello"]))
            .stdout("hello\n")
            .run();
        let pong = user.udpctl(["ping", &address]).outcome();
        let line = String::from_utf8(pong.stdout).unwrap();
        assert!(line.ends_with(" ms\n"), "an only address: {line}");
    }
}

#[test]
fn the_addresses_of_a_host_without_an_answer_are_named() {
    if !is_possible() {
        return;
    }
    let user = User::new();
    user.authorize("");
    let agent = user.agent();
    let port = port_to_keep();
    let twin = format!("twin:{port}");
    user.udpctl(["trust", &twin, agent.key()]).outcome();
    let refused = "nothing listens there (port unreachable)";
    let told = format!("udpctl: {twin}: {refused}; still trying, for 300ms in all\n");
    let tried = format!("no answer: {refused}: tried [::1]:{port}, 127.0.0.1:{port}");
    let short = ["--contact-timeout", "300ms"];
    Test::new(udpctl(&user, &[&["ping", &twin][..], &short].concat()))
        .stderr(format!("{told}udpctl: {twin}: {tried}\n"))
        .status(1)
        .run();
    Test::new(udpctl(
        &user,
        &[&["send", &twin][..], &short, &["--", "hello"]].concat(),
    ))
    .stderr(format!("{told}udpctl: {twin}: not delivered: {tried}\n"))
    .status(255)
    .run();
    let exec = [&["exec", &twin][..], &short, &["--", "true"]].concat();
    Test::new(udpctl(&user, &exec))
        .stderr(format!("{told}udpctl: {twin}: {tried}; request ID\n"))
        .status(255)
        .run();
}

/// Returns true if datagrams wait in the sockets of a port, of both families.
fn both_have_received(port: u16) -> bool {
    ["/proc/net/udp", "/proc/net/udp6"].iter().all(|table| {
        let table = std::fs::read_to_string(table).unwrap();
        table.lines().skip(1).any(|line| {
            let mut fields = line.split_whitespace().skip(1);
            let local = fields.next().unwrap();
            let waiting = fields.nth(2).unwrap().rsplit(':').next().unwrap();
            local.ends_with(&format!(":{port:04X}")) && !waiting.trim_matches('0').is_empty()
        })
    })
}

#[test]
fn a_command_that_reaches_an_agent_at_both_addresses_starts_once() {
    if !is_possible() {
        return;
    }
    let user = User::new();
    user.authorize("");
    let port = port_to_keep();
    let binds = [format!("[::1]:{port}"), format!("127.0.0.1:{port}")];
    let agent = Agent::start(&user, &["--bind", &binds[0], "--bind", &binds[1]]);
    let twin = format!("twin:{port}");
    let starts = user.path("starts");
    let script = format!("echo start >> {}; cat", starts.display());
    let pong = Test::new(udpctl(&user, &["ping", &twin])).outcome();
    assert_eq!(pong.status, 0, "{}", pong.stderr);
    for run in 1..=3 {
        // With the ticket of the ping, each INIT carries the command.
        agent.stop();
        let exec = ["exec", "-i", &twin, "--", "sh", "-c", &script];
        let mut exec = Child::start(udpctl(&user, &exec));
        exec.type_in("input\n");
        eventually("an INIT waits at each address", || both_have_received(port));
        agent.resume();
        exec.stdout_line(|line| line == "input");
        let (status, stderr) = exec.wait();
        assert!(status.success(), "{stderr}");
        assert_eq!(exec.stdout_seen(), ["input"]);
        let started = std::fs::read_to_string(&starts).unwrap();
        assert_eq!(started, "start\n".repeat(run));
    }
}

#[test]
fn a_message_that_a_screen_has_painted_over_is_written_again_when_the_terminal_is_restored() {
    if !is_possible() {
        return;
    }
    let user = User::new();
    user.authorize("");
    let agent = Agent::start(&user, &["--bind", &format!("127.0.0.1:{}", port_to_keep())]);
    let address = agent.target();
    let twin = format!("twin:{}", agent.port_of("127.0.0.1"));
    let mut pty = Pty::start(udpctl(&user, &["shell", &twin]));
    pty.type_in("echo $((6 * 7))ready\r");
    pty.shows("42ready");
    pty.type_in("~.");
    pty.wait();
    let mut pty = Pty::start(udpctl(&user, &["shell", "-v", "--attach", &twin]));
    let message = format!("udpctl: {twin}: answered at {address}\r\n");
    pty.shows(&message);
    // The screen is cleared and drawn.
    pty.shows("\x1b[H\x1b[J");
    pty.type_in("exit\r");
    pty.shows("logout");
    pty.shows(&message);
    assert_eq!(pty.wait(), Some(0), "{}", pty.rest());
}

#[test]
fn plain_text_goes_to_the_one_of_two_addresses_that_is_open() {
    if !is_possible() {
        return;
    }
    for host in ["127.0.0.1", "[::1]"] {
        let user = User::new();
        let address = format!("{host}:{}", port_to_keep());
        let mut agent = Agent::start(&user, &["--bind", &address, "--reply", "OK...{text}"]);
        let twin = format!("twin:{}", agent.port_of(host));
        let mut shown = |text: &str| {
            let end = format!(" (unverified): {text}");
            agent.child.stdout_line(|line| line.ends_with(&end));
        };
        let send = ["send", "--plain", &twin, "--", "sent"];
        Test::new(udpctl(&user, &send)).run();
        shown("sent");
        let ask = [
            "send",
            "--plain",
            "--reply-wait",
            "60s",
            &twin,
            "--",
            "asked",
        ];
        Test::new(udpctl(&user, &ask)).stdout("OK...asked\n").run();
        shown("asked");
        let mut chat = Child::start(udpctl(&user, &["chat", "--plain", &twin]));
        chat.type_in("typed\n");
        chat.stdout_line(|line| line == format!("{address} (unverified): OK...typed"));
        shown("typed");
        chat.type_in("quit\n");
        let (status, stderr) = chat.wait();
        assert!(status.success(), "{stderr}");
    }
}

#[test]
fn all_lines_of_a_plain_chat_go_to_the_one_of_two_addresses_that_is_open() {
    if !is_possible() {
        return;
    }
    let lines: Vec<_> = (1..=200).map(|number| format!("{number}\n")).collect();
    for host in ["127.0.0.1", "[::1]"] {
        let user = User::new();
        let listener = std::net::UdpSocket::bind(format!("{host}:0")).unwrap();
        listener
            .set_read_timeout(Some(std::time::Duration::from_secs(60)))
            .unwrap();
        let twin = format!("twin:{}", listener.local_addr().unwrap().port());
        let chat = Test::new(udpctl(&user, &["chat", "--plain", &twin]));
        let outcome = chat.stdin(lines.concat()).outcome();
        assert_eq!((outcome.status, &outcome.stderr[..]), (0, ""));
        let mut buffer = [0; 16];
        for line in &lines {
            let length = listener.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], line.as_bytes());
        }
    }
}

#[test]
fn plain_text_of_a_chat_that_no_address_takes_is_named_with_all_of_them() {
    if !is_possible() {
        return;
    }
    let user = User::new();
    let port = port_to_keep();
    let twin = format!("twin:{port}");
    let refused = "nothing listens there (port unreachable)";
    let one = format!("127.0.0.1:{port}: {refused}");
    let other = format!("[::1]:{port}: {refused}");
    let many: Vec<_> = (1..=40).map(|number| format!("{number}\n")).collect();
    for (input, named) in [("hello\x1b\n", "hello\\u{1b}"), (&many.concat(), "from: 1")] {
        let chat = Test::new(udpctl(&user, &["chat", "--plain", &twin]));
        let outcome = chat.stdin(input).outcome();
        let notes: Vec<_> = outcome.stderr.lines().collect();
        assert_eq!(outcome.status, 255, "{notes:?}");
        assert!(
            notes.iter().any(|note| note.contains(named)),
            "{named}: {notes:?}"
        );
        let is_of_all = |note: &&str| {
            note.starts_with("* not delivered (")
                && note.contains(&one)
                && note.contains(&other)
                && note.contains(", ")
        };
        assert!(notes.iter().any(is_of_all), "{notes:?}");
    }
}
