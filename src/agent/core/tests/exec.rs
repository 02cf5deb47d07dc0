//! The start of commands, their output and their end.

use std::time::Duration;

use super::harness::*;
use crate::agent::jobs::{Errno, Exit, Output, Phase, Status};
use crate::agent::limits;
use crate::message::{Cause, Outcome, Reply, Request, StartStep, StreamCode};
use crate::wire::Lane;

pub fn ended(outcome: Outcome) -> Vec<Reply> {
    vec![Reply::Exit {
        outcome,
        stdout: 0,
        stderr: 0,
        streams_open: false,
        cause: None,
        still_running: false,
    }]
}

#[test]
fn a_command_runs_and_its_result_is_delivered_and_collected() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    let call = harness.call(alice, 0, &Request::Exec(exec(1)));
    let job = harness.last_job();
    harness.write(job, Output::Out, b"hello ");
    harness.write(job, Output::Err, b"oops");
    harness.write(job, Output::Out, b"world");
    harness.eof(job);
    harness.exit(job, Exit::Code(7));
    assert_eq!(
        harness.replies(call),
        [
            Reply::Accepted {
                id: id(1),
                stdout: 0,
                stderr: 0,
                stdin: 0,
                terminal: false,
                kept: false,
                screen: None,
            },
            Reply::Started {
                pid: 1000,
                home: None,
            },
            Reply::Exit {
                outcome: Outcome::Exited { code: 7 },
                stdout: 11,
                stderr: 4,
                streams_open: false,
                cause: None,
                still_running: false,
            },
        ]
    );
    assert_eq!(harness.sent(call, Lane::Data).bytes, b"hello world");
    assert_eq!(harness.sent(call, Lane::Stderr).bytes, b"oops");
    for lane in [Lane::Control, Lane::Data, Lane::Stderr] {
        assert!(harness.sent(call, lane).fin);
    }
    assert_eq!(harness.service.processes().forgotten, []);

    harness.data(call, Lane::Control, b"", true);
    assert!(harness.released.contains(&call));
    assert_eq!(harness.service.processes().forgotten, [job]);
    let again = harness.call(alice, 1, &Request::Exec(exec(1)));
    assert_eq!(harness.replies(again), ended(Outcome::Expired {}));
    let attach = Request::Attach {
        key: None,
        id: id(1),
        stdout: None,
        stderr: None,
    };
    let attach = harness.call(alice, 2, &attach);
    assert_eq!(harness.replies(attach), ended(Outcome::Expired {}));
    let signal = Request::Signal {
        key: None,
        id: id(1),
        signal: 15,
    };
    let signal = harness.call(alice, 3, &signal);
    assert_eq!(harness.replies(signal), ended(Outcome::Expired {}));
    assert_eq!(harness.service.processes().spawned.len(), 1);
}

#[test]
fn the_same_id_is_the_same_job_only_for_the_same_request_of_the_same_key() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    let first = harness.call(alice, 0, &Request::Exec(exec(1)));
    let repeat = harness.call(alice, 1, &Request::Exec(exec(1)));
    assert!(matches!(
        harness.replies(repeat)[..],
        [Reply::Accepted { .. }, Reply::Started { .. }]
    ));
    assert!(
        harness.released.contains(&first),
        "the newest call is attached"
    );
    let mut other = exec(1);
    other.argv.push("more".into());
    let other = harness.call(alice, 2, &Request::Exec(other));
    assert_eq!(harness.replies(other), ended(Outcome::Conflict {}));
    assert_eq!(harness.service.processes().spawned.len(), 1);

    let bob = harness.open(2, BOB);
    harness.call(bob, 0, &Request::Exec(exec(1)));
    assert_eq!(harness.service.processes().spawned.len(), 2);
    let mut late = exec(1);
    late.age_ms = 1;
    let late = harness.call(alice, 3, &Request::Exec(late));
    assert!(
        matches!(harness.replies(late)[0], Reply::Accepted { .. }),
        "the age is not part of the request"
    );
}

#[test]
fn a_request_from_before_the_agent_began_is_unknown() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    harness.pass(Duration::from_secs(5));
    let mut old = exec(1);
    old.age_ms = 5_001;
    let old = harness.call(alice, 0, &Request::Exec(old));
    assert_eq!(harness.replies(old), ended(Outcome::Unknown {}));
    assert!(harness.service.processes().spawned.is_empty());
    let mut young = exec(1);
    young.age_ms = 4_999;
    harness.call(alice, 1, &Request::Exec(young));
    assert_eq!(harness.service.processes().spawned.len(), 1);
}

