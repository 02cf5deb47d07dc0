//! Jobs that are ended: on request, by their deadline, their lease, their key, the agent.

use std::time::Duration;

use super::stage::*;
use crate::agent::jobs::{self, AtEnd, Exit, Force, Output};
use crate::agent::limits;
use crate::message::{Cause, CloseCode, OnDisconnect, Outcome, Reply, Request, StreamCode};
use crate::session::{Closed, Event, StreamEvent};
use crate::wire::{Lane, StreamId};

fn done() -> Closed {
    Closed::ByPeer {
        code: CloseCode::Done as u64,
        reason: String::new(),
    }
}

#[test]
fn a_canceled_job_is_canceled_however_it_returned() {
    let mut stage = Stage::new();
    let alice = stage.open(1, ALICE);
    let call = stage.call(alice, 0, &Request::Exec(exec(1)));
    let job = stage.last_job();
    stage.replies(call);
    stage.say(call, &Request::Cancel {});
    stage.say(call, &Request::Cancel {});
    assert_eq!(
        stage.service.processes().ended,
        [(job, Force::Ask)],
        "once is enough"
    );
    stage.eof(job);
    stage.exit(job, Exit::Code(0));
    let replies = stage.replies(call);
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
fn a_signal_that_asks_for_the_end_takes_along_what_the_leader_leaves() {
    for (signal, force) in [(15, Some(Force::Ask)), (9, Some(Force::Kill)), (1, None)] {
        let mut stage = Stage::new();
        let alice = stage.open(1, ALICE);
        let call = stage.call(alice, 0, &Request::Exec(exec(1)));
        let job = stage.last_job();
        stage.call(alice, 1, &Request::Signal { id: id(1), signal });
        assert_eq!(
            stage.service.processes().ended,
            [],
            "the leader may take its time"
        );
        let core = false;
        stage.exit(job, Exit::Signal { signal, core });
        let ended: Vec<_> = force.into_iter().map(|force| (job, force)).collect();
        assert_eq!(stage.service.processes().ended, ended);
        stage.eof(job);
        let last = stage.replies(call).pop();
        let outcome = Outcome::Signaled { signal, core };
        assert!(
            matches!(last, Some(Reply::Exit { outcome: told, .. }) if told == outcome),
            "{last:?}"
        );
    }
}

#[test]
fn a_controller_that_asks_for_nothing_more_still_gets_its_result() {
    let mut stage = Stage::new();
    let alice = stage.open(1, ALICE);
    let call = stage.call(alice, 0, &Request::Exec(exec(1)));
    let job = stage.last_job();
    stage.data(call, Lane::Control, b"", true);
    stage.eof(job);
    stage.exit(job, Exit::Code(3));
    let last = stage.replies(call).pop();
    let outcome = Outcome::Exited { code: 3 };
    assert!(
        matches!(last, Some(Reply::Exit { outcome: told, .. }) if told == outcome),
        "{last:?}"
    );
}

#[test]
fn a_deadline_is_kept_by_the_agent() {
    let mut stage = Stage::new();
    let alice = stage.open(1, ALICE);
    let mut request = exec(1);
    request.timeout_ms = Some(1500);
    let call = stage.call(alice, 0, &Request::Exec(request));
    let job = stage.last_job();
    stage.pass(Duration::from_millis(1499));
    assert!(stage.service.processes().ended.is_empty());
    stage.pass(Duration::from_millis(1));
    assert_eq!(stage.service.processes().ended, [(job, Force::Ask)]);
    stage.eof(job);
    stage.exit(
        job,
        Exit::Signal {
            signal: 15,
            core: false,
        },
    );
    let last = stage.replies(call).pop();
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
    let mut stage = Stage::new();
    let alice = stage.open(1, ALICE);
    stage.call(alice, 0, &Request::Exec(exec(1)));
    assert_eq!(stage.watched[&alice], limits::LEASE);
    let mut long = exec(2);
    long.lease_ms = Some(100_000);
    stage.call(alice, 1, &Request::Exec(long));
    let mut keep = exec(3);
    keep.on_disconnect = OnDisconnect::Keep;
    stage.call(alice, 2, &Request::Exec(keep));
    let jobs: Vec<_> = stage
        .service
        .processes()
        .spawned
        .iter()
        .map(|spawned| spawned.0)
        .collect();

    stage.event(Event::Silent { session: alice });
    stage.event(Event::Heard { session: alice });
    stage.pass(Duration::from_secs(300));
    assert!(stage.service.processes().ended.is_empty());
    stage.event(Event::Silent { session: alice });
    stage.pass(Duration::ZERO);
    assert_eq!(stage.service.processes().ended, [(jobs[0], Force::Ask)]);
    stage.close(alice, Closed::Lost);
    stage.pass(Duration::from_secs(39));
    assert_eq!(stage.service.processes().ended.len(), 1);
    stage.pass(Duration::from_secs(1));
    assert_eq!(
        stage.service.processes().ended[1..],
        [(jobs[1], Force::Ask)]
    );
    stage.pass(Duration::from_secs(3000));
    assert_eq!(
        stage.service.processes().ended.len(),
        2,
        "the third goes on without anybody"
    );
}

#[test]
fn a_controller_that_left_has_a_lease_to_come_back_in() {
    let mut stage = Stage::new();
    let alice = stage.open(1, ALICE);
    stage.call(alice, 0, &Request::Exec(exec(1)));
    stage.close(alice, done());
    stage.pass(Duration::from_secs(59));
    let again = stage.open(2, ALICE);
    let attach = Request::Attach {
        id: id(1),
        stdout: None,
        stderr: None,
    };
    stage.call(again, 0, &attach);
    stage.pass(Duration::from_secs(600));
    assert!(stage.service.processes().ended.is_empty());
    stage.close(again, done());
    stage.pass(Duration::from_secs(60));
    assert_eq!(stage.service.processes().ended.len(), 1);
}

#[test]
fn a_result_is_kept_until_it_is_collected_or_an_hour_old() {
    let mut stage = Stage::new();
    let alice = stage.open(1, ALICE);
    for number in 1..=3 {
        stage.call(alice, u32::from(number), &Request::Exec(exec(number)));
        let job = stage.last_job();
        stage.eof(job);
        stage.exit(job, Exit::Code(0));
    }
    let call = |number| crate::agent::outbox::CallRef {
        session: alice,
        call: crate::wire::CallId(number),
    };
    // Said to be all it wanted, and the result has arrived: collected. The others may have been lost.
    stage.delivered(call(1));
    stage.close(alice, done());
    let alice = stage.open(2, ALICE);
    let held = |stage: &mut Stage, number| {
        let list = stage.call(alice, number, &Request::Jobs {});
        match stage.reply(list) {
            Some(Reply::Jobs { jobs }) => jobs.iter().map(|job| job.id).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(held(&mut stage, 0), [id(2), id(3)]);
    stage.pass(Duration::from_secs(1800));
    let attach = Request::Attach {
        id: id(3),
        stdout: None,
        stderr: None,
    };
    let slow = stage.call(alice, 1, &attach);
    stage.consume(slow, Lane::Data, 0);
    stage.pass(Duration::from_secs(1800));
    assert_eq!(held(&mut stage, 2), [id(3)], "one is still being read");
    stage.pass(Duration::from_secs(1800));
    assert_eq!(held(&mut stage, 3), []);
    assert!(
        !stage.released.contains(&slow),
        "what is under way is not cut off"
    );
    stage.delivered(slow);
    assert!(!stage.released.contains(&slow));
    stage.data(slow, Lane::Control, b"", true);
    assert!(stage.released.contains(&slow));
}

#[test]
fn ended_jobs_are_bounded_in_number_and_in_bytes() {
    let mut stage = Stage::new();
    let alice = stage.open(1, ALICE);
    let most = u64::from(u8::MAX);
    let mut held = 0;
    for number in 1..=most {
        let number = u8::try_from(number).unwrap();
        stage.call(alice, u32::from(number), &Request::Exec(exec(number)));
        let job = stage.last_job();
        held += stage.flood(job, Output::Out);
        stage.eof(job);
        stage.exit(job, Exit::Code(0));
        stage.now += Duration::from_millis(1);
    }
    assert!(held > 2 * limits::HELD);
    let list = stage.call(alice, 1000, &Request::Jobs {});
    let Some(Reply::Jobs { jobs }) = stage.reply(list) else {
        panic!("no list");
    };
    let kept: u64 = jobs.iter().map(|job| job.stdout).sum();
    assert!(kept <= limits::HELD && kept > limits::HELD / 2);
    assert_eq!(jobs.last().unwrap().id, id(u8::MAX));
    let repeat = stage.call(alice, 1001, &Request::Exec(exec(1)));
    let last = stage.replies(repeat).pop();
    assert!(matches!(
        last,
        Some(Reply::Exit {
            outcome: Outcome::Expired {},
            ..
        })
    ));
}

#[test]
fn a_reader_that_goes_away_is_a_broken_pipe_for_the_process() {
    let mut stage = Stage::new();
    let alice = stage.open(1, ALICE);
    let call = stage.call(alice, 0, &Request::Exec(exec(1)));
    let job = stage.last_job();
    stage.flood(job, Output::Out);
    stage.event(Event::Stream {
        session: alice,
        event: StreamEvent::Stopped {
            stream: StreamId::new(call.call, Lane::Data),
            code: StreamCode::BrokenPipe as u64,
        },
    });
    assert_eq!(stage.service.processes().shut, [(job, Output::Out)]);
    stage.service.on_eof(stage.now, job, Output::Err);
    stage.exit(
        job,
        Exit::Signal {
            signal: 13,
            core: false,
        },
    );
    let last = stage.replies(call).pop();
    let outcome = Outcome::Signaled {
        signal: 13,
        core: false,
    };
    assert!(matches!(last, Some(Reply::Exit { outcome: told, .. }) if told == outcome));
}

#[test]
fn stdin_that_failed_does_not_look_like_its_end() {
    let mut stage = Stage::new();
    let alice = stage.open(1, ALICE);
    let mut request = exec(1);
    request.stdin = true;
    let call = stage.call(alice, 0, &Request::Exec(request));
    let job = stage.last_job();
    stage.data(call, Lane::Data, b"half a fi", false);
    stage.event(Event::Stream {
        session: alice,
        event: StreamEvent::Reset {
            stream: StreamId::new(call.call, Lane::Data),
            code: StreamCode::Failed as u64,
        },
    });
    assert_eq!(stage.service.processes().ended, [(job, Force::Ask)]);
    assert!(!stage.service.processes().stdin[&job].1);
}

#[test]
fn a_removed_key_loses_its_sessions_and_its_jobs() {
    let mut stage = Stage::new();
    let alice = stage.open(1, ALICE);
    let bob = stage.open(2, BOB);
    let guest = stage.open(3, GUEST);
    stage.call(alice, 0, &Request::Exec(exec(1)));
    let job = stage.last_job();
    stage.call(bob, 0, &Request::Exec(exec(1)));
    stage.book.borrow_mut().names.remove(&ALICE);
    stage.service.on_directory_changed(stage.now);
    stage.drain();
    assert_eq!(stage.closed, [(alice, CloseCode::Revoked as u64)].into());
    assert_eq!(stage.service.processes().ended, [(job, Force::Ask)]);
    let name = "guest".into();
    let call = stage.call(guest, 0, &Request::Register { name });
    assert!(matches!(stage.reply(call), Some(Reply::Registered { .. })));
}

#[test]
fn an_agent_that_ends_ends_its_jobs_and_tells() {
    let mut stage = Stage::new();
    let alice = stage.open(1, ALICE);
    let call = stage.call(alice, 0, &Request::Exec(exec(1)));
    let job = stage.last_job();
    stage.service.shut_down(stage.now);
    let refused = stage.call(alice, 1, &Request::Exec(exec(2)));
    let last = stage.replies(refused).pop();
    assert!(matches!(
        last,
        Some(Reply::Exit {
            outcome: Outcome::Busy {},
            ..
        })
    ));
    assert_eq!(stage.service.processes().ended, [(job, Force::Ask)]);
    stage.eof(job);
    stage.exit(
        job,
        Exit::Signal {
            signal: 15,
            core: false,
        },
    );
    let last = stage.replies(call).pop();
    assert!(matches!(
        last,
        Some(Reply::Exit {
            outcome: Outcome::Canceled {},
            ..
        })
    ));
    assert!(!stage.service.is_over(), "it has not arrived");
    stage.delivered(call);
    assert!(stage.service.is_over());
    assert_eq!(stage.closed, [(alice, CloseCode::Shutdown as u64)].into());
}

#[test]
fn an_agent_that_ends_waits_for_nothing_for_ever() {
    let mut stage = Stage::new();
    let alice = stage.open(1, ALICE);
    stage.call(alice, 0, &Request::Exec(exec(1)));
    let job = stage.last_job();
    stage.service.shut_down(stage.now);
    stage.pass(limits::SHUTDOWN);
    assert_eq!(
        stage.service.processes().ended,
        [(job, Force::Ask), (job, Force::Kill)]
    );
    stage.pass(limits::FAREWELL);
    assert!(stage.service.is_over());
    assert!(limits::SHUTDOWN + limits::FAREWELL < Duration::from_secs(8));
}

#[test]
fn an_agent_that_keeps_jobs_lets_go_of_them_and_says_lost() {
    let mut stage = Stage::with(jobs::Config {
        at_end: AtEnd::Leave,
        ..jobs::Config::default()
    });
    let alice = stage.open(1, ALICE);
    let call = stage.call(alice, 0, &Request::Exec(exec(1)));
    let left = stage.last_job();
    let ending = stage.call(alice, 1, &Request::Exec(exec(2)));
    let ended = stage.last_job();
    stage.say(ending, &Request::Cancel {});
    stage.write(left, Output::Out, b"so far");
    stage.service.shut_down(stage.now);
    stage.drain();
    assert_eq!(stage.service.processes().left, [left]);
    assert_eq!(stage.service.processes().ended, [(ended, Force::Ask)]);
    let lost = Reply::Exit {
        outcome: Outcome::Lost {},
        stdout: 6,
        stderr: 0,
        streams_open: true,
        cause: Some(Cause::Shutdown),
    };
    assert_eq!(stage.replies(call).pop(), Some(lost));
    // One that is being ended anyway is.
    stage.eof(ended);
    stage.exit(ended, Exit::Code(0));
    stage.delivered(call);
    stage.delivered(ending);
    stage.pass(limits::FAREWELL);
    assert!(stage.service.is_over());
}

#[test]
fn too_much_output_after_the_leaders_end_is_no_success_either() {
    let mut stage = Stage::with(jobs::Config {
        max_output: Some(10),
        ..jobs::Config::default()
    });
    let alice = stage.open(1, ALICE);
    let call = stage.call(alice, 0, &Request::Exec(exec(1)));
    let job = stage.last_job();
    stage.write(job, Output::Err, b"four");
    stage.exit(job, Exit::Code(0));
    assert!(stage.service.processes().ended.is_empty());
    stage.write(job, Output::Out, b"sixsixseven");
    assert_eq!(stage.service.processes().ended, [(job, Force::Ask)]);
    stage.eof(job);
    let exit = Reply::Exit {
        outcome: Outcome::Canceled {},
        stdout: 6,
        stderr: 4,
        streams_open: false,
        cause: Some(Cause::Output),
    };
    assert_eq!(stage.replies(call).pop(), Some(exit));
    assert_eq!(stage.heard(call, Lane::Data).bytes, b"sixsix");
}
