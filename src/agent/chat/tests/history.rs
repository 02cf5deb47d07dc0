//! Tests of the history that members get when they join.

use super::*;
use crate::agent::chat::{Earlier, SavedHistory};

const MOST: usize = 3;

fn join_with_history(scene: &mut Scene, now: Instant, number: u64, history: u32) {
    let request = Request::Chat {
        after: None,
        id: None,
        name: None,
        history,
        room: None,
        whispers: false,
    };
    let outbox = &mut scene.outbox;
    scene
        .chat
        .on_call(now, call(number), &known("late"), request, outbox);
}

fn earlier(at: u64, text: &str) -> Earlier {
    Earlier::new(at, None, "old", text)
}

/// Returns senders, texts and ages of what a member hears behind the answer to joining.
fn history(scene: &mut Scene, number: u64) -> Vec<(String, String, Option<u64>)> {
    let heard = scene.heard(number);
    assert!(matches!(heard[0], Reply::Joined { .. }), "{heard:?}");
    let said = heard.into_iter().skip(1).map(|reply| match reply {
        Reply::Said {
            from, text, age_ms, ..
        } => (from, text, age_ms),
        other => panic!("{other:?}"),
    });
    said.collect()
}

#[test]
fn a_member_that_joins_gets_the_history_it_asks_for_with_ages() {
    let mut scene = Scene::with(&["ann"]);
    let saved = SavedHistory {
        now: 0,
        most: MOST,
        earlier: vec![earlier(u64::MAX, "oldest"), earlier(5000, "old")],
    };
    scene.chat.restore_history(NOW, saved);
    scene.says(1, 0, "hello\u{1b}[2J");
    scene.chat.on_typed(NOW, "typed", &mut scene.outbox);
    let path = Path {
        socket: 0,
        local: None,
        remote: std::net::SocketAddr::from(([192, 0, 2, 7], 4444)).into(),
    };
    // Anybody could push out the messages of members with it.
    for _ in 0..MOST {
        let outbox = &mut scene.outbox;
        scene.chat.on_plain(NOW, path, "plain".into(), 5, outbox);
    }
    let later = NOW + std::time::Duration::from_secs(2);
    for (number, count, expected) in [(2, 0, 0), (3, 2, 2), (4, u32::MAX, 3)] {
        join_with_history(&mut scene, later, number, count);
        let all = [
            ("old", "old", 7000),
            ("ann", "hello\u{1b}[2J", 2000),
            ("host", "typed", 2000),
        ];
        let all = all.map(|(from, text, age)| (from.to_owned(), text.to_owned(), Some(age)));
        assert_eq!(history(&mut scene, number), all[3 - expected..]);
    }
    let new = std::iter::from_fn(|| scene.chat.poll_history());
    let new: Vec<_> = new.map(|earlier| earlier.text).collect();
    assert_eq!(new, ["hello\u{1b}[2J", "typed"]);
}

#[test]
fn a_history_that_nobody_takes_is_bounded_and_one_of_no_messages_is_empty() {
    let mut scene = Scene::with(&["ann"]);
    scene.says(1, 0, "before");
    assert_eq!(scene.chat.poll_history(), None);
    scene.chat.restore_history(
        NOW,
        SavedHistory {
            now: 0,
            most: MOST,
            earlier: Vec::new(),
        },
    );
    for number in 0..100 {
        scene.says(1, number, "x");
        scene.heard(1);
    }
    let new = std::iter::from_fn(|| scene.chat.poll_history());
    assert_eq!(new.count(), MOST);
}

#[test]
fn a_slow_member_that_joins_gets_no_more_history_than_its_credit() {
    let mut scene = Scene::with(&["ann"]);
    let saved = SavedHistory {
        now: 0,
        most: limits::MAX_CHAT_HISTORY,
        earlier: (0..100)
            .map(|_| earlier(0, &"\u{1}".repeat(4000)))
            .collect(),
    };
    scene.chat.restore_history(NOW, saved);
    join_with_history(&mut scene, NOW, 2, u32::MAX);
    scene.deliver();
    assert!(scene.sent[&call(2)].1 <= limits::CHAT_UNDERWAY);
    let slow = scene.chat.index_of(call(2)).unwrap();
    assert!(scene.chat.members[slow].waiting_bytes() <= limits::CHAT_WAITING);
}
