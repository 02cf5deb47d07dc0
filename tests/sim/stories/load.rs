//! A flood of first flights: an agent under load asks addresses to prove themselves, honest commands
//! succeed, and nobody is sent more than came from there.

use std::net::SocketAddr;

use udpagent::crypto::SecretKey;
use udpagent::session::limits::HANDSHAKE_QUEUE;

use super::{MS, SECOND, meet};
use crate::caller::Fate;
use crate::cast::Agent;
use crate::dice::rng;
use crate::forge;
use crate::link::Link;
use crate::seeds;
use crate::work::Work;
use crate::world::World;

/// Sends `count` of the datagrams at once, each from another address.
fn burst(world: &mut World, agent: &Agent, inits: &[Vec<u8>], count: usize) -> Vec<SocketAddr> {
    let life = world.life(agent.host);
    (0..count)
        .map(|_| {
            let ip = 0xCB00_7100 + u32::try_from(world.dice.below(200)).unwrap();
            let port = 1024 + u16::try_from(world.dice.below(60_000)).unwrap();
            let from = SocketAddr::from((std::net::Ipv4Addr::from(ip), port));
            let init = &inits[world.dice.index(inits.len())];
            world.judge.shown_key(life, from);
            world.inject(from, agent.address, init);
            from
        })
        .collect()
}

fn forged(seed: u64, agent: &Agent, count: usize) -> Vec<Vec<u8>> {
    let mut rng = rng(seed, "forger");
    let identity = SecretKey::generate(&mut rng);
    (0..count)
        .map(|_| forge::init(&agent.key, &identity, &mut rng))
        .collect()
}

#[test]
fn honest_commands_succeed_in_a_flood_of_first_flights_from_spoofed_addresses() {
    seeds::each(4, |seed| {
        let mut world = World::new(seed, Link::perfect(MS * 10));
        let agent = world.agent();
        let laptops: Vec<_> = (0..10).map(|_| world.laptop()).collect();
        let inits = forged(seed, &agent, 100);
        let mut spoofed = Vec::new();
        for (id, laptop) in (0..).zip(&laptops) {
            // Twice what the queue holds, just before the honest one.
            spoofed.extend(burst(&mut world, &agent, &inits, HANDSHAKE_QUEUE * 2));
            world.connect(laptop, &agent, None, Some(Work::echo(id)));
            world.run_for(MS * 5);
        }
        world.run_until(SECOND * 10, "done", |_| {
            laptops.iter().all(|laptop| laptop.app.borrow().done() == 1)
        });
        let retries = world.endpoint(agent.host).stats().retries;
        assert!(retries > 0, "it never was under load");
        // That bytes to each of them do not exceed bytes from it, the judge has watched.
        let life = world.life(agent.host);
        let answered = spoofed
            .iter()
            .filter(|a| world.judge.sent_to(life, **a) > 0);
        assert!(answered.count() > 0);
        assert_eq!(agent.app.borrow().accepted, 10);
    });
}

#[test]
fn a_session_that_stands_is_not_disturbed_by_a_flood() {
    let mut world = World::new(0, Link::perfect(MS * 10));
    let (agent, laptop) = (world.agent(), world.laptop());
    let (session, _) = meet(&mut world, &laptop, &agent);
    let inits = forged(0, &agent, 50);
    for id in 0..20 {
        burst(&mut world, &agent, &inits, HANDSHAKE_QUEUE);
        world.ask(&laptop, session, Work::echo(id));
        world.run_for(MS * 25);
        let app = laptop.app.borrow();
        assert_eq!(app.fate(id), Some(&Fate::Done(MS * 20)));
    }
}

#[test]
fn many_honest_controllers_at_once_are_all_served() {
    let mut world = World::new(0, Link::perfect(MS * 10));
    let agent = world.agent();
    let laptops: Vec<_> = (0..300).map(|_| world.laptop()).collect();
    for (id, laptop) in (0..).zip(&laptops) {
        world.connect(laptop, &agent, None, Some(Work::echo(id)));
    }
    world.run_until(SECOND * 10, "done", |_| {
        laptops.iter().all(|laptop| laptop.app.borrow().done() == 1)
    });
    assert_eq!(agent.app.borrow().started(), 300);
}

#[test]
fn one_controller_reaches_five_hundred_agents_at_once() {
    let mut world = World::new(0, Link::lossy(MS * 10, 0.02));
    let agents: Vec<_> = (0..500).map(|_| world.agent()).collect();
    let laptop = world.laptop();
    for (id, agent) in (0..).zip(&agents) {
        world.connect(&laptop, agent, None, Some(Work::cat(id, 3_000)));
    }
    world.run_until(SECOND * 20, "done", |_| laptop.app.borrow().done() == 500);
    assert!(agents.iter().all(|agent| agent.app.borrow().started() == 1));
}
