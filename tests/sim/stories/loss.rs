//! Loss alone, in amounts that end most protocols.

use super::{MS, SECOND, meet};
use crate::link::Link;
use crate::seeds;
use crate::work::Work;
use crate::world::World;

#[test]
fn at_30_percent_loss_both_ways_a_thousand_commands_each_run_once_and_every_byte_arrives() {
    seeds::each(8, |seed| {
        let mut world = World::new(seed, Link::lossy(MS * 25, 0.3));
        let (agent, laptop) = (world.agent(), world.laptop());
        let (session, _) = meet(&mut world, &laptop, &agent);
        for id in 0..1_000 {
            let work = Work {
                err: id % 3 * 50,
                stdin: if id % 10 == 0 { 500 } else { 0 },
                ..Work::cat(id, id % 50 * 40)
            };
            world.ask(&laptop, session, work);
        }
        world.run_until(SECOND * 600, "done", |_| laptop.app.borrow().pending() == 0);
        assert_eq!(laptop.app.borrow().done(), 1_000);
        assert_eq!(agent.app.borrow().started(), 1_000);
    });
}

#[test]
fn at_30_percent_loss_a_megabyte_arrives_in_order() {
    seeds::each(8, |seed| {
        let mut world = World::new(seed, Link::lossy(MS * 10, 0.3));
        let (agent, laptop) = (world.agent(), world.laptop());
        let (session, _) = meet(&mut world, &laptop, &agent);
        let work = Work {
            stdin: 200_000,
            ..Work::cat(1, 1 << 20)
        };
        world.ask(&laptop, session, work);
        world.run_until(SECOND * 300, "done", |_| laptop.app.borrow().done() == 1);
    });
}

#[test]
fn a_lost_first_flight_costs_less_than_a_second() {
    // The first datagram each way, or the first two, are lost.
    for (lost_up, lost_down) in [(1, 0), (0, 1), (2, 0), (0, 2), (1, 1)] {
        let mut world = World::new(0, Link::perfect(MS * 20));
        let (agent, laptop) = (world.agent(), world.laptop());
        world.network.lose_next(laptop.host, agent.host, lost_up);
        world.network.lose_next(agent.host, laptop.host, lost_down);
        let started = world.now();
        meet(&mut world, &laptop, &agent);
        let took = world.now().since(started);
        assert!(took < SECOND, "{lost_up} and {lost_down} lost: {took:?}");
    }
}

#[test]
fn a_lost_tail_is_repeated_within_a_few_round_trips() {
    // Whichever single datagram of the exchange is lost, the command is not much later for it.
    for lost in 0..8 {
        for direction in 0..2 {
            let mut world = World::new(0, Link::perfect(MS * 20));
            let (agent, laptop) = (world.agent(), world.laptop());
            let (session, _) = meet(&mut world, &laptop, &agent);
            world.run_for(SECOND);
            let way = if direction == 0 {
                (laptop.host, agent.host)
            } else {
                (agent.host, laptop.host)
            };
            world.network.lose_one_after(way.0, way.1, lost);
            let started = world.now();
            world.ask(&laptop, session, Work::cat(1, 5_000));
            world.run_until(SECOND * 10, "done", |_| laptop.app.borrow().done() == 1);
            let took = world.now().since(started);
            assert!(took < MS * 400, "number {lost} lost: {took:?}");
        }
    }
}
