//! What a session costs when nothing happens, and how its end is noticed.

use udpagent::session::limits::{IDLE, KEEPALIVE};
use udpagent::session::{Closed, Command};

use super::{MS, SECOND, meet};
use crate::link::Link;
use crate::work::Work;
use crate::world::World;

#[test]
fn an_idle_session_sends_nothing_and_is_forgotten_by_both() {
    let mut world = World::new(0, Link::perfect(MS * 20));
    let (agent, laptop) = (world.agent(), world.laptop());
    let (session, _) = meet(&mut world, &laptop, &agent);
    world.run_for(SECOND);
    let sent = world.network.tally.sent;
    world.run_for(IDLE.saturating_sub(SECOND * 5));
    assert_eq!(world.network.tally.sent, sent);
    assert_eq!(laptop.app.borrow().sessions[&session].closed, None);
    world.run_for(SECOND * 10);
    assert_eq!(agent.app.borrow().closed, [Closed::Lost]);
    let closed = laptop.app.borrow().sessions[&session].closed.clone();
    assert_eq!(closed, Some(Closed::Lost));
    let wakes = world.wakes(laptop.host);
    assert!(wakes.timer < 20, "{wakes:?}");
}

#[test]
fn somebody_who_waits_keeps_the_nat_open_and_the_session_alive() {
    let mut world = World::new(0, Link::perfect(MS * 20));
    let (agent, laptop) = (world.agent(), world.laptop());
    let (session, _) = meet(&mut world, &laptop, &agent);
    let work = Work {
        takes: SECOND * 1_000,
        ..Work::echo(1)
    };
    world.ask(&laptop, session, work);
    world.run_for(SECOND);
    let sent = world.network.tally.sent;
    world.run_for(SECOND * 990);
    let per_ping = (world.network.tally.sent - sent) / (990 / KEEPALIVE.as_secs());
    assert!(
        (1..=4).contains(&per_ping),
        "{per_ping} datagrams for each question"
    );
    world.run_until(SECOND * 20, "done", |_| laptop.app.borrow().done() == 1);
    drop(agent);
}

#[test]
fn a_watched_session_is_asked_as_often_as_was_said() {
    let mut world = World::new(0, Link::perfect(MS * 20));
    let (agent, laptop) = (world.agent(), world.laptop());
    let (session, _) = meet(&mut world, &laptop, &agent);
    let watch = Command::Watch {
        session,
        silence: SECOND * 3,
        ping: Some(SECOND),
    };
    world.act(laptop.host, vec![watch]);
    world.run_for(SECOND);
    let received = world.wakes(agent.host).received;
    world.run_for(SECOND * 100);
    let asked = world.wakes(agent.host).received - received;
    assert!((90..=210).contains(&asked), "{asked} in 100 s");
    assert_eq!(laptop.app.borrow().sessions[&session].silences, 0);
}

#[test]
fn a_good_bye_is_heard_and_a_lost_one_does_no_harm() {
    for lost in [false, true] {
        let mut world = World::new(0, Link::perfect(MS * 20));
        let (agent, laptop) = (world.agent(), world.laptop());
        let (session, _) = meet(&mut world, &laptop, &agent);
        world.run_for(SECOND);
        if lost {
            world.network.lose_next(laptop.host, agent.host, 10);
        }
        let close = Command::Close {
            session,
            code: 7,
            reason: "enough".into(),
        };
        world.act(laptop.host, vec![close]);
        world.run_for(SECOND);
        let closed = laptop.app.borrow().sessions[&session].closed.clone();
        assert_eq!(closed, Some(Closed::Local));
        world.run_for(IDLE);
        let expected = if lost {
            Closed::Lost
        } else {
            Closed::ByPeer {
                code: 7,
                reason: "enough".into(),
            }
        };
        assert_eq!(agent.app.borrow().closed, [expected]);
    }
}
