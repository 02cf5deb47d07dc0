//! Who has no key gets no answer, whatever it sends.

use std::net::SocketAddr;

use udpagent::session::Closed;

use super::{MS, SECOND, meet};
use crate::cast::{Agent, Laptop};
use crate::dice::{Dice, rng};
use crate::link::Link;
use crate::seeds;
use crate::work::Work;
use crate::world::World;

fn nowhere() -> SocketAddr {
    "233.252.0.1:9".parse().unwrap()
}

fn silent_to(world: &World, agent: &Agent, address: SocketAddr) {
    assert_eq!(world.judge.sent_to(world.life(agent.host), address), 0);
}

#[test]
fn a_controller_whose_key_is_not_admitted_hears_nothing() {
    let mut world = World::new(0, Link::perfect(MS * 10));
    let (agent, stranger) = (world.agent(), world.stranger());
    let session = world.connect(&stranger, &agent, None, Some(Work::echo(1)));
    world.run_for(SECOND * 61);
    silent_to(&world, &agent, stranger.address);
    let app = stranger.app.borrow();
    assert_eq!(app.sessions[&session].closed, Some(Closed::Unreachable));
    assert_eq!(agent.app.borrow().accepted, 0);
}

#[test]
fn a_controller_that_expects_another_agent_hears_nothing() {
    let mut world = World::new(0, Link::perfect(MS * 10));
    let (agent, laptop) = (world.agent(), world.laptop());
    let other = udpagent::crypto::SecretKey::generate(&mut rng(0, "other")).public();
    let to = (other, agent.address);
    let session = world.connect_to(&laptop, to, None, Some(Work::echo(1)), SECOND * 5);
    world.run_for(SECOND * 6);
    silent_to(&world, &agent, laptop.address);
    let app = laptop.app.borrow();
    assert_eq!(app.sessions[&session].closed, Some(Closed::Unreachable));
}

#[test]
fn random_bytes_and_plain_text_are_not_answered() {
    seeds::each(50, |seed| {
        let mut world = World::new(seed, Link::perfect(MS));
        let agent = world.agent();
        let mut dice = Dice::new(seed, "noise");
        for _ in 0..200 {
            let len = dice.index(1400);
            let mut bytes = dice.bytes(len);
            let tag = [0xF8, 0x55, 0x41, u8::try_from(dice.below(256)).unwrap()];
            for (byte, tag) in bytes.iter_mut().zip(tag) {
                *byte = tag;
            }
            if dice.chance(0.3) {
                bytes.resize(1200, 0);
            }
            world.inject(nowhere(), agent.address, &bytes);
        }
        world.inject(nowhere(), agent.address, b"hello");
        world.inject(nowhere(), agent.address, b"");
        world.inject(nowhere(), agent.address, &[0xF8]);
        world.run_for(SECOND * 20);
        silent_to(&world, &agent, nowhere());
    });
}

/// A working session is disturbed by damaged copies of its own datagrams, from its own address and
/// from elsewhere: cut, prolonged, with fields changed.
#[test]
fn damaged_copies_of_genuine_datagrams_do_no_harm() {
    seeds::each(50, |seed| {
        let mut world = World::new(seed, Link::perfect(MS * 5));
        let (agent, laptop) = (world.agent(), world.laptop());
        world.network.records = Some(Vec::new());
        let (session, ticket) = meet(&mut world, &laptop, &agent);
        world.connect(&laptop, &agent, Some(ticket), Some(Work::cat(0, 3_000)));
        for id in 1..20 {
            world.ask(&laptop, session, Work::cat(id, 1_000));
            disturb(&mut world, &agent, &laptop);
            world.run_for(MS * 4);
        }
        world.run_until(SECOND * 30, "done", |_| laptop.app.borrow().done() == 20);
        silent_to(&world, &agent, nowhere());
    });
}

fn disturb(world: &mut World, agent: &Agent, laptop: &Laptop) {
    let mut records = world.network.records.clone().expect("kept");
    records.retain(|record| record.emission.is_some());
    for _ in 0..10 {
        let record = &records[world.dice.index(records.len())];
        let mut bytes = record.bytes.to_vec();
        match world.dice.below(4) {
            0 => bytes.truncate(world.dice.index(bytes.len())),
            1 => {
                let more = world.dice.index(100) + 1;
                bytes.extend(world.dice.bytes(more));
            }
            2 => {
                let place = world.dice.index(bytes.len().min(24));
                bytes[place] ^= 1 << world.dice.below(8);
            }
            _ => {
                let place = world.dice.index(bytes.len());
                bytes[place] ^= 1 << world.dice.below(8);
            }
        }
        if *bytes == *record.bytes {
            continue;
        }
        let to = if world.dice.chance(0.5) {
            agent.address
        } else {
            laptop.address
        };
        let from = if world.dice.chance(0.5) {
            record.from
        } else {
            nowhere()
        };
        world.inject(from, to, &bytes);
    }
}
