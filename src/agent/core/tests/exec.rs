//! Starting commands, their output and their end.

use std::time::Duration;

use super::stage::*;
use crate::agent::jobs::{self, Commands, Exit, Output};
use crate::agent::limits;
use crate::message::{Outcome, Reply, Request, StreamCode};
use crate::wire::Lane;

fn ended(outcome: Outcome) -> Vec<Reply> {
    vec![Reply::Exit {
        outcome,
        stdout: 0,
        stderr: 0,
        streams_open: false,
        cause: None,
    }]
}

#[test]
fn a_command_runs_and_its_result_is_told_and_collected() {
    let mut stage = Stage::new();
    let alice = stage.open(1, ALICE);
    let call = stage.call(alice, 0, &Request::Exec(exec(1)));
    let job = stage.last_job();
    stage.write(job, Output::Out, b"hello ");
    stage.write(job, Output::Err, b"oops");
    stage.write(job, Output::Out, b"world");
    stage.exit(job, Exit::Code(7));
    assert!(!stage.heard(call, Lane::Control).fin, "the pipes are open");
    stage.eof(job);
    assert_eq!(
        stage.replies(call),
        [
            Reply::Accepted {
                id: id(1),
                stdout: 0,
                stderr: 0,
                stdin: 0,
                terminal: false,
                screen: None,
            },
            Reply::Started { pid: 1000 },
            Reply::Exit {
                outcome: Outcome::Exited { code: 7 },
                stdout: 11,
                stderr: 4,
                streams_open: false,
                cause: None,
            },
        ]
    );
    assert_eq!(stage.heard(call, Lane::Data).bytes, b"hello world");
    assert_eq!(stage.heard(call, Lane::Stderr).bytes, b"oops");
    for lane in [Lane::Control, Lane::Data, Lane::Stderr] {
        assert!(stage.heard(call, lane).fin);
    }
    assert_eq!(stage.service.processes().closed, [job]);

    stage.data(call, Lane::Control, b"", true);
    assert!(stage.released.contains(&call));
    let again = stage.call(alice, 1, &Request::Exec(exec(1)));
    assert_eq!(stage.replies(again), ended(Outcome::Expired {}));
    let attach = Request::Attach {
        id: id(1),
        stdout: None,
        stderr: None,
    };
    let attach = stage.call(alice, 2, &attach);
    assert_eq!(stage.replies(attach), ended(Outcome::Expired {}));
    assert_eq!(stage.service.processes().spawned.len(), 1);
}

#[test]
fn the_same_id_is_the_same_job_only_for_the_same_request_of_the_same_key() {
    let mut stage = Stage::new();
    let alice = stage.open(1, ALICE);
    let first = stage.call(alice, 0, &Request::Exec(exec(1)));
    let repeat = stage.call(alice, 1, &Request::Exec(exec(1)));
    assert!(matches!(
        stage.replies(repeat)[..],
        [Reply::Accepted { .. }, Reply::Started { .. }]
    ));
    assert!(
        stage.released.contains(&first),
        "the job moves to the newest call"
    );
    let mut other = exec(1);
    other.argv.push("more".into());
    let other = stage.call(alice, 2, &Request::Exec(other));
    assert_eq!(stage.replies(other), ended(Outcome::Conflict {}));
    assert_eq!(stage.service.processes().spawned.len(), 1);

    let bob = stage.open(2, BOB);
    stage.call(bob, 0, &Request::Exec(exec(1)));
    assert_eq!(stage.service.processes().spawned.len(), 2);
    let mut late = exec(1);
    late.age_ms = 1;
    let late = stage.call(alice, 3, &Request::Exec(late));
    assert!(
        matches!(stage.replies(late)[0], Reply::Accepted { .. }),
        "its age is not part of it"
    );
}

