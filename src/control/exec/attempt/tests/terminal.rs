//! Jobs with a terminal: keyboard, window, picture.

use super::*;
use crate::message::{OsText, Terminal, Window};

const SMALL: Window = Window {
    rows: 4,
    columns: 20,
};

fn at(stdout: u64, stdin: u64, screen: Option<&str>) -> Reply {
    Reply::Accepted {
        id: ID,
        stdout,
        stderr: 0,
        stdin,
        terminal: true,
        screen: screen.map(OsText::from),
    }
}

fn attaching() -> Attempt {
    Attempt::new(Config {
        opening: Opening::Attach {
            id: ID,
            stdout: None,
            stderr: None,
            keyboard: true,
        },
        ..config(1, None)
    })
}

fn windows(wanted: &Wanted) -> Vec<Window> {
    let mut windows = Vec::new();
    for (_, _, request) in &wanted.requests {
        if let Request::Resize(window) = request {
            windows.push(*window);
        }
    }
    windows
}

#[test]
fn who_attaches_sees_the_picture_and_types_where_the_job_stands() {
    let mut attempt = attaching();
    connected(&mut attempt, 0, RUN);
    attempt.on_stdin(Bytes::from_static(b"too early"), false);
    reply(&mut attempt, 0, &at(100, 7, Some("$ ")));
    attempt.resize(SMALL);
    attempt.on_stdin(Bytes::from_static(b"ls\r"), false);
    data(&mut attempt, 0, 0, Lane::Data, b"file\r\n", false);
    let wanted = drain(&mut attempt);
    assert_eq!(wanted.screen, b"$ ");
    assert_eq!(wanted.stdin, b"ls\r");
    assert_eq!(wanted.output[0], b"file\r\n");
    assert_eq!(windows(&wanted), [SMALL]);

    // A new session goes on with what the job has not had yet.
    silence(&mut attempt, 0);
    drain(&mut attempt);
    connected(&mut attempt, 1, RUN);
    reply(&mut attempt, 1, &at(106, 8, None));
    let wanted = drain(&mut attempt);
    assert_eq!(wanted.stdin, b"s\r");
    assert_eq!(windows(&wanted), [SMALL], "it may have changed meanwhile");
}

#[test]
fn a_job_without_a_terminal_is_not_typed_to() {
    let mut attempt = attaching();
    connected(&mut attempt, 0, RUN);
    reply(&mut attempt, 0, &accepted(0, 0));
    assert!(!attempt.takes_stdin());
}

#[test]
fn a_picture_stands_for_what_was_not_held() {
    let opening = Opening::Exec(Exec {
        terminal: Some(Terminal {
            term: "xterm".into(),
            window: SMALL,
        }),
        ..exec()
    });
    let mut attempt = Attempt::new(Config {
        opening,
        ..config(1, None)
    });
    connected(&mut attempt, 0, RUN);
    reply(&mut attempt, 0, &at(0, 0, None));
    data(&mut attempt, 0, 0, Lane::Data, b"abc", false);
    drain(&mut attempt);
    attempt.on_written(Stdout, 3);
    silence(&mut attempt, 0);
    connected(&mut attempt, 1, RUN);
    reply(&mut attempt, 1, &at(1000, 0, Some("picture")));
    reply(&mut attempt, 1, &exit(OK, 1000, 0));
    let wanted = drain(&mut attempt);
    assert_eq!(wanted.screen, b"picture");
    let report = wanted.report.expect("nothing is waited for");
    assert_eq!((report.missing, report.outcome), ([0, 0], Some(OK)));
}
