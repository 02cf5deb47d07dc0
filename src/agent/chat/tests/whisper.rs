//! Tests of actions and private messages.

use super::*;
use crate::agent::chat::SavedHistory;
use crate::message::RoomName;
use crate::message::limits::MEMBER_NAME;

fn whisper(number: u64, to: &str, text: &str) -> Request {
    Request::Whisper {
        number,
        to: to.to_owned(),
        text: text.to_owned(),
    }
}

fn whispered(from: &str, text: &str) -> Reply {
    Reply::Whispered {
        from: from.to_owned(),
        text: text.to_owned(),
        room: None,
    }
}

fn delivered(number: u64) -> Reply {
    Reply::Delivered {
        position: None,
        number,
        members: 1,
    }
}

impl Scene {
    fn whispers(&mut self, member: u64, number: u64, to: &str, text: &str) {
        let request = whisper(number, to, text);
        self.chat
            .on_line(NOW, call(member), request, &mut self.outbox);
    }

    /// Returns the reason of the only reply to a member.
    fn refusal(&mut self, member: u64) -> String {
        match &self.heard(member)[..] {
            [Reply::Unsupported { reason }] => reason.clone(),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_private_message_reaches_the_named_session_only_and_is_not_kept() {
    let mut scene = Scene::with(&["ann", "bob", "bob", "cy"]);
    scene.chat.restore_history(
        NOW,
        SavedHistory {
            now: 0,
            most: 10,
            earlier: Vec::new(),
        },
    );
    let path = Path {
        socket: 1,
        local: None,
        remote: std::net::SocketAddr::from(([192, 0, 2, 7], 4444)).into(),
    };
    scene
        .chat
        .on_plain(NOW, path, "x".into(), 1, &mut scene.outbox);
    while scene.chat.poll_plain().is_some() {}
    for number in 1..=4 {
        scene.heard(number);
    }
    scene.shown();
    for (number, to, receiver) in [(0, "bob#2", 3), (1, "bob", 2)] {
        scene.whispers(1, number, to, "psst\u{1b}[2J");
        assert_eq!(scene.heard(1), [delivered(number)]);
        for other in 2..=4 {
            let expected = [whispered("ann", "psst\u{1b}[2J")];
            let expected = &expected[..usize::from(other == receiver)];
            assert_eq!(scene.heard(other), expected, "{to} {other}");
        }
    }
    assert_eq!(scene.shown(), [""; 0]);
    assert_eq!(scene.chat.poll_history(), None);
    assert_eq!(scene.chat.poll_plain(), None);
}

#[test]
fn a_private_message_to_the_agent_is_shown_there_only_and_marked() {
    let mut scene = Scene::with(&["ann", "host"]);
    scene.chat.on_user_came(&mut scene.outbox);
    scene.heard(1);
    scene.heard(2);
    scene.whispers(1, 0, "host", "psst\u{1b}[2J\n");
    assert_eq!(scene.heard(1), [delivered(0)]);
    // The key of the same name is shown in brackets.
    assert_eq!(scene.heard(2), []);
    let line = scene.chat.poll_line().unwrap();
    assert_eq!(line.to_string(), "ann (private): psst\\u{1b}[2J\\n");
    assert_eq!(
        line.to_json(),
        r#"{"v":1,"whispered":{"from":"ann","text":"psst\u001b[2J\n"}}"#
    );
    scene.whispers(1, 1, "(host)", "you");
    assert_eq!(scene.heard(2), [whispered("ann", "you")]);
    assert_eq!(scene.shown(), [""; 0]);
}

#[test]
fn a_private_message_to_the_agents_user_who_is_not_there_is_refused_and_shown_nowhere() {
    let mut scene = Scene::with(&["ann"]);
    let absent = "nobody here is named \"host\"";
    scene.whispers(1, 0, "host", "psst");
    assert_eq!(scene.refusal(1), absent);
    scene.whispers(1, 1, "HOST", "psst");
    assert_eq!(scene.refusal(1), absent.replace("host", "HOST"));
    scene.chat.on_user_came(&mut scene.outbox);
    scene.heard(1);
    scene.whispers(1, 2, "HOST", "psst");
    let near = "nobody here is named \"HOST\"; did you mean \"host\"?";
    assert_eq!(scene.refusal(1), near);
    scene.chat.on_user_left(&mut scene.outbox);
    scene.heard(1);
    scene.whispers(1, 3, "host", "psst");
    assert_eq!(scene.refusal(1), absent);
    assert_eq!(scene.shown(), [""; 0]);
}

#[test]
fn a_private_message_to_nobody_is_refused_with_the_name_and_passed_to_nobody() {
    let mut scene = Scene::with(&["ann", "bob", "Bob"]);
    for (to, reason) in [
        ("b\u{f6}b", "nobody here is named \"b\u{f6}b\""),
        ("BOB", "nobody here is named \"BOB\""),
        ("bob ", "nobody here is named \"bob \""),
        (
            "bob\u{1b}[2J\n\0",
            "nobody here is named \"bob\u{1b}[2J\n\0\"",
        ),
        ("bob\u{200b}", "nobody here is named \"bob\u{200b}\""),
        ("", "nobody here is named \"\""),
        ("ann", "ann is your own name"),
    ] {
        scene.whispers(1, 7, to, "x");
        assert_eq!(scene.refusal(1), reason);
    }
    scene.whispers(1, 8, &"\u{e9}".repeat(1 << 18), "x");
    assert!(scene.refusal(1).len() <= "nobody here is named \"\"".len() + MEMBER_NAME);
    scene.whispers(1, 9, "bob", &"x".repeat(CHAT_TEXT + 1));
    assert_eq!(scene.refusal(1), "a message has at most 16384 bytes");
    scene.chat.on_user_came(&mut scene.outbox);
    for member in 1..=3 {
        scene.heard(member);
    }
    scene.whispers(1, 10, "host", &"x".repeat(CHAT_TEXT + 1));
    assert_eq!(scene.refusal(1), "a message has at most 16384 bytes");
    // One that has left, and one that has not joined.
    scene.chat.on_gone(NOW, call(3), &mut scene.outbox);
    scene.heard(1);
    scene.shown();
    scene.whispers(1, 11, "Bob", "x");
    let near = "nobody here is named \"Bob\"; did you mean \"bob\"?";
    assert_eq!(scene.refusal(1), near);
    scene.whispers(3, 0, "ann", "x");
    scene.whispers(9, 0, "ann", "x");
    assert_eq!(scene.heard(1), []);
    let Some(Reply::Left { .. }) = scene.heard(2).pop() else {
        panic!("only the news about the third member");
    };
    assert_eq!(scene.heard(2), []);
    assert_eq!(scene.shown(), [""; 0]);
}

#[test]
fn the_agents_user_sends_private_messages_to_a_name_and_actions_to_all() {
    let mut scene = Scene::with(&["ann", "bob", "bob"]);
    let private = |scene: &mut Scene, to: &str| {
        scene
            .chat
            .on_typed_private((None, to), "psst", &mut scene.outbox)
    };
    assert_eq!(private(&mut scene, "bob"), Ok(()));
    assert_eq!(scene.heard(2), [whispered("host", "psst")]);
    assert_eq!([scene.heard(1), scene.heard(3)], [[], []]);
    let nobody = private(&mut scene, "bo").unwrap_err();
    assert_eq!(nobody, "nobody here is named \"bo\"");
    let near = private(&mut scene, "ANN").unwrap_err();
    assert_eq!(near, "nobody here is named \"ANN\"; did you mean \"ann\"?");
    let long = "x".repeat(CHAT_TEXT + 1);
    let refused = scene
        .chat
        .on_typed_private((None, "bob"), &long, &mut scene.outbox);
    assert!(refused.is_err());
    // The same name in another room.
    let request = Request::Chat {
        name: None,
        history: 0,
        room: "ops".parse().ok(),
        id: None,
        after: None,
        whispers: true,
    };
    let outbox = &mut scene.outbox;
    scene
        .chat
        .on_call(NOW, call(4), &known("bob"), request, outbox);
    scene.heard(4);
    let several = private(&mut scene, "bob").unwrap_err();
    assert!(
        several.starts_with("\"bob\" is in several rooms"),
        "{several}"
    );
    let to = (Some("ops"), "bob");
    assert_eq!(
        scene.chat.on_typed_private(to, "psst", &mut scene.outbox),
        Ok(())
    );
    assert_eq!(scene.heard(4).len(), 1);
    assert_eq!(scene.heard(2), []);
    while scene.chat.poll_line().is_some() {}
    scene.chat.on_typed_action(NOW, "waves", &mut scene.outbox);
    for member in 1..=3 {
        let heard = scene.heard(member);
        let [
            Reply::Said {
                from,
                text,
                action: true,
                ..
            },
        ] = &heard[..]
        else {
            panic!("{heard:?}")
        };
        assert_eq!((&from[..], &text[..]), ("host", "waves"));
    }
    assert_eq!(scene.chat.poll_line(), None);
}

#[test]
fn a_private_message_stays_in_its_room() {
    let mut scene = Scene::with(&["ann"]);
    let room: Option<RoomName> = "build".parse().ok();
    for (number, name) in [(2, "bob"), (3, "cy")] {
        let request = Request::Chat {
            after: None,
            id: None,
            name: None,
            history: 0,
            room: room.clone(),
            whispers: true,
        };
        let outbox = &mut scene.outbox;
        scene
            .chat
            .on_call(NOW, call(number), &known(name), request, outbox);
        scene.heard(number);
    }
    scene.heard(2);
    scene.shown();
    scene.whispers(1, 0, "bob", "x");
    assert_eq!(scene.refusal(1), "nobody here is named \"bob\"");
    scene.whispers(2, 0, "ann", "x");
    assert_eq!(scene.refusal(2), "nobody here is named \"ann\"");
    scene.whispers(2, 1, "cy", "x");
    let (from, text) = ("bob".into(), "x".into());
    assert_eq!(scene.heard(3), [Reply::Whispered { from, text, room }]);
    scene.chat.on_user_came(&mut scene.outbox);
    scene.heard(3);
    scene.whispers(3, 0, "host", "y");
    assert_eq!(scene.shown(), ["#build cy (private): y"]);
}

#[test]
fn a_program_that_does_not_show_private_messages_gets_none() {
    let mut scene = Scene::with(&["ann"]);
    let request = Request::Chat {
        after: None,
        id: None,
        name: None,
        history: 0,
        room: None,
        whispers: false,
    };
    scene
        .chat
        .on_call(NOW, call(2), &known("old"), request, &mut scene.outbox);
    scene.heard(1);
    scene.heard(2);
    scene.whispers(1, 0, "old", "x");
    let reason = "the program of \"old\" does not show private messages";
    assert_eq!(scene.refusal(1), reason);
    assert_eq!(scene.heard(2), []);
}

#[test]
fn a_slow_member_misses_private_messages_and_is_not_removed_by_them() {
    let mut scene = Scene::with(&["ann", "slow"]);
    for number in 0..1000 {
        scene.whispers(1, number, "slow", &"x".repeat(1000));
        assert_eq!(scene.heard(1), [delivered(number)]);
    }
    let slow = scene.chat.index_of(call(2)).unwrap();
    assert!(scene.chat.members[slow].waiting_bytes() <= limits::CHAT_WAITING);
    let heard = scene.heard(2);
    let missed = |reply: &Reply| matches!(reply, Reply::Missed { .. });
    assert!(heard.iter().any(missed), "{}", heard.len());
}

fn act(bot: bool) -> Request {
    Request::Say {
        number: 0,
        text: "waves\n* all came".into(),
        room: None,
        bot,
        action: true,
    }
}

#[test]
fn an_action_is_marked_for_members_and_at_the_agent() {
    let mut scene = Scene::with(&["ann", "bob"]);
    scene
        .chat
        .on_line(NOW, call(1), act(false), &mut scene.outbox);
    let heard = scene.heard(2);
    assert!(
        matches!(
            &heard[..],
            [Reply::Said {
                action: true,
                bot: false,
                ..
            }]
        ),
        "{heard:?}"
    );
    // An answer of a bot is marked as such.
    scene
        .chat
        .on_line(NOW, call(1), act(true), &mut scene.outbox);
    let heard = scene.heard(2);
    assert!(
        matches!(
            &heard[..],
            [Reply::Said {
                action: false,
                bot: true,
                ..
            }]
        ),
        "{heard:?}"
    );
    // Neither a name nor a text looks like one.
    scene.says(1, 1, "-*- bob waves");
    let lines: Vec<_> = std::iter::from_fn(|| scene.chat.poll_line()).collect();
    let shown: Vec<_> = lines.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "-*- ann waves\\n* all came",
            "ann (bot): waves\\n* all came",
            "ann: -*- bob waves"
        ]
    );
    assert!(lines[0].to_json().ends_with(r#""action":true}}"#));
    assert!(!lines[2].to_json().contains("action"));
}

#[test]
fn an_action_is_kept_as_such_in_the_history() {
    let mut scene = Scene::with(&["ann"]);
    let saved = SavedHistory {
        now: 0,
        most: 10,
        earlier: Vec::new(),
    };
    scene.chat.restore_history(NOW, saved);
    scene
        .chat
        .on_line(NOW, call(1), act(false), &mut scene.outbox);
    scene.says(1, 1, "hello");
    let kept: Vec<_> = std::iter::from_fn(|| scene.chat.poll_history())
        .map(|earlier| earlier.action)
        .collect();
    assert_eq!(kept, [true, false]);
    let request = Request::Chat {
        after: None,
        id: None,
        name: None,
        history: 9,
        room: None,
        whispers: true,
    };
    scene
        .chat
        .on_call(NOW, call(3), &known("cy"), request, &mut scene.outbox);
    let heard = scene.heard(3);
    assert!(
        matches!(
            &heard[..],
            [
                Reply::Joined { .. },
                Reply::Said {
                    action: true,
                    age_ms: Some(0),
                    ..
                },
                Reply::Said { action: false, .. }
            ]
        ),
        "{heard:?}"
    );
}
