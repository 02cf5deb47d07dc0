//! Jobs that a later agent takes over from its supervisor.

use std::time::Duration;

use super::harness::*;
use crate::agent::jobs::{self, Exit, Output};
use crate::agent::limits;
use crate::message::{
    Cause, Exec, OnDisconnect, OsText, Outcome, Reply, Request, Terminal, Window,
};
use crate::wire::Lane;

fn attach(number: u8, stdout: Option<u64>) -> Request {
    Request::Attach {
        key: None,
        id: id(number),
        stdout,
        stderr: None,
    }
}

fn crash(harness: &mut Harness) {
    harness.crash(jobs::Config::default());
}

#[test]
fn a_controller_continues_at_its_offsets_after_a_crash() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    let mut request = exec(1);
    request.stdin = true;
    let call = harness.call(alice, 0, &Request::Exec(request.clone()));
    let job = harness.last_job();
    harness.data(call, Lane::Data, b"abcd", false);
    harness.take_stdin(job, 3);
    harness.write(job, Output::Out, b"0123456789");
    harness.consume(call, Lane::Data, 4);
    crash(&mut harness);
    harness.write(job, Output::Out, b"more");

    let alice = harness.open(2, ALICE);
    let call = harness.call(alice, 0, &attach(1, Some(6)));
    let replies = harness.replies(call);
    let accepted = Reply::Accepted {
        id: id(1),
        stdout: 6,
        stderr: 0,
        stdin: 4,
        terminal: false,
        kept: false,
        screen: None,
    };
    let started = Reply::Started {
        pid: 1000,
        home: None,
    };
    assert_eq!(replies, [accepted, started]);
    assert_eq!(harness.sent(call, Lane::Data).bytes, b"6789more");
    harness.data(call, Lane::Data, b"ef", true);
    assert_eq!(
        harness.service.processes().stdin[&job],
        (b"abcdef".to_vec(), true)
    );
    harness.take_stdin(job, 6);
    assert_eq!(
        harness.sent(call, Lane::Data).consumed,
        2,
        "the first four belong to another call"
    );
    harness.eof(job);
    harness.exit(job, Exit::Code(7));
    crash(&mut harness);
    let alice = harness.open(3, ALICE);
    let call = harness.call(alice, 0, &Request::Exec(request));
    let last = harness.replies(call).pop();
    let outcome = Outcome::Exited { code: 7 };
    assert!(matches!(last, Some(Reply::Exit { outcome: sent, stdout: 14, .. }) if sent == outcome));
    let names: Vec<&str> = harness.records.take().iter().map(|line| line.0).collect();
    assert_eq!(
        names,
        ["accepted", "started", "attached", "ended"],
        "nothing is recorded twice"
    );
}

#[test]
fn output_that_a_controller_has_is_released_when_it_attaches_anew() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    harness.call(alice, 0, &Request::Exec(exec(1)));
    let job = harness.last_job();
    harness.write(job, Output::Out, b"0123456789");
    crash(&mut harness);
    let alice = harness.open(2, ALICE);
    harness.call(alice, 0, &attach(1, Some(10)));
    let released = harness.service.processes().released(job, Output::Out);
    assert_eq!(released, 10, "a full buffer would stay full");
}

#[test]
fn nothing_starts_again_after_a_crash() {
    let mut harness = Harness::new();
    harness.service.processes().slow = true;
    let alice = harness.open(1, ALICE);
    harness.call(alice, 0, &Request::Exec(exec(1)));
    crash(&mut harness);
    let alice = harness.open(2, ALICE);
    let call = harness.call(alice, 0, &Request::Exec(exec(1)));
    assert!(matches!(
        harness.replies(call)[..],
        [Reply::Accepted { .. }, Reply::Started { .. }]
    ));
    let job = harness.last_job();
    harness.eof(job);
    harness.exit(job, Exit::Code(0));
    harness.data(call, Lane::Control, b"", true);
    crash(&mut harness);
    harness.pass(Duration::from_secs(5));
    let alice = harness.open(3, ALICE);
    let mut other = exec(1);
    other.argv.push("more".into());
    let mut old = exec(2);
    old.age_ms = 5_001;
    let mut young = exec(3);
    young.age_ms = 5_000;
    for (number, request, outcome) in [
        (0, exec(1), Some(Outcome::Expired {})),
        (1, other, Some(Outcome::Conflict {})),
        (2, old, Some(Outcome::Unknown {})),
        (3, young, None),
    ] {
        let call = harness.call(alice, number, &Request::Exec(request));
        let sent = match harness.replies(call).pop() {
            Some(Reply::Exit { outcome, .. }) => Some(outcome),
            _ => None,
        };
        assert_eq!(sent, outcome);
    }
    let numbers: Vec<u64> = harness
        .service
        .processes()
        .starts
        .iter()
        .map(|s| s.0.0)
        .collect();
    assert_eq!(numbers, [0, 1]);
}

