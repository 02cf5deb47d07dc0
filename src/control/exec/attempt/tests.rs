//! Stories of one command on one host, told event by event.

use super::*;
use crate::control::exec::Output::{Stderr, Stdout};
use crate::control::limits;
use crate::message::{Lines, OnDisconnect, Reply};
use crate::session::Closed;
use crate::wire::{CallId, Early};

const ID: RequestId = RequestId([7; 16]);
const RUN: u64 = 11;
const NEXT_RUN: u64 = 12;

/// What an attempt wanted since it was last asked.
#[derive(Default)]
struct Wanted {
    connects: Vec<Connect>,
    requests: Vec<(ConnectionId, CallId, Request)>,
    stdin: Vec<u8>,
    stdin_fin: bool,
    granted: [u64; 2],
    output: [Vec<u8>; 2],
    collected: bool,
    closed: Vec<ConnectionId>,
    stopped: Vec<StreamId>,
    resets: usize,
    report: Option<Report>,
}

use crate::session::Connect;

fn exec() -> Exec {
    Exec {
        id: ID,
        argv: vec!["true".into()],
        env: Vec::new(),
        cwd: None,
        stdin: true,
        timeout_ms: None,
        lease_ms: None,
        on_disconnect: OnDisconnect::Kill,
        age_ms: 0,
    }
}

fn config(addresses: u16, ticket: Option<Ticket>) -> Config {
    Config {
        slot: 3,
        opening: Opening::Exec(exec()),
        goal: Goal::Result,
        agent: PublicKey([1; 32]),
        paths: (0..addresses)
            .map(|port| Path {
                socket: 0,
                local: None,
                remote: ([127, 0, 0, 1], 7000 + port).into(),
            })
            .collect(),
        ticket,
        begun: Instant::from_micros(1_000_000),
        contact_timeout: Duration::from_secs(10),
        patience: Duration::from_secs(30),
    }
}

fn ticket(epoch: u64, started: i64) -> Ticket {
    Ticket {
        epoch,
        offset: -started,
        rtt: Duration::from_millis(1),
    }
}

fn begin() -> Attempt {
    Attempt::new(config(1, None))
}

fn leg(generation: u64) -> ConnectionId {
    ConnectionId(3 << 16 | generation)
}

fn drain(attempt: &mut Attempt) -> Wanted {
    let mut wanted = Wanted::default();
    while let Some(action) = attempt.poll() {
        assert!(wanted.report.is_none(), "{action:?} after the report");
        match action {
            Action::Command(Command::Connect(connect)) => {
                let mut lines = Lines::default();
                lines.push(&connect.first);
                let request = lines.next().unwrap().unwrap();
                wanted
                    .requests
                    .push((connect.connection, CallId(0), request));
                wanted.connects.push(connect);
            }
            Action::Command(Command::Write {
                connection,
                stream,
                data,
                fin,
            }) => {
                if stream.lane() == Lane::Control {
                    let mut lines = Lines::default();
                    lines.push(&data);
                    while let Some(request) = lines.next() {
                        wanted
                            .requests
                            .push((connection, stream.call(), request.unwrap()));
                    }
                    wanted.collected |= fin;
                } else {
                    wanted.stdin.extend_from_slice(&data);
                    wanted.stdin_fin |= fin;
                }
            }
            Action::Command(Command::Consumed { stream, bytes, .. }) => {
                if let Some(output) = Output::of(stream.lane()) {
                    wanted.granted[output as usize] += bytes;
                }
            }
            Action::Command(Command::Close {
                connection, code, ..
            }) => {
                let done = code == CloseCode::Done as u64;
                assert_eq!(done, wanted.collected, "only a result in hand is done with");
                wanted.closed.push(connection);
            }
            Action::Command(Command::Stop { stream, .. }) => wanted.stopped.push(stream),
            Action::Command(Command::Reset { .. }) => wanted.resets += 1,
            Action::Output(output, data) => {
                wanted.output[output as usize].extend_from_slice(&data);
            }
            Action::Ended(report) => wanted.report = Some(report),
            _ => {}
        }
    }
    wanted
}

