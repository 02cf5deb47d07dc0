//! Audit records, and commands that cannot be recorded.

use std::sync::atomic::Ordering;

use super::harness::*;
use crate::agent::jobs::{Errno, Exit};
use crate::message::{Outcome, Reply, Request};

fn last_outcome(harness: &mut Harness, call: crate::agent::outbox::CallRef) -> Outcome {
    match harness.replies(call).pop() {
        Some(Reply::Exit { outcome, .. }) => outcome,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_command_is_accepted_started_and_ended_and_what_does_not_run_is_denied() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    harness.call(alice, 0, &Request::Exec(exec(1)));
    assert_eq!(
        harness.records.take(),
        [("accepted", id(1)), ("started", id(1))]
    );
    harness.call(alice, 1, &Request::Exec(exec(1)));
    assert_eq!(harness.records.take(), [], "attached to the running job");
    let job = harness.last_job();
    harness.eof(job);
    harness.exit(job, Exit::Code(0));
    assert_eq!(harness.records.take(), [("ended", id(1))]);

    let mut other = exec(1);
    other.argv.push("more".into());
    harness.call(alice, 2, &Request::Exec(other));
    let mut denied_user = exec(2);
    denied_user.user = Some("bin".into());
    harness.call(alice, 3, &Request::Exec(denied_user));
    let mut old = exec(3);
    old.age_ms = 1 << 40;
    harness.call(alice, 4, &Request::Exec(old));
    let guest = harness.open(2, GUEST);
    harness.call(guest, 0, &Request::Exec(exec(4)));
    let denied = [1, 2, 3, 4].map(|number| ("denied", id(number)));
    assert_eq!(harness.records.take(), denied);

    harness.service.processes().fails = Some(Errno(2));
    harness.call(alice, 5, &Request::Exec(exec(5)));
    assert_eq!(
        harness.records.take(),
        [("accepted", id(5)), ("ended", id(5))]
    );
}

#[test]
fn without_a_record_nothing_is_started_and_the_id_is_not_used_up() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    harness.records.full.store(true, Ordering::Relaxed);
    let call = harness.call(alice, 0, &Request::Exec(exec(1)));
    assert_eq!(last_outcome(&mut harness, call), Outcome::Denied {});
    assert!(harness.service.processes().spawned.is_empty());
    harness.records.full.store(false, Ordering::Relaxed);
    harness.call(alice, 1, &Request::Exec(exec(1)));
    assert_eq!(harness.service.processes().spawned.len(), 1);
    // A running job continues and ends without a record.
    harness.records.full.store(true, Ordering::Relaxed);
    let job = harness.last_job();
    harness.eof(job);
    harness.exit(job, Exit::Code(3));
    let call = harness.call(
        alice,
        2,
        &Request::Wait {
            id: id(1),
            key: None,
        },
    );
    assert_eq!(
        last_outcome(&mut harness, call),
        Outcome::Exited { code: 3 }
    );
}

#[test]
fn attachments_signals_cancels_registrations_and_denials_without_a_command_are_recorded() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    let call = harness.call(alice, 0, &Request::Exec(exec(1)));
    harness.records.take();
    let (id_1, signal) = (id(1), 10);
    harness.call(
        alice,
        1,
        &Request::Signal {
            id: id_1,
            key: None,
            signal,
        },
    );
    assert_eq!(harness.records.take(), [("signaled", id_1)]);
    // Nothing happens, so nothing is recorded.
    harness.call(
        alice,
        2,
        &Request::Signal {
            id: id(2),
            key: None,
            signal,
        },
    );
    let (stdout, stderr) = (None, None);
    let attach = |id| Request::Attach {
        id,
        key: None,
        stdout,
        stderr,
    };
    harness.call(alice, 3, &attach(id(2)));
    assert_eq!(harness.records.take(), []);
    let attached = harness.call(alice, 4, &attach(id_1));
    assert_eq!(harness.records.take(), [("attached", id_1)]);
    harness.say(call, &Request::Cancel {});
    assert_eq!(harness.records.take(), [], "its call is over");
    harness.say(attached, &Request::Cancel {});
    assert_eq!(harness.records.take(), [("canceled", id_1)]);

    let guest = harness.open(2, GUEST);
    harness.call(guest, 0, &Request::Ping {});
    assert_eq!(harness.records.take(), [("denied", id(0))]);
    let name = "ann".into();
    harness.call(guest, 1, &Request::Register { name });
    assert_eq!(harness.records.take(), [("registered", id(0))]);
}
