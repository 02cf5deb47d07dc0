//! Private messages at the wrong place or from a session that may not send them, and their rate.

use std::time::Duration;

use super::harness::*;
use crate::message::{Reply, Request};

fn whisper(number: u64, to: &str, text: &str) -> Request {
    let (to, text) = (to.into(), text.into());
    Request::Whisper { number, to, text }
}

#[test]
fn a_private_message_of_nobody_who_has_joined_is_refused() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    let call = harness.call(alice, 0, &whisper(0, "tower", "x"));
    let reason = "not at the beginning of a call".into();
    assert_eq!(harness.replies(call), [Reply::Unsupported { reason }]);
    assert_eq!(harness.service.chat().0.poll_line(), None);
    // Nor in a call about a job.
    let job = harness.call(alice, 1, &Request::Exec(exec(1)));
    harness.replies(job);
    harness.say(job, &whisper(0, "tower", "x"));
    let replies = harness.replies(job);
    assert!(
        matches!(replies[..], [Reply::Unsupported { .. }]),
        "{replies:?}"
    );
    // Nor with an invitation.
    let guest = harness.open(3, GUEST);
    let call = harness.call(guest, 0, &whisper(0, "tower", "x"));
    assert_eq!(harness.replies(call), [Reply::Denied {}]);
    // Nor as early data, which may be a copy.
    let copy = harness.open_unconfirmed(2, ALICE);
    let call = harness.call(copy, 0, &whisper(0, "tower", "x"));
    let reason = "not as early data".into();
    assert_eq!(harness.replies(call), [Reply::Unsupported { reason }]);
    assert_eq!(harness.service.chat().0.poll_line(), None);
}

#[test]
fn private_messages_and_their_names_count_against_the_rate_of_the_key() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    let join = Request::Chat {
        after: None,
        id: None,
        name: None,
        history: 0,
        room: None,
        whispers: true,
    };
    let call = harness.call(alice, 0, &join);
    harness.replies(call);
    // 100 kB each: two seconds of the rate take ten.
    let to = "x".repeat(100_000);
    for number in 0..40 {
        harness.say(call, &whisper(number, &to, "x"));
    }
    let answered = harness.replies(call).len();
    assert!((5..20).contains(&answered), "{answered}");
    let mut all = answered;
    for _ in 0..100 {
        harness.pass(Duration::from_millis(100));
        all += harness.replies(call).len();
    }
    assert_eq!(all, 40);
}
