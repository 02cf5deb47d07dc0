//! The shutdown of an agent.

use std::time::Duration;

use super::harness::*;
use crate::agent::jobs::{self, Exit, Force, OnShutdown, Output};
use crate::agent::limits;
use crate::message::{Cause, CloseCode, Outcome, Reply, Request};
use crate::wire::Lane;

#[test]
fn a_shutdown_ends_the_jobs_and_delivers_their_results() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    let call = harness.call(alice, 0, &Request::Exec(exec(1)));
    let job = harness.last_job();
    harness.service.shut_down(harness.now);
    let refused = harness.call(alice, 1, &Request::Exec(exec(2)));
    let last = harness.replies(refused).pop();
    assert!(matches!(
        last,
        Some(Reply::Exit {
            outcome: Outcome::Busy {},
            ..
        })
    ));
    assert_eq!(harness.service.processes().ended, [(job, Force::Terminate)]);
    harness.eof(job);
    harness.exit(
        job,
        Exit::Signal {
            signal: 15,
            core: false,
        },
    );
    let last = harness.replies(call).pop();
    assert!(matches!(
        last,
        Some(Reply::Exit {
            outcome: Outcome::Canceled {},
            ..
        })
    ));
    assert!(
        !harness.service.is_closed(),
        "the result has not been delivered"
    );
    harness.delivered(call);
    assert!(harness.service.is_closed());
    assert_eq!(harness.closed, [(alice, CloseCode::Shutdown as u64)].into());
}

#[test]
fn a_shutdown_delivers_the_last_messages_of_the_chat() {
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
    let slow = harness.call(alice, 1, &join);
    harness.replies(call);
    let now = harness.now;
    let (chat, outbox) = harness.service.chat();
    chat.on_typed(now, "the last words", outbox);
    harness.service.shut_down(harness.now);
    harness.drain();
    let last = harness.replies(call).pop();
    assert!(
        matches!(&last, Some(Reply::Said { text, .. }) if text == "the last words"),
        "{last:?}"
    );
    for member in [call, slow] {
        assert!(harness.sent(member, Lane::Control).fin);
    }
    assert!(!harness.service.is_closed(), "they have not arrived");
    // One that waits for the next agent is not taken.
    let late = harness.call(alice, 2, &join);
    assert_eq!(harness.replies(late), []);
    harness.delivered(call);
    assert!(!harness.service.is_closed(), "one has not arrived");
    harness.pass(limits::LAST_RESULTS);
    assert!(harness.service.is_closed());
    assert_eq!(harness.closed, [(alice, CloseCode::Shutdown as u64)].into());
}

#[test]
fn a_shutdown_is_bounded_in_time() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    harness.call(alice, 0, &Request::Exec(exec(1)));
    let job = harness.last_job();
    harness.service.shut_down(harness.now);
    harness.pass(limits::SHUTDOWN);
    assert_eq!(
        harness.service.processes().ended,
        [(job, Force::Terminate), (job, Force::Kill)]
    );
    harness.pass(limits::LAST_RESULTS);
    assert!(harness.service.is_closed());
    assert!(limits::SHUTDOWN + limits::LAST_RESULTS < Duration::from_secs(8));
}

#[test]
fn an_agent_with_keep_jobs_releases_them_and_reports_lost() {
    let mut harness = Harness::with(jobs::Config {
        on_shutdown: OnShutdown::Detach,
        ..jobs::Config::default()
    });
    let alice = harness.open(1, ALICE);
    let call = harness.call(alice, 0, &Request::Exec(exec(1)));
    let left = harness.last_job();
    let ending = harness.call(alice, 1, &Request::Exec(exec(2)));
    let ended = harness.last_job();
    harness.say(ending, &Request::Cancel {});
    harness.write(left, Output::Out, b"so far");
    harness.service.shut_down(harness.now);
    harness.drain();
    assert_eq!(harness.service.processes().left, [left]);
    assert_eq!(
        harness.service.processes().ended,
        [(ended, Force::Terminate)]
    );
    let lost = Reply::Exit {
        outcome: Outcome::Lost {},
        stdout: 6,
        stderr: 0,
        streams_open: true,
        cause: Some(Cause::Shutdown),
        still_running: false,
    };
    assert_eq!(harness.replies(call).pop(), Some(lost));
    // A job that is being ended already is ended.
    harness.eof(ended);
    harness.exit(ended, Exit::Code(0));
    harness.delivered(call);
    harness.delivered(ending);
    harness.pass(limits::LAST_RESULTS);
    assert!(harness.service.is_closed());
}