#[test]
fn a_slow_reader_blocks_the_process_and_each_consumed_byte_lets_it_continue() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    let call = harness.call(alice, 0, &Request::Exec(exec(1)));
    let job = harness.last_job();
    assert_eq!(harness.flood(job, Output::Out), limits::LANE);
    assert_eq!(harness.service.processes().released(job, Output::Out), 0);
    harness.consume(call, Lane::Data, 100_000);
    assert_eq!(harness.flood(job, Output::Out), 100_000);
    harness.eof(job);
    harness.exit(job, Exit::Code(0));
    let all = limits::LANE + 100_000;
    assert!(matches!(harness.replies(call)[..], [.., Reply::Exit { stdout, .. }] if stdout == all));
    assert_eq!(harness.sent(call, Lane::Data).bytes.len() as u64, all);
}

#[test]
fn one_report_of_the_end_tells_start_output_and_result() {
    let mut harness = Harness::new();
    harness.service.processes().slow = true;
    let alice = harness.open(1, ALICE);
    let call = harness.call(alice, 0, &Request::Exec(exec(1)));
    let job = harness.last_job();
    assert!(matches!(
        harness.replies(call)[..],
        [Reply::Accepted { .. }]
    ));
    let processes = harness.service.processes();
    processes
        .written
        .insert((job, Output::Out), b"all".to_vec());
    let (exit, streams_open) = (Exit::Code(0), true);
    let end = |status: &mut Status| {
        status.outputs = [3, 0];
        status.phase = Phase::Ended { exit, streams_open };
    };
    harness.change(job, end);
    harness.report(job);
    let exit = Reply::Exit {
        outcome: Outcome::Exited { code: 0 },
        stdout: 3,
        stderr: 0,
        streams_open: true,
        cause: None,
        still_running: false,
    };
    let replies = [
        Reply::Started {
            pid: 1000,
            home: None,
        },
        exit,
    ];
    assert_eq!(harness.replies(call), replies, "each once");
    assert_eq!(harness.sent(call, Lane::Data).bytes, b"all");
}

#[test]
fn a_refusal_by_the_supervisor_leaves_the_id_unused() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    harness.service.processes().refuses = Some(Outcome::Busy {});
    let call = harness.call(alice, 0, &Request::Exec(exec(1)));
    let replies = harness.replies(call);
    assert!(matches!(replies[0], Reply::Accepted { .. }));
    assert_eq!(replies[1..], ended(Outcome::Busy {}));
    harness.delivered(call);
    assert!(harness.released.contains(&call));
    harness.service.processes().refuses = None;
    let again = harness.call(alice, 1, &Request::Exec(exec(1)));
    let replies = harness.replies(again);
    assert!(matches!(
        replies[..],
        [Reply::Accepted { .. }, Reply::Started { .. }]
    ));
}

#[test]
fn a_denied_or_surplus_command_is_not_started() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    let mut denied_user = exec(1);
    denied_user.user = Some("bin".into());
    let call = harness.call(alice, 0, &Request::Exec(denied_user));
    let mut denied = ended(Outcome::Denied {});
    if let [Reply::Exit { cause, .. }] = &mut denied[..] {
        *cause = Some(Cause::User);
    }
    assert_eq!(harness.replies(call), denied);
    harness.policy.borrow_mut().list(ALICE, "alice max-jobs=7");
    for number in 2..6 {
        harness.call(alice, u32::from(number), &Request::Exec(exec(number)));
    }
    assert_eq!(harness.service.processes().spawned.len(), 4);
    let full = harness.call(alice, 9, &Request::Exec(exec(9)));
    assert_eq!(harness.replies(full), ended(Outcome::Busy {}));
    let job = harness.last_job();
    harness.eof(job);
    harness.exit(job, Exit::Code(0));
    harness.call(alice, 10, &Request::Exec(exec(9)));
    assert_eq!(
        harness.service.processes().spawned.len(),
        5,
        "the id of a refused request can be used again"
    );

    harness.policy.borrow_mut().list(ALICE, "alice max-jobs=4");
    let job = harness.last_job();
    harness.eof(job);
    harness.exit(job, Exit::Code(0));
    harness.policy.borrow_mut().list(ALICE, "alice max-jobs=3");
    let full = harness.call(alice, 11, &Request::Exec(exec(11)));
    assert_eq!(harness.replies(full), ended(Outcome::Busy {}));

    let mut harness = Harness::new();
    harness.policy.borrow_mut().switch_exec_off();
    let alice = harness.open(1, ALICE);
    let call = harness.call(alice, 0, &Request::Exec(exec(1)));
    assert_eq!(harness.replies(call), ended(Outcome::Denied {}));
    harness.delivered(call);
    assert!(harness.released.contains(&call));
}

