//! The agent's process is killed in the middle of commands, and restarted with the same key.

use udpagent::session::limits::IDLE;
use udpagent::session::{Closed, Command, SessionHandle};

use super::{MS, SECOND, connect_and_get_ticket, took};
use crate::caller::TaskState;
use crate::link::Link;
use crate::nodes::{Agent, Controller};
use crate::seeds;
use crate::simulation::Simulation;
use crate::task::Task;

fn in_the_middle(seed: u64, loss: f64) -> (Simulation, Agent, Controller, SessionHandle) {
    let mut sim = Simulation::new(seed, Link::lossy(MS * 20, loss));
    let (agent, controller) = (sim.agent(), sim.controller());
    let (session, _) = connect_and_get_ticket(&mut sim, &controller, &agent);
    for id in 0..40 {
        let task = Task {
            takes: MS * 200,
            ..Task::cat(id, 3_000)
        };
        sim.ask(&controller, session, task);
    }
    sim.run_for(MS * 400);
    (sim, agent, controller, session)
}

#[test]
fn requests_to_a_killed_agent_fail_and_never_start_again() {
    seeds::each(30, |seed| {
        let (mut sim, agent, controller, session) = in_the_middle(seed, 0.1);
        let before = agent.app.borrow().started();
        assert!(before > 0);
        sim.restart(&agent);
        sim.run_for(IDLE * 2);
        let app = controller.app.borrow();
        assert_eq!(app.sessions[&session].closed, Some(Closed::Lost));
        assert_eq!(app.pending(), 0);
        assert_eq!(
            agent.app.borrow().started(),
            before,
            "the new one started nothing"
        );
        let failed = |id| matches!(app.task_state(id), Some(TaskState::Failed(Closed::Lost)));
        assert!((0..40).any(failed));
    });
}

#[test]
fn silence_is_reported_after_the_requested_time() {
    let (mut sim, agent, controller, session) = in_the_middle(0, 0.0);
    let watch = Command::Watch {
        session,
        silence: SECOND * 5,
        ping: Some(SECOND),
    };
    sim.act(controller.host, vec![watch]);
    sim.kill(&agent);
    let died = sim.now();
    sim.run_until(SECOND * 10, "silent", |_| {
        controller.app.borrow().sessions[&session].silences == 1
    });
    let detected = sim.now().since(died);
    assert!(
        detected >= SECOND * 4 && detected <= SECOND * 5 + MS * 50,
        "{detected:?}"
    );
}

#[test]
fn a_silent_agent_that_comes_back_is_heard() {
    let (mut sim, agent, controller, session) = in_the_middle(0, 0.0);
    let watch = Command::Watch {
        session,
        silence: SECOND * 5,
        ping: Some(SECOND),
    };
    sim.act(controller.host, vec![watch]);
    sim.sleep(agent.host, SECOND * 30);
    sim.run_until(SECOND * 60, "done", |_| {
        controller.app.borrow().done() == 40
    });
    let app = controller.app.borrow();
    let state = &app.sessions[&session];
    assert_eq!((state.silences, state.returns), (1, 1));
}

#[test]
fn a_new_session_works_before_the_old_one_has_timed_out() {
    let (mut sim, agent, controller, _) = in_the_middle(0, 0.0);
    sim.restart(&agent);
    let (second, _) = connect_and_get_ticket(&mut sim, &controller, &agent);
    sim.ask(&controller, second, Task::echo(1000));
    sim.run_until(SECOND, "done", |_| {
        matches!(
            controller.app.borrow().task_state(1000),
            Some(TaskState::Done(_))
        )
    });
}

#[test]
fn an_early_command_in_flight_during_a_restart_runs_at_most_once() {
    seeds::each(100, |seed| {
        let mut sim = Simulation::new(seed, Link::lossy(MS * 20, 0.2));
        let (agent, controller) = (sim.agent(), sim.controller());
        let (_, ticket) = connect_and_get_ticket(&mut sim, &controller, &agent);
        sim.connect(&controller, &agent, Some(ticket), Some(Task::echo(1)));
        let pause = sim.rng.duration_below(MS * 70);
        sim.run_for(pause);
        sim.restart(&agent);
        // The agent's application panics at a second start, in whichever incarnation.
        sim.run_until(IDLE * 3, "over", |_| controller.app.borrow().pending() == 0);
        assert!(agent.app.borrow().started() <= 1);
    });
}

#[test]
fn a_connect_with_a_long_timeout_reaches_an_agent_that_comes_back() {
    let mut sim = Simulation::new(0, Link::perfect(MS * 20));
    let (agent, controller) = (sim.agent(), sim.controller());
    sim.kill(&agent);
    sim.connect(&controller, &agent, None, Some(Task::echo(1)));
    sim.run_for(SECOND * 20);
    sim.restart(&agent);
    let took = took(&mut sim, &controller, Task::echo(1));
    assert!(
        took < SECOND * 22,
        "{took:?}: it goes on trying every second"
    );
}
