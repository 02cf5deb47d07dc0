//! Every datagram of an exchange is recorded and sent again: nothing starts, and not one byte goes to
//! an address that the datagrams did not come from.

use std::net::SocketAddr;

use udpagent::session::Command;

use super::{MS, SECOND, meet};
use crate::cast::{Agent, Laptop};
use crate::link::Link;
use crate::network::Record;
use crate::seeds;
use crate::work::Work;
use crate::world::World;

const ELSEWHERE: ([u8; 4], u16) = ([233, 252, 0, 66], 4444);

/// Two sessions, the second with an early command, under some loss, all recorded.
fn exchange(seed: u64) -> (World, Agent, Laptop, Vec<Record>) {
    let link = Link {
        loss: 0.05,
        duplicate: 0.05,
        ..Link::perfect(MS * 20)
    };
    let mut world = World::new(seed, link);
    world.network.records = Some(Vec::new());
    let (agent, laptop) = (world.agent(), world.laptop());
    let (first, ticket) = meet(&mut world, &laptop, &agent);
    let second = world.connect(&laptop, &agent, Some(ticket), Some(Work::echo(0)));
    for id in 1..10 {
        let session = if id % 2 == 0 { first } else { second };
        let work = Work {
            stdin: 300 * (id % 3),
            ..Work::cat(id, 500 * id)
        };
        world.ask(&laptop, session, work);
    }
    world.run_until(SECOND * 60, "done", |_| laptop.app.borrow().done() == 10);
    world.run_for(SECOND);
    let records = world.network.records.take().expect("kept");
    (world, agent, laptop, records)
}

fn close_all(world: &mut World, laptop: &Laptop) {
    let open: Vec<_> = laptop.app.borrow().sessions.keys().copied().collect();
    for session in open {
        let close = Command::Close {
            session,
            code: 0,
            reason: String::new(),
        };
        world.act(laptop.host, vec![close]);
    }
    world.run_for(SECOND);
}

/// Sends all of them again, a little apart. From `from`, if not from where they came.
fn again(world: &mut World, records: &[Record], from: Option<SocketAddr>) {
    for record in records {
        let from = from.unwrap_or(record.from);
        world.inject(from, record.to, &record.bytes);
        world.run_for(MS);
    }
    world.run_for(SECOND * 5);
}

/// The whole recording, in order and shuffled, from its own addresses and from elsewhere.
fn every_way(world: &mut World, agent: &Agent, records: &[Record]) {
    let asked = agent.app.borrow().asked.clone();
    let mut shuffled = records.to_vec();
    world.dice.shuffle(&mut shuffled);
    let elsewhere = SocketAddr::from(ELSEWHERE);
    for list in [records, &shuffled] {
        for from in [None, Some(elsewhere)] {
            again(world, list, from);
            assert_eq!(agent.app.borrow().asked, asked, "a command came again");
            let sent = world.judge.sent_to(world.life(agent.host), elsewhere);
            assert_eq!(sent, 0, "bytes went to the other address");
        }
    }
}

#[test]
fn while_the_sessions_stand() {
    seeds::each(20, |seed| {
        let (mut world, agent, laptop, records) = exchange(seed);
        every_way(&mut world, &agent, &records);
        // And the sessions still work.
        let open: Vec<_> = laptop.app.borrow().sessions.keys().copied().collect();
        for (session, id) in open.into_iter().zip(100..) {
            world.ask(&laptop, session, Work::echo(id));
        }
        world.run_until(SECOND * 10, "done", |_| laptop.app.borrow().done() == 12);
    });
}

#[test]
fn after_the_sessions_are_closed() {
    seeds::each(20, |seed| {
        let (mut world, agent, laptop, records) = exchange(seed);
        close_all(&mut world, &laptop);
        let before = agent.app.borrow().accepted;
        every_way(&mut world, &agent, &records);
        assert_eq!(agent.app.borrow().accepted, before, "a session was opened");
    });
}

#[test]
fn after_an_hour() {
    seeds::each(5, |seed| {
        let (mut world, agent, laptop, records) = exchange(seed);
        close_all(&mut world, &laptop);
        world.run_for(SECOND * 3600);
        every_way(&mut world, &agent, &records);
    });
}

#[test]
fn after_an_agent_restart() {
    seeds::each(20, |seed| {
        let (mut world, agent, laptop, records) = exchange(seed);
        close_all(&mut world, &laptop);
        world.restart(&agent);
        every_way(&mut world, &agent, &records);
        assert_eq!(agent.app.borrow().accepted, 2, "a session was opened");
    });
}

#[test]
fn to_an_agent_that_never_saw_the_first_flight() {
    // The agent was away when the INIT was sent; who captured it sends it later, from elsewhere.
    seeds::each(20, |seed| {
        let mut world = World::new(seed, Link::perfect(MS * 20));
        let (agent, laptop) = (world.agent(), world.laptop());
        let (_, ticket) = meet(&mut world, &laptop, &agent);
        world.kill(&agent);
        world.network.records = Some(Vec::new());
        world.connect(&laptop, &agent, Some(ticket), Some(Work::echo(1)));
        world.run_for(SECOND * 61);
        assert_eq!(laptop.app.borrow().pending(), 0, "it has given up");
        let records = world.network.records.take().expect("kept");
        world.restart(&agent);
        let starts = agent.app.borrow().starts.clone();
        // Its agent answers, as it would if the network had been slow; the command is refused.
        for record in records {
            world.forward(&record, record.from);
            world.run_for(MS);
        }
        world.run_for(SECOND * 5);
        assert_eq!(agent.app.borrow().starts, starts, "a captured command ran");
    });
}
