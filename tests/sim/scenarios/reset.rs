//! The agent's endpoint is replaced, and its sessions are reset, while the agent goes on.

use udpagent::crypto::ResetToken;
use udpagent::session::limits::{IDLE, KEEPALIVE, RESET_INTERVAL};
use udpagent::session::{Closed, SessionHandle};
use udpagent::wire::limits::STATELESS_RESET;
use udpagent::wire::{Datagram, SessionId, encode_stateless_reset};

use super::{MS, SECOND, connect_and_get_ticket};
use crate::caller::TaskState;
use crate::link::Link;
use crate::nodes::{Agent, Controller};
use crate::seeds;
use crate::simulation::Simulation;
use crate::task::Task;

const RTT: std::time::Duration = std::time::Duration::from_millis(40);

/// A session with a task that takes a minute.
fn busy(seed: u64, loss: f64) -> (Simulation, Agent, Controller, SessionHandle) {
    let mut sim = Simulation::new(seed, Link::lossy(RTT / 2, loss));
    let (agent, controller) = (sim.agent(), sim.controller());
    let (session, _) = connect_and_get_ticket(&mut sim, &controller, &agent);
    let task = Task {
        takes: SECOND * 60,
        ..Task::echo(1)
    };
    sim.ask(&controller, session, task);
    sim.run_for(SECOND);
    (sim, agent, controller, session)
}

fn closed(controller: &Controller, session: SessionHandle) -> Option<Closed> {
    controller.app.borrow().sessions[&session].closed.clone()
}

#[test]
fn a_replaced_endpoint_resets_its_sessions_at_once() {
    let (mut sim, agent, controller, session) = busy(0, 0.0);
    agent.replace_endpoint(&mut sim);
    let replaced = sim.now();
    sim.run_until(RTT, "reset", |_| closed(&controller, session).is_some());
    assert_eq!(closed(&controller, session), Some(Closed::Reset));
    assert_eq!(sim.now().since(replaced), RTT / 2);
}

#[test]
fn a_reset_session_is_followed_by_early_data_in_one_round_trip() {
    let (mut sim, agent, controller, session) = busy(0, 0.0);
    let ticket = controller.app.borrow().sessions[&session].ticket;
    agent.replace_endpoint(&mut sim);
    sim.run_until(RTT, "reset", |_| closed(&controller, session).is_some());
    sim.connect(&controller, &agent, ticket, Some(Task::echo(2)));
    sim.run_for(RTT * 2);
    let app = controller.app.borrow();
    assert_eq!(app.task_state(2), Some(&TaskState::Done(RTT)));
}

#[test]
fn a_recorded_init_does_nothing_at_the_next_endpoint() {
    let (mut sim, agent, controller, session) = busy(0, 0.0);
    let ticket = controller.app.borrow().sessions[&session].ticket;
    sim.network.records = Some(Vec::new());
    sim.connect(&controller, &agent, ticket, Some(Task::echo(2)));
    sim.run_for(SECOND);
    let records = sim.network.records.take().expect("kept");
    let is_init = |bytes: &[u8]| matches!(Datagram::parse(bytes), Ok(Some(Datagram::Init(_))));
    let init = records
        .iter()
        .find(|record| is_init(&record.bytes))
        .unwrap();
    agent.replace_endpoint(&mut sim);
    let accepted = agent.app.borrow().accepted;
    sim.forward(init, controller.address);
    sim.run_for(SECOND);
    assert_eq!(agent.app.borrow().accepted, accepted);
    assert_eq!(agent.app.borrow().asked[&2], 1);
}

#[test]
fn a_lost_reset_is_sent_again_when_the_controller_sends_something() {
    let (mut sim, agent, controller, session) = busy(0, 0.0);
    sim.network
        .set_link(agent.host, controller.host, Link::lossy(RTT / 2, 1.0));
    agent.replace_endpoint(&mut sim);
    sim.run_for(SECOND);
    assert_eq!(closed(&controller, session), None);
    sim.network
        .set_link(agent.host, controller.host, Link::perfect(RTT / 2));
    sim.ask(&controller, session, Task::echo(2));
    sim.run_until(RTT, "reset", |_| closed(&controller, session).is_some());
    assert_eq!(closed(&controller, session), Some(Closed::Reset));
}

