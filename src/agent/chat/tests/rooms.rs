//! Tests of rooms.

use std::collections::BTreeSet;

use super::*;
use crate::agent::chat::SavedHistory;
use crate::message::RoomName;

fn room(name: &str) -> Option<RoomName> {
    name.parse().ok()
}

impl Scene {
    fn enter(&mut self, number: u64, name: &str, room: Option<RoomName>) {
        let request = Request::Chat {
            after: None,
            id: None,
            name: None,
            history: 9,
            room,
            whispers: true,
        };
        let member = Controller {
            key: PublicKey([name.as_bytes()[0]; 32]),
            ..known(name)
        };
        self.chat
            .on_call(NOW, call(number), &member, request, &mut self.outbox);
    }

    /// Sends a message without a chat, and returns the answer.
    fn sends(&mut self, number: u64, room: Option<RoomName>) -> Vec<Reply> {
        let request = Request::Say {
            bot: false,
            action: false,
            number: 0,
            text: "sent".into(),
            room,
        };
        self.chat
            .on_call(NOW, call(number), &known("eve"), request, &mut self.outbox);
        self.heard(number)
    }

    fn keep_history(&mut self) {
        let history = SavedHistory {
            now: 0,
            most: 10,
            earlier: Vec::new(),
        };
        self.chat.restore_history(NOW, history);
    }
}

fn joined(room: Option<RoomName>, members: &[&str], name: &str) -> Reply {
    Reply::Joined {
        position: None,
        name: name.into(),
        members: members.iter().map(|&member| member.into()).collect(),
        room,
    }
}

fn refusal(reason: &str) -> [Reply; 1] {
    [Reply::Unsupported {
        reason: reason.into(),
    }]
}

