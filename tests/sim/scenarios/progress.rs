//! Flow control without deadlock: credit that a writer waits for always arrives.

use udpagent::session::limits::{CONSUMED_REPORT, INITIAL_STREAM_CREDIT};

use super::{MS, SECOND, connect_and_get_ticket};
use crate::caller::Pace;
use crate::link::Link;
use crate::nodes::Tuning;
use crate::seeds;
use crate::simulation::Simulation;
use crate::task::Task;

#[test]
fn a_writer_that_waits_at_the_initial_credit_learns_of_consumption() {
    let mut sim = Simulation::new(0, Link::perfect(MS * 5));
    sim.stall_timeout = Some(SECOND * 5);
    let (agent, controller) = (sim.agent(), sim.controller());
    let (session, _) = connect_and_get_ticket(&mut sim, &controller, &agent);
    let task = Task {
        stdin: 3 << 20,
        bound: INITIAL_STREAM_CREDIT,
        ..Task::cat(1, 3 << 20)
    };
    sim.ask(&controller, session, task);
    sim.run_until(SECOND * 600, "done", |_| {
        controller.app.borrow().done() == 1
    });
    // 3 MiB each way in datagrams of 1200 bytes, with one ACK for ten: reports cost no datagrams of their own.
    let sent = sim.network.counters.sent;
    assert!(sent < 7_500, "{sent} datagrams");
}

#[test]
fn a_stream_with_a_willing_writer_and_reader_makes_progress() {
    seeds::each(60, |seed| {
        let mut sim = Simulation::new(seed, Link::lossy(MS * 5, 0.05));
        sim.stall_timeout = Some(SECOND * 10);
        if sim.rng.below(2) == 0 {
            sim.tuning = Tuning {
                sessions_per_key: None,
                stream_window: Some(1 + sim.rng.below(2 << 20)),
                session_window: Some(1 + sim.rng.below(8 << 20)),
                bytes_per_key: None,
                segments: None,
            };
        }
        let (agent, controller) = (sim.agent(), sim.controller());
        let (session, _) = connect_and_get_ticket(&mut sim, &controller, &agent);
        if sim.rng.below(2) == 0 {
            controller.app.borrow_mut().pace = Pace::Slow {
                bytes: 5_000 + sim.rng.below(30_000),
                every: sim.rng.between(MS, MS * 20),
            };
        }
        for id in 0..3 {
            let mut up_to = |most| sim.rng.below(most);
            let task = Task {
                stdin: up_to(400_000),
                err: up_to(200_000),
                bound: CONSUMED_REPORT + up_to(INITIAL_STREAM_CREDIT),
                ..Task::cat(id, up_to(400_000))
            };
            sim.ask(&controller, session, task);
        }
        sim.run_until(SECOND * 600, "done", |_| {
            controller.app.borrow().done() == 3
        });
    });
}