fn connected(attempt: &mut Attempt, generation: u64, epoch: u64) {
    attempt.on_event(Event::Connected {
        connection: leg(generation),
        ticket: ticket(epoch, if epoch == RUN { 0 } else { 2_000_000 }),
        early: Early::Accepted,
    });
}

fn data(attempt: &mut Attempt, generation: u64, call: u32, lane: Lane, data: &[u8], fin: bool) {
    attempt.on_event(Event::Data {
        connection: leg(generation),
        stream: StreamId::new(CallId(call), lane),
        offset: 0,
        data: Bytes::copy_from_slice(data),
        fin,
    });
}

fn reply(attempt: &mut Attempt, generation: u64, reply: &Reply) {
    data(
        attempt,
        generation,
        0,
        Lane::Control,
        &to_line(reply),
        false,
    );
}

const fn accepted(stdout: u64, stderr: u64) -> Reply {
    Reply::Accepted {
        id: ID,
        stdout,
        stderr,
        stdin: 0,
    }
}

const fn exit(outcome: Outcome, stdout: u64, stderr: u64) -> Reply {
    Reply::Exit {
        outcome,
        stdout,
        stderr,
        streams_open: false,
    }
}

const OK: Outcome = Outcome::Exited { code: 0 };

fn outcome(wanted: &Wanted) -> Option<Outcome> {
    wanted.report.as_ref().expect("it is over").outcome
}

fn silence(attempt: &mut Attempt, generation: u64) {
    attempt.on_event(Event::Silent {
        connection: leg(generation),
    });
}

fn closed(attempt: &mut Attempt, generation: u64, reason: Closed) {
    attempt.on_event(Event::Closed {
        connection: leg(generation),
        reason,
    });
}

#[test]
fn the_report_waits_for_the_last_byte_to_be_written() {
    let mut attempt = begin();
    connected(&mut attempt, 0, RUN);
    // The exit may overtake the output, and output the acceptance.
    data(&mut attempt, 0, 0, Lane::Main, b"hel", false);
    reply(&mut attempt, 0, &accepted(0, 0));
    reply(&mut attempt, 0, &exit(OK, 5, 2));
    data(&mut attempt, 0, 0, Lane::Error, b"no", true);
    let wanted = drain(&mut attempt);
    assert_eq!(wanted.output, [b"hel".to_vec(), b"no".to_vec()]);
    assert_eq!(wanted.granted, [0, 0]);
    assert!(wanted.report.is_none() && !wanted.collected);

    data(&mut attempt, 0, 0, Lane::Main, b"lo", true);
    attempt.on_written(Stdout, 3);
    attempt.on_written(Stderr, 2);
    let wanted = drain(&mut attempt);
    assert_eq!(wanted.output[0], b"lo");
    assert_eq!(wanted.granted, [3, 2]);
    assert!(wanted.report.is_none());

    attempt.on_written(Stdout, 2);
    let wanted = drain(&mut attempt);
    assert!(wanted.collected);
    assert_eq!(wanted.closed, [leg(0)]);
    let report = wanted.report.unwrap();
    assert_eq!(report.outcome, Some(OK));
    assert_eq!(report.lengths, [5, 2]);
}

#[test]
fn a_result_in_hand_needs_no_network() {
    let mut attempt = begin();
    connected(&mut attempt, 0, RUN);
    reply(&mut attempt, 0, &accepted(0, 0));
    data(&mut attempt, 0, 0, Lane::Main, b"x", true);
    reply(&mut attempt, 0, &exit(OK, 1, 0));
    drain(&mut attempt);
    silence(&mut attempt, 0);
    closed(&mut attempt, 0, Closed::Lost);
    let wanted = drain(&mut attempt);
    assert!(wanted.connects.is_empty() && wanted.report.is_none());
    attempt.on_written(Stdout, 1);
    assert_eq!(outcome(&drain(&mut attempt)), Some(OK));
}

