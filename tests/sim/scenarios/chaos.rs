//! All impairments at once, under a thousand seeds.

use std::time::Duration;

use udpagent::session::Command;

use super::{MS, SECOND};
use crate::link::Link;
use crate::nodes::{Agent, Controller, Tuning};
use crate::rng::SimRng;
use crate::seeds;
use crate::simulation::Simulation;
use crate::task::Task;

/// A random task, sometimes with much output.
fn any_task(rng: &mut SimRng, id: u64) -> Task {
    let mut bytes = |most: u64| match rng.below(10) {
        0..4 => 0,
        4..9 => rng.below(2_000),
        _ => rng.below(most),
    };
    Task {
        id,
        out: bytes(60_000),
        err: bytes(10_000),
        stdin: bytes(30_000),
        takes: if rng.chance(0.2) {
            rng.duration_below(MS * 300)
        } else {
            Duration::ZERO
        },
        bound: 0,
    }
}

fn any_simulation(seed: u64) -> (Simulation, Vec<Agent>, Vec<Controller>) {
    let mut rng = SimRng::new(seed, "topology");
    let mut sim = Simulation::new(seed, Link::impaired(&mut rng));
    sim.tuning = Tuning {
        sessions_per_key: None,
        stream_window: rng.chance(0.5).then(|| 1_000 + rng.below(200_000)),
        session_window: rng.chance(0.5).then(|| 5_000 + rng.below(1_000_000)),
        bytes_per_key: None,
        segments: rng.chance(0.5).then(|| 1 + rng.index(32)),
    };
    if rng.chance(0.3) {
        sim.network.tick = rng.duration_below(MS * 5);
    }
    if rng.chance(0.5) {
        sim.lateness = rng.duration_below(MS * 4);
    }
    let agents: Vec<_> = (0..=rng.below(2)).map(|_| sim.agent()).collect();
    let controllers: Vec<_> = (0..=rng.below(2)).map(|_| sim.controller()).collect();
    for agent in &agents {
        for controller in &controllers {
            let links = (Link::impaired(&mut rng), Link::impaired(&mut rng));
            sim.network.set_link(agent.host, controller.host, links.0);
            sim.network.set_link(controller.host, agent.host, links.1);
        }
    }
    (sim, agents, controllers)
}

/// Runs a few commands on each pair of hosts, then closes. Returns a fingerprint of all that was sent.
fn scenario(seed: u64) -> u64 {
    let (mut sim, agents, controllers) = any_simulation(seed);
    sim.network.records = Some(Vec::new());
    let mut rng = SimRng::new(seed, "commands");
    let mut asked = 0;
    let mut sessions = Vec::new();
    for agent in &agents {
        for controller in &controllers {
            let first = rng.chance(0.5).then(|| {
                asked += 1;
                any_task(&mut rng, asked)
            });
            let session = sim.connect(controller, agent, None, first);
            sessions.push((controller.clone(), session));
        }
    }
    for _ in 0..3 + rng.below(8) {
        asked += 1;
        let (controller, session) = &sessions[rng.index(sessions.len())];
        sim.ask(controller, *session, any_task(&mut rng, asked));
        if rng.chance(0.3) {
            sim.run_for(rng.duration_below(MS * 500));
        }
    }
    let done = |controllers: &[Controller]| -> usize {
        controllers.iter().map(|l| l.app.borrow().done()).sum()
    };
    sim.run_until(SECOND * 300, "every task done", |_| {
        done(&controllers) as u64 == asked
    });
    let started: usize = agents.iter().map(|a| a.app.borrow().started()).sum();
    assert_eq!(started as u64, asked);
    let bye = |session| Command::Close {
        session,
        code: 0,
        reason: "done".into(),
    };
    for (controller, session) in &sessions {
        sim.act(controller.host, vec![bye(*session)]);
    }
    // A peer that missed the CLOSE times out; after that nothing is sent.
    sim.run_for(SECOND * 400);
    let sent = sim.network.counters.sent;
    sim.run_for(SECOND * 1_000);
    assert_eq!(sim.network.counters.sent, sent, "somebody still talks");
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
        .chain(controllers.iter().map(|l| l.host))
    {
        let wakes = sim.wakes(host);
        assert!(
            wakes.idle <= 50 + wakes.sent + wakes.received,
            "woken for nothing: {wakes:?}"
        );
    }
    let records = sim.network.records.take().expect("kept");
    records
        .iter()
        .flat_map(|record| record.bytes.iter())
        .fold(0, |fingerprint: u64, byte| {
            fingerprint.wrapping_mul(0x0100_0000_01b3) ^ u64::from(*byte)
        })
}

#[test]
fn in_any_mix_of_impairments_every_command_runs_once_and_every_byte_arrives() {
    seeds::each(1_000, |seed| {
        scenario(seed);
    });
}

#[test]
fn the_same_seed_gives_the_same_run_to_the_byte() {
    seeds::each(3, |seed| assert_eq!(scenario(seed), scenario(seed)));
    assert_ne!(scenario(0), scenario(1));
}
