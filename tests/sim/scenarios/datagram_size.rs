//! Bulk transfers over links whose MTU is small, or becomes so.

use super::{MS, SECOND, connect_and_get_ticket, took};
use crate::link::Link;
use crate::seeds;
use crate::simulation::Simulation;
use crate::task::Task;

/// Bytes of a download.
const SIZE: u64 = 4_000_000;

fn link(mtu: usize, loss: f64) -> Link {
    Link {
        mtu,
        ..Link::lossy(MS * 10, loss)
    }
}

/// Downloads over a link of one MTU; returns the number of datagrams sent, and of those too large for it.
fn download(seed: u64, mtu: usize, loss: f64) -> (u64, u64) {
    let mut sim = Simulation::new(seed, link(mtu, loss));
    let (agent, controller) = (sim.agent(), sim.controller());
    let (session, _) = connect_and_get_ticket(&mut sim, &controller, &agent);
    let task = Task::cat(1, SIZE);
    sim.ask(&controller, session, task);
    took(&mut sim, &controller, task);
    let counters = sim.network.counters;
    (counters.sent, counters.oversized)
}

#[test]
fn a_download_uses_the_datagrams_that_the_link_carries() {
    seeds::each(20, |seed| {
        let small = download(seed, 1200, 0.0).0;
        for (mtu, most) in [
            (1472, small * 9 / 10),
            (8972, small / 3),
            (65_507, small / 3),
        ] {
            let (sent, oversized) = download(seed, mtu, 0.0);
            assert!(sent < most, "{sent} of {small} datagrams of {mtu}");
            assert!(oversized <= 12, "{oversized} datagrams too large");
        }
    });
}

#[test]
fn random_loss_does_not_hide_the_size_of_a_link() {
    seeds::each(20, |seed| {
        let small = download(seed, 1200, 0.05).0;
        let large = download(seed, 8972, 0.05).0;
        assert!(large < small / 3, "{large} datagrams, {small} small ones");
    });
}

#[test]
fn a_link_that_shrinks_during_a_download_ends_no_session_and_loses_no_byte() {
    seeds::each(20, |seed| {
        let mut sim = Simulation::new(seed, link(65_507, 0.01));
        sim.stall_timeout = Some(SECOND * 2);
        let (agent, controller) = (sim.agent(), sim.controller());
        let (session, _) = connect_and_get_ticket(&mut sim, &controller, &agent);
        let task = Task::cat(1, SIZE);
        sim.ask(&controller, session, task);
        for mtu in [8972, 1472, 1300] {
            sim.run_for(MS * 200);
            let shrunk = link(mtu, 0.01);
            sim.network.set_link(agent.host, controller.host, shrunk);
        }
        took(&mut sim, &controller, task);
    });
}