#[test]
fn no_answer_is_unreachable() {
    let mut attempt = begin();
    assert_eq!(
        drain(&mut attempt).connects[0].timeout,
        Duration::from_secs(10)
    );
    closed(&mut attempt, 0, Closed::Unreachable);
    let wanted = drain(&mut attempt);
    assert_eq!(outcome(&wanted), Some(Outcome::Unreachable {}));
    assert!(!wanted.report.unwrap().accepted);
}

#[test]
fn every_address_is_tried_within_the_contact_timeout() {
    let mut attempt = Attempt::new(config(2, None));
    let mut ports = Vec::new();
    let mut spent = Duration::ZERO;
    for generation in 0.. {
        let wanted = drain(&mut attempt);
        if wanted.report.is_some() {
            assert_eq!(outcome(&wanted), Some(Outcome::Unreachable {}));
            break;
        }
        let connect = &wanted.connects[0];
        assert!(matches!(wanted.requests[0].2, Request::Exec(_)));
        ports.push(connect.path.remote.port());
        spent += connect.timeout;
        closed(&mut attempt, generation, Closed::Unreachable);
    }
    assert_eq!(ports, [7000, 7001, 7000]);
    assert_eq!(spent, Duration::from_secs(10) + limits::NEXT_ADDRESS);
}

#[test]
fn what_may_have_been_taken_is_asked_for_and_not_sent_again() {
    // The first datagram carried the command, and nothing answered.
    let mut attempt = Attempt::new(config(2, Some(ticket(RUN, 0))));
    assert!(matches!(
        drain(&mut attempt).requests[0].2,
        Request::Exec(_)
    ));
    closed(&mut attempt, 0, Closed::Unreachable);
    assert!(matches!(
        drain(&mut attempt).requests[0].2,
        Request::Attach { .. }
    ));
    // The same run of the agent answers at the other address that it has not seen it.
    connected(&mut attempt, 1, RUN);
    reply(&mut attempt, 1, &Reply::NoJob {});
    let wanted = drain(&mut attempt);
    assert!(
        matches!(wanted.requests[..], [(connection, CallId(1), Request::Exec(_))] if connection == leg(1))
    );
}

#[test]
fn a_younger_agent_that_does_not_know_the_request_is_not_asked_to_start_it() {
    let mut attempt = Attempt::new(config(2, Some(ticket(RUN, 0))));
    closed(&mut attempt, 0, Closed::Unreachable);
    connected(&mut attempt, 1, NEXT_RUN);
    reply(&mut attempt, 1, &Reply::NoJob {});
    let wanted = drain(&mut attempt);
    assert_eq!(outcome(&wanted), Some(Outcome::Unknown {}));
    assert_eq!(
        wanted
            .requests
            .iter()
            .filter(|(_, _, request)| matches!(request, Request::Exec(_)))
            .count(),
        1
    );
}

#[test]
fn a_silent_agent_is_asked_again_and_the_output_goes_on() {
    let mut attempt = begin();
    connected(&mut attempt, 0, RUN);
    reply(&mut attempt, 0, &accepted(0, 0));
    data(&mut attempt, 0, 0, Lane::Main, b"abc", false);
    drain(&mut attempt);
    silence(&mut attempt, 0);
    let wanted = drain(&mut attempt);
    assert_eq!(
        wanted.requests[0].2,
        Request::Attach {
            id: ID,
            stdout: Some(3),
            stderr: Some(0)
        }
    );
    // Both sessions bring the same bytes; each is shown once.
    data(&mut attempt, 0, 0, Lane::Main, b"de", false);
    connected(&mut attempt, 1, RUN);
    data(&mut attempt, 1, 0, Lane::Main, b"def", true);
    reply(&mut attempt, 1, &accepted(3, 0));
    reply(&mut attempt, 1, &exit(OK, 6, 0));
    let wanted = drain(&mut attempt);
    assert_eq!(wanted.output[0], b"def");
    assert_eq!(wanted.closed, [leg(0)]);
    attempt.on_written(Stdout, 6);
    let wanted = drain(&mut attempt);
    assert_eq!(wanted.granted[0], 3, "credit for what this session brought");
    assert_eq!(outcome(&wanted), Some(OK));
}

