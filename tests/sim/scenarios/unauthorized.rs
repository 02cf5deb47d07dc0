//! A sender without an authorized key gets no answer, whatever it sends.

use std::net::SocketAddr;

use udpagent::session::Closed;

use super::{MS, SECOND, connect_and_get_ticket};
use crate::link::Link;
use crate::nodes::{Agent, Controller};
use crate::rng::{SimRng, seeded_rng};
use crate::seeds;
use crate::simulation::Simulation;
use crate::task::Task;

fn nowhere() -> SocketAddr {
    "233.252.0.1:9".parse().unwrap()
}

fn silent_to(sim: &Simulation, agent: &Agent, address: SocketAddr) {
    assert_eq!(
        sim.invariants.sent_to(sim.incarnation(agent.host), address),
        0
    );
}

#[test]
fn a_controller_whose_key_is_not_admitted_hears_nothing() {
    let mut sim = Simulation::new(0, Link::perfect(MS * 10));
    let (agent, unauthorized_controller) = (sim.agent(), sim.unauthorized_controller());
    let session = sim.connect(&unauthorized_controller, &agent, None, Some(Task::echo(1)));
    sim.run_for(SECOND * 61);
    silent_to(&sim, &agent, unauthorized_controller.address);
    let app = unauthorized_controller.app.borrow();
    assert_eq!(app.sessions[&session].closed, Some(Closed::Unreachable));
    assert_eq!(agent.app.borrow().accepted, 0);
}

#[test]
fn a_controller_that_expects_another_agent_hears_nothing() {
    let mut sim = Simulation::new(0, Link::perfect(MS * 10));
    let (agent, controller) = (sim.agent(), sim.controller());
    let other = udpagent::crypto::SecretKey::generate(&mut seeded_rng(0, "other")).public();
    let to = (other, agent.address);
    let session = sim.connect_to(&controller, to, None, Some(Task::echo(1)), SECOND * 5);
    sim.run_for(SECOND * 6);
    silent_to(&sim, &agent, controller.address);
    let app = controller.app.borrow();
    assert_eq!(app.sessions[&session].closed, Some(Closed::Unreachable));
}

#[test]
fn random_bytes_and_plain_text_are_not_answered() {
    seeds::each(50, |seed| {
        let mut sim = Simulation::new(seed, Link::perfect(MS));
        let agent = sim.agent();
        let mut rng = SimRng::new(seed, "noise");
        for _ in 0..200 {
            let len = rng.index(1400);
            let mut bytes = rng.bytes(len);
            let tag = [0xF8, 0x55, 0x41, u8::try_from(rng.below(256)).unwrap()];
            for (byte, tag) in bytes.iter_mut().zip(tag) {
                *byte = tag;
            }
            if rng.chance(0.3) {
                bytes.resize(1200, 0);
            }
            sim.inject(nowhere(), agent.address, &bytes);
        }
        sim.inject(nowhere(), agent.address, b"hello");
        sim.inject(nowhere(), agent.address, b"");
        sim.inject(nowhere(), agent.address, &[0xF8]);
        sim.run_for(SECOND * 20);
        silent_to(&sim, &agent, nowhere());
    });
}

/// A working session receives damaged copies of its own datagrams, from its own address and
/// from elsewhere: cut, prolonged, with fields changed.
#[test]
fn damaged_copies_of_genuine_datagrams_do_no_harm() {
    seeds::each(50, |seed| {
        let mut sim = Simulation::new(seed, Link::perfect(MS * 5));
        let (agent, controller) = (sim.agent(), sim.controller());
        sim.network.records = Some(Vec::new());
        let (session, ticket) = connect_and_get_ticket(&mut sim, &controller, &agent);
        sim.connect(&controller, &agent, Some(ticket), Some(Task::cat(0, 3_000)));
        for id in 1..20 {
            sim.ask(&controller, session, Task::cat(id, 1_000));
            inject_damaged(&mut sim, &agent, &controller);
            sim.run_for(MS * 4);
        }
        sim.run_until(SECOND * 30, "done", |_| {
            controller.app.borrow().done() == 20
        });
        silent_to(&sim, &agent, nowhere());
    });
}

fn inject_damaged(sim: &mut Simulation, agent: &Agent, controller: &Controller) {
    let mut records = sim.network.records.clone().expect("kept");
    records.retain(|record| record.emission.is_some());
    for _ in 0..10 {
        let record = &records[sim.rng.index(records.len())];
        let mut bytes = record.bytes.to_vec();
        match sim.rng.below(4) {
            0 => bytes.truncate(sim.rng.index(bytes.len())),
            1 => {
                let more = sim.rng.index(100) + 1;
                bytes.extend(sim.rng.bytes(more));
            }
            2 => {
                let place = sim.rng.index(bytes.len().min(24));
                bytes[place] ^= 1 << sim.rng.below(8);
            }
            _ => {
                let place = sim.rng.index(bytes.len());
                bytes[place] ^= 1 << sim.rng.below(8);
            }
        }
        if *bytes == *record.bytes {
            continue;
        }
        let to = if sim.rng.chance(0.5) {
            agent.address
        } else {
            controller.address
        };
        let from = if sim.rng.chance(0.5) {
            record.from
        } else {
            nowhere()
        };
        sim.inject(from, to, &bytes);
    }
}