#[test]
fn every_session_is_reset_or_goes_on_whenever_and_however_often_the_endpoint_is_replaced() {
    seeds::each(60, |seed| {
        let mut sim = Simulation::new(seed, Link::lossy(RTT / 2, 0.2));
        let (agent, controller) = (sim.agent(), sim.controller());
        let (mut session, ticket) = connect_and_get_ticket(&mut sim, &controller, &agent);
        for id in 0..20 {
            sim.ask(&controller, session, Task::cat(id, 3_000));
            let pause = sim.rng.duration_below(MS * 150);
            sim.run_for(pause);
            if id % 4 == 3 {
                agent.replace_endpoint(&mut sim);
            }
            if closed(&controller, session).is_some() {
                session = sim.connect(&controller, &agent, Some(ticket), None);
            }
            // A controller that only waits notices with its next keep-alive.
            sim.run_until(KEEPALIVE * 2, "an answer or a reset", |_| {
                let over = closed(&controller, session).is_some();
                over || controller.app.borrow().pending() == 0
            });
        }
        let app = controller.app.borrow();
        for session in app.sessions.values() {
            assert!(matches!(session.closed, None | Some(Closed::Reset)));
        }
        // The agent's application panics at a second start.
    });
}

/// Datagrams from elsewhere for a lost session: each answer is smaller than its cause, and they are bounded in time.
#[test]
fn resets_are_bounded_by_time_and_bytes_and_unknown_ids_get_none() {
    let (mut sim, agent, controller, _) = busy(0, 0.0);
    let reset = *agent.app.borrow().resets.values().next().unwrap();
    agent.replace_endpoint(&mut sim);
    sim.run_for(SECOND);
    let elsewhere = "233.252.0.1:9".parse().unwrap();
    let data = |receiver: SessionId| {
        let header = udpagent::wire::Data {
            phase: 0,
            receiver,
            counter: 9,
        };
        let mut datagram = header.encode().to_vec();
        datagram.resize(36, 0);
        datagram
    };
    let incarnation = sim.incarnation(agent.host);
    for _ in 0..1000 {
        sim.inject(
            elsewhere,
            agent.address,
            &data(SessionId(reset.agent.0 ^ 1)),
        );
        sim.run_for(MS);
    }
    assert_eq!(sim.invariants.sent_to(incarnation, elsewhere), 0);
    for _ in 0..1000 {
        sim.inject(elsewhere, agent.address, &data(reset.agent));
        sim.run_for(MS);
    }
    let sent = sim.invariants.sent_to(incarnation, elsewhere);
    let most = SECOND.as_millis() / RESET_INTERVAL.as_millis() + 1;
    let resets = u128::from(sent) / STATELESS_RESET as u128;
    assert!(resets > 1 && resets <= most, "{resets}");
    sim.run_for(IDLE);
    sim.inject(elsewhere, agent.address, &data(reset.agent));
    sim.run_for(SECOND);
    assert_eq!(sim.invariants.sent_to(incarnation, elsewhere), sent);
    assert!(
        controller
            .app
            .borrow()
            .sessions
            .values()
            .all(|session| session.closed.is_some())
    );
}

#[test]
fn a_forged_reset_ends_no_session() {
    let (mut sim, agent, controller, session) = busy(0, 0.0);
    let reset = *agent.app.borrow().resets.values().next().unwrap();
    let inject = |sim: &mut Simulation, from, token: ResetToken| {
        let mut datagram = Vec::new();
        encode_stateless_reset(reset.controller, token.bytes(), &mut datagram);
        sim.inject(from, controller.address, &datagram);
        sim.run_for(SECOND);
    };
    for bit in 0..128 {
        let mut token = *reset.token.bytes();
        token[bit / 8] ^= 1 << (bit % 8);
        inject(&mut sim, agent.address, ResetToken::from_bytes(token));
    }
    inject(&mut sim, "233.252.0.1:9".parse().unwrap(), reset.token);
    assert_eq!(closed(&controller, session), None);
    inject(&mut sim, agent.address, reset.token);
    assert_eq!(closed(&controller, session), Some(Closed::Reset));
}