#[test]
fn an_agent_that_stays_silent_is_lost_after_the_patience() {
    let mut attempt = begin();
    connected(&mut attempt, 0, RUN);
    reply(&mut attempt, 0, &accepted(0, 0));
    silence(&mut attempt, 0);
    closed(&mut attempt, 1, Closed::Unreachable);
    assert!(drain(&mut attempt).report.is_none());
    closed(&mut attempt, 2, Closed::Unreachable);
    let wanted = drain(&mut attempt);
    assert_eq!(outcome(&wanted), Some(Outcome::Lost {}));
    assert!(wanted.report.unwrap().accepted);
}

#[test]
fn a_restarted_agent_does_not_know() {
    let mut attempt = begin();
    connected(&mut attempt, 0, RUN);
    reply(&mut attempt, 0, &accepted(0, 0));
    silence(&mut attempt, 0);
    connected(&mut attempt, 1, NEXT_RUN);
    reply(&mut attempt, 1, &Reply::NoJob {});
    assert_eq!(outcome(&drain(&mut attempt)), Some(Outcome::Unknown {}));
}

#[test]
fn stdin_goes_on_where_the_job_stands() {
    let mut attempt = begin();
    connected(&mut attempt, 0, RUN);
    reply(&mut attempt, 0, &accepted(0, 0));
    attempt.on_stdin(Bytes::from_static(b"abcdef"), false);
    assert_eq!(drain(&mut attempt).stdin, b"abcdef");
    attempt.on_event(Event::Writable {
        connection: leg(0),
        stream: StreamId::new(CallId(0), Lane::Main),
        consumed: 2,
        limit: 100,
    });
    silence(&mut attempt, 0);
    attempt.on_stdin(Bytes::from_static(b"gh"), true);
    drain(&mut attempt);
    connected(&mut attempt, 1, RUN);
    reply(
        &mut attempt,
        1,
        &Reply::Accepted {
            id: ID,
            stdout: 0,
            stderr: 0,
            stdin: 4,
        },
    );
    let wanted = drain(&mut attempt);
    assert_eq!(wanted.stdin, b"efgh");
    assert!(wanted.stdin_fin && !attempt.wants_stdin());
}

#[test]
fn a_process_that_reads_no_more_gets_no_more() {
    let mut attempt = begin();
    connected(&mut attempt, 0, RUN);
    assert!(attempt.wants_stdin());
    attempt.on_event(Event::Stopped {
        connection: leg(0),
        stream: StreamId::new(CallId(0), Lane::Main),
        code: 0,
    });
    assert!(!attempt.wants_stdin());
    attempt.on_stdin(Bytes::from_static(b"x"), true);
    assert!(drain(&mut attempt).stdin.is_empty());
}

#[test]
fn a_closed_pipe_ends_the_job_and_nothing_is_waited_for() {
    let mut attempt = begin();
    connected(&mut attempt, 0, RUN);
    reply(&mut attempt, 0, &accepted(0, 0));
    data(&mut attempt, 0, 0, Lane::Main, b"y\ny\n", false);
    drain(&mut attempt);
    attempt.on_broken_pipe(Stdout);
    let wanted = drain(&mut attempt);
    assert_eq!(wanted.stopped.len(), 1);
    assert_eq!(wanted.requests[0].2, Request::Cancel {});
    let pipe = Outcome::Signaled {
        signal: 13,
        core: false,
    };
    reply(&mut attempt, 0, &exit(pipe, 4000, 0));
    assert_eq!(outcome(&drain(&mut attempt)), Some(pipe));
}

#[test]
fn canceled_before_anything_was_sent_runs_nothing() {
    let mut attempt = begin();
    attempt.cancel();
    let wanted = drain(&mut attempt);
    assert_eq!(outcome(&wanted), Some(Outcome::Canceled {}));
    assert_eq!(wanted.closed, [leg(0)]);
}

