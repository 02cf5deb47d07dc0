//! The controller's address changes, as NATs and laptops have it.

use std::net::SocketAddr;

use udpagent::session::limits::{AMPLIFICATION, KEEPALIVE};
use udpagent::session::{Closed, Command, SessionHandle};

use super::{MS, SECOND, meet};
use crate::cast::{Agent, Laptop};
use crate::link::Link;
use crate::seeds;
use crate::work::Work;
use crate::world::World;

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn downloading(seed: u64, link: Link) -> (World, Agent, Laptop, SessionHandle) {
    let mut world = World::new(seed, link);
    let (agent, laptop) = (world.agent(), world.laptop());
    let (session, _) = meet(&mut world, &laptop, &agent);
    world.ask(&laptop, session, Work::cat(1, 2_000_000));
    world.run_for(MS * 300);
    assert_eq!(laptop.app.borrow().done(), 0, "the transfer is under way");
    (world, agent, laptop, session)
}

fn watch(world: &mut World, laptop: &Laptop, session: SessionHandle) {
    let watch = Command::Watch {
        session,
        silence: SECOND * 5,
        ping: Some(SECOND),
    };
    world.act(laptop.host, vec![watch]);
}

fn finish(world: &mut World, laptop: &Laptop, limit: std::time::Duration) {
    world.run_until(limit, "downloaded", |_| laptop.app.borrow().done() == 1);
}

/// 8 Mbit/s: two megabytes take two seconds.
fn dsl() -> Link {
    Link::narrow(MS * 20, 1_000_000, 100_000)
}

#[test]
fn a_download_survives_a_new_port() {
    let (mut world, agent, laptop, _) = downloading(0, dsl());
    world
        .network
        .rebind(laptop.address, address("198.51.100.2:50001"));
    // Nothing tells the controller; it asks when nothing was heard for long enough.
    finish(&mut world, &laptop, KEEPALIVE + SECOND * 10);
    assert_eq!(agent.app.borrow().moved.len(), 1);
}

#[test]
fn a_download_survives_a_new_address_soon_when_silence_is_watched() {
    let (mut world, agent, laptop, session) = downloading(0, dsl());
    watch(&mut world, &laptop, session);
    world
        .network
        .rebind(laptop.address, address("203.0.113.77:1024"));
    finish(&mut world, &laptop, SECOND * 10);
    let moved = agent.app.borrow().moved.clone();
    assert_eq!(moved.len(), 1);
    assert_eq!(moved[0].remote, address("203.0.113.77:1024").into());
}

#[test]
fn an_upload_survives_a_new_address_at_once() {
    let mut world = World::new(0, dsl());
    let (agent, laptop) = (world.agent(), world.laptop());
    let (session, _) = meet(&mut world, &laptop, &agent);
    let work = Work {
        stdin: 2_000_000,
        ..Work::echo(1)
    };
    world.ask(&laptop, session, work);
    world.run_for(MS * 300);
    world
        .network
        .rebind(laptop.address, address("203.0.113.77:1024"));
    finish(&mut world, &laptop, SECOND * 10);
    assert_eq!(agent.app.borrow().moved.len(), 1);
}

#[test]
fn addresses_may_change_all_the_time_and_under_loss() {
    seeds::each(40, |seed| {
        let link = Link {
            loss: 0.05,
            jitter: MS * 5,
            ..dsl()
        };
        let (mut world, _, laptop, session) = downloading(seed, link);
        watch(&mut world, &laptop, session);
        for change in 0..10u8 {
            let pause = world.dice.between(MS * 50, SECOND * 3);
            world.run_for(pause);
            let outer = if world.dice.chance(0.5) {
                SocketAddr::from(([203, 0, 113, 1], 2000 + u16::from(change)))
            } else {
                SocketAddr::from(([203, 0, 113, 100 + change], 1024))
            };
            world.network.rebind(laptop.address, outer);
        }
        finish(&mut world, &laptop, SECOND * 120);
    });
}

/// An attacker beside the laptop sees what it sends and is faster: it sends each datagram on from a
/// victim's address before the laptop's own arrives.
#[test]
fn a_victim_whose_address_is_put_on_genuine_datagrams_gets_little_and_the_session_survives() {
    seeds::each(20, |seed| {
        let (mut world, agent, laptop, session) = downloading(seed, dsl());
        watch(&mut world, &laptop, session);
        let victim = address("233.252.0.9:53");
        world.network.records = Some(Vec::new());
        let mut seen = 0;
        for _ in 0..200 {
            world.run_for(MS * 2);
            let records = world.network.records.clone().expect("kept");
            let mut fresh: Vec<_> = records[seen..].to_vec();
            seen = records.len();
            fresh.retain(|record| record.from == laptop.address && world.dice.chance(0.5));
            for record in fresh {
                world.forward(&record, victim);
            }
        }
        world.network.records = None;
        finish(&mut world, &laptop, SECOND * 60);
        let sent = world.judge.sent_to(world.life(agent.host), victim);
        let bound = AMPLIFICATION * world.network.tally.sent * 1_200;
        assert!(sent < bound, "{sent} bytes");
        assert!(
            agent
                .app
                .borrow()
                .moved
                .iter()
                .all(|path| path.remote != victim.into())
        );
    });
}

#[test]
fn a_laptop_that_slept_for_a_minute_goes_on_where_it_was() {
    let (mut world, _, laptop, session) = downloading(0, dsl());
    watch(&mut world, &laptop, session);
    world.sleep(laptop.host, SECOND * 60);
    world.run_for(SECOND * 60);
    world
        .network
        .rebind(laptop.address, address("203.0.113.5:9999"));
    finish(&mut world, &laptop, SECOND * 10);
}

#[test]
fn both_ends_tell_the_loss_of_a_laptop_that_slept_for_an_hour() {
    let (mut world, agent, laptop, session) = downloading(0, dsl());
    world.sleep(laptop.host, SECOND * 3600);
    world.run_for(SECOND * 3600 + SECOND * 200);
    assert_eq!(agent.app.borrow().closed, [Closed::Lost]);
    let closed = laptop.app.borrow().sessions[&session].closed.clone();
    assert_eq!(closed, Some(Closed::Lost));
}

#[test]
fn a_path_that_carries_nothing_above_1200_bytes_carries_a_session() {
    let link = Link { mtu: 1200, ..dsl() };
    let (mut world, _, laptop, _) = downloading(0, link);
    finish(&mut world, &laptop, SECOND * 10);
}

#[test]
fn a_path_whose_mtu_shrinks_in_the_middle_is_noticed() {
    let (mut world, agent, laptop, _) = downloading(0, dsl());
    let smaller = Link { mtu: 1280, ..dsl() };
    world.network.set_link(agent.host, laptop.host, smaller);
    finish(&mut world, &laptop, SECOND * 30);
}
