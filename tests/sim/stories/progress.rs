//! Flow control that never deadlocks: credit that a writer waits for always comes.

use udpagent::session::limits::{CONSUMED_REPORT, INITIAL_STREAM_CREDIT};

use super::{MS, SECOND, meet};
use crate::caller::Pace;
use crate::cast::Tuning;
use crate::link::Link;
use crate::seeds;
use crate::work::Work;
use crate::world::World;

#[test]
fn a_writer_that_waits_for_consumption_at_the_initial_credit_is_told_of_it() {
    let mut world = World::new(0, Link::perfect(MS * 5));
    world.patience = Some(SECOND * 5);
    let (agent, laptop) = (world.agent(), world.laptop());
    let (session, _) = meet(&mut world, &laptop, &agent);
    let work = Work {
        stdin: 3 << 20,
        bound: INITIAL_STREAM_CREDIT,
        ..Work::cat(1, 3 << 20)
    };
    world.ask(&laptop, session, work);
    world.run_until(SECOND * 600, "done", |_| laptop.app.borrow().done() == 1);
    // Two ways of 3 MiB in datagrams of 1 200 bytes, acknowledged one in ten: reports ride along.
    let sent = world.network.tally.sent;
    assert!(sent < 7_500, "{sent} datagrams");
}

#[test]
fn where_both_ends_are_willing_no_stream_stands_still() {
    seeds::each(60, |seed| {
        let mut world = World::new(seed, Link::lossy(MS * 5, 0.05));
        world.patience = Some(SECOND * 10);
        if world.dice.below(2) == 0 {
            world.tuning = Tuning {
                stream_window: Some(1 + world.dice.below(2 << 20)),
                session_window: Some(1 + world.dice.below(8 << 20)),
                segments: None,
            };
        }
        let (agent, laptop) = (world.agent(), world.laptop());
        let (session, _) = meet(&mut world, &laptop, &agent);
        if world.dice.below(2) == 0 {
            laptop.app.borrow_mut().pace = Pace::Slow {
                bytes: 5_000 + world.dice.below(30_000),
                every: world.dice.between(MS, MS * 20),
            };
        }
        for id in 0..3 {
            let mut upto = |most| world.dice.below(most);
            let work = Work {
                stdin: upto(400_000),
                err: upto(200_000),
                bound: CONSUMED_REPORT + upto(INITIAL_STREAM_CREDIT),
                ..Work::cat(id, upto(400_000))
            };
            world.ask(&laptop, session, work);
        }
        world.run_until(SECOND * 600, "done", |_| laptop.app.borrow().done() == 3);
    });
}
