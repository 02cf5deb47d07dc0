//! Migration: the controller's address changes, by NAT rebinding or a move to another network.

use std::net::SocketAddr;

use udpagent::session::limits::{AMPLIFICATION, KEEPALIVE};
use udpagent::session::{Closed, Command, SessionHandle};

use super::{MS, SECOND, connect_and_get_ticket};
use crate::link::Link;
use crate::nodes::{Agent, Controller};
use crate::seeds;
use crate::simulation::Simulation;
use crate::task::Task;

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn downloading(seed: u64, link: Link) -> (Simulation, Agent, Controller, SessionHandle) {
    let mut sim = Simulation::new(seed, link);
    let (agent, controller) = (sim.agent(), sim.controller());
    let (session, _) = connect_and_get_ticket(&mut sim, &controller, &agent);
    sim.ask(&controller, session, Task::cat(1, 2_000_000));
    sim.run_for(MS * 300);
    assert_eq!(
        controller.app.borrow().done(),
        0,
        "the transfer is under way"
    );
    (sim, agent, controller, session)
}

fn watch(sim: &mut Simulation, controller: &Controller, session: SessionHandle) {
    let watch = Command::Watch {
        session,
        silence: SECOND * 5,
        ping: Some(SECOND),
    };
    sim.act(controller.host, vec![watch]);
}

fn finish(sim: &mut Simulation, controller: &Controller, limit: std::time::Duration) {
    sim.run_until(limit, "downloaded", |_| controller.app.borrow().done() == 1);
}

/// 8 Mbit/s: two megabytes take two seconds.
fn dsl() -> Link {
    Link::narrow(MS * 20, 1_000_000, 100_000)
}

#[test]
fn a_download_survives_a_new_port() {
    let (mut sim, agent, controller, _) = downloading(0, dsl());
    sim.network
        .rebind(controller.address, address("198.51.100.2:50001"));
    // Nothing notifies the controller; it pings after its keep-alive interval.
    finish(&mut sim, &controller, KEEPALIVE + SECOND * 10);
    assert_eq!(agent.app.borrow().moved.len(), 1);
}

#[test]
fn a_download_survives_a_new_address_soon_when_silence_is_watched() {
    let (mut sim, agent, controller, session) = downloading(0, dsl());
    watch(&mut sim, &controller, session);
    sim.network
        .rebind(controller.address, address("203.0.113.77:1024"));
    finish(&mut sim, &controller, SECOND * 10);
    let moved = agent.app.borrow().moved.clone();
    assert_eq!(moved.len(), 1);
    assert_eq!(moved[0].remote, address("203.0.113.77:1024").into());
}

#[test]
fn an_upload_survives_a_new_address_at_once() {
    let mut sim = Simulation::new(0, dsl());
    let (agent, controller) = (sim.agent(), sim.controller());
    let (session, _) = connect_and_get_ticket(&mut sim, &controller, &agent);
    let task = Task {
        stdin: 2_000_000,
        ..Task::echo(1)
    };
    sim.ask(&controller, session, task);
    sim.run_for(MS * 300);
    sim.network
        .rebind(controller.address, address("203.0.113.77:1024"));
    finish(&mut sim, &controller, SECOND * 10);
    assert_eq!(agent.app.borrow().moved.len(), 1);
}

#[test]
fn a_download_survives_repeated_address_changes_under_loss() {
    seeds::each(40, |seed| {
        let link = Link {
            loss: 0.05,
            jitter: MS * 5,
            ..dsl()
        };
        let (mut sim, _, controller, session) = downloading(seed, link);
        watch(&mut sim, &controller, session);
        for change in 0..10u8 {
            let pause = sim.rng.between(MS * 50, SECOND * 3);
            sim.run_for(pause);
            let outer = if sim.rng.chance(0.5) {
                SocketAddr::from(([203, 0, 113, 1], 2000 + u16::from(change)))
            } else {
                SocketAddr::from(([203, 0, 113, 100 + change], 1024))
            };
            sim.network.rebind(controller.address, outer);
        }
        finish(&mut sim, &controller, SECOND * 120);
    });
}

/// An on-path attacker near the controller forwards its datagrams from a victim's address, so that the
/// copies arrive before the originals.
#[test]
fn forwarding_genuine_datagrams_from_a_spoofed_address_amplifies_little_and_the_session_survives() {
    seeds::each(20, |seed| {
        let (mut sim, agent, controller, session) = downloading(seed, dsl());
        watch(&mut sim, &controller, session);
        let victim = address("233.252.0.9:53");
        sim.network.records = Some(Vec::new());
        let mut seen = 0;
        for _ in 0..200 {
            sim.run_for(MS * 2);
            let records = sim.network.records.clone().expect("kept");
            let mut fresh: Vec<_> = records[seen..].to_vec();
            seen = records.len();
            fresh.retain(|record| record.from == controller.address && sim.rng.chance(0.5));
            for record in fresh {
                sim.forward(&record, victim);
            }
        }
        sim.network.records = None;
        finish(&mut sim, &controller, SECOND * 60);
        let sent = sim.invariants.sent_to(sim.incarnation(agent.host), victim);
        let bound = AMPLIFICATION * sim.network.counters.sent * 1_200;
        assert!(sent < bound, "{sent} bytes");
        assert!(
            agent
                .app
                .borrow()
                .moved
                .iter()
                .all(|path| path.remote != victim.into())
        );
    });
}

#[test]
fn a_download_survives_a_suspend_of_a_minute() {
    let (mut sim, _, controller, session) = downloading(0, dsl());
    watch(&mut sim, &controller, session);
    sim.sleep(controller.host, SECOND * 60);
    sim.run_for(SECOND * 60);
    sim.network
        .rebind(controller.address, address("203.0.113.5:9999"));
    finish(&mut sim, &controller, SECOND * 10);
}

#[test]
fn both_ends_report_the_session_lost_after_a_suspend_of_an_hour() {
    let (mut sim, agent, controller, session) = downloading(0, dsl());
    sim.sleep(controller.host, SECOND * 3600);
    sim.run_for(SECOND * 3600 + SECOND * 200);
    assert_eq!(agent.app.borrow().closed, [Closed::Lost]);
    let closed = controller.app.borrow().sessions[&session].closed.clone();
    assert_eq!(closed, Some(Closed::Lost));
}

#[test]
fn a_path_that_carries_nothing_above_1200_bytes_carries_a_session() {
    let link = Link { mtu: 1200, ..dsl() };
    let (mut sim, _, controller, _) = downloading(0, link);
    finish(&mut sim, &controller, SECOND * 10);
}

#[test]
fn a_download_survives_a_smaller_path_mtu() {
    let (mut sim, agent, controller, _) = downloading(0, dsl());
    let smaller = Link { mtu: 1280, ..dsl() };
    sim.network.set_link(agent.host, controller.host, smaller);
    finish(&mut sim, &controller, SECOND * 30);
}
