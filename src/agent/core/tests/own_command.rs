//! Commands of the agent's own user at its prompt: the rights of the key, the output, the result, and another front.

use std::time::Duration;

use super::harness::*;
use crate::agent::access::{Denied, own_address};
use crate::agent::core::is_own;
use crate::agent::jobs::{self, Exit, JobId, Output, Phase, Status};
use crate::agent::own_command::{OwnCommand, ToShow};
use crate::crypto::PublicKey;
use crate::message::{Cause, Request, to_line};
use crate::session::{Event, SessionHandle, StreamEvent};
use crate::wire::{CallId, Lane, StreamId};

const SESSION: SessionHandle = SessionHandle(0);

/// Requests a command.
fn run(harness: &mut Harness, key: PublicKey) -> OwnCommand {
    let (now, session) = (harness.now, SESSION);
    harness.service.open_own(now, session, key).unwrap();
    OwnCommand::new(session, "prog", exec(1))
}

/// Passes events and commands until nothing is left. Returns the lines for the user.
fn shown(harness: &mut Harness, own: &mut OwnCommand) -> Vec<String> {
    let mut shown = Vec::new();
    loop {
        while let Some(event) = own.poll_event() {
            harness.service.on_session_event(harness.now, event);
        }
        while let Some(lines) = own.poll_lines() {
            match lines {
                ToShow::Output(lines) => shown.extend(lines),
                ToShow::Note(words) => shown.push(format!("* {words}")),
            }
        }
        let Some(command) = harness.service.poll_command() else {
            return shown;
        };
        if command.session() == own.session() {
            own.on_command(command);
        }
    }
}

/// Changes the state of a job and reports it, without taking what the service has to say.
fn change(harness: &mut Harness, job: JobId, change: impl FnOnce(&mut Status)) {
    let status = harness.service.processes().statuses.get_mut(&job).unwrap();
    change(status);
    let status = *status;
    harness.service.on_status(harness.now, job, status);
}

fn write(harness: &mut Harness, job: JobId, output: Output, data: &[u8]) {
    let written = &mut harness.service.processes().written;
    let written = written.entry((job, output)).or_default();
    written.extend_from_slice(data);
    let length = written.len() as u64;
    change(harness, job, |status| {
        status.outputs[output as usize] = length;
    });
}

fn exit(harness: &mut Harness, job: JobId, code: u8) {
    let (exit, streams_open) = (Exit::Code(code), false);
    change(harness, job, |status| {
        status.phase = Phase::Ended { exit, streams_open };
    });
}

#[test]
fn a_command_of_the_prompt_is_a_job_of_its_key_until_its_result_is_shown() {
    let mut harness = Harness::new();
    let mut own = run(&mut harness, ALICE);
    assert!(shown(&mut harness, &mut own).is_empty());
    let job = harness.last_job();
    change(&mut harness, job, |_| {});
    let owner = harness.service.processes().starts[0].1.owner.clone();
    assert_eq!((owner.key, owner.remote), (ALICE, own_address()));
    assert_eq!(owner.name.as_deref(), Some("alice"));
    assert_eq!(harness.service.commands_ending_with_agent().len(), 1);
    write(&mut harness, job, Output::Err, b"bob: \x1b[2J\n");
    write(&mut harness, job, Output::Out, b"one\ntw");
    let lines = shown(&mut harness, &mut own);
    assert_eq!(lines, ["| bob: \\u{1b}[2J", "| one"]);
    // The beginning of a line that was not shown is kept.
    assert_eq!(harness.service.processes().released(job, Output::Out), 0);
    write(&mut harness, job, Output::Out, b"o\n");
    assert_eq!(shown(&mut harness, &mut own), ["| two"]);
    assert_eq!(harness.service.processes().released(job, Output::Out), 8);
    exit(&mut harness, job, 3);
    let lines = shown(&mut harness, &mut own);
    assert_eq!(lines, ["* /exec prog: exited with status 3"]);
    assert!(own.is_over());
    assert_eq!(harness.service.processes().forgotten, [job]);
    let events: Vec<_> = harness.records.take().iter().map(|line| line.0).collect();
    assert_eq!(events, ["accepted", "started", "ended"]);
    assert!(harness.service.own_requests().is_empty());
}

#[test]
fn output_of_the_prompt_beyond_what_is_shown_is_counted_and_holds_up_nothing() {
    let mut harness = Harness::new();
    let mut own = run(&mut harness, ALICE);
    shown(&mut harness, &mut own);
    let job = harness.last_job();
    let mut lines = 0;
    for _ in 0..100 {
        write(&mut harness, job, Output::Out, &b"y\n".repeat(10_000));
        lines += shown(&mut harness, &mut own).len();
    }
    assert_eq!(lines, 1000);
    let released = harness.service.processes().released(job, Output::Out);
    assert_eq!(released, 2_000_000);
    exit(&mut harness, job, 0);
    let lines = shown(&mut harness, &mut own);
    assert_eq!(lines[0], "* 1998000 further bytes of output are not shown");
}

#[test]
fn cancel_at_the_prompt_ends_the_command_and_is_recorded() {
    let mut harness = Harness::new();
    let mut own = run(&mut harness, ALICE);
    shown(&mut harness, &mut own);
    let job = harness.last_job();
    own.cancel();
    own.cancel();
    let lines = shown(&mut harness, &mut own);
    assert_eq!(lines, ["* /exec prog: canceling"]);
    assert_eq!(
        harness.service.processes().causes,
        [(job, Cause::Requested)]
    );
    let events: Vec<_> = harness.records.take().iter().map(|line| line.0).collect();
    assert!(events.contains(&"canceled"), "{events:?}");
    exit(&mut harness, job, 0);
    let lines = shown(&mut harness, &mut own);
    assert_eq!(lines, ["* /exec prog: canceled"]);
}

