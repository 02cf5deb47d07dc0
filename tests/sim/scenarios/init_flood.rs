//! A flood of INITs: an agent under load validates addresses by RETRY, honest commands succeed, and no
//! address gets more bytes than it sent.

use std::net::SocketAddr;
use std::time::Duration;

use udpagent::crypto::SecretKey;
use udpagent::session::limits::HANDSHAKE_QUEUE;

use super::{MS, SECOND, connect_and_get_ticket};
use crate::caller::TaskState;
use crate::forged_init;
use crate::link::Link;
use crate::nodes::Agent;
use crate::rng::seeded_rng;
use crate::seeds;
use crate::simulation::Simulation;
use crate::task::Task;

/// Sends `count` of the datagrams at once, each from another address.
fn burst(sim: &mut Simulation, agent: &Agent, inits: &[Vec<u8>], count: usize) -> Vec<SocketAddr> {
    let incarnation = sim.incarnation(agent.host);
    (0..count)
        .map(|_| {
            let ip = 0xCB00_7100 + u32::try_from(sim.rng.below(200)).unwrap();
            let port = 1024 + u16::try_from(sim.rng.below(60_000)).unwrap();
            let from = SocketAddr::from((std::net::Ipv4Addr::from(ip), port));
            let init = &inits[sim.rng.index(inits.len())];
            sim.invariants.key_is_known(incarnation, from);
            sim.inject(from, agent.address, init);
            from
        })
        .collect()
}

fn forged(seed: u64, agent: &Agent, count: usize) -> Vec<Vec<u8>> {
    let mut rng = seeded_rng(seed, "forger");
    let identity = SecretKey::generate(&mut rng);
    (0..count)
        .map(|_| forged_init::init(&agent.key, &identity, None, &mut rng).2)
        .collect()
}

#[test]
fn honest_commands_succeed_in_a_flood_of_inits_from_spoofed_addresses() {
    seeds::each(4, |seed| {
        let mut sim = Simulation::new(seed, Link::perfect(MS * 10));
        let agent = sim.agent();
        let controllers: Vec<_> = (0..10).map(|_| sim.controller()).collect();
        let inits = forged(seed, &agent, 100);
        let mut spoofed = Vec::new();
        for (id, controller) in (0..).zip(&controllers) {
            // Twice what the queue holds, just before the honest one.
            spoofed.extend(burst(&mut sim, &agent, &inits, HANDSHAKE_QUEUE * 2));
            sim.connect(controller, &agent, None, Some(Task::echo(id)));
            sim.run_for(MS * 5);
        }
        sim.run_until(SECOND * 10, "done", |_| {
            controllers
                .iter()
                .all(|controller| controller.app.borrow().done() == 1)
        });
        let retries = sim.endpoint(agent.host).stats().retries;
        assert!(retries > 0, "it never was under load");
        // The invariants have checked that none of them got more bytes than it sent.
        let incarnation = sim.incarnation(agent.host);
        let answered = spoofed
            .iter()
            .filter(|a| sim.invariants.sent_to(incarnation, **a) > 0);
        assert!(answered.count() > 0);
        assert_eq!(agent.app.borrow().accepted, 10);
    });
}

/// Spoofs `count` addresses of as many networks for one datagram each.
fn spoof(sim: &mut Simulation, agent: &Agent, inits: &[Vec<u8>], count: usize) {
    let incarnation = sim.incarnation(agent.host);
    for _ in 0..count {
        // 100.0.0.0/8 has 65 536 networks.
        let ip = 0x6400_0000 | u32::try_from(sim.rng.below(1 << 24)).unwrap();
        let from = SocketAddr::from((std::net::Ipv4Addr::from(ip), 4000));
        let init = &inits[sim.rng.index(inits.len())];
        sim.invariants.key_is_known(incarnation, from);
        sim.inject(from, agent.address, init);
    }
}

#[test]
fn fifty_of_fifty_first_contacts_succeed_within_two_seconds_in_twenty_thousand_inits_a_second() {
    let mut sim = Simulation::new(0, Link::perfect(MS * 20));
    let agent = sim.agent();
    let controllers: Vec<_> = (0..50).map(|_| sim.controller()).collect();
    let inits = forged(0, &agent, 100);
    for (id, controller) in (0..).zip(&controllers) {
        // The flood has begun before the first of them.
        for _ in 0..50 {
            spoof(&mut sim, &agent, &inits, 20);
            sim.run_for(MS);
        }
        sim.connect(controller, &agent, None, Some(Task::echo(id)));
    }
    for _ in 0..2_000 {
        spoof(&mut sim, &agent, &inits, 20);
        sim.run_for(MS);
    }
    let mut longest = Duration::ZERO;
    for (id, controller) in (0..).zip(&controllers) {
        let app = controller.app.borrow();
        let Some(TaskState::Done(took)) = app.task_state(id) else {
            panic!("contact {id} came to {:?}", app.task_state(id));
        };
        longest = longest.max(*took);
    }
    assert!(longest <= SECOND * 2, "{longest:?}");
    let stats = sim.endpoint(agent.host).stats();
    println!("longest contact {longest:?}, {stats:?}");
    assert!(
        stats.received > 80_000 && stats.retries > 50_000,
        "{stats:?}"
    );
}

#[test]
fn an_established_session_is_not_disturbed_by_a_flood() {
    let mut sim = Simulation::new(0, Link::perfect(MS * 10));
    let (agent, controller) = (sim.agent(), sim.controller());
    let (session, _) = connect_and_get_ticket(&mut sim, &controller, &agent);
    let inits = forged(0, &agent, 50);
    for id in 0..20 {
        burst(&mut sim, &agent, &inits, HANDSHAKE_QUEUE);
        sim.ask(&controller, session, Task::echo(id));
        sim.run_for(MS * 25);
        let app = controller.app.borrow();
        assert_eq!(app.task_state(id), Some(&TaskState::Done(MS * 20)));
    }
}

#[test]
fn many_honest_controllers_at_once_are_all_served() {
    let mut sim = Simulation::new(0, Link::perfect(MS * 10));
    let agent = sim.agent();
    let controllers: Vec<_> = (0..300).map(|_| sim.controller()).collect();
    for (id, controller) in (0..).zip(&controllers) {
        sim.connect(controller, &agent, None, Some(Task::echo(id)));
    }
    sim.run_until(SECOND * 10, "done", |_| {
        controllers
            .iter()
            .all(|controller| controller.app.borrow().done() == 1)
    });
    assert_eq!(agent.app.borrow().started(), 300);
}

#[test]
fn one_controller_reaches_five_hundred_agents_at_once() {
    let mut sim = Simulation::new(0, Link::lossy(MS * 10, 0.02));
    let agents: Vec<_> = (0..500).map(|_| sim.agent()).collect();
    let controller = sim.controller();
    for (id, agent) in (0..).zip(&agents) {
        sim.connect(&controller, agent, None, Some(Task::cat(id, 3_000)));
    }
    sim.run_until(SECOND * 20, "done", |_| {
        controller.app.borrow().done() == 500
    });
    assert!(agents.iter().all(|agent| agent.app.borrow().started() == 1));
}
