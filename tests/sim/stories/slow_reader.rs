//! A reader that does not keep up: the writer stalls, nobody's memory grows, and every byte comes.

use udpagent::session::limits::{SESSION_WINDOW, STREAM_WINDOW};

use super::{MS, SECOND, meet};
use crate::caller::{Fate, Pace};
use crate::cast::Tuning;
use crate::link::Link;
use crate::seeds;
use crate::work::Work;
use crate::world::World;

#[test]
fn a_reader_that_stops_stalls_the_writer_and_then_gets_every_byte() {
    let mut world = World::new(0, Link::perfect(MS * 5));
    let (agent, laptop) = (world.agent(), world.laptop());
    let (session, _) = meet(&mut world, &laptop, &agent);
    laptop.app.borrow_mut().pace = Pace::Stopped;
    world.ask(&laptop, session, Work::cat(1, 20 << 20));
    world.run_for(SECOND * 20);

    let held = laptop.app.borrow().unread();
    assert!(
        held <= STREAM_WINDOW + 8,
        "{held} bytes wait for the reader"
    );
    let written = agent.app.borrow().written(1);
    assert!(
        written <= STREAM_WINDOW + 8,
        "{written} bytes were handed to the machine"
    );
    let sent = world.network.tally.sent;
    world.run_for(SECOND * 10);
    let more = world.network.tally.sent - sent;
    assert!(more < 20, "{more} datagrams sent while nothing can move");

    laptop.app.borrow_mut().wake(Pace::Slow {
        bytes: 64 << 10,
        every: MS * 10,
    });
    world.act(laptop.host, Vec::new());
    world.run_until(SECOND * 60, "done", |_| laptop.app.borrow().done() == 1);
    let most = world.host(laptop.host).most_unread();
    // The answer on the control lane waits beside them.
    assert!(most <= STREAM_WINDOW + 8, "{most} bytes waited at once");
}

#[test]
fn a_stalled_lane_holds_up_no_other_call() {
    let mut world = World::new(0, Link::perfect(MS * 5));
    let (agent, laptop) = (world.agent(), world.laptop());
    let (session, _) = meet(&mut world, &laptop, &agent);
    laptop.app.borrow_mut().pace = Pace::Stopped;
    world.ask(&laptop, session, Work::cat(1, 5 << 20));
    world.run_for(SECOND * 5);
    laptop.app.borrow_mut().stalled = Some(1);
    laptop.app.borrow_mut().pace = Pace::Eager;
    for id in 2..20 {
        world.ask(&laptop, session, Work::cat(id, 300_000));
    }
    world.run_until(SECOND * 20, "done", |_| laptop.app.borrow().done() == 18);
    assert!(matches!(laptop.app.borrow().fate(1), Some(Fate::Asked(_))));
}

#[test]
fn all_calls_together_stay_within_the_sessions_window() {
    let mut world = World::new(0, Link::perfect(MS * 5));
    let (agent, laptop) = (world.agent(), world.laptop());
    let (session, _) = meet(&mut world, &laptop, &agent);
    laptop.app.borrow_mut().pace = Pace::Stopped;
    for id in 0..16 {
        let work = Work {
            err: 2 << 20,
            ..Work::cat(id, 2 << 20)
        };
        world.ask(&laptop, session, work);
    }
    world.run_for(SECOND * 20);
    let held = laptop.app.borrow().unread();
    assert!(held <= SESSION_WINDOW, "{held} bytes wait for the reader");
    assert!(
        held > SESSION_WINDOW / 2,
        "{held}: the window is there to be used"
    );
}

#[test]
fn slow_readers_small_windows_and_loss_together_lose_nothing() {
    seeds::each(60, |seed| {
        let mut world = World::new(seed, Link::lossy(MS * 5, 0.1));
        world.tuning = Tuning {
            stream_window: Some(1 + world.dice.below(80_000)),
            session_window: Some(1 + world.dice.below(300_000)),
            segments: None,
        };
        let (agent, laptop) = (world.agent(), world.laptop());
        let (session, _) = meet(&mut world, &laptop, &agent);
        laptop.app.borrow_mut().pace = Pace::Slow {
            bytes: 1 + world.dice.below(30_000),
            every: world.dice.between(MS, MS * 50),
        };
        let slow = Pace::Slow {
            bytes: 5_000,
            every: MS * 5,
        };
        laptop.app.borrow_mut().pace = slow;
        for id in 0..4 {
            let work = Work {
                err: 20_000,
                stdin: 100_000,
                ..Work::cat(id, 200_000)
            };
            world.ask(&laptop, session, work);
        }
        world.run_until(SECOND * 300, "done", |_| laptop.app.borrow().done() == 4);
        assert_eq!(agent.app.borrow().started(), 4);
    });
}