#[test]
fn messages_members_and_news_stay_in_their_room() {
    let mut scene = Scene::with(&["ann"]);
    scene.enter(2, "bob", room("build"));
    scene.enter(3, "ann", room("build"));
    // The name is free in the room.
    assert_eq!(scene.heard(3), [joined(room("build"), &["bob"], "ann")]);
    scene
        .chat
        .on_line(NOW, call(3), say(0, "hi"), &mut scene.outbox);
    assert_eq!(
        scene.sends(9, room("build")),
        [Reply::Delivered {
            position: None,
            number: 0,
            members: 2
        }]
    );
    scene.chat.on_gone(NOW, call(3), &mut scene.outbox);
    let said = |from: &str, text: &str| Reply::Said {
        position: None,
        bot: false,
        action: false,
        from: from.into(),
        text: text.into(),
        unverified: false,
        cut: None,
        age_ms: None,
        room: room("build"),
    };
    let (name, build) = ("ann".to_owned(), room("build"));
    let came = Reply::Came {
        name: name.clone(),
        room: build.clone(),
    };
    let left = Reply::Left {
        name,
        room: build.clone(),
    };
    let expected = [
        joined(build, &[], "bob"),
        came,
        said("ann", "hi"),
        said("eve", "sent"),
        left,
    ];
    assert_eq!(scene.heard(2), expected);
    // The default room hears nothing of it, and the agent's user all of it.
    assert_eq!(scene.heard(1), []);
    scene.chat.on_typed(NOW, "typed", &mut scene.outbox);
    assert_eq!((scene.heard(1).len(), scene.heard(2)), (1, Vec::new()));
    let lines: Vec<_> = std::iter::from_fn(|| scene.chat.poll_line())
        .map(|line| line.to_string())
        .collect();
    let expected = [
        "* #build bob came",
        "* #build ann came",
        "#build ann: hi",
        "#build eve: sent",
        "* #build ann left",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_room_ends_with_its_last_member_unless_it_has_a_history() {
    for keeps in [false, true] {
        let mut scene = Scene::new();
        if keeps {
            scene.keep_history();
        }
        scene.enter(1, "ann", room("build"));
        scene
            .chat
            .on_line(NOW, call(1), say(0, "hi"), &mut scene.outbox);
        scene.chat.on_gone(NOW, call(1), &mut scene.outbox);
        let answer = scene.sends(2, room("build"));
        if keeps {
            assert_eq!(
                answer,
                [Reply::Delivered {
                    position: Some((1 << 32) + 1),
                    number: 0,
                    members: 0
                }]
            );
            scene.enter(3, "bob", room("build"));
            let heard = scene.heard(3).len();
            assert_eq!(heard, 3, "the answer to joining, and two messages");
        } else {
            assert_eq!(answer, refusal("there is no room build"));
        }
        // The history of a room is not that of the default room.
        scene.enter(4, "bob", None);
        assert_eq!(scene.heard(4).len(), 1);
    }
}

#[test]
fn a_room_whose_name_looks_like_that_of_another_is_refused() {
    let mut scene = Scene::new();
    scene.enter(1, "ann", room("build"));
    scene.enter(2, "bob", room("BuiId"));
    let reason = "there is a room build, whose name looks alike";
    assert_eq!(scene.heard(2), refusal(reason));
}

#[test]
fn rooms_are_bounded_for_each_key_and_in_all_and_old_ones_without_members_give_way() {
    let mut scene = Scene::new();
    scene.keep_history();
    let mut calls = 0..;
    // A room that only has a history, older than the others.
    let first = calls.next().unwrap();
    scene.enter(first, "zoe", room("old"));
    scene
        .chat
        .on_line(NOW, call(first), say(0, "hi"), &mut scene.outbox);
    scene.chat.on_gone(NOW, call(first), &mut scene.outbox);
    let per_key = limits::CHAT_ROOMS_PER_KEY;
    let names = ["ann", "bob", "cat", "dan"];
    assert_eq!(names.len() * per_key, limits::CHAT_ROOMS);
    for (key, name) in names.into_iter().enumerate() {
        for number in 0..=per_key {
            let number_of_call = calls.next().unwrap();
            scene.enter(number_of_call, name, room(&format!("{key}-{number}x")));
            let heard = scene.heard(number_of_call);
            if number < per_key {
                assert!(
                    matches!(heard[..], [Reply::Joined { .. }]),
                    "{key} {number} {heard:?}"
                );
            } else {
                assert_eq!(heard, refusal("this key is in too many rooms"));
            }
        }
    }
    assert_eq!(
        scene.sends(90_000, room("old")),
        refusal("there is no room old")
    );
    scene.enter(90_001, "zoe", room("new"));
    assert_eq!(scene.heard(90_001), refusal("there are too many rooms"));
    scene.enter(90_002, "zoe", room("0-0x"));
    assert!(matches!(scene.heard(90_002)[..], [Reply::Joined { .. }]));
}

#[test]
fn a_message_of_a_chat_that_names_another_room_is_refused() {
    let mut scene = Scene::with(&["ann"]);
    scene.enter(2, "bob", room("build"));
    scene.heard(2);
    for (number, room, is_refused) in [(0, room("other"), true), (1, room("build"), false)] {
        let request = Request::Say {
            bot: false,
            action: false,
            number,
            text: "hi".into(),
            room,
        };
        scene.chat.on_line(NOW, call(2), request, &mut scene.outbox);
        let refused = matches!(scene.heard(2)[..], [Reply::Unsupported { .. }]);
        assert_eq!(refused, is_refused);
    }
}

#[test]
fn rooms_of_a_key_that_makes_many_push_out_none_of_another_and_are_forgotten_in_the_file_too() {
    let mut scene = Scene::new();
    scene.keep_history();
    let mut calls = 0..;
    let mut file = History::new(10);
    let mut leave_room = |scene: &mut Scene, name: &str, room: Option<RoomName>| {
        let number = calls.next().unwrap();
        let now = NOW + std::time::Duration::from_secs(number);
        scene.enter(number, name, room);
        scene
            .chat
            .on_line(now, call(number), say(0, "hi"), &mut scene.outbox);
        scene.chat.on_gone(now, call(number), &mut scene.outbox);
        while let Some(entry) = scene.chat.poll_history() {
            file.apply(entry);
        }
    };
    leave_room(&mut scene, "zoe", room("old"));
    for number in 0..3 * limits::CHAT_ROOMS {
        leave_room(&mut scene, "eve", room(&format!("{number}x")));
    }
    for kept in [&file, scene.chat.history.all()] {
        let rooms: BTreeSet<String> = kept
            .rooms()
            .filter_map(|(room, _)| Some(room?.to_string()))
            .collect();
        let newest = 3 * limits::CHAT_ROOMS - limits::CHAT_ROOMS_PER_KEY..3 * limits::CHAT_ROOMS;
        let newest = newest.map(|number| format!("{number}x"));
        assert_eq!(rooms, newest.chain(["old".to_owned()]).collect());
    }
}

#[test]
fn the_key_with_most_rooms_gives_one_up_for_a_new_room() {
    let room = |number: usize| Some(format!("room{number}").parse().unwrap());
    let mut history = History::new(10);
    let entry = |number, from: &str| Earlier::new(number as u64, room(number), from, "x");
    history.push(entry(0, "ann"));
    for number in 1..limits::CHAT_ROOMS {
        history.push(entry(number, &format!("n{number}(eve)#2")));
    }
    history.push(entry(limits::CHAT_ROOMS, "bob"));
    assert_eq!(history.rooms().count(), limits::CHAT_ROOMS + 1);
    history.push(entry(limits::CHAT_ROOMS + 1, "ann"));
    let has = |number| history.last(room(number).as_ref(), 1).count() == 1;
    assert!(has(0) && !has(1) && has(2));
}
