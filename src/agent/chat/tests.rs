//! Tests of the chat.

mod continued;
mod history;
mod names;
mod rooms;
mod slow;
mod user;
mod whisper;

use proptest::prelude::*;

use super::*;
use crate::crypto::PublicKey;
use crate::message::Lines;
use crate::session::{Command, SessionHandle};
use crate::wire::CallId;

const NOW: Instant = Instant::from_micros(1_000_000);

/// A chat, and what each call was sent: its lines, its bytes, and true if it has ended.
struct Scene {
    chat: Chat,
    outbox: Outbox,
    sent: std::collections::HashMap<CallRef, (Lines, u64, bool)>,
}

fn call(number: u64) -> CallRef {
    CallRef {
        session: SessionHandle(number),
        call: CallId(0),
    }
}

fn known(name: &str) -> Controller {
    Controller {
        key: PublicKey([7; 32]),
        name: Some(name.to_owned()),
        remote: std::net::SocketAddr::from(([192, 0, 2, 1], 5000)).into(),
    }
}

fn say(number: u64, text: &str) -> Request {
    Request::Say {
        room: None,
        number,
        text: text.to_owned(),
        bot: false,
        action: false,
    }
}

fn said(from: &str, text: &str) -> Reply {
    Reply::Said {
        position: None,
        from: from.to_owned(),
        text: text.to_owned(),
        unverified: false,
        cut: None,
        age_ms: None,
        room: None,
        bot: false,
        action: false,
    }
}

impl Scene {
    fn new() -> Self {
        Self {
            chat: Chat::new("host".into(), Some("OK...{text}".parse().unwrap())),
            outbox: Outbox::default(),
            sent: std::collections::HashMap::new(),
        }
    }

    /// Returns a chat with members of these names, numbered from 1, which have read everything.
    fn with(names: &[&str]) -> Self {
        let mut scene = Self::new();
        for (number, name) in (1..).zip(names) {
            scene.join(number, name);
        }
        for number in 1..=names.len() as u64 {
            scene.heard(number);
        }
        while scene.chat.poll_line().is_some() {}
        scene
    }

    fn join(&mut self, number: u64, name: &str) {
        let request = Request::Chat {
            after: None,
            id: None,
            name: None,
            history: 0,
            room: None,
            whispers: true,
        };
        self.chat
            .on_call(NOW, call(number), &known(name), request, &mut self.outbox);
    }

    fn says(&mut self, member: u64, number: u64, text: &str) {
        self.chat
            .on_line(NOW, call(member), say(number, text), &mut self.outbox);
    }