#[test]
fn a_request_from_before_the_agent_began_is_unknown() {
    let mut stage = Stage::new();
    let alice = stage.open(1, ALICE);
    stage.pass(Duration::from_secs(5));
    let mut old = exec(1);
    old.age_ms = 5_001;
    let old = stage.call(alice, 0, &Request::Exec(old));
    assert_eq!(stage.replies(old), ended(Outcome::Unknown {}));
    assert!(stage.service.processes().spawned.is_empty());
    let mut young = exec(1);
    young.age_ms = 4_999;
    stage.call(alice, 1, &Request::Exec(young));
    assert_eq!(stage.service.processes().spawned.len(), 1);
}

#[test]
fn a_slow_reader_stops_the_process_and_each_byte_written_out_lets_it_go_on() {
    let mut stage = Stage::new();
    let alice = stage.open(1, ALICE);
    let call = stage.call(alice, 0, &Request::Exec(exec(1)));
    let job = stage.last_job();
    let written = stage.flood(job, Output::Out);
    assert!(written <= limits::LANE && written > limits::LANE - limits::READ);
    assert!(
        stage.room(job, Output::Err) > 0,
        "the other output is not held up"
    );
    stage.consume(call, Lane::Data, 100_000);
    let more = stage.flood(job, Output::Out);
    assert!(written + more <= limits::LANE + 100_000);
    assert!(written + more > limits::LANE + 100_000 - limits::READ);

    // What stands in the pipe at the end is taken even so.
    stage.exit(job, Exit::Code(0));
    stage.write(job, Output::Out, &vec![b'y'; 65_536]);
    stage.eof(job);
    let all = written + more + 65_536;
    assert!(matches!(stage.replies(call)[..], [.., Reply::Exit { stdout, .. }] if stdout == all));
    assert_eq!(stage.heard(call, Lane::Data).bytes.len() as u64, all);
}

#[test]
fn exit_is_not_the_end_of_output() {
    let mut stage = Stage::new();
    let alice = stage.open(1, ALICE);
    let call = stage.call(alice, 0, &Request::Exec(exec(1)));
    let job = stage.last_job();
    stage.replies(call);
    stage.exit(job, Exit::Code(0));
    for _ in 0..3 {
        stage.pass(Duration::from_millis(99));
        stage.write(job, Output::Out, b"late");
        assert_eq!(stage.reply(call), None);
    }
    stage.pass(Duration::from_millis(100));
    let exit = Reply::Exit {
        outcome: Outcome::Exited { code: 0 },
        stdout: 12,
        stderr: 0,
        streams_open: true,
        cause: None,
    };
    assert_eq!(stage.replies(call), [exit]);
}

#[test]
fn a_background_child_that_never_stops_writing_is_cut_off() {
    let mut stage = Stage::new();
    let alice = stage.open(1, ALICE);
    let call = stage.call(alice, 0, &Request::Exec(exec(1)));
    let job = stage.last_job();
    stage.replies(call);
    stage.exit(job, Exit::Code(0));
    let mut writes = 0;
    while stage.reply(call).is_none() {
        stage.write(job, Output::Out, b"more");
        stage.pass(Duration::from_millis(50));
        writes += 1;
    }
    assert_eq!(writes, 40, "two seconds");
}

#[test]
fn what_is_not_allowed_or_has_no_room_is_not_started() {
    let mut stage = Stage::new();
    let alice = stage.open(1, ALICE);
    let mut forbidden = exec(1);
    forbidden.argv = vec!["forbidden".into()];
    let call = stage.call(alice, 0, &Request::Exec(forbidden));
    assert_eq!(stage.replies(call), ended(Outcome::Denied {}));
    for number in 2..6 {
        stage.call(alice, u32::from(number), &Request::Exec(exec(number)));
    }
    assert_eq!(stage.service.processes().spawned.len(), 4);
    let full = stage.call(alice, 9, &Request::Exec(exec(9)));
    assert_eq!(stage.replies(full), ended(Outcome::Busy {}));
    let job = stage.last_job();
    stage.eof(job);
    stage.exit(job, Exit::Code(0));
    stage.call(alice, 10, &Request::Exec(exec(9)));
    assert_eq!(
        stage.service.processes().spawned.len(),
        5,
        "a refused id is not used up"
    );

    stage.book.borrow_mut().max_jobs = Some(4);
    let job = stage.last_job();
    stage.eof(job);
    stage.exit(job, Exit::Code(0));
    stage.book.borrow_mut().max_jobs = Some(3);
    let full = stage.call(alice, 11, &Request::Exec(exec(11)));
    assert_eq!(stage.replies(full), ended(Outcome::Busy {}));

    let mut stage = Stage::with(jobs::Config {
        commands: Commands::Refuse,
        ..jobs::Config::default()
    });
    let alice = stage.open(1, ALICE);
    let call = stage.call(alice, 0, &Request::Exec(exec(1)));
    assert_eq!(stage.replies(call), ended(Outcome::Denied {}));
    stage.delivered(call);
    assert!(stage.released.contains(&call));
}

