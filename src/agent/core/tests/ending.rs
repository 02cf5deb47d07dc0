//! The end of jobs by cancellation, deadline, lease, revocation and shutdown.

use std::time::Duration;

use super::harness::*;
use crate::agent::jobs::{Errno, Exit, Force, Output, Phase};
use crate::agent::limits;
use crate::message::{
    Cause, CloseCode, OnDisconnect, Outcome, Reply, Request, StartStep, StreamCode,
};
use crate::session::{Closed, Event, StreamEvent};
use crate::wire::{Lane, StreamId};

fn done() -> Closed {
    Closed::ByPeer {
        code: CloseCode::Done as u64,
        reason: String::new(),
    }
}

#[test]
fn a_canceled_job_is_canceled_whatever_its_exit_status() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    let call = harness.call(alice, 0, &Request::Exec(exec(1)));
    let job = harness.last_job();
    harness.replies(call);
    harness.say(call, &Request::Cancel {});
    harness.say(call, &Request::Cancel {});
    assert_eq!(
        harness.service.processes().ended,
        [(job, Force::Terminate)],
        "ended once"
    );
    harness.eof(job);
    harness.exit(job, Exit::Code(0));
    let replies = harness.replies(call);
    assert_eq!(replies[..2], [Reply::Done {}, Reply::Done {}]);
    assert!(matches!(
        replies[2],
        Reply::Exit {
            outcome: Outcome::Canceled {},
            ..
        }
    ));
}

#[test]
fn cancel_deadline_and_signals_work_before_the_process_has_started() {
    let mut harness = Harness::new();
    harness.service.processes().slow = true;
    let alice = harness.open(1, ALICE);
    let call = harness.call(alice, 0, &Request::Exec(exec(1)));
    let job = harness.last_job();
    let signal = Request::Signal {
        key: None,
        id: id(1),
        signal: 15,
    };
    let signal = harness.call(alice, 1, &signal);
    assert_eq!(harness.replies(signal), [Reply::Done {}]);
    assert_eq!(harness.service.processes().signals, []);
    harness.report(job);
    assert_eq!(harness.service.processes().signals, [(job, 15)]);
    harness.report(job);
    assert_eq!(harness.service.processes().signals.len(), 1);
    harness.replies(call);

    let mut timed = exec(2);
    timed.timeout_ms = Some(1000);
    let timed = harness.call(alice, 2, &Request::Exec(timed));
    let second = harness.last_job();
    harness.pass(Duration::from_secs(1));
    let canceled = harness.call(alice, 3, &Request::Exec(exec(3)));
    let third = harness.last_job();
    harness.say(canceled, &Request::Cancel {});
    let causes = [(second, Cause::Timeout), (third, Cause::Requested)];
    assert_eq!(harness.service.processes().causes, causes);
    let (errno, step, lingering) = (Errno(4), StartStep::Program, false);
    for job in [second, third] {
        harness.change(job, |status| {
            status.started = None;
            status.phase = Phase::Failed {
                errno,
                step,
                lingering,
            };
        });
    }
    for (call, outcome) in [
        (timed, Outcome::TimedOut {}),
        (canceled, Outcome::Canceled {}),
    ] {
        let last = harness.replies(call).pop();
        assert!(
            matches!(last, Some(Reply::Exit { outcome: sent, .. }) if sent == outcome),
            "{last:?}"
        );
    }
}

#[test]
fn a_controller_that_has_ended_its_control_lane_still_gets_the_result() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    let call = harness.call(alice, 0, &Request::Exec(exec(1)));
    let job = harness.last_job();
    harness.data(call, Lane::Control, b"", true);
    harness.eof(job);
    harness.exit(job, Exit::Code(3));
    let last = harness.replies(call).pop();
    let outcome = Outcome::Exited { code: 3 };
    assert!(
        matches!(last, Some(Reply::Exit { outcome: sent, .. }) if sent == outcome),
        "{last:?}"
    );
}

#[test]
fn the_agent_ends_a_job_at_its_deadline() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    let mut request = exec(1);
    request.timeout_ms = Some(1500);
    let call = harness.call(alice, 0, &Request::Exec(request));
    let job = harness.last_job();
    harness.pass(Duration::from_millis(1499));
    assert!(harness.service.processes().ended.is_empty());
    harness.pass(Duration::from_millis(1));
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
            outcome: Outcome::TimedOut {},
            ..
        })
    ));
}