    /// Delivers the commands of the outbox.
    fn deliver(&mut self) {
        while let Some(command) = self.outbox.pop() {
            match command {
                Command::Write {
                    session,
                    stream,
                    data,
                    fin,
                } => {
                    let to = CallRef {
                        session,
                        call: stream.call(),
                    };
                    let (lines, length, ended) = self.sent.entry(to).or_default();
                    lines.push(&data);
                    *length += data.len() as u64;
                    *ended |= fin;
                }
                Command::Release { session, call } => {
                    let sent = self.sent.entry(CallRef { session, call });
                    sent.or_default().2 = true;
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// Returns what a member was sent since the last call, and marks it as read.
    fn heard(&mut self, number: u64) -> Vec<Reply> {
        let mut heard = Vec::new();
        loop {
            self.deliver();
            let (lines, length, _) = self.sent.entry(call(number)).or_default();
            let before = heard.len();
            while let Some(line) = lines.next::<Reply>() {
                heard.push(line.unwrap());
            }
            let length = *length;
            if heard.len() == before {
                return heard;
            }
            self.chat
                .on_consumed(call(number), length, &mut self.outbox);
        }
    }

    fn has_ended(&mut self, number: u64) -> bool {
        self.deliver();
        self.sent.get(&call(number)).is_some_and(|sent| sent.2)
    }

    fn shown(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.chat.poll_line())
            .map(|line| line.to_string())
            .collect()
    }
}

#[test]
fn a_message_reaches_all_other_members_and_gets_a_receipt() {
    let mut scene = Scene::with(&["ann", "bob", "cy"]);
    scene.says(1, 0, "hello");
    let members = 2;
    assert_eq!(
        scene.heard(1),
        [Reply::Delivered {
            position: None,
            number: 0,
            members
        }]
    );
    assert_eq!(scene.heard(2), [said("ann", "hello")]);
    assert_eq!(scene.heard(3), [said("ann", "hello")]);
    assert_eq!(scene.shown(), ["ann: hello"]);
}

#[test]
fn a_message_without_joining_is_passed_on_and_ends_the_call() {
    let mut scene = Scene::with(&["ann"]);
    let request = say(0, "disk full");
    scene
        .chat
        .on_call(NOW, call(9), &known("cron"), request, &mut scene.outbox);
    let (number, members) = (0, 1);
    assert_eq!(
        scene.heard(9),
        [Reply::Delivered {
            position: None,
            number,
            members
        }]
    );
    assert!(scene.has_ended(9));
    assert_eq!(scene.heard(1), [said("cron", "disk full")]);
    assert_eq!(scene.shown(), ["cron: disk full"]);
}

#[test]
fn an_invited_key_is_denied_the_chat() {
    let mut scene = Scene::with(&["ann"]);
    let guest = Controller {
        name: None,
        ..known("")
    };
    for request in [
        Request::Chat {
            after: None,
            id: None,
            name: None,
            history: 0,
            room: None,
            whispers: true,
        },
        say(0, "hi"),
        Request::Whisper {
            number: 0,
            to: "ann".into(),
            text: "hi".into(),
        },
    ] {
        scene
            .chat
            .on_call(NOW, call(9), &guest, request, &mut scene.outbox);
        assert_eq!(scene.heard(9), [Reply::Denied {}]);
    }
    assert_eq!(scene.heard(1), []);
}

#[test]
fn typed_lines_go_to_members_and_to_plain_text_peers() {
    let mut scene = Scene::with(&["ann"]);
    let path = Path {
        socket: 1,
        local: None,
        remote: std::net::SocketAddr::from(([192, 0, 2, 7], 4444)).into(),
    };
    scene
        .chat
        .on_plain(NOW, path, "hello\n".into(), 6, &mut scene.outbox);
    assert_eq!(scene.chat.poll_plain(), Some((path, "OK...hello\n".into())));
    scene.chat.on_typed(NOW, "hi there", &mut scene.outbox);
    assert_eq!(scene.chat.poll_plain(), Some((path, "hi there\n".into())));
    assert_eq!(
        scene.heard(1),
        [
            Reply::Said {
                position: None,
                from: "192.0.2.7:4444".into(),
                text: "hello".into(),
                unverified: true,
                cut: None,
                age_ms: None,
                room: None,
                bot: false,
                action: false,
            },
            said("host", "hi there")
        ]
    );
    assert_eq!(scene.shown(), ["192.0.2.7:4444 (unverified): hello"]);
}

#[test]
fn no_message_can_control_the_terminal() {
    let mut scene = Scene::with(&["ann"]);
    let hostile = "\x1b[2J\u{202e}line\nline\r\u{9b}";
    scene.says(1, 0, hostile);
    let path = Path {
        socket: 0,
        local: None,
        remote: "[2001:db8::1]:4444"
            .parse::<std::net::SocketAddr>()
            .unwrap()
            .into(),
    };
    for text in [hostile.as_bytes(), b"\xff\xfe\0", &[b'x'; 1024], b"", b"\n"] {
        let length = if text.len() == 1024 {
            65_507
        } else {
            text.len()
        };
        let text = Bytes::copy_from_slice(text);
        scene
            .chat
            .on_plain(NOW, path, text, length, &mut scene.outbox);
    }
    let shown = scene.shown();
    assert_eq!(shown.len(), 4, "{shown:?}");
    for line in &shown {
        assert!(!line.chars().any(char::is_control), "{line:?}");
        assert!(!line.contains('\u{202e}'), "{line:?}");
    }
    assert!(shown[1].starts_with("[2001:db8::1]:4444 (unverified): "));
    assert!(shown[3].ends_with("x [+64483 bytes]"), "{}", shown[3]);
}

#[test]
fn lines_beyond_those_that_wait_for_the_terminal_are_counted_in_their_place() {
    let mut scene = Scene::with(&[]);
    for _ in 0..limits::CHAT_DRAIN + 3 {
        scene.chat.on_suppressed(1);
    }
    let mut shown = scene.shown();
    assert_eq!(shown.len(), limits::CHAT_DRAIN + 1);
    assert_eq!(shown.pop().unwrap(), "* 3 lines not shown");
    assert_eq!(shown.pop().unwrap(), "* 1 plain datagrams not shown");
}

#[test]
fn an_oversized_or_unsupported_request_is_answered_and_passed_to_nobody() {
    let mut scene = Scene::with(&["ann", "bob"]);
    scene.says(1, 0, &"x".repeat(CHAT_TEXT + 1));
    scene.chat.on_line(
        NOW,
        call(1),
        Request::Jobs { all: false },
        &mut scene.outbox,
    );
    let heard = scene.heard(1);
    assert!(
        matches!(
            heard[..],
            [Reply::Unsupported { .. }, Reply::Unsupported { .. }]
        ),
        "{heard:?}"
    );
    assert_eq!(scene.heard(2), []);
    scene.says(1, 1, &"\u{1}".repeat(CHAT_TEXT));
    assert_eq!(scene.heard(2).len(), 1);
}

proptest! {
    #[test]
    fn names_are_unique_and_memory_is_bounded_for_any_sequence_of_calls(
        actions in prop::collection::vec((0..6_u64, 0..5_u8, ".{0,8}"), 0..200)
    ) {
        let mut scene = Scene::new();
        for (who, what, text) in actions {
            match what {
                0 if scene.chat.index_of(call(who)).is_none() => {
                    let request = Request::Chat { after: None, id: None, name: Some(text), history: 9, room: None, whispers: true };
                    scene.chat.on_call(NOW, call(who), &known("key"), request, &mut scene.outbox);
                }
                1 => scene.chat.on_gone(NOW, call(who), &mut scene.outbox),
                2 => drop(scene.heard(who)),
                3 => scene.chat.on_typed(NOW, &text, &mut scene.outbox),
                _ => scene.says(who, 0, &text.repeat(500)),
            }
            let names: std::collections::HashSet<_> =
                scene.chat.members.iter().map(|member| &member.name).collect();
            prop_assert_eq!(names.len(), scene.chat.members.len());
            for member in &scene.chat.members {
                prop_assert!(member.waiting_bytes() <= limits::CHAT_WAITING);
            }
        }
    }
}

#[test]
fn one_key_cannot_fill_the_chat() {
    let mut scene = Scene::new();
    let mut join = |number: u64, member: &Controller| {
        let request = Request::Chat {
            after: None,
            id: None,
            name: None,
            history: 0,
            room: None,
            whispers: true,
        };
        let outbox = &mut scene.outbox;
        scene
            .chat
            .on_call(NOW, call(number), member, request, outbox);
        scene.chat.members.len()
    };
    let most = limits::CHAT_MEMBERS_PER_KEY;
    for number in 0..2 * most {
        let members = join(u64::try_from(number).unwrap(), &known("ann"));
        assert_eq!(members, most.min(number + 1));
    }
    let bob = Controller {
        key: PublicKey([8; 32]),
        ..known("bob")
    };
    assert_eq!(join(10_000, &bob), most + 1);
}
