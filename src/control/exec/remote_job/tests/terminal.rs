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
        kept: false,
        screen: screen.map(OsText::from),
    }
}

fn attaching() -> RemoteJob {
    RemoteJob::new(Config {
        request: JobRequest::Attach {
            key: None,
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
fn an_attach_draws_the_screen_and_continues_the_input() {
    let mut job = attaching();
    connected(&mut job, 0, RUN);
    job.on_stdin(Bytes::from_static(b"too early"), false);
    reply(&mut job, 0, &at(100, 7, Some("$ ")));
    job.resize(SMALL);
    job.on_stdin(Bytes::from_static(b"ls\r"), false);
    data(&mut job, 0, 0, Lane::Data, b"file\r\n", false);
    let wanted = drain(&mut job);
    assert_eq!(wanted.screen, b"$ ");
    assert_eq!(wanted.stdin, b"ls\r");
    assert_eq!(wanted.output[0], b"file\r\n");
    assert_eq!(windows(&wanted), [SMALL]);

    // A new session goes on with what the job has not had yet.
    silence(&mut job, 0);
    drain(&mut job);
    connected(&mut job, 1, RUN);
    reply(&mut job, 1, &at(106, 8, None));
    let wanted = drain(&mut job);
    assert_eq!(wanted.stdin, b"s\r");
    assert_eq!(windows(&wanted), [SMALL], "it may have changed meanwhile");
}

#[test]
fn a_job_without_a_terminal_gets_no_keyboard_input() {
    let mut job = attaching();
    connected(&mut job, 0, RUN);
    reply(&mut job, 0, &accepted(0, 0));
    assert!(!job.takes_stdin());
}

#[test]
fn a_drawn_screen_replaces_a_gap_in_stdout() {
    let request = JobRequest::Exec(Exec {
        terminal: Some(Terminal {
            term: "xterm".into(),
            window: SMALL,
        }),
        ..exec()
    });
    let mut job = RemoteJob::new(Config {
        request,
        ..config(1, None)
    });
    connected(&mut job, 0, RUN);
    reply(&mut job, 0, &at(0, 0, None));
    data(&mut job, 0, 0, Lane::Data, b"abc", false);
    drain(&mut job);
    job.on_written(Stdout, 3);
    silence(&mut job, 0);
    connected(&mut job, 1, RUN);
    reply(&mut job, 1, &at(1000, 0, Some("picture")));
    reply(&mut job, 1, &exit(OK, 1000, 0));
    let wanted = drain(&mut job);
    assert_eq!(wanted.screen, b"picture");
    let report = wanted.report.expect("nothing is waited for");
    assert_eq!((report.missing, report.outcome), ([0, 0], Some(OK)));
}

#[test]
fn a_repaint_attaches_once_more_and_asks_for_the_screen() {
    let mut job = attaching();
    job.repaint();
    connected(&mut job, 0, RUN);
    reply(&mut job, 0, &at(100, 7, Some("$ ")));
    let stdout = |wanted: &Wanted| {
        let requests = wanted.requests.iter();
        let attaches = requests.filter_map(|(_, _, request)| match request {
            Request::Attach { stdout, .. } => Some(*stdout),
            _ => None,
        });
        attaches.collect::<Vec<_>>()
    };
    assert_eq!(
        stdout(&drain(&mut job)),
        [None],
        "no screen before the first"
    );
    job.repaint();
    job.repaint();
    assert_eq!(
        stdout(&drain(&mut job)),
        [None],
        "one attach without an offset"
    );
    connected(&mut job, 1, RUN);
    reply(&mut job, 1, &at(120, 7, Some("picture")));
    data(&mut job, 1, 0, Lane::Data, b"more", false);
    let wanted = drain(&mut job);
    assert_eq!(wanted.screen, b"picture");
    assert_eq!(wanted.output[0], b"more");
    // After a silence, output that is held is enough.
    silence(&mut job, 1);
    assert_eq!(stdout(&drain(&mut job)), [Some(124)]);
}
