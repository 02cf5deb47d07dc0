//! `udpctl chat --plain` at a prompt: pasted lines, and bytes that are no text.

use std::net::UdpSocket;

use crate::harness::{DEADLINE, Pty, User};

/// Starts a chat with a peer, and waits for its prompt.
fn at_a_prompt(user: &User) -> (Pty, UdpSocket) {
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.set_read_timeout(Some(DEADLINE)).unwrap();
    let address = peer.local_addr().unwrap().to_string();
    let mut command = user.command("udpctl");
    command.args(["chat", "--plain", &address]);
    let mut here = Pty::start(command);
    here.shows("(unverified) > ");
    (here, peer)
}

#[track_caller]
fn hears(peer: &UdpSocket, wanted: &str) {
    let mut buffer = [0; 100];
    let length = peer.recv(&mut buffer).unwrap();
    assert_eq!(std::str::from_utf8(&buffer[..length]), Ok(wanted));
}

#[test]
fn a_paste_of_more_than_twenty_lines_in_plain_text_asks_before_it_is_sent() {
    let user = User::new();
    let (mut here, peer) = at_a_prompt(&user);
    let paste = |word: &str, count: usize| -> String {
        let lines = (1..=count).map(|n| format!("{word} {n}\r"));
        lines.collect::<Vec<_>>().concat()
    };
    here.type_in(&paste("refused", 21));
    here.shows("* 21 lines at once: type \"y\" to send them, \"n\" to drop them");
    here.type_in("n\r");
    here.shows("* 21 lines are not sent");
    // The answer is not among the lines typed before.
    here.type_in("\x1b[A");
    here.shows("> refused 21");
    here.type_in("\x15");
    here.type_in(&paste("accepted", 30));
    here.shows("* 30 lines at once: type \"y\" to send them, \"n\" to drop them");
    here.type_in("y\r");
    for number in 1..=30 {
        hears(&peer, &format!("accepted {number}\n"));
    }
    here.type_in(&paste("few", 20));
    for number in 1..=20 {
        hears(&peer, &format!("few {number}\n"));
    }
    here.type_in("/quit\r");
    assert_eq!(here.wait(), Some(0));
}

#[test]
fn a_byte_that_is_not_utf8_is_replaced_and_nothing_that_is_pasted_with_it_is_lost() {
    let user = User::new();
    let (mut here, peer) = at_a_prompt(&user);
    here.type_bytes(b"before \xff");
    here.shows("before \u{fffd}");
    here.type_in(" and behind\r");
    hears(&peer, "before \u{fffd} and behind\n");
    // Latin-1, in which such a byte may begin a character of UTF-8.
    here.type_bytes(b"caf\xe9 noir\rsecond\rth\xfcring\xe9\rlast\r");
    for line in [
        "caf\u{fffd} noir",
        "second",
        "th\u{fffd}ring\u{fffd}",
        "last",
    ] {
        hears(&peer, &format!("{line}\n"));
    }
    // A marked paste, which the line editor takes as one text.
    here.type_bytes(b"\x1b[200~left \xff right\rsecond \xe4\rthird\x1b[201~\r");
    for line in ["left \u{fffd} right", "second \u{fffd}", "third"] {
        hears(&peer, &format!("{line}\n"));
    }
    here.type_in("/quit\r");
    assert_eq!(here.wait(), Some(0));
}

#[test]
fn a_long_paste_in_latin_1_arrives_in_order_also_where_the_terminal_marks_it() {
    let user = User::new();
    let (mut here, peer) = at_a_prompt(&user);
    for (begin, end) in [("", ""), ("\x1b[200~", "\x1b[201~\r")] {
        let mut paste = begin.as_bytes().to_vec();
        let word = "x".repeat(90);
        for number in 1..=20 {
            paste.extend(format!("{number} {word} ").as_bytes());
            paste.extend(b"\xfcber\r");
        }
        paste.extend(end.as_bytes());
        here.type_bytes(&paste);
        for number in 1..=20 {
            let mut buffer = [0; 200];
            let length = peer.recv(&mut buffer).unwrap();
            let wanted = format!("{number} {word} \u{fffd}ber\n");
            assert_eq!(str::from_utf8(&buffer[..length]), Ok(&wanted[..]));
        }
    }
    here.type_in("/quit\r");
    assert_eq!(here.wait(), Some(0));
}

#[test]
fn a_character_that_arrives_in_parts_is_whole_at_the_prompt() {
    let user = User::new();
    let (mut here, peer) = at_a_prompt(&user);
    here.type_bytes(b"caf\xc3");
    here.shows("caf");
    here.type_bytes(b"\xa9 \xf0\x9f\x98");
    here.shows("\u{e9} ");
    here.type_bytes(b"\x80.\r");
    hears(&peer, "caf\u{e9} \u{1f600}.\n");
    here.type_in("/quit\r");
    assert_eq!(here.wait(), Some(0));
}

#[test]
fn a_window_that_is_closed_ends_a_chat_that_gets_no_signal() {
    let user = User::new();
    let (mut here, _peer) = at_a_prompt(&user);
    here.close();
    here.wait();
}

#[test]
fn lines_that_are_pasted_behind_quit_are_counted_and_not_sent() {
    let user = User::new();
    for (behind, note) in [
        (
            "two\r\rthree",
            "* 2 lines behind the one that leaves are not sent",
        ),
        ("two\r", "* 1 line behind the one that leaves is not sent"),
    ] {
        let (mut here, peer) = at_a_prompt(&user);
        here.type_in(&format!("one\r/quit\r{behind}"));
        hears(&peer, "one\n");
        here.shows(note);
        assert_eq!(here.wait(), Some(0));
        peer.set_nonblocking(true).unwrap();
        assert!(peer.recv(&mut [0; 100]).is_err(), "nothing else is sent");
    }
}
