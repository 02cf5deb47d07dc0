//! Tests of one query: addresses, retries, and requests that are sent once.

use super::*;
use crate::crypto::PublicKey;
use crate::session::{Connect, Path, SessionHandle};
use crate::time::Instant;
use crate::wire::Early;

const TIMEOUT: Duration = Duration::from_secs(10);

fn path(port: u16) -> Path {
    Path {
        socket: 0,
        local: None,
        remote: std::net::SocketAddr::from(([127, 0, 0, 1], port)).into(),
    }
}

fn query(addresses: u16) -> Query {
    query_of(addresses, Request::Ping {})
}

fn query_of(addresses: u16, request: Request) -> Query {
    let host = Host {
        label: "web".into(),
        agent: PublicKey([1; 32]),
        paths: (7000..7000 + addresses).map(path).collect(),
        ticket: None,
    };
    let question = Question {
        host,
        request,
        invite: None,
        contact_timeout: TIMEOUT,
        retry_for: 2 * TIMEOUT,
        finds_size: false,
    };
    Query::new(3, question)
}

fn connects(query: &mut Query) -> (Vec<Connect>, Option<Answer>) {
    let (mut connects, mut answer) = (Vec::new(), None);
    while let Some(action) = query.poll() {
        match action {
            Action::Command(Command::Connect(connect)) => connects.push(connect),
            Action::Command(_) => {}
            Action::Ended(ended) => answer = Some(ended),
        }
    }
    (connects, answer)
}

fn closed(query: &mut Query, session: SessionHandle, reason: Closed) {
    query.on_event(Event::Closed { session, reason });
}

#[test]
fn a_query_tries_all_addresses_and_names_the_one_that_has_answered() {
    let mut query = query(2);
    let (opened, _) = connects(&mut query);
    assert_eq!(opened[0].further.len(), 1);
    closed(&mut query, opened[0].session, Closed::Unreachable);
    let answer = connects(&mut query).1.unwrap();
    assert_eq!((answer.ticket, answer.address), (None, None));
    let error = answer.reply.unwrap_err();
    assert_eq!(error.outcome, Outcome::Unreachable {});
    let tried = "tried 127.0.0.1:7000, 127.0.0.1:7001";
    assert_eq!(error.note.as_deref(), Some(tried));

    let mut query = self::query(2);
    let (opened, _) = connects(&mut query);
    connected_on(&mut query, opened[0].session, opened[0].further[0]);
    let stream = StreamId::new(CallId(0), Lane::Control);
    query.on_data(stream, &to_line(&Reply::Done {}).into(), true);
    let answer = connects(&mut query).1.unwrap();
    assert_eq!(answer.reply, Ok(Reply::Done {}));
    assert_eq!(answer.address, Some(opened[0].further[0].remote));
}

fn connected(query: &mut Query, session: SessionHandle) {
    connected_on(query, session, path(7000));
}

fn connected_on(query: &mut Query, session: SessionHandle, path: Path) {
    query.on_event(Event::Connected {
        session,
        path,
        at: Instant::from_micros(1),
        ticket: Ticket {
            epoch: 1,
            offset: 0,
            rtt: Duration::ZERO,
            variation: Duration::ZERO,
        },
        early: Early::Refused,
    });
}

#[test]
fn a_signal_is_no_early_data_and_is_sent_once() {
    let signal = Request::Signal {
        id: crate::message::RequestId([1; 16]),
        signal: 15,
        key: None,
    };
    let line = to_line(&signal);
    let mut query = query_of(2, signal);
    let (first, _) = connects(&mut query);
    assert!(first[0].first.is_empty());
    closed(&mut query, first[0].session, Closed::Restarted);
    let (second, _) = connects(&mut query);
    assert!(second[0].first.is_empty());
    connected(&mut query, second[0].session);
    let written: Vec<_> = std::iter::from_fn(|| query.poll())
        .filter_map(|action| match action {
            Action::Command(Command::Write { data, .. }) => Some(data),
            Action::Command(_) | Action::Ended(_) => None,
        })
        .collect();
    assert_eq!(written, [line]);
    // It may have arrived.
    closed(&mut query, second[0].session, Closed::Reset);
    let (third, answer) = connects(&mut query);
    assert!(third.is_empty());
    let error = answer.unwrap().reply.unwrap_err();
    assert_eq!(error.outcome, Outcome::Lost {});
}

#[test]
fn a_query_is_asked_again_after_a_restart_of_the_agent() {
    let mut query = query(1);
    let (first, _) = connects(&mut query);
    closed(&mut query, first[0].session, Closed::Restarted);
    let (second, answer) = connects(&mut query);
    assert_eq!(answer, None);
    assert_ne!(second[0].session, first[0].session);
    connected(&mut query, second[0].session);
    query.on_event(Event::Silent {
        session: second[0].session,
    });
    let (third, _) = connects(&mut query);
    closed(&mut query, third[0].session, Closed::Unreachable);
    let (fourth, answer) = connects(&mut query);
    assert!(fourth.is_empty());
    let error = answer.unwrap().reply.unwrap_err();
    assert_eq!(error.outcome, Outcome::Lost {});
}

#[test]
fn the_size_of_datagrams_is_looked_for_after_the_reply_which_does_not_depend_on_it() {
    let pong = Reply::Pong {
        name: "web".into(),
        version: "1".into(),
    };
    let session = SessionHandle(3 << 16);
    for (event, size) in [
        (
            Event::DatagramSize {
                session,
                bytes: 1472,
            },
            Some(1472),
        ),
        (Event::Silent { session }, None),
        (
            Event::Closed {
                session,
                reason: Closed::Lost,
            },
            None,
        ),
    ] {
        let mut query = query(1);
        query.finds_size = true;
        query.on_event(Event::Stream {
            session,
            event: StreamEvent::Data {
                stream: StreamId::new(CallId(0), Lane::Control),
                offset: 0,
                data: to_line(&pong).into(),
                fin: false,
            },
        });
        let commands: Vec<Action> = std::iter::from_fn(|| query.poll()).collect();
        assert!(matches!(
            commands.last(),
            Some(Action::Command(Command::FindDatagramSize { .. }))
        ));
        // The reply is there, whatever becomes of its stream.
        let stream = StreamId::new(CallId(0), Lane::Control);
        query.on_event(Event::Stream {
            session,
            event: StreamEvent::Data {
                stream,
                offset: 0,
                data: Bytes::new(),
                fin: true,
            },
        });
        assert!(query.poll().is_none());
        query.on_event(event);
        let (_, answer) = connects(&mut query);
        let answer = answer.unwrap();
        assert_eq!(
            (answer.reply, answer.datagram_size),
            (Ok(pong.clone()), size)
        );
    }
}

#[test]
fn a_time_limit_ends_a_query_with_its_reply_or_without() {
    let session = SessionHandle(3 << 16);
    let pong = Reply::Pong {
        name: "web".into(),
        version: "1".into(),
    };
    for replies in [true, false] {
        let mut query = query(1);
        query.finds_size = true;
        if replies {
            query.on_event(Event::Stream {
                session,
                event: StreamEvent::Data {
                    stream: StreamId::new(CallId(0), Lane::Control),
                    offset: 0,
                    data: to_line(&pong).into(),
                    fin: false,
                },
            });
        }
        query.on_time_limit();
        let (_, answer) = connects(&mut query);
        let answer = answer.unwrap();
        assert_eq!(answer.reply.is_ok(), replies);
        assert_eq!(answer.datagram_size, None);
    }
}
