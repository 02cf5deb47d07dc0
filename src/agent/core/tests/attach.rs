//! Attaching to jobs, waiting for them, and listing them.

use super::harness::*;
use crate::agent::jobs::{Exit, Output};
use crate::message::{JobState, OnDisconnect, Outcome, Reply, Request};
use crate::session::Closed;
use crate::wire::Lane;

fn attach(number: u8, stdout: Option<u64>) -> Request {
    Request::Attach {
        key: None,
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
        kept: false,
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
        Request::Wait {
            id: id(1),
            key: None,
        },
        Request::Signal {
            key: None,
            id: id(1),
            signal: 9,
        },
    ];
    for (number, request) in (0..).zip(requests) {
        let call = harness.call(bob, number, &request);
        assert_eq!(harness.replies(call), [Reply::NoJob {}]);
    }
    let list = harness.call(bob, 9, &Request::Jobs { all: false });
    assert_eq!(
        harness.replies(list),
        [Reply::Jobs {
            jobs: vec![],
            left_out: 0
        }]
    );
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
    let list = harness.call(alice, 2, &Request::Jobs { all: false });
    let Some(Reply::Jobs { jobs, .. }) = harness.reply(list) else {
        panic!("no list");
    };
    let outcome = Outcome::Signaled {
        signal: 9,
        core: false,
    };
    assert_eq!(jobs[0].state, JobState::Ended(outcome));
    assert_eq!((jobs[0].id, jobs[0].stderr), (id(1), 5));
    assert_eq!(jobs[1].state, JobState::Running {});
    let cut = "x".repeat(499) + "\u{2026}";
    let shown = ["prog".into(), "arg".into(), cut.as_str().into()];
    assert_eq!(jobs[1].argv, shown);
}

#[test]
fn wait_does_not_detach_a_job_and_ends_with_it() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    let call = harness.call(alice, 0, &Request::Exec(exec(1)));
    let job = harness.last_job();
    let wait = harness.call(
        alice,
        1,
        &Request::Wait {
            id: id(1),
            key: None,
        },
    );
    let gone = harness.call(
        alice,
        2,
        &Request::Wait {
            id: id(1),
            key: None,
        },
    );
    harness.event(crate::session::Event::Stream {
        session: alice,
        event: crate::session::StreamEvent::CallEnded { call: gone.call },
    });
    assert_eq!(harness.reply(wait), None);
    harness.eof(job);
    harness.exit(job, Exit::Code(0));
    let late = harness.call(
        alice,
        3,
        &Request::Wait {
            id: id(1),
            key: None,
        },
    );
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

#[test]
fn an_administrator_lists_attaches_to_and_signals_the_jobs_of_all_keys() {
    let mut harness = Harness::new();
    let bob = harness.open(1, BOB);
    harness.call(bob, 0, &Request::Exec(exec(1)));
    let job = harness.last_job();
    harness.write(job, Output::Out, b"hello");
    let alice = harness.open(2, ALICE);
    let requests = || {
        let (id, key) = (id(1), Some(BOB));
        let (stdout, stderr) = (None, None);
        [
            Request::Jobs { all: true },
            Request::Signal { id, signal: 1, key },
            Request::Attach {
                id,
                stdout,
                stderr,
                key,
            },
            Request::Wait { id, key },
        ]
    };
    for (number, request) in (0..).zip(requests()) {
        let call = harness.call(alice, number, &request);
        assert_eq!(harness.replies(call), [Reply::Denied {}], "{request:?}");
    }
    assert!(harness.service.processes().signals.is_empty());

    harness.policy.borrow_mut().list(ALICE, "alice admin");
    let [list, signal, attach, wait] = requests();
    let list = harness.call(alice, 10, &list);
    let replies = harness.replies(list);
    let [Reply::Jobs { jobs, left_out: 0 }] = &replies[..] else {
        panic!("{replies:?}");
    };
    assert_eq!((jobs[0].id, jobs[0].key), (id(1), Some(BOB)));
    assert_eq!(jobs[0].name.as_deref(), Some("bob"));
    let signal = harness.call(alice, 11, &signal);
    assert_eq!(harness.replies(signal), [Reply::Done {}]);
    assert_eq!(harness.service.processes().signals, [(job, 1)]);
    let attach = harness.call(alice, 12, &attach);
    assert!(matches!(
        harness.replies(attach)[..],
        [Reply::Accepted { .. }, Reply::Started { .. }]
    ));
    assert_eq!(harness.sent(attach, Lane::Data).bytes, b"hello");
    let wait = harness.call(alice, 13, &wait);
    harness.eof(job);
    harness.exit(job, Exit::Code(0));
    assert_eq!(harness.replies(wait).len(), 1);
    let own = harness.call(alice, 14, &Request::Jobs { all: false });
    let none = Reply::Jobs {
        jobs: vec![],
        left_out: 0,
    };
    assert_eq!(harness.replies(own), [none]);
}

#[test]
fn a_list_of_many_jobs_fits_a_line_and_counts_those_left_out() {
    let mut harness = Harness::with(crate::agent::jobs::Config {
        max_jobs: 6000,
        ..crate::agent::jobs::Config::default()
    });
    let alice = harness.open(1, ALICE);
    for number in 0..4000_u32 {
        let mut request = exec(1);
        request.id = crate::message::RequestId(u128::from(number).to_be_bytes());
        request.argv.push("\u{1b}".repeat(100).as_str().into());
        harness.call(alice, number, &Request::Exec(request));
    }
    let list = harness.call(alice, 9999, &Request::Jobs { all: false });
    let length = harness.sent(list, Lane::Control).bytes.len();
    assert!(length <= crate::message::limits::LINE, "{length}");
    let replies = harness.replies(list);
    let [Reply::Jobs { jobs, left_out }] = &replies[..] else {
        panic!("no list");
    };
    assert!(jobs.len() > 1500, "{}", jobs.len());
    assert_eq!(jobs.len() as u64 + left_out, 4000);
    let last = u128::from(3999_u32).to_be_bytes();
    assert_eq!(jobs.last().unwrap().id.0, last);
}