#[test]
fn a_silent_controller_loses_its_job_when_the_lease_runs_out() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    harness.call(alice, 0, &Request::Exec(exec(1)));
    assert_eq!(harness.watched[&alice], limits::LEASE);
    let mut long = exec(2);
    long.lease_ms = Some(100_000);
    harness.call(alice, 1, &Request::Exec(long));
    let mut keep = exec(3);
    keep.on_disconnect = OnDisconnect::Keep;
    harness.call(alice, 2, &Request::Exec(keep));
    let jobs: Vec<_> = harness
        .service
        .processes()
        .spawned
        .iter()
        .map(|spawned| spawned.0)
        .collect();

    harness.event(Event::Silent { session: alice });
    harness.event(Event::Heard { session: alice });
    harness.pass(Duration::from_secs(300));
    assert!(harness.service.processes().ended.is_empty());
    harness.event(Event::Silent { session: alice });
    harness.pass(Duration::ZERO);
    assert_eq!(
        harness.service.processes().ended,
        [(jobs[0], Force::Terminate)]
    );
    harness.close(alice, Closed::Lost);
    harness.pass(Duration::from_secs(39));
    assert_eq!(harness.service.processes().ended.len(), 1);
    harness.pass(Duration::from_secs(1));
    assert_eq!(
        harness.service.processes().ended[1..],
        [(jobs[1], Force::Terminate)]
    );
    harness.pass(Duration::from_secs(3000));
    assert_eq!(
        harness.service.processes().ended.len(),
        2,
        "the third continues without a controller"
    );
}

#[test]
fn a_controller_can_attach_again_within_the_lease() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    harness.call(alice, 0, &Request::Exec(exec(1)));
    harness.close(alice, done());
    harness.pass(Duration::from_secs(59));
    let again = harness.open(2, ALICE);
    let attach = Request::Attach {
        key: None,
        id: id(1),
        stdout: None,
        stderr: None,
    };
    harness.call(again, 0, &attach);
    harness.pass(Duration::from_secs(600));
    assert!(harness.service.processes().ended.is_empty());
    harness.close(again, done());
    harness.pass(Duration::from_secs(60));
    assert_eq!(harness.service.processes().ended.len(), 1);
}

#[test]
fn a_result_is_kept_until_it_is_collected_or_an_hour_old() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    for number in 1..=3 {
        harness.call(alice, u32::from(number), &Request::Exec(exec(number)));
        let job = harness.last_job();
        harness.eof(job);
        harness.exit(job, Exit::Code(0));
    }
    let call = |number| crate::agent::outbox::CallRef {
        session: alice,
        call: crate::wire::CallId(number),
    };
    // The session is closed with `done` and the result was delivered, so it is collected. The others are not.
    harness.delivered(call(1));
    harness.close(alice, done());
    let alice = harness.open(2, ALICE);
    let held = |harness: &mut Harness, number| {
        let list = harness.call(alice, number, &Request::Jobs { all: false });
        match harness.reply(list) {
            Some(Reply::Jobs { jobs, .. }) => jobs.iter().map(|job| job.id).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(held(&mut harness, 0), [id(2), id(3)]);
    harness.pass(Duration::from_secs(1800));
    let attach = Request::Attach {
        key: None,
        id: id(3),
        stdout: None,
        stderr: None,
    };
    let slow = harness.call(alice, 1, &attach);
    harness.consume(slow, Lane::Data, 0);
    harness.pass(Duration::from_secs(1800));
    assert_eq!(held(&mut harness, 2), [id(3)], "one result is being read");
    harness.pass(Duration::from_secs(1800));
    assert_eq!(held(&mut harness, 3), []);
    assert!(
        !harness.released.contains(&slow),
        "data in flight is not cut off"
    );
    harness.delivered(slow);
    assert!(!harness.released.contains(&slow));
    harness.data(slow, Lane::Control, b"", true);
    assert!(harness.released.contains(&slow));
}

#[test]
fn ended_jobs_are_bounded_in_number_and_in_bytes() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    let most = u64::from(u8::MAX);
    let mut held = 0;
    for number in 1..=most {
        let number = u8::try_from(number).unwrap();
        harness.call(alice, u32::from(number), &Request::Exec(exec(number)));
        let job = harness.last_job();
        held += harness.flood(job, Output::Out);
        harness.eof(job);
        harness.exit(job, Exit::Code(0));
        harness.now += Duration::from_millis(1);
    }
    assert!(held > limits::ENDED_OUTPUT_PER_KEY * 3 / 2);
    let list = harness.call(alice, 1000, &Request::Jobs { all: false });
    let Some(Reply::Jobs { jobs, .. }) = harness.reply(list) else {
        panic!("no list");
    };
    let kept: u64 = jobs.iter().map(|job| job.stdout).sum();
    let most = limits::ENDED_OUTPUT_PER_KEY;
    assert!(kept <= most && kept > most / 2);
    assert_eq!(jobs.last().unwrap().id, id(u8::MAX));
    let repeat = harness.call(alice, 1001, &Request::Exec(exec(1)));
    let last = harness.replies(repeat).pop();
    assert!(matches!(
        last,
        Some(Reply::Exit {
            outcome: Outcome::Expired {},
            ..
        })
    ));
}

