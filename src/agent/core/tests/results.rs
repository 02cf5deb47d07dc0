//! Results: shares of the keys, results that are kept, and processes that survive theirs.

use std::time::Duration;

use super::harness::*;
use crate::agent::jobs::{self, Exit, Output, Phase};
use crate::agent::limits;
use crate::message::{Exec, Outcome, Reply, Request, RequestId, Terminal, Window};
use crate::session::SessionHandle;
use crate::wire::Lane;

fn attach(number: u8) -> Request {
    Request::Attach {
        key: None,
        id: id(number),
        stdout: None,
        stderr: None,
    }
}

fn outcome(harness: &mut Harness, call: crate::agent::outbox::CallRef) -> Option<Outcome> {
    match harness.replies(call).pop() {
        Some(Reply::Exit { outcome, .. }) => Some(outcome),
        _ => None,
    }
}

/// Runs a command to its end; it writes so many bytes.
fn run(harness: &mut Harness, session: SessionHandle, number: u32, bytes: u64) {
    let request = Exec {
        id: RequestId(u128::from(number).to_be_bytes()),
        ..exec(1)
    };
    harness.call(session, number, &Request::Exec(request));
    let job = harness.last_job();
    if bytes > 0 {
        let bytes = usize::try_from(bytes).unwrap();
        harness.write(job, Output::Out, &vec![b'x'; bytes]);
    }
    harness.eof(job);
    harness.exit(job, Exit::Code(0));
    harness.now += Duration::from_millis(1);
}

#[test]
fn a_key_with_many_or_large_results_drops_none_of_another_key() {
    for (count, bytes) in [(100, 1 << 20), (2_200, 0)] {
        let mut harness = Harness::new();
        let bob = harness.open(1, BOB);
        harness.call(bob, 0, &Request::Exec(exec(1)));
        let job = harness.last_job();
        harness.eof(job);
        harness.exit(job, Exit::Code(5));
        let alice = harness.open(2, ALICE);
        for number in 0..count {
            run(&mut harness, alice, number, bytes);
        }
        let call = harness.call(bob, 1, &attach(1));
        assert_eq!(
            outcome(&mut harness, call),
            Some(Outcome::Exited { code: 5 })
        );
        let call = harness.call(alice, count, &Request::Jobs { all: false });
        let Some(Reply::Jobs { jobs, .. }) = harness.reply(call) else {
            panic!("no list");
        };
        let last = RequestId(u128::from(count - 1).to_be_bytes());
        assert_eq!(jobs.last().unwrap().id, last);
        let held: u64 = jobs.iter().map(|job| job.stdout).sum();
        assert!(jobs.len() <= limits::JOBS_ENDED_PER_KEY && held <= limits::ENDED_OUTPUT_PER_KEY);
        assert!(
            jobs.len() == limits::JOBS_ENDED_PER_KEY || held >= limits::ENDED_OUTPUT_PER_KEY / 2
        );
    }
}

#[test]
fn the_result_of_a_chosen_id_is_given_again_after_it_was_collected() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    let mut request = exec(1);
    request.retain = true;
    let call = harness.call(alice, 0, &Request::Exec(request.clone()));
    let job = harness.last_job();
    harness.write(job, Output::Out, b"hello");
    harness.consume(call, Lane::Data, 5);
    harness.eof(job);
    harness.exit(job, Exit::Code(3));
    harness.data(call, Lane::Control, b"", true);
    assert!(harness.released.contains(&call));
    let mut other = request.clone();
    other.argv.push("more".into());
    for number in 1..3 {
        let again = harness.call(alice, 2 * number, &Request::Exec(request.clone()));
        assert_eq!(
            outcome(&mut harness, again),
            Some(Outcome::Exited { code: 3 })
        );
        assert_eq!(harness.sent(again, Lane::Data).bytes, b"hello");
        harness.data(again, Lane::Control, b"", true);
        let other = harness.call(alice, 2 * number + 1, &Request::Exec(other.clone()));
        assert_eq!(outcome(&mut harness, other), Some(Outcome::Conflict {}));
        harness.crash(jobs::Config::default());
        harness.open(1, ALICE);
    }
    let attached = harness.call(alice, 8, &attach(1));
    assert_eq!(
        outcome(&mut harness, attached),
        Some(Outcome::Exited { code: 3 })
    );
    harness.pass(limits::RETENTION + Duration::from_secs(1));
    let again = harness.call(alice, 9, &Request::Exec(request));
    assert_eq!(outcome(&mut harness, again), Some(Outcome::Expired {}));
    let other = harness.call(alice, 10, &Request::Exec(other));
    assert_eq!(outcome(&mut harness, other), Some(Outcome::Conflict {}));
    assert_eq!(harness.service.processes().starts.len(), 1);
}

