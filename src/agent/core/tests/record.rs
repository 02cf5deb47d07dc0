//! What is put on record, when, and what happens if it cannot be.

use std::sync::atomic::Ordering;

use super::stage::*;
use crate::agent::jobs::Exit;
use crate::message::{Outcome, Reply, Request};

fn last_outcome(stage: &mut Stage, call: crate::agent::outbox::CallRef) -> Outcome {
    match stage.replies(call).pop() {
        Some(Reply::Exit { outcome, .. }) => outcome,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_command_is_accepted_started_and_ended_and_what_does_not_run_is_denied() {
    let mut stage = Stage::new();
    let alice = stage.open(1, ALICE);
    stage.call(alice, 0, &Request::Exec(exec(1)));
    assert_eq!(
        stage.records.take(),
        [("accepted", id(1)), ("started", id(1))]
    );
    stage.call(alice, 1, &Request::Exec(exec(1)));
    assert_eq!(stage.records.take(), [], "attached to what runs");
    let job = stage.last_job();
    stage.eof(job);
    stage.exit(job, Exit::Code(0));
    assert_eq!(stage.records.take(), [("ended", id(1))]);

    let mut other = exec(1);
    other.argv.push("more".into());
    stage.call(alice, 2, &Request::Exec(other));
    let mut forbidden = exec(2);
    forbidden.argv = vec!["forbidden".into()];
    stage.call(alice, 3, &Request::Exec(forbidden));
    let mut old = exec(3);
    old.age_ms = 1 << 40;
    stage.call(alice, 4, &Request::Exec(old));
    let guest = stage.open(2, GUEST);
    stage.call(guest, 0, &Request::Exec(exec(4)));
    let denied = [1, 2, 3, 4].map(|number| ("denied", id(number)));
    assert_eq!(stage.records.take(), denied);

    stage.service.processes().fails = Some(2);
    stage.call(alice, 5, &Request::Exec(exec(5)));
    assert_eq!(
        stage.records.take(),
        [("accepted", id(5)), ("ended", id(5))]
    );
}

#[test]
fn without_a_record_nothing_is_started_and_the_id_is_not_used_up() {
    let mut stage = Stage::new();
    let alice = stage.open(1, ALICE);
    stage.records.full.store(true, Ordering::Relaxed);
    let call = stage.call(alice, 0, &Request::Exec(exec(1)));
    assert_eq!(last_outcome(&mut stage, call), Outcome::Denied {});
    assert!(stage.service.processes().spawned.is_empty());
    stage.records.full.store(false, Ordering::Relaxed);
    stage.call(alice, 1, &Request::Exec(exec(1)));
    assert_eq!(stage.service.processes().spawned.len(), 1);
    // What runs goes on, and ends, without.
    stage.records.full.store(true, Ordering::Relaxed);
    let job = stage.last_job();
    stage.eof(job);
    stage.exit(job, Exit::Code(3));
    let call = stage.call(alice, 2, &Request::Wait { id: id(1) });
    assert_eq!(last_outcome(&mut stage, call), Outcome::Exited { code: 3 });
}
