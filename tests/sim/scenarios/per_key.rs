//! Bounds per key: one key can neither fill the table of sessions nor slow the handshakes of another.

use udpagent::session::Closed;
use udpagent::session::limits::SESSIONS_PER_KEY;

use super::{MS, SECOND, connect_and_get_ticket, took};
use crate::link::Link;
use crate::simulation::Simulation;
use crate::task::Task;

const BOUND: usize = 20;

#[test]
fn beyond_its_bound_the_oldest_idle_session_of_a_key_makes_room() {
    let mut sim = Simulation::new(0, Link::perfect(MS * 10));
    sim.tuning.sessions_per_key = Some(BOUND);
    let (agent, greedy, owner) = (sim.agent(), sim.controller(), sim.controller());
    let (kept, _) = connect_and_get_ticket(&mut sim, &owner, &agent);
    let mut sessions = Vec::new();
    for _ in 0..3 * BOUND {
        sessions.push(connect_and_get_ticket(&mut sim, &greedy, &agent).0);
    }
    sim.run_for(SECOND * 5);
    assert_eq!(sim.endpoint(agent.host).sessions(), BOUND + 1);
    let app = greedy.app.borrow();
    for (at, session) in sessions.iter().enumerate() {
        let evicted = matches!(
            &app.sessions[session].closed,
            Some(Closed::ByPeer { code: 5, .. })
        );
        assert_eq!(evicted, at < 2 * BOUND, "{at}");
    }
    assert_eq!(owner.app.borrow().sessions[&kept].closed, None);
}

#[test]
fn a_session_with_an_open_call_is_not_closed_and_the_newest_is_refused() {
    let mut sim = Simulation::new(0, Link::perfect(MS * 10));
    sim.tuning.sessions_per_key = Some(BOUND);
    let (agent, greedy, owner) = (sim.agent(), sim.controller(), sim.controller());
    for id in 0..2 * BOUND as u64 {
        let task = Task {
            takes: SECOND * 30,
            ..Task::echo(id)
        };
        sim.connect(&greedy, &agent, None, Some(task));
    }
    sim.run_for(SECOND * 5);
    assert_eq!(agent.app.borrow().started(), BOUND);
    sim.connect(&owner, &agent, None, Some(Task::echo(1000)));
    let took = took(&mut sim, &owner, Task::echo(1000));
    assert!(took >= MS * 40 && took < MS * 45, "{took:?}");
}

#[test]
fn a_key_that_opens_sixteen_thousand_sessions_leaves_the_others_theirs() {
    let mut sim = Simulation::new(0, Link::perfect(MS * 10));
    let (agent, greedy, owner) = (sim.agent(), sim.controller(), sim.controller());
    let mut most = 0;
    for batch in 0..819 {
        // Twenty in 100 ms are as many as a key may open.
        for _ in 0..20 {
            let to = (agent.key, agent.address);
            sim.connect_to(&greedy, to, None, None, SECOND * 5);
        }
        sim.run_for(MS * 100);
        most = most.max(sim.endpoint(agent.host).sessions());
        if batch % 91 == 90 {
            let task = Task::echo(batch);
            sim.connect(&owner, &agent, None, Some(task));
            let took = took(&mut sim, &owner, task);
            assert!(took >= MS * 40 && took < MS * 45, "{took:?}");
        }
    }
    // Those that have made room stay for three probe timeouts, and there are those of the owner.
    let bound = SESSIONS_PER_KEY + 100;
    assert!(
        (SESSIONS_PER_KEY..=bound).contains(&most),
        "{most} sessions"
    );
}
