//! Authorisation of sessions, the first line of a call, and invalid input.

use proptest::prelude::*;

use super::harness::*;
use crate::agent::limits;
use crate::agent::outbox::CallRef;
use crate::message::{self, CloseCode, Outcome, Reply, Request};
use crate::session::{Closed, Event, Path, SessionHandle, StreamEvent};
use crate::wire::{CallId, Lane};

#[test]
fn a_ping_is_answered_and_its_call_released() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    let call = harness.call(alice, 0, &Request::Ping {});
    let pong = Reply::Pong {
        name: "tower".into(),
        version: env!("CARGO_PKG_VERSION").into(),
    };
    assert_eq!(harness.replies(call), [pong]);
    assert!(harness.sent(call, Lane::Control).fin);
    assert!(
        !harness.released.contains(&call),
        "the reply has not been delivered"
    );
    harness.delivered(call);
    assert!(harness.released.contains(&call));
}

#[test]
fn an_invited_key_may_only_register() {
    let mut harness = Harness::new();
    let guest = harness.open(1, GUEST);
    let ping = harness.call(guest, 0, &Request::Ping {});
    assert_eq!(harness.replies(ping), [Reply::Denied {}]);
    let run = harness.call(guest, 1, &Request::Exec(exec(1)));
    let last = harness.replies(run).pop();
    assert!(matches!(
        last,
        Some(Reply::Exit {
            outcome: Outcome::Denied {},
            ..
        })
    ));
    let name: String = "guest".into();
    let register = Request::Register { name: name.clone() };
    let call = harness.call(guest, 2, &register);
    let agent = "tower".into();
    assert_eq!(
        harness.replies(call),
        [Reply::Registered {
            name,
            agent,
            listed: false
        }]
    );
    harness.call(guest, 3, &Request::Exec(exec(1)));
    assert_eq!(harness.service.processes().spawned.len(), 1);
}

#[test]
fn a_session_of_an_unlisted_key_is_closed_even_if_the_session_layer_accepted_it() {
    let mut harness = Harness::new();
    harness.policy.borrow_mut().remove(BOB);
    let bob = harness.open(1, BOB);
    assert_eq!(harness.closed, [(bob, CloseCode::Revoked as u64)].into());
    let call = harness.call(bob, 0, &Request::Exec(exec(1)));
    assert_eq!(harness.reply(call), None);
    assert!(harness.service.processes().spawned.is_empty());
}

#[test]
fn an_invalid_line_is_answered_and_an_endless_line_closes_the_session() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    let call = |number| CallRef {
        session: alice,
        call: CallId(number),
    };
    harness.data(call(0), Lane::Control, b"{\"v\":1,\"dance\":{}}\n", false);
    let replies = harness.replies(call(0));
    assert!(matches!(replies[..], [Reply::Unsupported { .. }]));
    harness.data(
        call(0),
        Lane::Control,
        &message::to_line(&Request::Ping {}),
        true,
    );
    assert_eq!(harness.reply(call(0)), None, "the call was answered");
    harness.data(call(1), Lane::Control, b"", true);
    assert!(harness.released.contains(&call(1)));
    for _ in 0..=message::limits::LINE >> 16 {
        harness.data(call(2), Lane::Control, &vec![b'x'; 1 << 16], false);
    }
    assert_eq!(
        harness.closed,
        [(alice, CloseCode::Violation as u64)].into()
    );
}

#[test]
fn a_copy_of_early_data_sends_no_signal_and_says_nothing() {
    let mut harness = Harness::new();
    let owner = harness.open(1, ALICE);
    harness.call(owner, 0, &Request::Exec(exec(1)));
    // A datagram that was held back, sent by somebody else: nobody confirms the session.
    let copy = harness.open_unconfirmed(2, ALICE);
    let signal = Request::Signal {
        id: id(1),
        signal: 15,
        key: None,
    };
    let say = Request::Say {
        room: None,
        number: 0,
        text: "hello".into(),
        bot: false,
        action: false,
    };
    let chat = Request::Chat {
        after: None,
        id: None,
        name: None,
        history: 0,
        room: None,
        whispers: false,
    };
    for (number, request) in (0..).zip([&signal, &say, &chat]) {
        let call = harness.call(copy, number, request);
        let replies = harness.replies(call);
        assert!(
            matches!(&replies[..], [Reply::Unsupported { reason }] if reason == "not as early data"),
            "{replies:?}"
        );
    }
    // Nor as a later line of a call.
    let attach = Request::Attach {
        id: id(1),
        stdout: None,
        stderr: None,
        key: None,
    };
    let attached = harness.call(copy, 3, &attach);
    harness.replies(attached);
    harness.say(attached, &signal);
    let replies = harness.replies(attached);
    assert!(matches!(replies[..], [Reply::Unsupported { .. }]));
    assert_eq!(harness.service.processes().signals, []);
    // The same from a controller that is there.
    harness.event(Event::Confirmed { session: copy });
    harness.say(attached, &signal);
    assert_eq!(harness.replies(attached), [Reply::Done {}]);
    assert_eq!(harness.service.processes().signals.len(), 1);
}

