//! Reordering: datagrams that overtake each other cost no rate.

use std::time::Duration;

use super::{MS, connect_and_get_ticket, took};
use crate::link::Link;
use crate::nodes::Tuning;
use crate::seeds;
use crate::simulation::Simulation;
use crate::task::Task;

/// Returns the duration of a download of 8 MB over 20 Mbit/s with a round trip of 50 ms.
fn download(seed: u64, jitter: Duration, loss: f64) -> Duration {
    let mut sim = Simulation::new(seed, Link::perfect(MS * 25));
    sim.tuning = Tuning {
        segments: Some(16),
        ..Tuning::default()
    };
    let (agent, controller) = (sim.agent(), sim.controller());
    let bottleneck = Link {
        jitter,
        loss,
        ..Link::narrow(MS * 25, 2_500_000, 125_000)
    };
    sim.network
        .set_link(agent.host, controller.host, bottleneck);
    let (session, _) = connect_and_get_ticket(&mut sim, &controller, &agent);
    let task = Task::cat(1, 8_000_000);
    sim.ask(&controller, session, task);
    took(&mut sim, &controller, task)
}

/// Ten milliseconds of the link are twenty datagrams.
#[test]
fn reordering_by_twenty_datagrams_costs_no_rate() {
    for loss in [0.0, 0.01] {
        seeds::each(4, |seed| {
            let (in_order, reordered) = (download(seed, MS, loss), download(seed, MS * 10, loss));
            assert!(
                reordered < in_order * 21 / 20,
                "{in_order:?} in order, {reordered:?} reordered, with a loss of {loss}"
            );
        });
    }
}
