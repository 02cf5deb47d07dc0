//! Every trouble at once, under a thousand seeds.

use std::time::Duration;

use udpagent::session::Command;

use super::{MS, SECOND};
use crate::cast::{Agent, Laptop, Tuning};
use crate::dice::Dice;
use crate::link::Link;
use crate::seeds;
use crate::work::Work;
use crate::world::World;

/// A command of any kind; now and then one with much to say.
fn any_work(dice: &mut Dice, id: u64) -> Work {
    let mut bytes = |most: u64| match dice.below(10) {
        0..4 => 0,
        4..9 => dice.below(2_000),
        _ => dice.below(most),
    };
    Work {
        id,
        out: bytes(60_000),
        err: bytes(10_000),
        stdin: bytes(30_000),
        takes: if dice.chance(0.2) {
            dice.upto(MS * 300)
        } else {
            Duration::ZERO
        },
        bound: 0,
    }
}

fn any_world(seed: u64) -> (World, Vec<Agent>, Vec<Laptop>) {
    let mut dice = Dice::new(seed, "topology");
    let mut world = World::new(seed, Link::troubled(&mut dice));
    world.tuning = Tuning {
        stream_window: dice.chance(0.5).then(|| 1_000 + dice.below(200_000)),
        session_window: dice.chance(0.5).then(|| 5_000 + dice.below(1_000_000)),
        segments: dice.chance(0.5).then(|| 1 + dice.index(32)),
    };
    if dice.chance(0.3) {
        world.network.tick = dice.upto(MS * 5);
    }
    if dice.chance(0.5) {
        world.lateness = dice.upto(MS * 4);
    }
    let agents: Vec<_> = (0..=dice.below(2)).map(|_| world.agent()).collect();
    let laptops: Vec<_> = (0..=dice.below(2)).map(|_| world.laptop()).collect();
    for agent in &agents {
        for laptop in &laptops {
            let links = (Link::troubled(&mut dice), Link::troubled(&mut dice));
            world.network.set_link(agent.host, laptop.host, links.0);
            world.network.set_link(laptop.host, agent.host, links.1);
        }
    }
    (world, agents, laptops)
}

/// A few commands on each pair of hosts, then good-bye. Returns a fingerprint of all that was sent.
fn story(seed: u64) -> u64 {
    let (mut world, agents, laptops) = any_world(seed);
    world.network.records = Some(Vec::new());
    let mut dice = Dice::new(seed, "commands");
    let mut asked = 0;
    let mut sessions = Vec::new();
    for agent in &agents {
        for laptop in &laptops {
            let first = dice.chance(0.5).then(|| {
                asked += 1;
                any_work(&mut dice, asked)
            });
            let session = world.connect(laptop, agent, None, first);
            sessions.push((laptop.clone(), session));
        }
    }
    for _ in 0..3 + dice.below(8) {
        asked += 1;
        let (laptop, session) = &sessions[dice.index(sessions.len())];
        world.ask(laptop, *session, any_work(&mut dice, asked));
        if dice.chance(0.3) {
            world.run_for(dice.upto(MS * 500));
        }
    }
    let done =
        |laptops: &[Laptop]| -> usize { laptops.iter().map(|l| l.app.borrow().done()).sum() };
    world.run_until(SECOND * 300, "every work done", |_| {
        done(&laptops) as u64 == asked
    });
    let started: usize = agents.iter().map(|a| a.app.borrow().started()).sum();
    assert_eq!(started as u64, asked);
    let bye = |session| Command::Close {
        session,
        code: 0,
        reason: "done".into(),
    };
    for (laptop, session) in &sessions {
        world.act(laptop.host, vec![bye(*session)]);
    }
    // One that has not heard the good-bye notices the silence, and then it is quiet.
    world.run_for(SECOND * 400);
    let sent = world.network.tally.sent;
    world.run_for(SECOND * 1_000);
    assert_eq!(world.network.tally.sent, sent, "somebody still talks");
    for agent in &agents {
        assert_eq!(agent.app.borrow().calls(), 0);
        assert_eq!(
            agent.app.borrow().closed.len() as u64,
            agent.app.borrow().accepted
        );
    }
    for host in agents
        .iter()
        .map(|a| a.host)
        .chain(laptops.iter().map(|l| l.host))
    {
        let wakes = world.wakes(host);
        assert!(
            wakes.idle <= 50 + wakes.sent + wakes.received,
            "woken for nothing: {wakes:?}"
        );
    }
    let records = world.network.records.take().expect("kept");
    records
        .iter()
        .flat_map(|record| record.bytes.iter())
        .fold(0, |fingerprint: u64, byte| {
            fingerprint.wrapping_mul(0x0100_0000_01b3) ^ u64::from(*byte)
        })
}

#[test]
fn in_any_mix_of_troubles_every_command_runs_once_and_every_byte_arrives() {
    seeds::each(1_000, |seed| {
        story(seed);
    });
}

#[test]
fn the_same_seed_tells_the_same_story_to_the_byte() {
    seeds::each(3, |seed| assert_eq!(story(seed), story(seed)));
    assert_ne!(story(0), story(1));
}