#[test]
fn what_cannot_be_started_is_a_job_that_ended() {
    let mut stage = Stage::new();
    let alice = stage.open(1, ALICE);
    stage.service.processes().fails = Some(2);
    let exit = ended(Outcome::SpawnFailed { errno: 2 });
    for number in 0..2 {
        let call = stage.call(alice, number, &Request::Exec(exec(1)));
        let replies = stage.replies(call);
        assert!(matches!(replies[0], Reply::Accepted { .. }));
        assert_eq!(replies[1..], exit);
        stage.service.processes().fails = None;
    }
    assert!(stage.service.processes().spawned.is_empty());
    let mut empty = exec(2);
    empty.argv.clear();
    let call = stage.call(alice, 2, &Request::Exec(empty));
    assert_eq!(
        stage.replies(call)[1..],
        ended(Outcome::SpawnFailed { errno: 22 })
    );
}

#[test]
fn stdin_goes_to_the_process_with_credit_for_what_its_pipe_took() {
    let mut stage = Stage::new();
    let alice = stage.open(1, ALICE);
    let mut request = exec(1);
    request.stdin = true;
    // Lanes are independent: the first bytes may come before the request.
    let call = crate::agent::outbox::CallRef {
        session: alice,
        call: crate::wire::CallId(0),
    };
    stage.data(call, Lane::Data, b"early ", false);
    stage.say(call, &Request::Exec(request));
    stage.data(call, Lane::Data, b"late", true);
    let job = stage.last_job();
    assert_eq!(
        stage.service.processes().stdin[&job],
        (b"early late".to_vec(), true)
    );
    assert_eq!(stage.heard(call, Lane::Data).consumed, 0);
    stage.service.on_stdin_written(job, 7);
    stage.drain();
    assert_eq!(stage.heard(call, Lane::Data).consumed, 7);
    stage.service.on_stdin_closed(job);
    stage.drain();
    assert_eq!(stage.heard(call, Lane::Data).consumed, 10);
    assert_eq!(
        stage.heard(call, Lane::Data).stopped,
        None,
        "nothing was left to stop"
    );
}

#[test]
fn a_command_that_reads_no_more_stops_the_lane() {
    let mut stage = Stage::new();
    let alice = stage.open(1, ALICE);
    let mut request = exec(1);
    request.stdin = true;
    let call = stage.call(alice, 0, &Request::Exec(request));
    let job = stage.last_job();
    stage.data(call, Lane::Data, b"abc", false);
    stage.service.on_stdin_closed(job);
    stage.drain();
    let stopped = Some(StreamCode::BrokenPipe as u64);
    assert_eq!(stage.heard(call, Lane::Data).stopped, stopped);
    stage.data(call, Lane::Data, b"def", true);
    assert_eq!(stage.heard(call, Lane::Data).consumed, 6);

    let other = stage.call(alice, 1, &Request::Exec(exec(2)));
    stage.data(other, Lane::Data, b"unasked", false);
    let stopped = Some(StreamCode::Unwanted as u64);
    assert_eq!(stage.heard(other, Lane::Data).stopped, stopped);
    assert_eq!(stage.heard(other, Lane::Data).consumed, 7);
}
