//! Requests of the chat that come too fast.

use std::time::Duration;

use super::harness::*;
use crate::agent::chat::Line;
use crate::agent::outbox::CallRef;
use crate::message::{Reply, Request, to_line};
use crate::wire::Lane;

/// More than the burst and what follows in a second.
const MESSAGES: u64 = 2000;

fn say(number: u64) -> Request {
    Request::Say {
        bot: false,
        action: false,
        number,
        text: format!("message {number}"),
        room: None,
    }
}

fn join(harness: &mut Harness, number: u64, key: crate::crypto::PublicKey) -> CallRef {
    let session = harness.open(number, key);
    let join = Request::Chat {
        after: None,
        id: None,
        name: None,
        history: 0,
        room: None,
        whispers: false,
    };
    let call = harness.call(session, 0, &join);
    assert!(matches!(harness.replies(call)[..], [Reply::Joined { .. }]));
    call
}

fn delivered(harness: &mut Harness, call: CallRef) -> Vec<u64> {
    let replies = harness.replies(call).into_iter();
    let number = |reply| match reply {
        Reply::Delivered { number, .. } => Some(number),
        Reply::Said { .. } | Reply::Came { .. } => None,
        other => panic!("{other:?}"),
    };
    replies.filter_map(number).collect()
}

/// Has a controller read everything that it has got.
fn read(harness: &mut Harness, call: CallRef) {
    loop {
        let written = harness.sent(call, Lane::Control).bytes.len() as u64;
        harness.consume(call, Lane::Control, written);
        if harness.sent(call, Lane::Control).bytes.len() as u64 == written {
            return;
        }
    }
}

/// Lets time pass while a controller reads what it gets. Returns the receipts.
fn pass(harness: &mut Harness, call: CallRef, time: Duration) -> Vec<u64> {
    let step = Duration::from_millis(100);
    let mut all = Vec::new();
    for _ in 0..time.as_millis() / step.as_millis() {
        harness.pass(step);
        read(harness, call);
        all.extend(delivered(harness, call));
    }
    all
}

#[test]
fn messages_that_come_too_fast_wait_without_credit_and_none_is_lost() {
    let mut harness = Harness::new();
    let alice = join(&mut harness, 1, ALICE);
    let bob = join(&mut harness, 2, BOB);
    for number in 0..MESSAGES {
        harness.say(alice, &say(number));
    }
    let lane = harness.sent(alice, Lane::Control);
    let (received, consumed) = (lane.received, lane.consumed);
    assert!(consumed < received, "{consumed} of {received}");
    let mut receipts = delivered(&mut harness, alice);
    let at_once = receipts.len();
    assert!((1000..1010).contains(&at_once), "{at_once}");

    // Neither another member nor a command waits for it.
    harness.say(bob, &say(7));
    read(&mut harness, bob);
    assert_eq!(delivered(&mut harness, bob), [7]);
    let ping = harness.call(alice.session, 9, &Request::Ping {});
    assert!(matches!(harness.replies(ping)[..], [Reply::Pong { .. }]));

    // The end of the lane waits for its turn.
    harness.data(alice, Lane::Control, &to_line(&say(MESSAGES)), true);
    assert!(!harness.sent(alice, Lane::Control).fin);
    receipts.extend(pass(&mut harness, alice, Duration::from_secs(1)));
    let later = receipts.len() - at_once;
    assert!((400..=525).contains(&later), "{later}");
    assert!(!harness.sent(alice, Lane::Control).fin);
    receipts.extend(pass(&mut harness, alice, Duration::from_secs(2)));
    assert!(receipts.into_iter().eq(0..=MESSAGES));
    let lane = harness.sent(alice, Lane::Control);
    assert!(lane.fin);
    assert_eq!(lane.consumed, lane.received);
}

#[test]
fn messages_of_many_calls_of_a_key_share_its_rate() {
    let mut harness = Harness::new();
    let sessions = [1, 2].map(|number| harness.open(number, ALICE));
    let mut calls = Vec::new();
    for number in 0..1500 {
        let session = sessions[number as usize % 2];
        calls.push(harness.call(session, number, &say(0)));
    }
    let answered = |harness: &mut Harness| {
        let answers = calls
            .iter()
            .filter(|&&call| harness.sent(call, Lane::Control).fin);
        answers.count()
    };
    let at_once = answered(&mut harness);
    assert!((1000..1010).contains(&at_once), "{at_once}");
    harness.pass(Duration::from_millis(500));
    let later = answered(&mut harness);
    assert!((1200..1290).contains(&later), "{later}");
    harness.pass(Duration::from_secs(1));
    assert_eq!(answered(&mut harness), calls.len());
}

#[test]
fn a_held_message_of_a_removed_key_is_not_said() {
    let mut harness = Harness::new();
    let alice = join(&mut harness, 1, ALICE);
    for number in 0..MESSAGES {
        harness.say(alice, &say(number));
    }
    let at_once = delivered(&mut harness, alice).len();
    harness.policy.borrow_mut().remove(ALICE);
    harness.service.on_policy_changed(harness.now);
    harness.drain();
    harness.pass(Duration::from_secs(5));
    assert!(harness.closed.contains_key(&alice.session));
    assert_eq!(delivered(&mut harness, alice), [0; 0]);
    let said = std::iter::from_fn(|| harness.service.chat().0.poll_line()).count();
    assert_eq!(said, at_once + 2, "and that it came and left");
}

#[test]
fn held_calls_of_a_key_are_continued_in_the_order_of_their_arrival() {
    let mut harness = Harness::new();
    let session = harness.open(1, ALICE);
    // Those that come later have lower numbers.
    let mut calls = (0..1600).rev();
    let mut numbers = 0..;
    let mut call = |harness: &mut Harness, count| {
        for (call, number) in calls.by_ref().zip(numbers.by_ref()).take(count) {
            harness.call(session, call, &say(number));
        }
    };
    call(&mut harness, 1500);
    for _ in 0..10 {
        harness.pass(Duration::from_millis(30));
        call(&mut harness, 10);
    }
    harness.pass(Duration::from_secs(5));
    let lines = std::iter::from_fn(|| harness.service.chat().0.poll_line());
    let texts = lines.map(|line| match line {
        Line::Said { text, .. } => text,
        other => panic!("{other:?}"),
    });
    assert!(texts.eq((0..1600).map(|number| format!("message {number}"))));
}

#[test]
fn held_calls_that_were_reset_do_not_pile_up_and_the_others_keep_their_order() {
    let mut harness = Harness::new();
    let session = harness.open(1, ALICE);
    // Nothing is left of its rate.
    for number in 0..2000 {
        harness.call(session, number, &say(u64::from(number)));
    }
    let at_once = 2000 - harness.service.held_calls();
    assert!((1000..1010).contains(&at_once), "{at_once}");
    for number in 2000..22_000 {
        let call = harness.call(session, number, &say(u64::from(number)));
        if number % 100 > 0 {
            harness.reset(call);
        }
        assert!(harness.service.held_calls() <= 2400);
    }
    harness.pass(Duration::from_secs(5));
    let lines = std::iter::from_fn(|| harness.service.chat().0.poll_line());
    let texts = lines.map(|line| match line {
        Line::Said { text, .. } => text,
        other => panic!("{other:?}"),
    });
    let said = (0..2000).chain((2000..22_000).step_by(100));
    assert!(texts.eq(said.map(|number| format!("message {number}"))));
}
