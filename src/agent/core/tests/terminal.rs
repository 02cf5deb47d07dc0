//! Jobs with a terminal: the screen, the window size, detached jobs.

use super::harness::*;
use crate::agent::jobs::{Exit, Output};
use crate::agent::limits;
use crate::message::{Exec, OsText, Outcome, Reply, Request, Terminal, Window};
use crate::session::Closed;
use crate::wire::Lane;

const SMALL: Window = Window {
    rows: 4,
    columns: 20,
};

fn on_terminal() -> Request {
    Request::Exec(Exec {
        terminal: Some(Terminal {
            term: "xterm".into(),
            window: SMALL,
        }),
        ..exec(1)
    })
}

fn attach(stdout: Option<u64>) -> Request {
    Request::Attach {
        key: None,
        id: id(1),
        stdout,
        stderr: None,
    }
}

/// Returns the offset at which stdout begins, and the screen painted before.
fn accepted_screen(reply: Option<Reply>) -> (u64, Option<String>) {
    match reply {
        Some(Reply::Accepted {
            stdout,
            terminal: true,
            screen,
            ..
        }) => {
            let text = |screen: OsText| {
                String::from_utf8(screen.into_os_string().into_encoded_bytes()).unwrap()
            };
            (stdout, screen.map(text))
        }
        reply => panic!("{reply:?}"),
    }
}

#[test]
fn a_new_controller_gets_the_screen_and_a_reattached_one_every_byte() {
    let mut harness = Harness::new();
    let first = harness.open(1, ALICE);
    let call = harness.call(first, 0, &on_terminal());
    let job = harness.last_job();
    assert_eq!(accepted_screen(harness.reply(call)), (0, None));
    harness.write(job, Output::Out, b"one\r\ntwo\r\n$ ");
    harness.consume(call, Lane::Data, 5);
    harness.close(first, Closed::Lost);
    harness.write(job, Output::Out, b"three");

    let second = harness.open(2, ALICE);
    let call = harness.call(second, 0, &attach(Some(5)));
    assert_eq!(accepted_screen(harness.reply(call)), (5, None));
    assert_eq!(harness.sent(call, Lane::Data).bytes, b"two\r\n$ three");

    let call = harness.call(second, 1, &attach(None));
    let (begin, screen) = accepted_screen(harness.reply(call));
    let screen = screen.unwrap();
    assert_eq!(begin, 17);
    for text in ["one", "two", "$ three"] {
        assert!(screen.contains(text), "{screen:?}");
    }
    assert_eq!(harness.sent(call, Lane::Data).bytes, b"");
    harness.write(job, Output::Out, b"!");
    assert_eq!(harness.sent(call, Lane::Data).bytes, b"!");
}

#[test]
fn a_detached_job_on_a_terminal_runs_on_and_keeps_only_the_last_output() {
    let mut harness = Harness::new();
    let first = harness.open(1, ALICE);
    harness.call(first, 0, &on_terminal());
    let job = harness.last_job();
    harness.close(first, Closed::Lost);
    for line in 0..u32::try_from(2 * limits::LANE / 1024).unwrap() {
        assert!(
            harness.room(job, Output::Out) > 0,
            "the job blocks at line {line}"
        );
        harness.write(job, Output::Out, format!("{line:<1022}\r\n").as_bytes());
    }
    let end = 2 * limits::LANE;
    let second = harness.open(2, ALICE);
    let call = harness.call(second, 0, &attach(Some(0)));
    let (begin, screen) = accepted_screen(harness.reply(call));
    assert_eq!(begin, end, "dropped output is painted, not sent");
    assert!(screen.is_some());
    let call = harness.call(second, 1, &attach(Some(end - limits::SCROLLBACK)));
    assert_eq!(
        accepted_screen(harness.reply(call)),
        (end - limits::SCROLLBACK, None)
    );
}

#[test]
fn a_slow_controller_blocks_a_job_on_a_terminal() {
    let mut harness = Harness::new();
    let first = harness.open(1, ALICE);
    harness.call(first, 0, &on_terminal());
    let job = harness.last_job();
    assert!(harness.flood(job, Output::Out) <= limits::LANE);
    harness.close(first, Closed::Lost);
    assert!(
        harness.room(job, Output::Out) > 0,
        "a detached job continues"
    );
}

#[test]
fn a_window_size_is_passed_on_only_to_a_job_on_a_terminal() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    let call = harness.call(alice, 0, &on_terminal());
    let job = harness.last_job();
    let window = Window {
        rows: 50,
        columns: 132,
    };
    harness.say(call, &Request::Resize(window));
    assert_eq!(harness.service.processes().windows, [(job, window)]);
    let plain = harness.call(alice, 1, &Request::Exec(exec(2)));
    harness.say(plain, &Request::Resize(window));
    assert_eq!(harness.service.processes().windows.len(), 1);
    assert_eq!(
        harness.replies(plain).len(),
        2,
        "no reply but accepted and started"
    );
}

#[test]
fn a_job_on_a_terminal_ends_with_its_only_output() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    let call = harness.call(alice, 0, &on_terminal());
    let job = harness.last_job();
    harness.write(job, Output::Out, b"bye\r\n");
    harness.eof(job);
    harness.exit(job, Exit::Code(3));
    let Some(Reply::Exit {
        stdout: 5,
        stderr: 0,
        streams_open: false,
        ..
    }) = harness.replies(call).pop()
    else {
        panic!("no result");
    };
}

#[test]
fn a_repeated_request_with_another_window_size_is_the_same_request() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    harness.call(alice, 0, &on_terminal());
    let Request::Exec(mut again) = on_terminal() else {
        unreachable!()
    };
    let terminal = again.terminal.as_mut().unwrap();
    terminal.window.rows = 50;
    let call = harness.call(alice, 1, &Request::Exec(again.clone()));
    accepted_screen(harness.reply(call));
    again.terminal.as_mut().unwrap().term = "dumb".into();
    let call = harness.call(alice, 2, &Request::Exec(again));
    assert!(matches!(
        harness.reply(call),
        Some(Reply::Exit {
            outcome: Outcome::Conflict {},
            ..
        })
    ));
    assert_eq!(harness.service.processes().spawned.len(), 1);
}
