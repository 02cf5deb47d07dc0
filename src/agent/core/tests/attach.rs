//! Controllers that come back, wait, or look.

use super::stage::*;
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
fn a_controller_that_lost_its_session_gets_exactly_the_rest() {
    let mut stage = Stage::new();
    let first = stage.open(1, ALICE);
    let call = stage.call(first, 0, &Request::Exec(exec(1)));
    let job = stage.last_job();
    stage.write(job, Output::Out, b"0123456789");
    stage.consume(call, Lane::Data, 4);
    stage.close(first, Closed::Lost);
    stage.write(job, Output::Out, b"abc");
    stage.eof(job);
    stage.exit(job, Exit::Code(3));

    let second = stage.open(2, ALICE);
    let call = stage.call(second, 0, &attach(1, None));
    let exit = Reply::Exit {
        outcome: Outcome::Exited { code: 3 },
        stdout: 13,
        stderr: 0,
        streams_open: false,
        cause: None,
    };
    let accepted = |stdout| Reply::Accepted {
        id: id(1),
        stdout,
        stderr: 0,
        stdin: 0,
        terminal: false,
        screen: None,
    };
    let started = Reply::Started { pid: 1000 };
    assert_eq!(
        stage.replies(call),
        [accepted(4), started.clone(), exit.clone()]
    );
    assert_eq!(stage.heard(call, Lane::Data).bytes, b"456789abc");

    // What was written out is gone, and is not passed off as something else.
    let call = stage.call(second, 1, &attach(1, Some(0)));
    assert_eq!(
        stage.replies(call),
        [accepted(4), started.clone(), exit.clone()]
    );
    let call = stage.call(second, 2, &attach(1, Some(11)));
    assert_eq!(
        stage.replies(call),
        [accepted(11), started.clone(), exit.clone()]
    );
    assert_eq!(stage.heard(call, Lane::Data).bytes, b"bc");
    stage.consume(call, Lane::Data, 2);
    let call = stage.call(second, 3, &attach(1, Some(1000)));
    assert_eq!(stage.replies(call), [accepted(13), started, exit]);
}

#[test]
fn only_the_key_that_asked_may_attach_wait_signal_or_see() {
    let mut stage = Stage::new();
    let alice = stage.open(1, ALICE);
    let call = stage.call(alice, 0, &Request::Exec(exec(1)));
    let bob = stage.open(2, BOB);
    let requests = [
        attach(1, None),
        Request::Wait { id: id(1) },
        Request::Signal {
            id: id(1),
            signal: 9,
        },
    ];
    for (number, request) in (0..).zip(requests) {
        let call = stage.call(bob, number, &request);
        assert_eq!(stage.replies(call), [Reply::NoJob {}]);
    }
    let list = stage.call(bob, 9, &Request::Jobs {});
    assert_eq!(stage.replies(list), [Reply::Jobs { jobs: vec![] }]);
    assert!(!stage.released.contains(&call));
    assert!(stage.service.processes().signals.is_empty());
}

#[test]
fn a_list_shows_what_runs_and_what_ended() {
    let mut stage = Stage::new();
    let alice = stage.open(1, ALICE);
    stage.call(alice, 0, &Request::Exec(exec(1)));
    let job = stage.last_job();
    let mut long = exec(2);
    long.argv.push("x".repeat(1000).as_str().into());
    stage.call(alice, 1, &Request::Exec(long));
    stage.write(job, Output::Err, b"12345");
    stage.eof(job);
    stage.exit(
        job,
        Exit::Signal {
            signal: 9,
            core: false,
        },
    );
    let list = stage.call(alice, 2, &Request::Jobs {});
    let Some(Reply::Jobs { jobs }) = stage.reply(list) else {
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
fn waiting_takes_no_job_away_and_ends_with_it() {
    let mut stage = Stage::new();
    let alice = stage.open(1, ALICE);
    let call = stage.call(alice, 0, &Request::Exec(exec(1)));
    let job = stage.last_job();
    let wait = stage.call(alice, 1, &Request::Wait { id: id(1) });
    let gone = stage.call(alice, 2, &Request::Wait { id: id(1) });
    stage.event(crate::session::Event::Stream {
        session: alice,
        event: crate::session::StreamEvent::CallEnded { call: gone.call },
    });
    assert_eq!(stage.reply(wait), None);
    stage.eof(job);
    stage.exit(job, Exit::Code(0));
    let late = stage.call(alice, 3, &Request::Wait { id: id(1) });
    for wait in [wait, late] {
        let replies = stage.replies(wait);
        assert!(matches!(replies[..], [Reply::Exit { outcome, .. }] if outcome.is_success()));
        stage.delivered(wait);
        assert!(stage.released.contains(&wait));
    }
    assert_eq!(stage.reply(gone), None);
    assert!(!stage.released.contains(&call));
}

#[test]
fn stdin_goes_on_where_the_job_had_it() {
    let mut stage = Stage::new();
    let first = stage.open(1, ALICE);
    let mut request = exec(1);
    request.stdin = true;
    request.on_disconnect = OnDisconnect::Keep;
    let call = stage.call(first, 0, &Request::Exec(request.clone()));
    let job = stage.last_job();
    stage.data(call, Lane::Data, b"abcd", false);
    stage.close(first, Closed::Lost);

    let second = stage.open(2, ALICE);
    let repeat = stage.call(second, 0, &Request::Exec(request));
    stage.data(repeat, Lane::Data, b"abcdef", false);
    assert_eq!(
        stage.heard(repeat, Lane::Data).consumed,
        4,
        "those were taken"
    );
    let call = stage.call(second, 1, &attach(1, None));
    assert!(matches!(
        stage.reply(call),
        Some(Reply::Accepted { stdin: 6, .. })
    ));
    stage.data(call, Lane::Data, b"gh", true);
    assert_eq!(
        stage.service.processes().stdin[&job],
        (b"abcdefgh".to_vec(), true)
    );
    stage.service.on_stdin_written(job, 7);
    stage.drain();
    assert_eq!(stage.heard(call, Lane::Data).consumed, 1);
}

#[test]
fn a_call_whose_control_lane_ended_before_exit_is_released_after_it() {
    let mut stage = Stage::new();
    let alice = stage.open(1, ALICE);
    let call = stage.call(alice, 0, &Request::Exec(exec(1)));
    let job = stage.last_job();
    stage.data(call, Lane::Control, b"", true);
    stage.service.on_eof(stage.now, job, Output::Out);
    stage.service.on_eof(stage.now, job, Output::Err);
    stage.exit(job, Exit::Code(0));
    assert!(!stage.released.contains(&call));
    stage.delivered(call);
    assert!(stage.released.contains(&call));
    // The result is still there for who attaches.
    let again = stage.call(alice, 1, &Request::Exec(exec(1)));
    let outcome = Outcome::Exited { code: 0 };
    let last = stage.replies(again).pop();
    assert!(matches!(last, Some(Reply::Exit { outcome: told, .. }) if told == outcome));
}
