//! Agents with several addresses: commands start once, and an address that is silent costs the attempt delay.

use std::time::Duration;

use udpagent::message::Outcome;
use udpagent::session::limits::{ATTEMPT_DELAY, UNCONFIRMED};

use super::{MS, SECOND};
use crate::link::Link;
use crate::simulation::Simulation;
use crate::task::Task;
use crate::whole::{WholeAgent, WholeController};

/// Runs tasks one after the other and returns the time that each took.
fn run(
    sim: &mut Simulation,
    agent: &WholeAgent,
    controller: &WholeController,
    tasks: &[Task],
) -> Vec<Duration> {
    let mut took = Vec::new();
    for &task in tasks {
        let began = sim.now();
        controller.run(sim, agent, task);
        sim.run_until(SECOND * 30, "reported", |_| controller.pending() == 0);
        took.push(sim.now().since(began));
        let code = WholeAgent::exit_code(task.id);
        let app = controller.app.borrow();
        let report = &app.reports[&task.id];
        assert_eq!(report.outcome, Some(Outcome::Exited { code }));
        assert_eq!(report.lengths, [task.out, task.err]);
        assert_eq!(app.written[&task.id], [task.out, task.err]);
        assert_eq!(agent.log.borrow().starts[&task.id], 1);
    }
    took
}

fn two(rtt: Duration) -> (Simulation, WholeAgent, WholeController) {
    let mut sim = Simulation::new(0, Link::perfect(rtt / 2));
    let agent = WholeAgent::new(&mut sim);
    let controller = WholeController::new(&mut sim);
    (sim, agent, controller)
}

#[test]
fn a_silent_first_address_costs_the_attempt_delay_and_no_more() {
    let rtt = MS * 100;
    let (mut sim, mut agent, controller) = two(rtt);
    let nowhere = "203.0.113.1:7000".parse().expect("an address");
    agent.addresses.insert(0, nowhere);
    let took = run(
        &mut sim,
        &agent,
        &controller,
        &[Task::echo(1), Task::echo(2)],
    );
    assert_eq!(took, [ATTEMPT_DELAY + rtt * 2, ATTEMPT_DELAY + rtt]);
}

#[test]
fn a_command_whose_inits_reach_two_addresses_of_one_agent_starts_once() {
    // The answer from the first address takes longer than the attempt delay, so the command is sent to the second too.
    let rtt = MS * 400;
    let (mut sim, mut agent, controller) = two(rtt);
    let second = "203.0.113.1:7000".parse().expect("an address");
    agent.add_address(&mut sim, second);
    let took = run(&mut sim, &agent, &controller, &[Task::echo(1)]);
    assert_eq!(took, [rtt * 2]);
    let took = run(&mut sim, &agent, &controller, &[Task::echo(2)]);
    assert_eq!(took, [rtt]);
    // The INIT to the second address is still on its way.
    sim.run_for(rtt);
    assert_eq!(sim.endpoint(agent.host).stats().handshakes, 4);
}

#[test]
fn a_command_that_one_session_has_started_is_continued_in_the_session_that_answers_first() {
    let rtt = MS * 400;
    let (mut sim, mut agent, controller) = two(rtt);
    let second = "203.0.113.1:7000".parse().expect("an address");
    agent.add_address(&mut sim, second);
    run(&mut sim, &agent, &controller, &[Task::echo(1)]);
    for id in 2..10 {
        // What the agent sends to the session that has started the command is lost, its RESP first.
        sim.network.lose_next(agent.host, controller.host, id - 1);
        let task = Task {
            out: 20_000 * id,
            stdin: 100 * id,
            takes: MS * 70 * u32::try_from(id).expect("small"),
            ..Task::echo(id)
        };
        run(&mut sim, &agent, &controller, &[task]);
    }
    assert_eq!(sim.endpoint(agent.host).stats().handshakes, 18);
}

#[test]
fn a_command_outlives_the_session_that_has_started_it_and_was_never_confirmed() {
    let rtt = MS * 400;
    let (mut sim, mut agent, controller) = two(rtt);
    let second = "203.0.113.1:7000".parse().expect("an address");
    agent.add_address(&mut sim, second);
    run(&mut sim, &agent, &controller, &[Task::echo(1)]);
    sim.network.lose_next(agent.host, controller.host, 1);
    let task = Task {
        takes: UNCONFIRMED + SECOND,
        ..Task::echo(2)
    };
    run(&mut sim, &agent, &controller, &[task]);
}
