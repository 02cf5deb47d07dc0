//! Who may come in, what the first line does, and what a hostile one does not.

use proptest::prelude::*;

use super::stage::*;
use crate::agent::outbox::CallRef;
use crate::message::{self, CloseCode, Outcome, Reply, Request};
use crate::session::{Closed, Event, Path, SessionHandle, StreamEvent};
use crate::wire::{CallId, Lane};

#[test]
fn a_ping_is_answered_and_let_go() {
    let mut stage = Stage::new();
    let alice = stage.open(1, ALICE);
    let call = stage.call(alice, 0, &Request::Ping {});
    let pong = Reply::Pong {
        name: "tower".into(),
        version: env!("CARGO_PKG_VERSION").into(),
    };
    assert_eq!(stage.replies(call), [pong]);
    assert!(stage.heard(call, Lane::Control).fin);
    assert!(!stage.released.contains(&call), "it has not arrived");
    stage.delivered(call);
    assert!(stage.released.contains(&call));
}

#[test]
fn one_who_only_shows_an_invitation_may_only_register() {
    let mut stage = Stage::new();
    let guest = stage.open(1, GUEST);
    let ping = stage.call(guest, 0, &Request::Ping {});
    assert_eq!(stage.replies(ping), [Reply::Denied {}]);
    let run = stage.call(guest, 1, &Request::Exec(exec(1)));
    let last = stage.replies(run).pop();
    assert!(matches!(
        last,
        Some(Reply::Exit {
            outcome: Outcome::Denied {},
            ..
        })
    ));
    let name: String = "guest".into();
    let register = Request::Register { name: name.clone() };
    let call = stage.call(guest, 2, &register);
    let agent = "tower".into();
    assert_eq!(stage.replies(call), [Reply::Registered { name, agent }]);
    stage.call(guest, 3, &Request::Exec(exec(1)));
    assert_eq!(stage.service.processes().spawned.len(), 1);
}

#[test]
fn a_stranger_is_sent_away_even_if_the_gate_let_it_in() {
    let mut stage = Stage::new();
    stage.book.borrow_mut().names.remove(&BOB);
    let bob = stage.open(1, BOB);
    assert_eq!(stage.closed, [(bob, CloseCode::Revoked as u64)].into());
    let call = stage.call(bob, 0, &Request::Exec(exec(1)));
    assert_eq!(stage.reply(call), None);
    assert!(stage.service.processes().spawned.is_empty());
}

#[test]
fn what_is_no_request_is_answered_and_what_has_no_end_closes_the_session() {
    let mut stage = Stage::new();
    let alice = stage.open(1, ALICE);
    let call = |number| CallRef {
        session: alice,
        call: CallId(number),
    };
    stage.data(call(0), Lane::Control, b"{\"v\":1,\"dance\":{}}\n", false);
    let replies = stage.replies(call(0));
    assert!(matches!(replies[..], [Reply::Unsupported { .. }]));
    stage.data(
        call(0),
        Lane::Control,
        &message::to_line(&Request::Ping {}),
        true,
    );
    assert_eq!(stage.reply(call(0)), None, "it was answered for good");
    stage.data(call(1), Lane::Control, b"", true);
    assert!(stage.released.contains(&call(1)));
    for _ in 0..=message::limits::LINE >> 16 {
        stage.data(call(2), Lane::Control, &vec![b'x'; 1 << 16], false);
    }
    assert_eq!(stage.closed, [(alice, CloseCode::Violation as u64)].into());
}

proptest! {
    #[test]
    fn nothing_that_a_peer_does_panics(steps in prop::collection::vec((0u8..12, 0u32..3, any::<u8>()), 0..60)) {
        let mut stage = Stage::new();
        let mut opened = 1;
        let mut session = stage.open(opened, ALICE);
        for (step, number, byte) in steps {
            let call = CallRef { session, call: CallId(number) };
            // The session machine names no call again that was released.
            if stage.released.contains(&call) && step != 9 {
                continue;
            }
            let id = id(byte % 4);
            let request = match step {
                0 => {
                    let mut request = exec(byte % 4);
                    request.stdin = byte % 3 == 0;
                    Some(Request::Exec(request))
                }
                1 => Some(Request::Attach { id, stdout: Some(u64::from(byte)), stderr: None }),
                2 => Some(Request::Cancel {}),
                3 => Some(Request::Signal { id, signal: i32::from(byte) }),
                4 => Some(Request::Wait { id }),
                _ => None,
            };
            if let Some(request) = request {
                stage.say(call, &request);
                continue;
            }
            let job = stage.service.processes().spawned.last().map(|spawned| spawned.0);
            match (step, job) {
                (5, _) => stage.data(call, Lane::Data, &[byte; 9], byte % 2 == 0),
                (6, _) => stage.data(call, Lane::Control, b"", true),
                (7, _) => stage.delivered(call),
                (8, _) => stage.consume(call, Lane::Data, u64::from(byte)),
                (9, _) => {
                    stage.close(session, Closed::Lost);
                    opened += 1;
                    session = stage.open(opened, ALICE);
                }
                (10, Some(job)) if !stage.service.processes().closed.contains(&job) => {
                    stage.exit(job, crate::agent::jobs::Exit::Code(byte));
                    stage.pass(std::time::Duration::from_millis(100));
                }
                (11, _) => {
                    let stream = crate::wire::StreamId::new(call.call, Lane::Data);
                    stage.event(Event::Stream { session, event: StreamEvent::Stopped { stream, code: 0 } });
                }
                _ => {}
            }
        }
        stage.pass(std::time::Duration::from_secs(10_000));
    }
}

#[test]
fn a_peer_that_talks_nonsense_is_answered_a_few_times() {
    let mut stage = Stage::new();
    let alice = stage.open(1, ALICE);
    let call = stage.call(alice, 0, &Request::Exec(exec(1)));
    stage.data(call, Lane::Control, b"\n\n\n", false);
    assert!(!stage.closed.contains_key(&alice));
    assert_eq!(
        stage.replies(call).len(),
        5,
        "accepted, started, and three answers"
    );
    stage.data(call, Lane::Control, &vec![b'\n'; 65_536], false);
    assert_eq!(
        stage.closed.get(&alice),
        Some(&(CloseCode::Violation as u64))
    );
    assert!(stage.replies(call).len() <= 16);
}

#[test]
fn a_key_that_may_come_from_one_place_only_may_not_move_to_another() {
    let mut stage = Stage::new();
    let alice = stage.open(1, ALICE);
    let moved = |port, ip: [u8; 4]| Event::Moved {
        session: SessionHandle(1),
        path: Path {
            socket: 0,
            local: None,
            remote: std::net::SocketAddr::from((ip, port)).into(),
        },
    };
    stage.event(moved(1, [127, 0, 0, 1]));
    assert!(!stage.closed.contains_key(&alice));
    stage.book.borrow_mut().only_from = Some([127, 0, 0, 1].into());
    stage.event(moved(2, [192, 0, 2, 1]));
    assert_eq!(stage.closed.get(&alice), Some(&(CloseCode::Revoked as u64)));
}
