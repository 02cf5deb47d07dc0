//! `udpctl chat --plain` at a prompt: pasted lines, and bytes that are no text.

use std::net::UdpSocket;

use crate::harness::{DEADLINE, Pty, User};

/// Note about a byte that is not UTF-8.
const LEFT_OUT: &str = "* what is not UTF-8 is left out; text pasted with it may be lost";

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
    here.shows("* 21 lines at once: type y to send them, n to drop them");
    here.type_in("n\r");
    here.shows("* 21 lines are not sent");
    here.type_in(&paste("accepted", 30));
    here.shows("* 30 lines at once: type y to send them, n to drop them");
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
fn a_byte_that_is_not_utf8_at_the_prompt_is_left_out_and_the_chat_goes_on() {
    let user = User::new();
    let (mut here, peer) = at_a_prompt(&user);
    here.type_bytes(b"before \xff");
    here.shows(LEFT_OUT);
    here.shows("(unverified) > before ");
    here.type_in("and behind\r");
    hears(&peer, "before and behind\n");
    // Nothing of a line that was sent is in the next one.
    here.shows("(unverified) > ");
    here.type_bytes(b"\xff");
    here.shows(LEFT_OUT);
    here.shows("(unverified) > ");
    here.type_in("next\r");
    hears(&peer, "next\n");
    here.type_in("/quit\r");
    assert_eq!(here.wait(), Some(0));
}

#[test]
fn a_paste_with_a_byte_that_is_not_utf8_warns_that_text_of_it_may_be_lost() {
    let user = User::new();
    let (mut here, peer) = at_a_prompt(&user);
    // The line editor drops what it has read behind the byte.
    here.type_bytes(b"left \xff right\rsecond\rthird\r");
    here.shows(LEFT_OUT);
    here.shows("(unverified) > left ");
    here.type_in("over\r");
    hears(&peer, "left over\n");
    here.shows("(unverified) > ");
    // And also what is before it, where the terminal marks the paste.
    here.type_bytes(b"\x1b[200~left \xff right\rsecond\x1b[201~");
    here.shows(LEFT_OUT);
    here.shows("(unverified) > ");
    here.type_in("next\r");
    hears(&peer, "next\n");
    here.type_in("/quit\r");
    assert_eq!(here.wait(), Some(0));
}