#[test]
fn cancel_is_said_in_every_session() {
    let mut attempt = begin();
    connected(&mut attempt, 0, RUN);
    drain(&mut attempt);
    attempt.cancel();
    silence(&mut attempt, 0);
    let wanted = drain(&mut attempt);
    let cancels: Vec<_> = wanted
        .requests
        .iter()
        .filter(|(_, _, request)| *request == Request::Cancel {})
        .map(|(connection, ..)| *connection)
        .collect();
    assert_eq!(cancels, [leg(0), leg(1)]);
}

#[test]
fn detached_when_it_runs() {
    let mut attempt = Attempt::new(Config {
        goal: Goal::Detach,
        ..config(1, None)
    });
    connected(&mut attempt, 0, RUN);
    reply(&mut attempt, 0, &accepted(0, 0));
    data(&mut attempt, 0, 0, Lane::Main, b"early", false);
    let wanted = drain(&mut attempt);
    assert!(wanted.report.is_none() && wanted.output[0].is_empty());
    reply(&mut attempt, 0, &Reply::Started { pid: 5 });
    let wanted = drain(&mut attempt);
    assert!(!wanted.collected, "someone is to attach later");
    assert_eq!(outcome(&wanted), None);
}

#[test]
fn detaching_tells_of_a_failed_start() {
    let mut attempt = Attempt::new(Config {
        goal: Goal::Detach,
        ..config(1, None)
    });
    connected(&mut attempt, 0, RUN);
    reply(&mut attempt, 0, &accepted(0, 0));
    let failed = Outcome::SpawnFailed { errno: 2 };
    reply(&mut attempt, 0, &exit(failed, 0, 0));
    assert_eq!(outcome(&drain(&mut attempt)), Some(failed));
}

#[test]
fn attaching_says_what_is_no_longer_held() {
    let mut attempt = Attempt::new(Config {
        opening: Opening::Attach {
            id: ID,
            stdout: Some(0),
            stderr: None,
        },
        ..config(1, None)
    });
    connected(&mut attempt, 0, RUN);
    reply(&mut attempt, 0, &accepted(10, 3));
    data(&mut attempt, 0, 0, Lane::Main, b"kl", true);
    reply(&mut attempt, 0, &exit(OK, 12, 3));
    drain(&mut attempt);
    attempt.on_written(Stdout, 2);
    let report = drain(&mut attempt).report.unwrap();
    assert_eq!(report.missing, [10, 0]);
    assert_eq!(report.lengths, [12, 3]);
}

#[test]
fn an_attached_result_that_another_controller_took_is_lost() {
    let mut attempt = begin();
    connected(&mut attempt, 0, RUN);
    reply(&mut attempt, 0, &accepted(0, 0));
    data(&mut attempt, 0, 0, Lane::Control, b"", true);
    assert_eq!(outcome(&drain(&mut attempt)), Some(Outcome::Lost {}));
}

#[test]
fn output_given_up_by_the_agent_is_no_result() {
    let mut attempt = begin();
    connected(&mut attempt, 0, RUN);
    reply(&mut attempt, 0, &accepted(0, 0));
    reply(&mut attempt, 0, &exit(OK, 10, 0));
    attempt.on_event(Event::Reset {
        connection: leg(0),
        stream: StreamId::new(CallId(0), Lane::Main),
        code: 2,
    });
    assert_eq!(outcome(&drain(&mut attempt)), Some(Outcome::Lost {}));
}

#[test]
fn refusals_need_no_acceptance() {
    for refusal in [
        exit(Outcome::Busy {}, 0, 0),
        exit(Outcome::Denied {}, 0, 0),
        Reply::Denied {},
    ] {
        let mut attempt = begin();
        connected(&mut attempt, 0, RUN);
        reply(&mut attempt, 0, &refusal);
        let wanted = drain(&mut attempt);
        assert!(!outcome(&wanted).unwrap().is_success());
        assert!(!wanted.report.unwrap().accepted);
    }
}

#[test]
fn nonsense_from_the_agent_is_no_result() {
    let mut attempt = begin();
    connected(&mut attempt, 0, RUN);
    data(&mut attempt, 0, 0, Lane::Control, b"nonsense\n", false);
    assert_eq!(outcome(&drain(&mut attempt)), Some(Outcome::Lost {}));
}
