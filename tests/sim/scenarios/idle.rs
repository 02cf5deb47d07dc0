//! The traffic of an idle session, and the detection of its end.

use udpagent::session::limits::{IDLE, KEEPALIVE};
use udpagent::session::{Closed, Command};

use super::{MS, SECOND, connect_and_get_ticket};
use crate::link::Link;
use crate::simulation::Simulation;
use crate::task::Task;

#[test]
fn an_idle_session_sends_nothing_and_times_out_on_both_sides() {
    let mut sim = Simulation::new(0, Link::perfect(MS * 20));
    let (agent, controller) = (sim.agent(), sim.controller());
    let (session, _) = connect_and_get_ticket(&mut sim, &controller, &agent);
    sim.run_for(SECOND);
    let sent = sim.network.counters.sent;
    sim.run_for(IDLE.saturating_sub(SECOND * 5));
    assert_eq!(sim.network.counters.sent, sent);
    assert_eq!(controller.app.borrow().sessions[&session].closed, None);
    sim.run_for(SECOND * 10);
    assert_eq!(agent.app.borrow().closed, [Closed::Lost]);
    let closed = controller.app.borrow().sessions[&session].closed.clone();
    assert_eq!(closed, Some(Closed::Lost));
    let wakes = sim.wakes(controller.host);
    assert!(wakes.timer < 20, "{wakes:?}");
}

#[test]
fn a_waiting_controller_keeps_the_nat_binding_and_the_session_alive() {
    let mut sim = Simulation::new(0, Link::perfect(MS * 20));
    let (agent, controller) = (sim.agent(), sim.controller());
    let (session, _) = connect_and_get_ticket(&mut sim, &controller, &agent);
    let task = Task {
        takes: SECOND * 1_000,
        ..Task::echo(1)
    };
    sim.ask(&controller, session, task);
    sim.run_for(SECOND);
    let sent = sim.network.counters.sent;
    sim.run_for(SECOND * 990);
    let per_ping = (sim.network.counters.sent - sent) / (990 / KEEPALIVE.as_secs());
    assert!(
        (1..=4).contains(&per_ping),
        "{per_ping} datagrams for each question"
    );
    sim.run_until(SECOND * 20, "done", |_| controller.app.borrow().done() == 1);
    drop(agent);
}

#[test]
fn a_watched_session_is_pinged_at_the_requested_interval() {
    let mut sim = Simulation::new(0, Link::perfect(MS * 20));
    let (agent, controller) = (sim.agent(), sim.controller());
    let (session, _) = connect_and_get_ticket(&mut sim, &controller, &agent);
    let watch = Command::Watch {
        session,
        silence: SECOND * 3,
        ping: Some(SECOND),
    };
    sim.act(controller.host, vec![watch]);
    sim.run_for(SECOND);
    let received = sim.wakes(agent.host).received;
    sim.run_for(SECOND * 100);
    let asked = sim.wakes(agent.host).received - received;
    assert!((90..=210).contains(&asked), "{asked} in 100 s");
    assert_eq!(controller.app.borrow().sessions[&session].silences, 0);
}

#[test]
fn a_close_is_received_and_a_lost_close_ends_in_a_timeout() {
    for lost in [false, true] {
        let mut sim = Simulation::new(0, Link::perfect(MS * 20));
        let (agent, controller) = (sim.agent(), sim.controller());
        let (session, _) = connect_and_get_ticket(&mut sim, &controller, &agent);
        sim.run_for(SECOND);
        if lost {
            sim.network.lose_next(controller.host, agent.host, 10);
        }
        let close = Command::Close {
            session,
            code: 7,
            reason: "enough".into(),
        };
        sim.act(controller.host, vec![close]);
        sim.run_for(SECOND);
        let closed = controller.app.borrow().sessions[&session].closed.clone();
        assert_eq!(closed, Some(Closed::Local));
        sim.run_for(IDLE);
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
