//! Random loss of up to 30 %, and single losses at every position.

use super::{MS, SECOND, connect_and_get_ticket};
use crate::link::Link;
use crate::seeds;
use crate::simulation::Simulation;
use crate::task::Task;

#[test]
fn at_30_percent_loss_both_ways_a_thousand_commands_each_run_once_and_every_byte_arrives() {
    seeds::each(8, |seed| {
        let mut sim = Simulation::new(seed, Link::lossy(MS * 25, 0.3));
        let (agent, controller) = (sim.agent(), sim.controller());
        let (session, _) = connect_and_get_ticket(&mut sim, &controller, &agent);
        for id in 0..1_000 {
            let task = Task {
                err: id % 3 * 50,
                stdin: if id % 10 == 0 { 500 } else { 0 },
                ..Task::cat(id, id % 50 * 40)
            };
            sim.ask(&controller, session, task);
        }
        sim.run_until(SECOND * 600, "done", |_| {
            controller.app.borrow().pending() == 0
        });
        assert_eq!(controller.app.borrow().done(), 1_000);
        assert_eq!(agent.app.borrow().started(), 1_000);
    });
}

#[test]
fn at_30_percent_loss_a_megabyte_arrives_in_order() {
    seeds::each(8, |seed| {
        let mut sim = Simulation::new(seed, Link::lossy(MS * 10, 0.3));
        let (agent, controller) = (sim.agent(), sim.controller());
        let (session, _) = connect_and_get_ticket(&mut sim, &controller, &agent);
        let task = Task {
            stdin: 200_000,
            ..Task::cat(1, 1 << 20)
        };
        sim.ask(&controller, session, task);
        sim.run_until(SECOND * 300, "done", |_| {
            controller.app.borrow().done() == 1
        });
    });
}

#[test]
fn a_lost_init_costs_less_than_a_second() {
    // The first datagram each way, or the first two, are lost.
    for (lost_up, lost_down) in [(1, 0), (0, 1), (2, 0), (0, 2), (1, 1)] {
        let mut sim = Simulation::new(0, Link::perfect(MS * 20));
        let (agent, controller) = (sim.agent(), sim.controller());
        sim.network.lose_next(controller.host, agent.host, lost_up);
        sim.network
            .lose_next(agent.host, controller.host, lost_down);
        let started = sim.now();
        connect_and_get_ticket(&mut sim, &controller, &agent);
        let took = sim.now().since(started);
        assert!(took < SECOND, "{lost_up} and {lost_down} lost: {took:?}");
    }
}

#[test]
fn a_lost_tail_is_retransmitted_within_a_few_round_trips() {
    // The loss of any single datagram delays the command only a little.
    for lost in 0..8 {
        for direction in 0..2 {
            let mut sim = Simulation::new(0, Link::perfect(MS * 20));
            let (agent, controller) = (sim.agent(), sim.controller());
            let (session, _) = connect_and_get_ticket(&mut sim, &controller, &agent);
            sim.run_for(SECOND);
            let way = if direction == 0 {
                (controller.host, agent.host)
            } else {
                (agent.host, controller.host)
            };
            sim.network.lose_one_after(way.0, way.1, lost);
            let started = sim.now();
            sim.ask(&controller, session, Task::cat(1, 5_000));
            sim.run_until(SECOND * 10, "done", |_| controller.app.borrow().done() == 1);
            let took = sim.now().since(started);
            assert!(took < MS * 400, "number {lost} lost: {took:?}");
        }
    }
}
