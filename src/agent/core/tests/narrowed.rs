//! The end of jobs and sessions that a changed line of `authorized_keys` no longer allows.

use super::harness::*;
use crate::agent::jobs::Force;
use crate::agent::switch::Switch;
use crate::message::{CloseCode, OnDisconnect, Outcome, Reply, Request};
use crate::session::{Closed, Event};

#[test]
fn a_job_that_the_line_of_its_key_no_longer_allows_is_ended() {
    for line in [
        "alice allow=uname",
        "alice chat-only",
        "alice user=ann",
        "alice from=203.0.113.0/24",
        "alice expires=1970-01-01",
    ] {
        let mut harness = Harness::new();
        let alice = harness.open(1, ALICE);
        let bob = harness.open(2, BOB);
        harness.call(alice, 0, &Request::Exec(exec(1)));
        let job = harness.last_job();
        harness.call(bob, 0, &Request::Exec(exec(1)));
        let changed = |harness: &mut Harness, line| {
            harness.policy.borrow_mut().list(ALICE, line);
            harness.service.on_policy_changed(harness.now);
            harness.drain();
        };
        changed(&mut harness, "alicia max-jobs=7");
        assert_eq!(harness.service.processes().ended, []);
        changed(&mut harness, line);
        let ended = &harness.service.processes().ended;
        assert_eq!(*ended, [(job, Force::Terminate)], "{line}");
    }
}

#[test]
fn while_the_files_cannot_be_read_nothing_is_started_or_ended() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    harness.call(alice, 0, &Request::Exec(exec(1)));
    let suspend = |harness: &mut Harness, suspended| {
        harness.policy.borrow_mut().suspend(suspended);
        harness.service.on_policy_changed(harness.now);
        harness.drain();
    };
    suspend(&mut harness, Switch::On);
    assert_eq!(harness.service.processes().ended, []);
    assert!(!harness.closed.contains_key(&alice));
    let denied = harness.call(alice, 1, &Request::Exec(exec(2)));
    assert!(matches!(
        harness.reply(denied),
        Some(Reply::Exit {
            outcome: Outcome::Denied {},
            ..
        })
    ));
    assert_eq!(harness.service.processes().spawned.len(), 1);
    let bob = harness.open(2, BOB);
    assert!(harness.closed.contains_key(&bob), "nobody is admitted");
    suspend(&mut harness, Switch::Off);
    harness.call(alice, 2, &Request::Exec(exec(2)));
    assert_eq!(harness.service.processes().spawned.len(), 2);
    suspend(&mut harness, Switch::On);
    harness.policy.borrow_mut().remove(ALICE);
    suspend(&mut harness, Switch::Off);
    assert!(harness.closed.contains_key(&alice));
    assert_eq!(harness.service.processes().ended.len(), 2);
}

#[test]
fn a_detached_job_is_ended_when_its_key_may_run_no_commands() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    let mut request = exec(1);
    request.on_disconnect = OnDisconnect::Keep;
    harness.call(alice, 0, &Request::Exec(request));
    let job = harness.last_job();
    let (session, reason) = (alice, Closed::Lost);
    harness.event(Event::Closed { session, reason });
    harness.service.on_policy_changed(harness.now);
    assert_eq!(harness.service.processes().ended, []);
    harness.policy.borrow_mut().list(ALICE, "alice chat-only");
    harness.service.on_policy_changed(harness.now);
    assert_eq!(harness.service.processes().ended, [(job, Force::Terminate)]);
}

#[test]
fn a_chat_session_is_closed_when_its_key_is_removed() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    let name = None;
    let call = harness.call(alice, 0, &Request::Chat { name });
    assert!(!harness.replies(call).is_empty());
    harness.policy.borrow_mut().list(ALICE, "alice chat-only");
    harness.service.on_policy_changed(harness.now);
    harness.drain();
    assert_eq!(harness.closed, [].into(), "it may still chat");
    harness.policy.borrow_mut().remove(ALICE);
    harness.service.on_policy_changed(harness.now);
    harness.drain();
    assert_eq!(harness.closed, [(alice, CloseCode::Revoked as u64)].into());
}
