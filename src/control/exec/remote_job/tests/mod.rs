//! One command on one host, event by event.

mod ends;
mod reconnects;
mod terminal;

use super::*;
use crate::control::exec::Output::{Stderr, Stdout};
use crate::message::{Exec, Lines, Reply};
use crate::session::Closed;
use crate::wire::{CallId, Early};

const ID: RequestId = RequestId([7; 16]);
const RUN: u64 = 11;
const NEXT_RUN: u64 = 12;

/// Time of an agent's first answer, 40 ms after the job has begun.
const AT: Instant = Instant::from_micros(1_040_000);

/// Actions of a job since the last call.
#[derive(Default)]
struct Wanted {
    connects: Vec<Connect>,
    requests: Vec<(SessionHandle, CallId, Request)>,
    stdin: Vec<u8>,
    stdin_fin: bool,
    granted: [u64; 2],
    output: [Vec<u8>; 2],
    collected: bool,
    closed: Vec<SessionHandle>,
    stopped: Vec<StreamId>,
    resets: usize,
    screen: Vec<u8>,
    report: Option<Report>,
}

use crate::session::Connect;

fn exec() -> Exec {
    Exec {
        stdin: true,
        ..Exec::new(ID, vec!["true".into()])
    }
}

fn path(port: u16) -> Path {
    Path {
        socket: 0,
        local: None,
        remote: std::net::SocketAddr::from(([127, 0, 0, 1], port)).into(),
    }
}

fn config(addresses: u16, ticket: Option<Ticket>) -> Config {
    Config {
        slot: 3,
        request: JobRequest::Exec(exec()),
        goal: Goal::Result,
        agent: PublicKey([1; 32]),
        paths: (7000..7000 + addresses).map(path).collect(),
        ticket,
        begun: Instant::from_micros(1_000_000),
        contact_timeout: Duration::from_secs(10),
        retry_for: Duration::from_secs(30),
    }
}

fn ticket(epoch: u64, started: i64) -> Ticket {
    Ticket {
        epoch,
        offset: -started,
        rtt: Duration::from_millis(1),
        variation: Duration::ZERO,
    }
}

fn begin() -> RemoteJob {
    RemoteJob::new(config(1, None))
}

fn attachment(generation: u64) -> SessionHandle {
    SessionHandle(3 << 16 | generation)
}

fn drain(job: &mut RemoteJob) -> Wanted {
    let mut wanted = Wanted::default();
    while let Some(action) = job.poll() {
        assert!(wanted.report.is_none(), "{action:?} after the report");
        match action {
            Action::Command(Command::Connect(connect)) => {
                let mut lines = Lines::default();
                lines.push(&connect.first);
                if let Some(request) = lines.next() {
                    let request = request.unwrap();
                    wanted.requests.push((connect.session, CallId(0), request));
                }
                wanted.connects.push(connect);
            }
            Action::Command(Command::Write {
                session,
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
                            .push((session, stream.call(), request.unwrap()));
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
            Action::Command(Command::Close { session, code, .. }) => {
                let done = code == CloseCode::Done as u64;
                assert_eq!(done, wanted.collected, "only a result in hand is done with");
                wanted.closed.push(session);
            }
            Action::Command(Command::Stop { stream, .. }) => wanted.stopped.push(stream),
            Action::Command(Command::Reset { .. }) => wanted.resets += 1,
            Action::Output(output, _, data) => {
                wanted.output[output as usize].extend_from_slice(&data);
            }
            Action::Screen(data) => wanted.screen.extend_from_slice(&data),
            Action::Ended(report) => wanted.report = Some(report),
            Action::Command(Command::FindDatagramSize { .. }) => {
                panic!("a job sends no such command")
            }
            Action::Command(Command::Watch { .. } | Command::Release { .. })
            | Action::Gap(..)
            | Action::Learned(_)
            | Action::Answered(_)
            | Action::Accepted { .. }
            | Action::Flush => {}
        }
    }
    wanted
}

fn connected(job: &mut RemoteJob, generation: u64, epoch: u64) {
    job.on_event(Event::Connected {
        session: attachment(generation),
        path: path(7000),
        at: AT,
        ticket: ticket(epoch, if epoch == RUN { 0 } else { 2_000_000 }),
        early: Early::Accepted,
    });
}

fn data(job: &mut RemoteJob, generation: u64, call: u32, lane: Lane, data: &[u8], fin: bool) {
    job.on_event(Event::Stream {
        session: attachment(generation),
        event: StreamEvent::Data {
            stream: StreamId::new(CallId(call), lane),
            offset: 0,
            data: Bytes::copy_from_slice(data),
            fin,
        },
    });
}

fn reply(job: &mut RemoteJob, generation: u64, reply: &Reply) {
    data(job, generation, 0, Lane::Control, &to_line(reply), false);
}

const fn accepted(stdout: u64, stderr: u64) -> Reply {
    Reply::Accepted {
        id: ID,
        stdout,
        stderr,
        stdin: 0,
        terminal: false,
        kept: false,
        screen: None,
    }
}

const fn exit(outcome: Outcome, stdout: u64, stderr: u64) -> Reply {
    Reply::Exit {
        outcome,
        stdout,
        stderr,
        streams_open: false,
        cause: None,
        still_running: false,
    }
}

const OK: Outcome = Outcome::Exited { code: 0 };

fn outcome(wanted: &Wanted) -> Option<Outcome> {
    wanted.report.as_ref().expect("it is over").outcome
}

fn silence(job: &mut RemoteJob, generation: u64) {
    job.on_event(Event::Silent {
        session: attachment(generation),
    });
}

fn closed(job: &mut RemoteJob, generation: u64, reason: Closed) {
    job.on_event(Event::Closed {
        session: attachment(generation),
        reason,
    });
}