proptest! {
    #[test]
    fn nothing_that_a_peer_does_panics(steps in prop::collection::vec((0u8..12, 0u32..3, any::<u8>()), 0..60)) {
        let mut harness = Harness::new();
        let mut opened = 1;
        let mut session = harness.open(opened, ALICE);
        for (step, number, byte) in steps {
            let call = CallRef { session, call: CallId(number) };
            // The session layer reports no further event of a released call.
            if harness.released.contains(&call) && step != 9 {
                continue;
            }
            let id = id(byte % 4);
            let request = match step {
                0 => {
                    let mut request = exec(byte % 4);
                    request.stdin = byte % 3 == 0;
                    Some(Request::Exec(request))
                }
                1 => Some(Request::Attach { key: None, id, stdout: Some(u64::from(byte)), stderr: None }),
                2 => Some(Request::Cancel {}),
                3 => Some(Request::Signal { id, signal: i32::from(byte), key: None }),
                4 => Some(Request::Wait { id, key: None }),
                _ => None,
            };
            if let Some(request) = request {
                harness.say(call, &request);
                continue;
            }
            let job = harness.service.processes().spawned.last().map(|spawned| spawned.0);
            match (step, job) {
                (5, _) => harness.data(call, Lane::Data, &[byte; 9], byte % 2 == 0),
                (6, _) => harness.data(call, Lane::Control, b"", true),
                (7, _) => harness.delivered(call),
                (8, _) => harness.consume(call, Lane::Data, u64::from(byte)),
                (9, _) => {
                    harness.close(session, Closed::Lost);
                    opened += 1;
                    session = harness.open(opened, ALICE);
                }
                (10, Some(job)) if !harness.service.processes().forgotten.contains(&job) => {
                    harness.eof(job);
                    harness.exit(job, crate::agent::jobs::Exit::Code(byte));
                    harness.pass(std::time::Duration::from_millis(100));
                }
                (11, _) => {
                    let stream = crate::wire::StreamId::new(call.call, Lane::Data);
                    harness.event(Event::Stream { session, event: StreamEvent::Stopped { stream, code: 0 } });
                }
                _ => {}
            }
        }
        harness.pass(std::time::Duration::from_secs(10_000));
    }
}

#[test]
fn invalid_lines_are_answered_a_few_times() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    let call = harness.call(alice, 0, &Request::Exec(exec(1)));
    harness.data(call, Lane::Control, b"\n\n\n", false);
    assert!(!harness.closed.contains_key(&alice));
    assert_eq!(
        harness.replies(call).len(),
        5,
        "accepted, started, and three answers"
    );
    harness.data(call, Lane::Control, &vec![b'\n'; 65_536], false);
    assert_eq!(
        harness.closed.get(&alice),
        Some(&(CloseCode::Violation as u64))
    );
    assert!(harness.replies(call).len() <= 16);
}

#[test]
fn the_open_calls_and_unfinished_lines_of_a_key_are_bounded_over_all_its_sessions() {
    let mut harness = Harness::new();
    let bob = harness.open(1, BOB);
    let half = |harness: &mut Harness, session, number| {
        let call = CallId(number);
        let call = CallRef { session, call };
        harness.data(call, Lane::Control, &vec![b'x'; 1 << 20], false);
    };
    half(&mut harness, bob, 0);
    let most = limits::UNREAD_PER_KEY >> 20;
    let sessions: Vec<SessionHandle> = (0..=most as u64)
        .map(|number| harness.open(2 + number, ALICE))
        .collect();
    for &session in &sessions {
        half(&mut harness, session, 0);
    }
    let violation = CloseCode::Violation as u64;
    assert_eq!(harness.closed, [(sessions[most], violation)].into());
    harness.close(sessions[0], Closed::Lost);
    half(&mut harness, sessions[1], 1);
    assert_eq!(harness.closed.len(), 1, "there is room again");

    let mut harness = Harness::new();
    let per_session = 128;
    let most = u64::try_from(limits::CALLS_PER_KEY / per_session).unwrap();
    let bob = harness.open(1, BOB);
    harness.call(bob, 0, &Request::Exec(exec(1)));
    for number in 0..=most {
        let session = harness.open(2 + number, ALICE);
        for call in 0..u32::try_from(per_session).unwrap() {
            if !harness.closed.contains_key(&session) {
                let call = CallId(call);
                let call = CallRef { session, call };
                harness.data(call, Lane::Data, b"x", false);
            }
        }
    }
    let last = SessionHandle(2 + most);
    assert_eq!(harness.closed, [(last, violation)].into());
}

#[test]
fn a_session_is_closed_when_it_moves_to_an_address_outside_from() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    let moved = |port, ip: [u8; 4]| Event::Moved {
        session: SessionHandle(1),
        path: Path {
            socket: 0,
            local: None,
            remote: std::net::SocketAddr::from((ip, port)).into(),
        },
    };
    harness.event(moved(1, [127, 0, 0, 1]));
    assert!(!harness.closed.contains_key(&alice));
    harness
        .policy
        .borrow_mut()
        .list(ALICE, "alice from=127.0.0.1");
    harness.event(moved(2, [192, 0, 2, 1]));
    assert_eq!(
        harness.closed.get(&alice),
        Some(&(CloseCode::Revoked as u64))
    );
}
