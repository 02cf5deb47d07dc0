//! Tests of members that read slowly, seldom or never.

use super::*;

#[test]
fn a_slow_member_misses_messages_and_is_told_so_while_others_get_all() {
    let mut scene = Scene::with(&["ann", "bob", "slow"]);
    let mut heard = 0;
    for number in 0..1000 {
        scene.says(1, number, &format!("{number:01000}"));
        heard += scene.heard(2).len();
        assert_eq!(scene.heard(1).len(), 1);
    }
    assert_eq!(heard, 1000);
    let slow = scene.chat.index_of(call(3)).unwrap();
    assert!(scene.chat.members[slow].waiting_bytes() <= limits::CHAT_WAITING);
    scene.deliver();
    assert!(scene.sent[&call(3)].1 <= limits::CHAT_UNDERWAY + 1000);

    let sent = scene.heard(3);
    // The number of those that are missing is where they are.
    let (mut next, mut gaps) = (0, 0);
    for reply in &sent {
        match reply {
            Reply::Said { text, .. } => {
                assert_eq!(text.parse(), Ok(next));
                next += 1;
            }
            Reply::Missed { messages } => {
                next += messages;
                gaps += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((next, gaps), (1000, 1));
    assert!(matches!(sent.last(), Some(Reply::Said { .. })));
}

#[test]
fn a_member_that_writes_and_never_reads_is_removed() {
    let mut scene = Scene::with(&["ann", "writer"]);
    let mut number = 0;
    while scene.chat.index_of(call(2)).is_some() {
        scene.says(2, number, "x");
        number += 1;
        assert!(number < 100_000);
    }
    assert!(scene.has_ended(2));
    let name = "writer".into();
    assert_eq!(
        scene.heard(1).last(),
        Some(&Reply::Left { name, room: None })
    );
}

#[test]
fn a_member_that_reports_as_seldom_as_it_may_still_gets_every_line() {
    use crate::message::limits::CHAT_TEXT;
    use crate::session::limits::CONSUMED_REPORT;

    let mut scene = Scene::with(&["ann", "bob"]);
    let mut reported = 0;
    for number in 0..200 {
        // Lines of many sizes, so that the bound is met from every side.
        let text = "x".repeat(1 + (number * 7919) % CHAT_TEXT);
        scene.says(1, number as u64, &text);
        scene.heard(1);
        scene.deliver();
        let (lines, consumed, _) = scene.sent.entry(call(2)).or_default();
        let mut got = 0;
        while let Some(line) = lines.next::<Reply>() {
            assert!(!matches!(line.unwrap(), Reply::Missed { .. }));
            got += 1;
        }
        let consumed = *consumed;
        assert!(
            got > 0 || consumed - reported >= CONSUMED_REPORT,
            "{number}"
        );
        if consumed - reported >= CONSUMED_REPORT {
            reported = consumed;
            scene.chat.on_consumed(call(2), consumed, &mut scene.outbox);
        }
    }
}
