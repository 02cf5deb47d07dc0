//! Downloads through a queue that marks datagrams instead of dropping them.

use super::{MS, connect_and_get_ticket, took};
use crate::link::Link;
use crate::seeds;
use crate::simulation::Simulation;
use crate::task::Task;

/// Bytes per second of the link towards the controller.
const RATE: u64 = 2_500_000;

/// Bandwidth-delay product of the link, with a round trip of 50 ms.
const BDP: u64 = RATE / 20;

/// Downloads through a queue of one BDP, of which datagrams behind more than `mark_above` bytes are marked.
fn download(seed: u64, mark_above: u64) -> (Simulation, u128) {
    let mut sim = Simulation::new(seed, Link::perfect(MS * 25));
    let (agent, controller) = (sim.agent(), sim.controller());
    let bottleneck = Link {
        mark_above,
        ..Link::narrow(MS * 25, RATE, BDP)
    };
    sim.network
        .set_link(agent.host, controller.host, bottleneck);
    let (session, _) = connect_and_get_ticket(&mut sim, &controller, &agent);
    let task = Task::cat(1, 8_000_000);
    sim.ask(&controller, session, task);
    let took = took(&mut sim, &controller, task).as_millis();
    (sim, took)
}

#[test]
fn marks_slow_a_download_before_its_queue_overflows() {
    seeds::each(10, |seed| {
        let (unmarked, without) = download(seed, u64::MAX);
        let (marked, with) = download(seed, BDP / 8);
        assert!(unmarked.network.counters.overflowed > 20);
        let counters = marked.network.counters;
        assert!(counters.marked > 0, "{counters:?}");
        assert!(
            counters.overflowed * 3 <= unmarked.network.counters.overflowed,
            "{counters:?}, {:?}",
            unmarked.network.counters
        );
        assert!(with * 4 <= without * 5, "{with} ms, {without} ms");
    });
}
