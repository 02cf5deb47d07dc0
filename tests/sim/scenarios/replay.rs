//! Every datagram of an exchange is recorded and replayed: nothing starts, and no byte goes to an address
//! that the datagrams did not come from.

use std::net::SocketAddr;

use udpagent::session::Command;

use super::{MS, SECOND, connect_and_get_ticket};
use crate::link::Link;
use crate::network::Record;
use crate::nodes::{Agent, Controller};
use crate::seeds;
use crate::simulation::Simulation;
use crate::task::Task;

const ELSEWHERE: ([u8; 4], u16) = ([233, 252, 0, 66], 4444);

/// Two sessions, the second with an early command, under some loss, all recorded.
fn exchange(seed: u64) -> (Simulation, Agent, Controller, Vec<Record>) {
    let link = Link {
        loss: 0.05,
        duplicate: 0.05,
        ..Link::perfect(MS * 20)
    };
    let mut sim = Simulation::new(seed, link);
    sim.network.records = Some(Vec::new());
    let (agent, controller) = (sim.agent(), sim.controller());
    let (first, ticket) = connect_and_get_ticket(&mut sim, &controller, &agent);
    let second = sim.connect(&controller, &agent, Some(ticket), Some(Task::echo(0)));
    for id in 1..10 {
        let session = if id % 2 == 0 { first } else { second };
        let task = Task {
            stdin: 300 * (id % 3),
            ..Task::cat(id, 500 * id)
        };
        sim.ask(&controller, session, task);
    }
    sim.run_until(SECOND * 60, "done", |_| {
        controller.app.borrow().done() == 10
    });
    sim.run_for(SECOND);
    let records = sim.network.records.take().expect("kept");
    (sim, agent, controller, records)
}

fn close_all(sim: &mut Simulation, controller: &Controller) {
    let open: Vec<_> = controller.app.borrow().sessions.keys().copied().collect();
    for session in open {
        let close = Command::Close {
            session,
            code: 0,
            reason: String::new(),
        };
        sim.act(controller.host, vec![close]);
    }
    sim.run_for(SECOND);
}

/// Replays all of them, 1 ms apart, from `from` or from their own addresses.
fn again(sim: &mut Simulation, records: &[Record], from: Option<SocketAddr>) {
    for record in records {
        let from = from.unwrap_or(record.from);
        sim.inject(from, record.to, &record.bytes);
        sim.run_for(MS);
    }
    sim.run_for(SECOND * 5);
}

/// The whole recording, in order and shuffled, from its own addresses and from elsewhere.
fn replay_every_way(sim: &mut Simulation, agent: &Agent, records: &[Record]) {
    let asked = agent.app.borrow().asked.clone();
    let mut shuffled = records.to_vec();
    sim.rng.shuffle(&mut shuffled);
    let elsewhere = SocketAddr::from(ELSEWHERE);
    for list in [records, &shuffled] {
        for from in [None, Some(elsewhere)] {
            again(sim, list, from);
            assert_eq!(agent.app.borrow().asked, asked, "a command came again");
            let sent = sim
                .invariants
                .sent_to(sim.incarnation(agent.host), elsewhere);
            assert_eq!(sent, 0, "bytes went to the other address");
        }
    }
}

#[test]
fn a_replay_while_the_sessions_are_open_starts_nothing() {
    seeds::each(20, |seed| {
        let (mut sim, agent, controller, records) = exchange(seed);
        replay_every_way(&mut sim, &agent, &records);
        // The sessions still work.
        let open: Vec<_> = controller.app.borrow().sessions.keys().copied().collect();
        for (session, id) in open.into_iter().zip(100..) {
            sim.ask(&controller, session, Task::echo(id));
        }
        sim.run_until(SECOND * 10, "done", |_| {
            controller.app.borrow().done() == 12
        });
    });
}

#[test]
fn a_replay_after_the_sessions_are_closed_starts_nothing() {
    seeds::each(20, |seed| {
        let (mut sim, agent, controller, records) = exchange(seed);
        close_all(&mut sim, &controller);
        let before = agent.app.borrow().accepted;
        replay_every_way(&mut sim, &agent, &records);
        assert_eq!(agent.app.borrow().accepted, before, "a session was opened");
    });
}

#[test]
fn a_replay_after_an_hour_starts_nothing() {
    seeds::each(5, |seed| {
        let (mut sim, agent, controller, records) = exchange(seed);
        close_all(&mut sim, &controller);
        sim.run_for(SECOND * 3600);
        replay_every_way(&mut sim, &agent, &records);
    });
}

#[test]
fn a_replay_after_an_agent_restart_starts_nothing() {
    seeds::each(20, |seed| {
        let (mut sim, agent, controller, records) = exchange(seed);
        close_all(&mut sim, &controller);
        sim.restart(&agent);
        replay_every_way(&mut sim, &agent, &records);
        assert_eq!(agent.app.borrow().accepted, 2, "a session was opened");
    });
}

#[test]
fn a_captured_init_that_the_agent_never_received_starts_nothing() {
    // The agent was down when the INIT was sent; an attacker sends the captured INIT later.
    seeds::each(20, |seed| {
        let mut sim = Simulation::new(seed, Link::perfect(MS * 20));
        let (agent, controller) = (sim.agent(), sim.controller());
        let (_, ticket) = connect_and_get_ticket(&mut sim, &controller, &agent);
        sim.kill(&agent);
        sim.network.records = Some(Vec::new());
        sim.connect(&controller, &agent, Some(ticket), Some(Task::echo(1)));
        sim.run_for(SECOND * 61);
        assert_eq!(controller.app.borrow().pending(), 0, "it has given up");
        let records = sim.network.records.take().expect("kept");
        sim.restart(&agent);
        let starts = agent.app.borrow().starts.clone();
        // The agent answers, as it would on a slow network, but refuses the early command.
        for record in records {
            sim.forward(&record, record.from);
            sim.run_for(MS);
        }
        sim.run_for(SECOND * 5);
        assert_eq!(agent.app.borrow().starts, starts, "a captured command ran");
    });
}