#[test]
fn deadlines_causes_and_leases_survive_a_crash() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    let mut timed = exec(1);
    timed.timeout_ms = Some(10_000);
    timed.on_disconnect = OnDisconnect::Keep;
    harness.call(alice, 0, &Request::Exec(timed));
    let first = harness.last_job();
    let canceled = harness.call(alice, 1, &Request::Exec(exec(2)));
    let second = harness.last_job();
    harness.say(canceled, &Request::Cancel {});
    harness.call(alice, 2, &Request::Exec(exec(3)));
    let third = harness.last_job();
    harness.pass(Duration::from_secs(6));
    crash(&mut harness);
    harness.pass(Duration::from_secs(4));
    let causes = vec![(second, Cause::Requested), (first, Cause::Timeout)];
    assert_eq!(harness.service.processes().causes, causes);
    harness.pass(limits::LEASE.saturating_sub(Duration::from_secs(5)));
    assert_eq!(harness.service.processes().causes, causes);
    harness.pass(Duration::from_secs(1));
    assert_eq!(
        harness.service.processes().causes.last(),
        Some(&(third, Cause::Lease))
    );
    harness.eof(second);
    harness.exit(second, Exit::Code(0));
    let alice = harness.open(2, ALICE);
    let call = harness.call(alice, 0, &attach(2, None));
    let last = harness.replies(call).pop();
    assert!(matches!(
        last,
        Some(Reply::Exit {
            outcome: Outcome::Canceled {},
            ..
        })
    ));
}

#[test]
fn a_job_with_an_unreadable_record_is_ended_and_stays_listed() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    harness.call(alice, 0, &Request::Exec(exec(1)));
    let job = harness.last_job();
    harness.service.processes().starts[0].1.record = b"{}".to_vec();
    crash(&mut harness);
    assert_eq!(harness.service.processes().causes, [(job, Cause::Shutdown)]);
    let alice = harness.open(2, ALICE);
    let list = harness.call(alice, 0, &Request::Jobs { all: false });
    assert!(matches!(&harness.replies(list)[..], [Reply::Jobs { jobs, .. }] if jobs.len() == 1));
}

fn on_terminal(number: u8) -> Request {
    Request::Exec(Exec {
        terminal: Some(Terminal {
            term: "xterm".into(),
            window: Window {
                rows: 4,
                columns: 20,
            },
        }),
        on_disconnect: OnDisconnect::Keep,
        ..exec(number)
    })
}

fn screen(reply: Option<Reply>) -> (u64, Option<String>) {
    match reply {
        Some(Reply::Accepted { stdout, screen, .. }) => {
            let text = |screen: OsText| {
                String::from_utf8(screen.into_os_string().into_encoded_bytes()).unwrap()
            };
            (stdout, screen.map(text))
        }
        reply => panic!("{reply:?}"),
    }
}

#[test]
fn a_terminal_has_its_screen_and_every_byte_since_after_a_crash() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    let call = harness.call(alice, 0, &on_terminal(1));
    let job = harness.last_job();
    let lines = u32::try_from(3 * limits::PICTURE / 16).unwrap();
    for line in 0..lines {
        harness.write(
            job,
            Output::Out,
            format!("\x1b[3{}mline {line:>7}\r\n", line % 8).as_bytes(),
        );
        if line % 100 == 0 {
            let end = harness.service.processes().statuses[&job].outputs[0];
            harness.consume(call, Lane::Data, end);
        }
    }
    let kept = harness.service.processes().pictures[&job].0;
    assert!(kept > 2 * limits::PICTURE, "{kept}");
    let released = harness.service.processes().released(job, Output::Out);
    assert!(released > 0 && released <= kept, "{released} {kept}");
    let window = Window {
        rows: 5,
        columns: 30,
    };
    harness.say(call, &Request::Resize(window));
    harness.write(job, Output::Out, b"\x1b[1mthe last ");
    let end = harness.service.processes().statuses[&job].outputs[0];
    let before = harness.call(alice, 1, &attach(1, None));
    let (_, before) = screen(harness.reply(before));

    crash(&mut harness);
    harness.write(job, Output::Out, b"words");
    let alice = harness.open(2, ALICE);
    let call = harness.call(alice, 0, &attach(1, Some(end)));
    assert_eq!(screen(harness.reply(call)), (end, None));
    assert_eq!(harness.sent(call, Lane::Data).bytes, b"words");
    let call = harness.call(alice, 1, &attach(1, None));
    let (begin, after) = screen(harness.reply(call));
    assert_eq!(begin, end + 5);
    let (before, after) = (before.unwrap(), after.unwrap());
    assert!(after.contains("the last words"), "{after:?}");
    assert!(after.contains(&format!("line {:>7}", lines - 1)));
    assert!(before.contains(&format!("line {:>7}", lines - 1)));
}