#[test]
fn a_key_leaves_a_quarter_of_the_jobs_to_others_unless_its_line_says_max_jobs() {
    let mut harness = Harness::new();
    let (alice, bob) = (harness.open(1, ALICE), harness.open(2, BOB));
    for number in 0..3 {
        harness.call(alice, u32::from(number), &Request::Exec(exec(number)));
    }
    let beyond = harness.call(alice, 3, &Request::Exec(exec(3)));
    assert_eq!(harness.replies(beyond), ended(Outcome::Busy {}));
    let other = harness.call(bob, 0, &Request::Exec(exec(0)));
    assert!(matches!(
        harness.replies(other)[..],
        [Reply::Accepted { .. }, Reply::Started { .. }]
    ));
    let job = harness.last_job();
    harness.eof(job);
    harness.exit(job, Exit::Code(0));
    let beyond = harness.call(alice, 4, &Request::Exec(exec(4)));
    assert_eq!(harness.replies(beyond), ended(Outcome::Busy {}));
    harness.policy.borrow_mut().list(ALICE, "alice max-jobs=4");
    harness.call(alice, 5, &Request::Exec(exec(5)));
    assert_eq!(harness.service.processes().spawned.len(), 5);
}

#[test]
fn a_command_that_cannot_be_started_is_an_ended_job() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    harness.service.processes().fails = Some(Errno(2));
    let exit = ended(Errno(2).at(StartStep::Program));
    for number in 0..2 {
        let call = harness.call(alice, number, &Request::Exec(exec(1)));
        let replies = harness.replies(call);
        assert!(matches!(replies[0], Reply::Accepted { .. }));
        assert_eq!(replies[1..], exit);
        harness.service.processes().fails = None;
    }
    assert!(harness.service.processes().spawned.is_empty());
    let mut empty = exec(2);
    empty.argv.clear();
    let call = harness.call(alice, 2, &Request::Exec(empty));
    assert_eq!(
        harness.replies(call)[1..],
        ended(Errno(22).at(StartStep::Program))
    );
}

#[test]
fn stdin_is_written_to_the_process_with_credit_for_bytes_that_the_pipe_has_taken() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    let mut request = exec(1);
    request.stdin = true;
    // Lanes are independent: the first bytes may arrive before the request.
    let call = crate::agent::outbox::CallRef {
        session: alice,
        call: crate::wire::CallId(0),
    };
    harness.data(call, Lane::Data, b"early ", false);
    harness.say(call, &Request::Exec(request));
    harness.data(call, Lane::Data, b"late", true);
    let job = harness.last_job();
    assert_eq!(
        harness.service.processes().stdin[&job],
        (b"early late".to_vec(), true)
    );
    assert_eq!(harness.sent(call, Lane::Data).consumed, 0);
    harness.take_stdin(job, 7);
    assert_eq!(harness.sent(call, Lane::Data).consumed, 7);
    harness.change(job, |status| status.stdin_closed = true);
    assert_eq!(harness.sent(call, Lane::Data).consumed, 10);
    assert_eq!(
        harness.sent(call, Lane::Data).stopped,
        None,
        "the lane has ended"
    );
}

#[test]
fn a_command_that_closes_stdin_stops_the_lane() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    let mut request = exec(1);
    request.stdin = true;
    let call = harness.call(alice, 0, &Request::Exec(request));
    let job = harness.last_job();
    harness.data(call, Lane::Data, b"abc", false);
    harness.change(job, |status| status.stdin_closed = true);
    let stopped = Some(StreamCode::BrokenPipe as u64);
    assert_eq!(harness.sent(call, Lane::Data).stopped, stopped);
    harness.data(call, Lane::Data, b"def", true);
    assert_eq!(harness.sent(call, Lane::Data).consumed, 6);

    let other = harness.call(alice, 1, &Request::Exec(exec(2)));
    harness.data(other, Lane::Data, b"unasked", false);
    let stopped = Some(StreamCode::Unwanted as u64);
    assert_eq!(harness.sent(other, Lane::Data).stopped, stopped);
    assert_eq!(harness.sent(other, Lane::Data).consumed, 7);
}