#[test]
fn a_stopped_lane_is_a_broken_pipe_for_the_process() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    let call = harness.call(alice, 0, &Request::Exec(exec(1)));
    let job = harness.last_job();
    harness.flood(job, Output::Out);
    harness.event(Event::Stream {
        session: alice,
        event: StreamEvent::Stopped {
            stream: StreamId::new(call.call, Lane::Data),
            code: StreamCode::BrokenPipe as u64,
        },
    });
    assert_eq!(harness.service.processes().shut, [(job, Output::Out)]);
    harness.eof(job);
    harness.exit(
        job,
        Exit::Signal {
            signal: 13,
            core: false,
        },
    );
    let last = harness.replies(call).pop();
    let outcome = Outcome::Signaled {
        signal: 13,
        core: false,
    };
    assert!(matches!(last, Some(Reply::Exit { outcome: sent, .. }) if sent == outcome));
}

#[test]
fn failed_stdin_does_not_look_like_the_end_of_input() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    let mut request = exec(1);
    request.stdin = true;
    let call = harness.call(alice, 0, &Request::Exec(request));
    let job = harness.last_job();
    harness.data(call, Lane::Data, b"half a fi", false);
    harness.event(Event::Stream {
        session: alice,
        event: StreamEvent::Reset {
            stream: StreamId::new(call.call, Lane::Data),
            code: StreamCode::Failed as u64,
        },
    });
    assert_eq!(harness.service.processes().ended, [(job, Force::Terminate)]);
    assert!(!harness.service.processes().stdin[&job].1);
}

#[test]
fn a_removed_key_loses_its_sessions_and_its_jobs() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    let bob = harness.open(2, BOB);
    let guest = harness.open(3, GUEST);
    harness.call(alice, 0, &Request::Exec(exec(1)));
    let job = harness.last_job();
    harness.call(bob, 0, &Request::Exec(exec(1)));
    harness.policy.borrow_mut().remove(ALICE);
    harness.service.on_policy_changed(harness.now);
    harness.drain();
    assert_eq!(harness.service.processes().ended, [(job, Force::Terminate)]);
    assert_eq!(harness.closed, [].into(), "its result is to come");
    harness.now += limits::REVOKED_SESSION;
    harness.service.on_timeout(harness.now);
    harness.drain();
    assert_eq!(harness.closed, [(alice, CloseCode::Revoked as u64)].into());
    let name = "guest".into();
    let call = harness.call(guest, 0, &Request::Register { name });
    assert!(matches!(
        harness.reply(call),
        Some(Reply::Registered { .. })
    ));
}

#[test]
fn an_invited_session_is_closed_when_its_invitation_expires() {
    let mut harness = Harness::new();
    let guest = harness.open(1, GUEST);
    harness.policy.borrow_mut().expire_invitation();
    harness.service.on_policy_changed(harness.now);
    harness.drain();
    assert_eq!(harness.closed, [(guest, CloseCode::Revoked as u64)].into());
}

#[test]
fn too_much_output_is_no_success_whatever_the_exit_status() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    for number in 1..=2 {
        let call = harness.call(alice, number.into(), &Request::Exec(exec(number)));
        let job = harness.last_job();
        harness.write(job, Output::Out, b"sixsix");
        let (exit, streams_open) = (Exit::Code(0), false);
        if number == 1 {
            harness.change(job, |status| status.overflowed = true);
            harness.change(job, |status| {
                status.phase = Phase::Ended { exit, streams_open };
            });
        } else {
            harness.change(job, |status| {
                status.overflowed = true;
                status.phase = Phase::Ended { exit, streams_open };
            });
        }
        assert_eq!(
            harness.service.processes().ended.last(),
            Some(&(job, Force::Terminate))
        );
        let exit = Reply::Exit {
            outcome: Outcome::Canceled {},
            stdout: 6,
            stderr: 0,
            streams_open: false,
            cause: Some(Cause::Output),
            still_running: false,
        };
        assert_eq!(harness.replies(call).pop(), Some(exit));
        assert_eq!(harness.sent(call, Lane::Data).bytes, b"sixsix");
    }
}