#[test]
fn a_chosen_id_does_not_block_a_command_that_writes_much() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    let mut request = exec(1);
    request.retain = true;
    let call = harness.call(alice, 0, &Request::Exec(request.clone()));
    let job = harness.last_job();
    let mut written = 0;
    while written < 4 * limits::LANE {
        let more = harness.flood(job, Output::Out);
        assert!(more > 0, "blocked after {written}");
        written += more;
        harness.consume(call, Lane::Data, written);
    }
    let again = harness.call(alice, 1, &Request::Exec(request));
    let begin = written - limits::RETAINED_OUTPUT;
    assert!(matches!(
        harness.reply(again),
        Some(Reply::Accepted { stdout, .. }) if stdout == begin
    ));
}

#[test]
fn a_process_that_cannot_be_killed_gives_its_result_at_once_and_counts_until_it_is_gone() {
    let mut harness = Harness::with(jobs::Config {
        max_jobs: 1,
        ..jobs::Config::default()
    });
    let alice = harness.open(1, ALICE);
    let mut request = exec(1);
    request.timeout_ms = Some(1_000);
    let call = harness.call(alice, 0, &Request::Exec(request));
    let job = harness.last_job();
    harness.replies(call);
    harness.pass(Duration::from_secs(1));
    let streams_open = true;
    harness.change(job, |status| {
        status.phase = Phase::Unkillable { streams_open };
    });
    assert!(matches!(
        harness.replies(call)[..],
        [Reply::Exit {
            outcome: Outcome::TimedOut {},
            still_running: true,
            ..
        }]
    ));
    harness.data(call, Lane::Control, b"", true);
    assert!(harness.released.contains(&call));
    let busy = harness.call(alice, 1, &Request::Exec(exec(2)));
    assert_eq!(outcome(&mut harness, busy), Some(Outcome::Busy {}));
    let list = harness.call(alice, 2, &Request::Jobs { all: false });
    let Some(Reply::Jobs { jobs, .. }) = harness.reply(list) else {
        panic!("no list");
    };
    assert!(jobs[0].still_running);
    harness.pass(limits::RETENTION * 2);
    let exit = Exit::Code(0);
    harness.change(job, |status| {
        status.phase = Phase::Ended { exit, streams_open };
    });
    assert_eq!(harness.service.processes().forgotten, [job], "collected");
    harness.call(alice, 3, &Request::Exec(exec(2)));
    assert_eq!(harness.service.processes().starts.len(), 2);
}

#[test]
fn the_emulated_terminals_of_a_key_are_bounded_and_memory_is_given_back() {
    let mut harness = Harness::with(jobs::Config::default());
    let alice = harness.open(1, ALICE);
    let bob = harness.open(2, BOB);
    let on_terminal = |number: u8, rows: u16| {
        let term = "xterm".into();
        let columns = 256;
        let window = Window { rows, columns };
        Request::Exec(Exec {
            terminal: Some(Terminal { term, window }),
            ..exec(number)
        })
    };
    let fits = u8::try_from(limits::SCREEN_CELLS_PER_KEY / (128 * 256)).unwrap();
    let mut jobs = Vec::new();
    for number in 0..=fits {
        harness.call(alice, number.into(), &on_terminal(number, 128));
        jobs.push(harness.last_job());
    }
    harness.call(bob, 0, &on_terminal(0, 128));
    jobs.push(harness.last_job());
    let painted = |harness: &mut Harness, session, number, request| {
        let attach = Request::Attach {
            key: None,
            id: id(request),
            stdout: None,
            stderr: None,
        };
        let call = harness.call(session, number, &attach);
        match harness.reply(call) {
            Some(Reply::Accepted {
                terminal: true,
                screen,
                ..
            }) => (
                screen.is_some(),
                harness.sent(call, Lane::Data).bytes.clone(),
            ),
            other => panic!("{other:?}"),
        }
    };
    for &job in &jobs {
        harness.write(job, Output::Out, b"$ ");
    }
    assert_eq!(painted(&mut harness, alice, 20, fits - 1), (true, vec![]));
    let held = b"$ ".to_vec();
    assert_eq!(painted(&mut harness, alice, 21, fits), (false, held));
    assert_eq!(painted(&mut harness, bob, 20, 0), (true, vec![]));
    harness.eof(jobs[0]);
    harness.exit(jobs[0], Exit::Code(0));
    harness.call(alice, 30, &on_terminal(30, 128));
    let job = harness.last_job();
    harness.write(job, Output::Out, b"$ ");
    assert_eq!(painted(&mut harness, alice, 22, 30), (true, vec![]));
    let grown = Request::Resize(Window {
        rows: 129,
        columns: 256,
    });
    let call = harness.call(alice, 23, &attach(30));
    harness.say(call, &grown);
    let (has_screen, _) = painted(&mut harness, alice, 24, 30);
    assert!(!has_screen, "beyond the bound");
}
