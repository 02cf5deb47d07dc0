//! The agent dies in the middle of things, and another of the same key comes.

use udpagent::session::limits::IDLE;
use udpagent::session::{Closed, Command, SessionHandle};

use super::{MS, SECOND, meet, took};
use crate::caller::Fate;
use crate::cast::{Agent, Laptop};
use crate::link::Link;
use crate::seeds;
use crate::work::Work;
use crate::world::World;

fn in_the_middle(seed: u64, loss: f64) -> (World, Agent, Laptop, SessionHandle) {
    let mut world = World::new(seed, Link::lossy(MS * 20, loss));
    let (agent, laptop) = (world.agent(), world.laptop());
    let (session, _) = meet(&mut world, &laptop, &agent);
    for id in 0..40 {
        let work = Work {
            takes: MS * 200,
            ..Work::cat(id, 3_000)
        };
        world.ask(&laptop, session, work);
    }
    world.run_for(MS * 400);
    (world, agent, laptop, session)
}

#[test]
fn what_was_asked_of_an_agent_that_died_fails_and_is_never_started_again() {
    seeds::each(30, |seed| {
        let (mut world, agent, laptop, session) = in_the_middle(seed, 0.1);
        let before = agent.app.borrow().started();
        assert!(before > 0);
        world.restart(&agent);
        world.run_for(IDLE * 2);
        let app = laptop.app.borrow();
        assert_eq!(app.sessions[&session].closed, Some(Closed::Lost));
        assert_eq!(app.pending(), 0);
        assert_eq!(
            agent.app.borrow().started(),
            before,
            "the new one started nothing"
        );
        let failed = |id| matches!(app.fate(id), Some(Fate::Failed(Closed::Lost)));
        assert!((0..40).any(failed));
    });
}

#[test]
fn silence_is_told_after_the_time_that_was_asked_for() {
    let (mut world, agent, laptop, session) = in_the_middle(0, 0.0);
    let watch = Command::Watch {
        session,
        silence: SECOND * 5,
        ping: Some(SECOND),
    };
    world.act(laptop.host, vec![watch]);
    world.kill(&agent);
    let died = world.now();
    world.run_until(SECOND * 10, "silent", |_| {
        laptop.app.borrow().sessions[&session].silences == 1
    });
    let told = world.now().since(died);
    assert!(
        told >= SECOND * 4 && told <= SECOND * 5 + MS * 50,
        "{told:?}"
    );
}

#[test]
fn a_silent_agent_that_comes_back_is_heard() {
    let (mut world, agent, laptop, session) = in_the_middle(0, 0.0);
    let watch = Command::Watch {
        session,
        silence: SECOND * 5,
        ping: Some(SECOND),
    };
    world.act(laptop.host, vec![watch]);
    world.sleep(agent.host, SECOND * 30);
    world.run_until(SECOND * 60, "done", |_| laptop.app.borrow().done() == 40);
    let app = laptop.app.borrow();
    let state = &app.sessions[&session];
    assert_eq!((state.silences, state.returns), (1, 1));
}

#[test]
fn a_new_session_with_the_new_agent_works_while_the_old_one_is_still_mourned() {
    let (mut world, agent, laptop, _) = in_the_middle(0, 0.0);
    world.restart(&agent);
    let (second, _) = meet(&mut world, &laptop, &agent);
    world.ask(&laptop, second, Work::echo(1000));
    world.run_until(SECOND, "done", |_| {
        matches!(laptop.app.borrow().fate(1000), Some(Fate::Done(_)))
    });
}

#[test]
fn a_first_flight_that_was_under_way_while_the_agent_restarted_runs_once() {
    seeds::each(100, |seed| {
        let mut world = World::new(seed, Link::lossy(MS * 20, 0.2));
        let (agent, laptop) = (world.agent(), world.laptop());
        let (_, ticket) = meet(&mut world, &laptop, &agent);
        world.connect(&laptop, &agent, Some(ticket), Some(Work::echo(1)));
        let pause = world.dice.upto(MS * 70);
        world.run_for(pause);
        world.restart(&agent);
        // The judge in the agent's application panics at a second start, whichever life it is in.
        world.run_until(IDLE * 3, "over", |_| laptop.app.borrow().pending() == 0);
        assert!(agent.app.borrow().started() <= 1);
    });
}

#[test]
fn an_agent_that_is_away_for_a_while_is_still_reached_by_a_patient_connect() {
    let mut world = World::new(0, Link::perfect(MS * 20));
    let (agent, laptop) = (world.agent(), world.laptop());
    world.kill(&agent);
    world.connect(&laptop, &agent, None, Some(Work::echo(1)));
    world.run_for(SECOND * 20);
    world.restart(&agent);
    let took = took(&mut world, &laptop, Work::echo(1));
    assert!(
        took < SECOND * 22,
        "{took:?}: it goes on trying every second"
    );
}
