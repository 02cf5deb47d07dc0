//! Attaching to jobs, waiting for them, and listing them.

use super::harness::*;
use crate::agent::jobs::{Exit, Output};
use crate::message::{JobState, OnDisconnect, Outcome, Reply, Request};
use crate::session::Closed;
use crate::wire::Lane;

fn attach(number: u8, stdout: Option<u64>) -> Request {
    Request::Attach {
        id: id(number),
        stdout,
        stderr: None,
    }
}

#[test]
fn a_controller_that_lost_its_session_receives_exactly_the_rest() {
    let mut harness = Harness::new();
    let first = harness.open(1, ALICE);
    let call = harness.call(first, 0, &Request::Exec(exec(1)));
    let job = harness.last_job();
    harness.write(job, Output::Out, b"0123456789");
    harness.consume(call, Lane::Data, 4);
    harness.close(first, Closed::Lost);
    harness.write(job, Output::Out, b"abc");
    harness.eof(job);
    harness.exit(job, Exit::Code(3));

    let second = harness.open(2, ALICE);
    let call = harness.call(second, 0, &attach(1, None));
    let exit = Reply::Exit {
        outcome: Outcome::Exited { code: 3 },
        stdout: 13,
        stderr: 0,
        streams_open: false,
        cause: None,
        still_running: false,
    };
    let accepted = |stdout| Reply::Accepted {
        id: id(1),
        stdout,
        stderr: 0,
        stdin: 0,
        terminal: false,
        screen: None,
    };
    let started = Reply::Started {
        pid: 1000,
        home: None,
    };
    assert_eq!(
        harness.replies(call),
        [accepted(4), started.clone(), exit.clone()]
    );
    assert_eq!(harness.sent(call, Lane::Data).bytes, b"456789abc");

    // Consumed output is gone, and the offset says so.
    let call = harness.call(second, 1, &attach(1, Some(0)));
    assert_eq!(
        harness.replies(call),
        [accepted(4), started.clone(), exit.clone()]
    );
    let call = harness.call(second, 2, &attach(1, Some(11)));
    assert_eq!(
        harness.replies(call),
        [accepted(11), started.clone(), exit.clone()]
    );
    assert_eq!(harness.sent(call, Lane::Data).bytes, b"bc");
    harness.consume(call, Lane::Data, 2);
    let call = harness.call(second, 3, &attach(1, Some(1000)));
    assert_eq!(harness.replies(call), [accepted(13), started, exit]);
}

#[test]
fn only_the_key_of_a_job_may_attach_wait_signal_or_list_it() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    let call = harness.call(alice, 0, &Request::Exec(exec(1)));
    let bob = harness.open(2, BOB);
    let requests = [
        attach(1, None),
        Request::Wait { id: id(1) },
        Request::Signal {
            id: id(1),
            signal: 9,
        },
    ];
    for (number, request) in (0..).zip(requests) {
        let call = harness.call(bob, number, &request);
        assert_eq!(harness.replies(call), [Reply::NoJob {}]);
    }
    let list = harness.call(bob, 9, &Request::Jobs {});
    assert_eq!(harness.replies(list), [Reply::Jobs { jobs: vec![] }]);
    assert!(!harness.released.contains(&call));
    assert!(harness.service.processes().signals.is_empty());
}

#[test]
fn a_list_has_running_and_ended_jobs() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    harness.call(alice, 0, &Request::Exec(exec(1)));
    let job = harness.last_job();
    let mut long = exec(2);
    long.argv.push("x".repeat(1000).as_str().into());
    harness.call(alice, 1, &Request::Exec(long));
    harness.write(job, Output::Err, b"12345");
    harness.eof(job);
    harness.exit(
        job,
        Exit::Signal {
            signal: 9,
            core: false,
        },
    );
    let list = harness.call(alice, 2, &Request::Jobs {});
    let Some(Reply::Jobs { jobs }) = harness.reply(list) else {
        panic!("no list");
    };
    let outcome = Outcome::Signaled {
        signal: 9,
        core: false,
    };
    assert_eq!(jobs[0].state, JobState::Ended(outcome));
    assert_eq!((jobs[0].id, jobs[0].stderr), (id(1), 5));
    assert_eq!(jobs[1].state, JobState::Running {});
    assert_eq!(jobs[1].argv, ["prog".into(), "arg".into()]);
}

#[test]
fn wait_does_not_detach_a_job_and_ends_with_it() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    let call = harness.call(alice, 0, &Request::Exec(exec(1)));
    let job = harness.last_job();
    let wait = harness.call(alice, 1, &Request::Wait { id: id(1) });
    let gone = harness.call(alice, 2, &Request::Wait { id: id(1) });
    harness.event(crate::session::Event::Stream {
        session: alice,
        event: crate::session::StreamEvent::CallEnded { call: gone.call },
    });
    assert_eq!(harness.reply(wait), None);
    harness.eof(job);
    harness.exit(job, Exit::Code(0));
    let late = harness.call(alice, 3, &Request::Wait { id: id(1) });
    for wait in [wait, late] {
        let replies = harness.replies(wait);
        assert!(matches!(replies[..], [Reply::Exit { outcome, .. }] if outcome.is_success()));
        harness.delivered(wait);
        assert!(harness.released.contains(&wait));
    }
    assert_eq!(harness.reply(gone), None);
    assert!(!harness.released.contains(&call));
}

#[test]
fn stdin_continues_at_the_offset_of_the_job() {
    let mut harness = Harness::new();
    let first = harness.open(1, ALICE);
    let mut request = exec(1);
    request.stdin = true;
    request.on_disconnect = OnDisconnect::Keep;
    let call = harness.call(first, 0, &Request::Exec(request.clone()));
    let job = harness.last_job();
    harness.data(call, Lane::Data, b"abcd", false);
    harness.close(first, Closed::Lost);

    let second = harness.open(2, ALICE);
    let repeat = harness.call(second, 0, &Request::Exec(request));
    harness.data(repeat, Lane::Data, b"abcdef", false);
    assert_eq!(
        harness.sent(repeat, Lane::Data).consumed,
        4,
        "the repeated bytes were accepted before"
    );
    let call = harness.call(second, 1, &attach(1, None));
    assert!(matches!(
        harness.reply(call),
        Some(Reply::Accepted { stdin: 6, .. })
    ));
    harness.data(call, Lane::Data, b"gh", true);
    assert_eq!(
        harness.service.processes().stdin[&job],
        (b"abcdefgh".to_vec(), true)
    );
    harness.take_stdin(job, 7);
    assert_eq!(harness.sent(call, Lane::Data).consumed, 1);
}

#[test]
fn a_call_whose_control_lane_ended_before_exit_is_released_after_it() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    let call = harness.call(alice, 0, &Request::Exec(exec(1)));
    let job = harness.last_job();
    harness.data(call, Lane::Control, b"", true);
    harness.eof(job);
    harness.exit(job, Exit::Code(0));
    assert!(!harness.released.contains(&call));
    harness.delivered(call);
    assert!(harness.released.contains(&call));
    // The result is still there for a controller that attaches.
    let again = harness.call(alice, 1, &Request::Exec(exec(1)));
    let outcome = Outcome::Exited { code: 0 };
    let last = harness.replies(again).pop();
    assert!(matches!(last, Some(Reply::Exit { outcome: sent, .. }) if sent == outcome));
}