#[test]
fn a_command_of_the_prompt_outlives_its_front_and_the_next_one_shows_the_rest() {
    let mut harness = Harness::new();
    let mut own = run(&mut harness, ALICE);
    shown(&mut harness, &mut own);
    let job = harness.last_job();
    write(&mut harness, job, Output::Out, b"one\nha");
    assert_eq!(shown(&mut harness, &mut own), ["| one"]);
    own.flush();
    assert_eq!(shown(&mut harness, &mut own), ["| ha"]);
    harness.crash(jobs::Config::default());
    let requests = harness.service.own_requests();
    assert_eq!((requests.len(), requests[0].program.as_str()), (1, "prog"));
    write(&mut harness, job, Output::Out, b"lf\n");
    let (now, session) = (harness.now, SessionHandle(1));
    harness
        .service
        .open_own(now, session, requests[0].key)
        .unwrap();
    let mut own = OwnCommand::attach(session, &requests[0].program, requests[0].id);
    assert_eq!(shown(&mut harness, &mut own), ["| lf"]);
    // As long as it is shown, its lease does not end.
    harness.pass(Duration::from_secs(3600));
    assert!(harness.service.processes().ended.is_empty());
    exit(&mut harness, job, 0);
    let lines = shown(&mut harness, &mut own);
    assert_eq!(lines, ["* /exec prog: exited with status 0"]);
    assert_eq!(harness.service.processes().forgotten, [job]);
}

#[test]
fn each_front_counts_the_output_of_the_prompt_that_it_has_not_shown() {
    let mut harness = Harness::new();
    let mut own = run(&mut harness, ALICE);
    shown(&mut harness, &mut own);
    let job = harness.last_job();
    for _ in 0..10 {
        write(&mut harness, job, Output::Out, &b"y\n".repeat(5000));
        shown(&mut harness, &mut own);
    }
    for lines in [&["* 98000 further bytes of output are not shown"][..], &[]] {
        own.flush();
        assert_eq!(shown(&mut harness, &mut own), lines);
    }
    harness.crash(jobs::Config::default());
    let (now, session) = (harness.now, SessionHandle(1));
    harness.service.open_own(now, session, ALICE).unwrap();
    let mut own = OwnCommand::attach(session, "prog", id(1));
    // No more than 64 KiB of it are shown, by all fronts together.
    write(&mut harness, job, Output::Out, b"and more\n");
    exit(&mut harness, job, 0);
    assert_eq!(
        shown(&mut harness, &mut own),
        [
            "* 9 further bytes of output are not shown",
            "* /exec prog: exited with status 0"
        ]
    );
}

#[test]
fn the_prompt_has_the_rights_of_its_key_from_this_host_and_no_more() {
    let mut harness = Harness::new();
    let now = harness.now;
    let denied = |harness: &mut Harness, key| harness.service.open_own(now, SESSION, key).err();
    assert_eq!(denied(&mut harness, GUEST), Some(Denied::NotListed));
    harness.policy.borrow_mut().list(BOB, "bob from=10.0.0.0/8");
    let elsewhere = Denied::Address(own_address().ip());
    assert_eq!(denied(&mut harness, BOB), Some(elsewhere));
    harness.policy.borrow_mut().list(BOB, "bob chat-only");
    let mut own = run(&mut harness, BOB);
    let lines = shown(&mut harness, &mut own);
    assert_eq!(lines, ["* /exec prog: denied"]);
    assert!(harness.service.processes().starts.is_empty());
    // A key that is removed meanwhile.
    let mut own = run(&mut harness, ALICE);
    shown(&mut harness, &mut own);
    let job = harness.last_job();
    harness.policy.borrow_mut().remove(ALICE);
    harness.service.on_policy_changed(now);
    assert!(shown(&mut harness, &mut own).is_empty());
    assert_eq!(harness.service.processes().causes, [(job, Cause::Revoked)]);
    exit(&mut harness, job, 0);
    let lines = shown(&mut harness, &mut own);
    let words = format!("* /exec prog: canceled: {}", Cause::Revoked.words());
    assert_eq!(lines, [words]);
}

#[test]
fn another_controller_that_attaches_takes_the_command_of_the_prompt_over() {
    let mut harness = Harness::new();
    let mut own = run(&mut harness, ALICE);
    shown(&mut harness, &mut own);
    let alice = SessionHandle(1 << 63);
    assert!(is_own(SESSION) && !is_own(alice));
    let remote = std::net::SocketAddr::from(([127, 0, 0, 1], 4444)).into();
    harness.service.on_session_event(
        harness.now,
        Event::Accepted {
            session: alice,
            key: ALICE,
            remote,
            invite: None,
            reset: Box::new(reset_record(remote)),
        },
    );
    let stream = StreamId::new(CallId(0), Lane::Control);
    let attach = Request::Attach {
        id: id(1),
        stdout: None,
        stderr: None,
        key: None,
    };
    harness.service.on_session_event(
        harness.now,
        Event::Stream {
            session: alice,
            event: StreamEvent::Data {
                stream,
                offset: 0,
                data: to_line(&attach).into(),
                fin: false,
            },
        },
    );
    let lines = shown(&mut harness, &mut own);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].starts_with("* /exec prog: lost: accepted, but its result is not known: another controller has attached to it; request "),
        "{lines:?}"
    );
    assert!(own.is_over());
    assert!(harness.service.processes().ended.is_empty());
    // What this controller has not consumed belongs to it, also before it has come back to another front.
    harness.crash(jobs::Config::default());
    assert!(harness.service.own_requests().is_empty());
    harness.crash(jobs::Config::default());
    assert!(harness.service.own_requests().is_empty());
}
