//! Jobs with a terminal: the picture, the window, nobody watching.

use super::stage::*;
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
        id: id(1),
        stdout,
        stderr: None,
    }
}

/// Where stdout begins, and what is painted before.
fn placed(reply: Option<Reply>) -> (u64, Option<String>) {
    match reply {
        Some(Reply::Accepted {
            stdout,
            terminal: true,
            screen,
            ..
        }) => {
            let text = |OsText(screen)| String::from_utf8(screen.into_encoded_bytes()).unwrap();
            (stdout, screen.map(text))
        }
        reply => panic!("{reply:?}"),
    }
}

#[test]
fn who_comes_back_sees_the_last_screenful_and_who_goes_on_misses_no_byte() {
    let mut stage = Stage::new();
    let first = stage.open(1, ALICE);
    let call = stage.call(first, 0, &on_terminal());
    let job = stage.last_job();
    assert_eq!(placed(stage.reply(call)), (0, None));
    stage.write(job, Output::Out, b"one\r\ntwo\r\n$ ");
    stage.consume(call, Lane::Data, 5);
    stage.close(first, Closed::Lost);
    stage.write(job, Output::Out, b"three");

    let second = stage.open(2, ALICE);
    let call = stage.call(second, 0, &attach(Some(5)));
    assert_eq!(placed(stage.reply(call)), (5, None));
    assert_eq!(stage.heard(call, Lane::Data).bytes, b"two\r\n$ three");

    let call = stage.call(second, 1, &attach(None));
    let (begin, screen) = placed(stage.reply(call));
    let screen = screen.unwrap();
    assert_eq!(begin, 17);
    for text in ["one", "two", "$ three"] {
        assert!(screen.contains(text), "{screen:?}");
    }
    assert_eq!(stage.heard(call, Lane::Data).bytes, b"");
    stage.write(job, Output::Out, b"!");
    assert_eq!(stage.heard(call, Lane::Data).bytes, b"!");
}

#[test]
fn with_nobody_watching_it_goes_on_and_keeps_only_the_end() {
    let mut stage = Stage::new();
    let first = stage.open(1, ALICE);
    stage.call(first, 0, &on_terminal());
    let job = stage.last_job();
    stage.close(first, Closed::Lost);
    for line in 0..u32::try_from(2 * limits::LANE / 1024).unwrap() {
        assert!(stage.room(job, Output::Out) > 0, "it waits at {line}");
        stage.write(job, Output::Out, format!("{line:<1022}\r\n").as_bytes());
    }
    let end = 2 * limits::LANE;
    let second = stage.open(2, ALICE);
    let call = stage.call(second, 0, &attach(Some(0)));
    let (begin, screen) = placed(stage.reply(call));
    assert_eq!(begin, end, "what is gone is painted, not sent");
    assert!(screen.is_some());
    let call = stage.call(second, 1, &attach(Some(end - limits::SCROLLED)));
    assert_eq!(placed(stage.reply(call)), (end - limits::SCROLLED, None));
}

#[test]
fn a_controller_that_watches_slowly_stops_it_as_it_would_stop_any() {
    let mut stage = Stage::new();
    let first = stage.open(1, ALICE);
    stage.call(first, 0, &on_terminal());
    let job = stage.last_job();
    assert!(stage.flood(job, Output::Out) <= limits::LANE);
    stage.close(first, Closed::Lost);
    assert!(stage.room(job, Output::Out) > 0, "left alone it goes on");
}

#[test]
fn its_window_is_told_and_other_jobs_have_none() {
    let mut stage = Stage::new();
    let alice = stage.open(1, ALICE);
    let call = stage.call(alice, 0, &on_terminal());
    let job = stage.last_job();
    let window = Window {
        rows: 50,
        columns: 132,
    };
    stage.say(call, &Request::Resize(window));
    assert_eq!(stage.service.processes().windows, [(job, window)]);
    let plain = stage.call(alice, 1, &Request::Exec(exec(2)));
    stage.say(plain, &Request::Resize(window));
    assert_eq!(stage.service.processes().windows.len(), 1);
    assert_eq!(stage.replies(plain).len(), 2, "it was started, no more");
}

#[test]
fn it_is_over_with_its_only_output() {
    let mut stage = Stage::new();
    let alice = stage.open(1, ALICE);
    let call = stage.call(alice, 0, &on_terminal());
    let job = stage.last_job();
    stage.write(job, Output::Out, b"bye\r\n");
    stage.exit(job, Exit::Code(3));
    stage.service.on_eof(stage.now, job, Output::Out);
    stage.drain();
    let Some(Reply::Exit {
        stdout: 5,
        stderr: 0,
        streams_open: false,
        ..
    }) = stage.replies(call).pop()
    else {
        panic!("no end");
    };
}

#[test]
fn the_same_request_from_a_window_of_another_size_is_the_same() {
    let mut stage = Stage::new();
    let alice = stage.open(1, ALICE);
    stage.call(alice, 0, &on_terminal());
    let Request::Exec(mut again) = on_terminal() else {
        unreachable!()
    };
    let terminal = again.terminal.as_mut().unwrap();
    terminal.window.rows = 50;
    let call = stage.call(alice, 1, &Request::Exec(again.clone()));
    placed(stage.reply(call));
    again.terminal.as_mut().unwrap().term = "dumb".into();
    let call = stage.call(alice, 2, &Request::Exec(again));
    assert!(matches!(
        stage.reply(call),
        Some(Reply::Exit {
            outcome: Outcome::Conflict {},
            ..
        })
    ));
    assert_eq!(stage.service.processes().spawned.len(), 1);
}
