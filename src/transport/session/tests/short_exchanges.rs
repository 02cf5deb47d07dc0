//! Losses in the exchange of a short command, which nothing but a timeout repairs.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Pair, SECOND};
use crate::session::limits::KNOWN_PATH_SESSIONS;
use crate::session::{Command, Event, Ticket};
use crate::wire::{CallId, Lane};

const ROUND_TRIP: Duration = Duration::from_millis(50);

/// Sessions after which the variation of the round-trip time is known.
const SESSIONS: u64 = 8;

/// A pair that has had some sessions, and the ticket of the last.
fn met() -> (Pair, Ticket) {
    let mut pair = Pair::new(ROUND_TRIP / 2);
    let mut ticket = None;
    for number in 0..SESSIONS {
        exchange(&mut pair, number, ticket);
        let tickets = pair
            .controller_events
            .iter()
            .filter_map(|event| match event {
                Event::Connected { ticket, .. } => Some(*ticket),
                _ => None,
            });
        ticket = tickets.last();
    }
    assert!(pair.agent.sessions() > KNOWN_PATH_SESSIONS);
    (pair, ticket.expect("the agent has answered"))
}

/// Sends a short request, and returns the time until its answer.
fn exchange(pair: &mut Pair, number: u64, ticket: Option<Ticket>) -> Duration {
    pair.controller_events.clear();
    let start = pair.now;
    let session = pair.connect(number, ticket, b"true");
    while pair.received(Lane::Control) != b"true" {
        assert!(pair.now < start + SECOND * 5, "no answer");
        pair.run(pair.now + Duration::from_millis(1));
    }
    let took = pair.now.since(start);
    // Of some sessions the agent does not hear that they are over.
    if number.is_multiple_of(2) {
        pair.losses = vec![true; 100].into();
    }
    let call = CallId(0);
    pair.apply(Command::Release { session, call });
    pair.apply(Command::Close {
        session,
        code: 0,
        reason: String::new(),
    });
    pair.run(pair.now + SECOND);
    pair.losses.clear();
    took
}

fn took_with(losses: &[bool]) -> Duration {
    let (mut pair, ticket) = met();
    pair.losses = losses.iter().copied().collect::<VecDeque<_>>();
    exchange(&mut pair, SESSIONS, Some(ticket))
}

#[test]
fn a_short_exchange_with_a_loss_takes_less_than_four_round_trips() {
    assert_eq!(took_with(&[]), ROUND_TRIP);
    // INIT, RESP, the answer, and what confirms them.
    for lost in 0..5 {
        let mut losses = vec![false; lost];
        losses.push(true);
        let took = took_with(&losses);
        assert!(took < ROUND_TRIP * 4, "datagram {lost} lost: {took:?}");
    }
}

#[test]
fn the_loss_of_an_init_and_of_one_of_its_repeats_costs_one_timeout() {
    let once = took_with(&[true]);
    assert_eq!(took_with(&[true, true]), once, "the other one arrives");
    assert!(took_with(&[true, true, true]) > once);
}

#[test]
fn the_first_session_waits_as_long_as_an_unknown_path_may_need() {
    let mut pair = Pair::new(ROUND_TRIP / 2);
    pair.losses = VecDeque::from([true]);
    let took = exchange(&mut pair, 0, None);
    assert!(took >= Duration::from_millis(310), "{took:?}");
}
