//! Use of what an agent has learned of a path and its address in the next session of the same key over it.

use std::time::Duration;

use udpagent::session::{Command, SessionHandle, Ticket, limits};
use udpagent::wire::CloseCode;

use super::{MS, SECOND, connect_and_get_ticket, took};
use crate::link::Link;
use crate::nodes::{Agent, Controller, Tuning};
use crate::simulation::Simulation;
use crate::task::Task;

const RTT: Duration = Duration::from_millis(200);

/// Bytes per second of the link towards the controller.
const RATE: u64 = 2_500_000;

fn two() -> (Simulation, Agent, Controller) {
    let mut sim = Simulation::new(1, Link::perfect(RTT / 2));
    sim.tuning = Tuning {
        segments: Some(limits::SEGMENTS),
        ..Tuning::default()
    };
    let (agent, controller) = (sim.agent(), sim.controller());
    let queue = RATE / 5;
    let link = Link::narrow(RTT / 2, RATE, queue);
    sim.network.set_link(agent.host, controller.host, link);
    (sim, agent, controller)
}

/// Time of a download of four seconds in a new session, which is then closed.
fn download(sim: &mut Simulation, controller: &Controller, agent: &Agent, number: u64) -> Duration {
    let (session, _) = connect_and_get_ticket(sim, controller, agent);
    let task = Task::cat(number, 4 * RATE);
    sim.ask(controller, session, task);
    let time = took(sim, controller, task);
    close(sim, controller, session);
    time
}

fn close(sim: &mut Simulation, controller: &Controller, session: SessionHandle) {
    let command = Command::Close {
        session,
        code: CloseCode::Done as u64,
        reason: String::new(),
    };
    sim.act(controller.host, vec![command]);
    sim.run_for(SECOND);
}

#[test]
fn a_later_session_of_a_key_from_the_same_address_fills_the_path_sooner() {
    let (mut sim, agent, controller) = two();
    let first = download(&mut sim, &controller, &agent, 1);
    let second = download(&mut sim, &controller, &agent, 2);
    assert!(second + RTT < first, "{first:?} {second:?}");
    // Four seconds at the rate of the link, and what the start costs.
    assert!(second < 4 * SECOND + 900 * MS, "{second:?}");
    // Another key learns for itself, and so does everybody after an hour.
    let other = sim.controller();
    let link = Link::narrow(RTT / 2, RATE, RATE / 5);
    sim.network.set_link(agent.host, other.host, link);
    let third = download(&mut sim, &other, &agent, 3);
    sim.run_for(limits::KNOWN_PATH_LIFETIME);
    let fourth = download(&mut sim, &controller, &agent, 4);
    for late in [third, fourth] {
        assert!(late + 100 * MS > first, "{first:?} {late:?}");
    }
}

/// Time of a command with 30 kB of output in the first datagram of a new session.
fn early_command(
    sim: &mut Simulation,
    controller: &Controller,
    agent: &Agent,
    (number, ticket): (u64, Ticket),
) -> (SessionHandle, Duration) {
    let task = Task::cat(number, 30_000);
    let session = sim.connect(controller, agent, Some(ticket), Some(task));
    (session, took(sim, controller, task))
}

#[test]
fn a_known_address_gets_a_first_window_at_once_in_two_sessions_at_a_time() {
    let (mut sim, agent, controller) = two();
    let (first, ticket) = connect_and_get_ticket(&mut sim, &controller, &agent);
    // Nothing is known until the first session is over: its budget is three times what came.
    let (second, unknown) = early_command(&mut sim, &controller, &agent, (1, ticket));
    assert!(unknown > RTT * 2, "{unknown:?}");
    close(&mut sim, &controller, second);
    let mut open = vec![first];
    let mut number = 1;
    let mut again = |sim: &mut Simulation| {
        number += 1;
        early_command(sim, &controller, &agent, (number, ticket))
    };
    for _ in 0..limits::KNOWN_PATH_SESSIONS {
        let (session, known) = again(&mut sim);
        assert!(known < RTT * 3 / 2, "{known:?}");
        open.push(session);
    }
    let (session, beside) = again(&mut sim);
    assert!(beside > RTT * 2, "{beside:?}");
    open.push(session);
    for session in open {
        close(&mut sim, &controller, session);
    }
    // It is free again, and forgotten after an hour.
    let (session, known) = again(&mut sim);
    assert!(known < RTT * 3 / 2, "{known:?}");
    close(&mut sim, &controller, session);
    sim.run_for(limits::KNOWN_PATH_LIFETIME);
    let (_, late) = again(&mut sim);
    assert!(late > RTT * 2, "{late:?}");
}
