//! Tests of members that have lost their session and join again.

use super::*;
use crate::agent::chat::SavedHistory;
use crate::message::RequestId;

const FIRST: u64 = 1 << 32;

/// Joins again under an id, after a position.
fn rejoins(scene: &mut Scene, number: u64, member: &Controller, id: u8, after: Option<u64>) {
    let request = Request::Chat {
        whispers: true,
        name: None,
        history: u32::MAX,
        room: None,
        id: Some(RequestId([id; 16])),
        after,
    };
    let outbox = &mut scene.outbox;
    scene
        .chat
        .on_call(NOW, call(number), member, request, outbox);
}

fn with_history(most: usize) -> Scene {
    let mut scene = Scene::new();
    let (now, earlier) = (0, Vec::new());
    let history = SavedHistory { most, now, earlier };
    scene.chat.restore_history(NOW, history);
    scene
}

fn texts(heard: &[Reply]) -> Vec<&str> {
    let texts = heard.iter().filter_map(|reply| match reply {
        Reply::Said { text, .. } => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

fn name(heard: &[Reply]) -> &str {
    match &heard[0] {
        Reply::Joined { name, .. } => name,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_member_takes_over_its_lost_session_and_nobody_else_can() {
    let mut scene = with_history(10);
    scene.join(1, "bob");
    rejoins(&mut scene, 2, &known("ann"), 7, None);
    assert_eq!(name(&scene.heard(2)), "ann");
    scene.heard(1);
    // The lost session is a member still.
    rejoins(&mut scene, 3, &known("ann"), 7, Some(0));
    assert_eq!(name(&scene.heard(3)), "ann");
    scene.deliver();
    assert!(scene.sent[&call(2)].2, "the call of the lost session ends");
    assert_eq!(scene.heard(1), [], "neither left nor came");
    scene.says(2, 0, "from the lost session");
    assert_eq!(scene.heard(1), []);
    // Another device of the same key, and another key with the same id.
    rejoins(&mut scene, 4, &known("ann"), 8, Some(0));
    assert_eq!(name(&scene.heard(4)), "ann#2");
    let eve = Controller {
        key: PublicKey([9; 32]),
        ..known("eve")
    };
    rejoins(&mut scene, 5, &eve, 7, Some(0));
    assert_eq!(name(&scene.heard(5)), "eve");
    scene.chat.on_gone(NOW, call(2), &mut scene.outbox);
    assert_eq!(scene.chat.members.len(), 4);
}

#[test]
fn a_member_hears_what_is_behind_its_position_and_the_number_of_what_is_lost() {
    let mut scene = with_history(3);
    scene.join(1, "bob");
    for number in 0..5 {
        scene.says(1, number, &number.to_string());
    }
    scene.heard(1);
    let missed = |messages| Reply::Missed { messages };
    for (call, after, expected, lost) in [
        (2, None, &["2", "3", "4"][..], 0),
        (3, Some(0), &["2", "3", "4"], 2),
        (4, Some(FIRST), &["2", "3", "4"], 1),
        (5, Some(FIRST + 1), &["2", "3", "4"], 0),
        (6, Some(FIRST + 2), &["3", "4"], 0),
        (7, Some(FIRST + 4), &[], 0),
        // A position of a history that the agent has lost, by a clock that was ahead.
        (8, Some(u64::MAX), &["2", "3", "4"], 0),
    ] {
        rejoins(&mut scene, call, &known("ann"), 7, after);
        let heard = scene.heard(call);
        assert_eq!(texts(&heard), expected, "after {after:?}");
        let is_missed = heard.get(1) == Some(&missed(lost));
        assert_eq!(is_missed, lost > 0, "after {after:?}: {heard:?}");
    }
}

#[test]
fn a_message_whose_receipt_was_lost_is_passed_on_once() {
    let mut scene = with_history(10);
    scene.join(1, "bob");
    rejoins(&mut scene, 2, &known("ann"), 7, None);
    scene.says(2, 0, "one");
    scene.says(2, 1, "two");
    scene.heard(1);
    rejoins(&mut scene, 3, &known("ann"), 7, Some(0));
    scene.heard(3);
    scene.says(3, 1, "two");
    scene.says(3, 2, "three");
    let receipt = |number, members, position| Reply::Delivered {
        number,
        members,
        position,
    };
    let receipts = [receipt(1, 0, None), receipt(2, 1, Some(FIRST + 2))];
    assert_eq!(scene.heard(3), receipts);
    assert_eq!(texts(&scene.heard(1)), ["three"]);
}

#[test]
fn a_member_does_not_hear_its_own_messages_when_it_joins_again() {
    let mut scene = with_history(10);
    scene.join(1, "bob");
    rejoins(&mut scene, 2, &known("ann"), 7, None);
    scene.says(1, 0, "from bob");
    scene.says(2, 0, "from ann");
    rejoins(&mut scene, 3, &known("ann"), 7, Some(0));
    assert_eq!(texts(&scene.heard(3)), ["from bob"]);
}

#[test]
fn private_messages_that_were_not_read_go_to_the_session_that_continues_a_lost_one() {
    let mut scene = with_history(10);
    scene.join(1, "bob");
    rejoins(&mut scene, 2, &known("ann"), 7, None);
    scene.heard(2);
    let whisper = |number: u64, text: &str| Request::Whisper {
        number,
        to: "ann".into(),
        text: text.into(),
    };
    let outbox = &mut scene.outbox;
    scene.chat.on_line(NOW, call(1), whisper(0, "read"), outbox);
    scene.heard(2);
    let outbox = &mut scene.outbox;
    scene.chat.on_line(NOW, call(1), whisper(1, "lost"), outbox);
    scene.deliver();
    rejoins(&mut scene, 3, &known("ann"), 7, Some(0));
    let heard = scene.heard(3);
    let private: Vec<_> = heard
        .iter()
        .filter_map(|reply| match reply {
            Reply::Whispered { text, .. } => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(private, ["lost"]);
}

#[test]
fn a_key_with_another_name_does_not_continue_under_the_one_before() {
    let mut scene = with_history(10);
    scene.join(1, "bob");
    rejoins(&mut scene, 2, &known("ann"), 7, None);
    scene.heard(1);
    rejoins(&mut scene, 3, &known("eve"), 7, Some(0));
    assert_eq!(name(&scene.heard(3)), "eve");
    let name = |name: &str| name.to_owned();
    let left = Reply::Left {
        name: name("ann"),
        room: None,
    };
    let came = Reply::Came {
        name: name("eve"),
        room: None,
    };
    assert_eq!(scene.heard(1), [left, came]);
}

#[test]
fn positions_after_a_lost_end_of_the_history_are_behind_all_before() {
    let mut scene = with_history(10);
    let (now, most) = (9_000, 10);
    let earlier = vec![crate::agent::chat::Earlier {
        position: FIRST + 3,
        ..crate::agent::chat::Earlier::new(0, None, "bob", "kept")
    }];
    scene
        .chat
        .restore_history(NOW, SavedHistory { most, now, earlier });
    // An earlier front has said one more, which was not kept.
    rejoins(&mut scene, 1, &known("ann"), 7, Some(FIRST + 4));
    assert_eq!(texts(&scene.heard(1)), [""; 0]);
    scene.chat.on_typed(NOW, "new", &mut scene.outbox);
    assert_eq!(texts(&scene.heard(1)), ["new"]);
    rejoins(&mut scene, 2, &known("ann"), 7, Some(FIRST + 4));
    assert_eq!(texts(&scene.heard(2)), ["new"]);
}

#[test]
fn a_member_that_is_refused_when_it_joins_again_is_gone_for_the_others() {
    let mut scene = with_history(10);
    scene.join(1, "bob");
    rejoins(&mut scene, 2, &known("ann"), 7, None);
    // The key has all the places that it may have, but that of the lost session.
    for number in 10..10 + limits::CHAT_MEMBERS_PER_KEY as u64 - 2 {
        scene.join(number, "bob");
    }
    scene.heard(1);
    rejoins(&mut scene, 3, &known("ann"), 7, Some(0));
    assert!(matches!(scene.heard(3)[..], [Reply::Joined { .. }]));
    assert_eq!(scene.heard(1), []);
    // Another takes the place that the lost session leaves.
    let index = scene.chat.index_of(call(3)).unwrap();
    scene.chat.members[index].key = PublicKey([9; 32]);
    scene.join(4, "bob");
    scene.chat.members[index].key = PublicKey([7; 32]);
    scene.join(5, "bob");
    let refused = scene.heard(5);
    assert!(
        matches!(refused[..], [Reply::Unsupported { .. }]),
        "{refused:?}"
    );
    scene.heard(1);
    rejoins(&mut scene, 6, &known("ann"), 7, Some(0));
    let refused = scene.heard(6);
    assert!(
        matches!(refused[..], [Reply::Unsupported { .. }]),
        "{refused:?}"
    );
    let left = Reply::Left {
        name: "ann".to_owned(),
        room: None,
    };
    assert_eq!(scene.heard(1), [left]);
}
