//! The end of jobs and sessions that a changed line of `authorized_keys` no longer allows.

use super::harness::*;
use crate::agent::jobs::{Exit, Force};
use crate::agent::limits;
use crate::agent::switch::Switch;
use crate::message::{Cause, CloseCode, OnDisconnect, Outcome, Reply, Request};
use crate::session::{Closed, Event};
use crate::wire::Lane;

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
    harness.pass(limits::REVOKED_SESSION);
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
    let call = harness.call(
        alice,
        0,
        &Request::Chat {
            after: None,
            id: None,
            name,
            history: 0,
            room: None,
            whispers: false,
        },
    );
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

#[test]
fn a_session_of_a_removed_key_carries_nothing_but_the_result_of_its_command() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    let mut first = exec(1);
    first.stdin = true;
    let call = harness.call(alice, 0, &Request::Exec(first));
    let job = harness.last_job();
    let chat = harness.call(
        alice,
        1,
        &Request::Chat {
            after: None,
            id: None,
            name: None,
            history: 0,
            room: None,
            whispers: false,
        },
    );
    harness.policy.borrow_mut().remove(ALICE);
    harness.service.on_policy_changed(harness.now);
    harness.drain();
    assert!(harness.released.contains(&chat), "the chat has ended");
    let spawned = harness.service.processes().spawned.len();
    let late = harness.call(alice, 2, &Request::Exec(exec(2)));
    harness.data(call, Lane::Data, b"late", true);
    assert_eq!(harness.reply(late), None);
    assert_eq!(harness.service.processes().spawned.len(), spawned);
    assert_eq!(harness.service.processes().stdin.get(&job), None);
    let (signal, core) = (15, false);
    harness.eof(job);
    harness.exit(job, Exit::Signal { signal, core });
    let reply = harness.replies(call).pop();
    let canceled = Reply::Exit {
        outcome: Outcome::Canceled {},
        cause: Some(Cause::Revoked),
        stdout: 0,
        stderr: 0,
        streams_open: false,
        still_running: false,
    };
    assert_eq!(reply, Some(canceled));
    assert_eq!(harness.closed, [].into());
    harness.data(call, Lane::Control, b"", true);
    assert_eq!(harness.closed, [(alice, CloseCode::Revoked as u64)].into());
}
