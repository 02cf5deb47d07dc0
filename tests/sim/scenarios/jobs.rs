//! Whole agents and controllers: jobs with simulated processes above real endpoints.

use std::net::SocketAddr;
use std::time::Duration;

use udpagent::control::exec::Report;
use udpagent::message::Outcome;

use super::{MS, SECOND};
use crate::link::Link;
use crate::seeds;
use crate::simulation::Simulation;
use crate::task::Task;
use crate::whole::{WholeAgent, WholeController};

const RTT: Duration = Duration::from_millis(100);

fn two(seed: u64, link: Link) -> (Simulation, WholeAgent, WholeController) {
    let mut sim = Simulation::new(seed, link);
    let agent = WholeAgent::new(&mut sim);
    let controller = WholeController::new(&mut sim);
    (sim, agent, controller)
}

fn finish(sim: &mut Simulation, controller: &WholeController, limit: Duration) {
    sim.run_until(limit, "reported", |_| controller.pending() == 0);
}

/// Checks that the reports match the processes, to the byte.
fn is_true(report: &Report, task: Task) {
    let code = WholeAgent::exit_code(task.id);
    assert_eq!(report.outcome, Some(Outcome::Exited { code }), "{task:?}");
    assert_eq!(report.lengths, [task.out, task.err]);
    assert_eq!(report.missing, [0, 0]);
}

fn all_true(controller: &WholeController, tasks: &[Task]) {
    let app = controller.app.borrow();
    for task in tasks {
        is_true(&app.reports[&task.id], *task);
        let written = app.written.get(&task.id).copied().unwrap_or_default();
        assert_eq!(written, [task.out, task.err], "{task:?}");
    }
}

fn tasks(count: u64, most: u64) -> Vec<Task> {
    let task = |id| Task {
        id,
        out: id * 7_919 % most,
        err: id * 104_729 % (most / 4),
        stdin: if id % 4 == 0 { id * 31 % 9_000 } else { 0 },
        takes: Duration::from_millis(id % 5 * 40),
        bound: 0,
    };
    (1..=count).map(task).collect()
}

#[test]
fn a_command_takes_two_round_trips_and_then_one() {
    let (mut sim, agent, controller) = two(0, Link::perfect(RTT / 2));
    let mut took = Vec::new();
    for id in 1..=3 {
        let started = sim.now();
        controller.run(&mut sim, &agent, Task::echo(id));
        finish(&mut sim, &controller, SECOND * 5);
        took.push(sim.now().since(started));
        is_true(&controller.app.borrow().reports[&id], Task::echo(id));
    }
    assert_eq!(took, [RTT * 2, RTT, RTT]);
}

#[test]
fn after_an_agent_restart_a_command_takes_two_and_runs_once() {
    let (mut sim, agent, controller) = two(0, Link::perfect(RTT / 2));
    controller.run(&mut sim, &agent, Task::echo(1));
    finish(&mut sim, &controller, SECOND * 5);
    agent.restart(&mut sim);
    sim.run_for(RTT);
    let started = sim.now();
    controller.run(&mut sim, &agent, Task::echo(2));
    finish(&mut sim, &controller, SECOND * 5);
    assert_eq!(sim.now().since(started), RTT * 2);
    assert_eq!(agent.log.borrow().starts[&2], 1);
}

#[test]
fn keys_that_are_used_up_in_mid_transfer_lose_no_byte_and_start_nothing_twice() {
    seeds::each(10, |seed| {
        let mut sim = Simulation::new(seed, Link::lossy(MS * 20, 0.02));
        sim.tuning.bytes_per_key = Some(300_000);
        let agent = WholeAgent::new(&mut sim);
        let controller = WholeController::new(&mut sim);
        let tasks = [1, 4].map(|id| Task {
            id,
            out: 2_000_000,
            err: 100_000,
            stdin: if id == 4 { 700_000 } else { 0 },
            takes: Duration::ZERO,
            bound: 0,
        });
        for task in &tasks {
            controller.run(&mut sim, &agent, *task);
        }
        finish(&mut sim, &controller, SECOND * 200);
        all_true(&controller, &tasks);
        assert!(
            agent
                .log
                .borrow()
                .starts
                .values()
                .all(|starts| *starts == 1)
        );
        let handshakes = sim.endpoint(agent.host).stats().handshakes;
        assert!(handshakes > 10, "{handshakes} keys");
    });
}

#[test]
fn at_30_percent_loss_every_report_is_true() {
    seeds::each(6, |seed| {
        let (mut sim, agent, controller) = two(seed, Link::lossy(MS * 20, 0.3));
        let tasks = tasks(60, 40_000);
        for chunk in tasks.chunks(12) {
            for task in chunk {
                controller.run(&mut sim, &agent, *task);
            }
            finish(&mut sim, &controller, SECOND * 200);
        }
        all_true(&controller, &tasks);
        assert_eq!(agent.log.borrow().starts.len(), tasks.len());
        sim.run_for(SECOND * 10);
        assert_eq!(agent.processes(), 0);
    });
}

#[test]
fn in_any_mix_of_impairments_every_report_is_true() {
    seeds::each(150, |seed| {
        let mut rng = crate::rng::SimRng::new(seed, "troubles");
        let (mut sim, agent, controller) = two(seed, Link::impaired(&mut rng));
        let tasks = tasks(6, 60_000);
        for task in &tasks {
            controller.run(&mut sim, &agent, *task);
            sim.run_for(rng.duration_below(SECOND));
            if rng.chance(0.3) {
                let port = 1024 + u16::try_from(rng.below(60_000)).unwrap();
                let outer = SocketAddr::from(([203, 0, 113, 1], port));
                sim.network.rebind(controller.address, outer);
            }
        }
        finish(&mut sim, &controller, SECOND * 300);
        all_true(&controller, &tasks);
    });
}

#[test]
fn a_killed_controller_gets_exactly_the_rest_when_it_attaches() {
    seeds::each(30, |seed| {
        let (mut sim, agent, controller) = two(seed, Link::narrow(MS * 10, 500_000, 50_000));
        let task = Task::cat(1, 400_000);
        controller.run(&mut sim, &agent, task);
        // The whole output takes 800 ms.
        let pause = sim.rng.between(MS * 100, MS * 750);
        sim.run_for(pause);
        controller.crash(&mut sim);
        controller.attach(&mut sim, &agent, task);
        finish(&mut sim, &controller, SECOND * 60);
        all_true(&controller, &[task]);
        assert_eq!(agent.log.borrow().starts[&1], 1);
    });
}

#[test]
fn an_agent_that_restarts_in_the_middle_is_never_reported_as_success() {
    seeds::each(60, |seed| {
        let (mut sim, agent, controller) = two(seed, Link::lossy(MS * 20, 0.1));
        let tasks = tasks(8, 50_000);
        for task in &tasks {
            controller.run(&mut sim, &agent, *task);
        }
        let pause = sim.rng.duration_below(MS * 800);
        sim.run_for(pause);
        agent.restart(&mut sim);
        // A second start, in whichever incarnation, panics in the simulated processes.
        finish(&mut sim, &controller, SECOND * 400);
        for task in &tasks {
            let app = controller.app.borrow();
            match app.reports[&task.id].outcome {
                Some(Outcome::Exited { .. }) => all_true(&controller, &[*task]),
                Some(Outcome::Unknown {} | Outcome::Lost {}) => {}
                outcome => panic!("{task:?} came to {outcome:?}"),
            }
        }
    });
}

#[test]
fn repeated_requests_of_one_controller_do_not_supersede_each_other() {
    // The round trip grows from 4 ms to 6 s: the controller has repeated its request several times before
    // the first answer, and the agent receives all of them.
    let (mut sim, agent, controller) = two(0, Link::perfect(MS * 2));
    controller.run(&mut sim, &agent, Task::echo(1));
    finish(&mut sim, &controller, SECOND * 5);
    let far = Link::perfect(SECOND * 3);
    sim.network
        .set_link(agent.host, controller.host, far.clone());
    sim.network.set_link(controller.host, agent.host, far);
    let task = Task {
        takes: SECOND * 20,
        ..Task::echo(2)
    };
    controller.run(&mut sim, &agent, task);
    finish(&mut sim, &controller, SECOND * 200);
    all_true(&controller, &[task]);
}

#[test]
fn a_job_goes_on_one_round_trip_after_its_session_was_reset() {
    let (mut sim, agent, controller) = two(0, Link::perfect(RTT / 2));
    let task = Task {
        takes: SECOND * 2,
        ..Task::cat(1, 5_000)
    };
    controller.run(&mut sim, &agent, task);
    sim.run_for(SECOND);
    let begun = sim.now();
    agent.replace_endpoint(&mut sim);
    let sessions = |sim: &Simulation| sim.endpoint(agent.host).sessions();
    assert_eq!(sessions(&sim), 0);
    // The reset takes half a round trip, and the request to attach another half.
    sim.run_until(RTT, "attached", |sim| sessions(sim) == 1);
    assert_eq!(sim.now().since(begun), RTT);
    finish(&mut sim, &controller, SECOND * 2);
    all_true(&controller, &[task]);
}

#[test]
fn jobs_outlive_an_endpoint_that_is_replaced_again_and_again() {
    seeds::each(40, |seed| {
        let (mut sim, agent, controller) = two(seed, Link::lossy(MS * 20, 0.1));
        let tasks = tasks(12, 200_000);
        for task in &tasks {
            controller.run(&mut sim, &agent, *task);
        }
        for _ in 0..10 {
            let pause = sim.rng.duration_below(SECOND);
            sim.run_for(pause);
            agent.replace_endpoint(&mut sim);
        }
        finish(&mut sim, &controller, SECOND * 100);
        let app = controller.app.borrow();
        for task in &tasks {
            match app.reports[&task.id].outcome {
                // A second start panics in the simulated processes.
                Some(Outcome::Exited { .. }) => all_true(&controller, &[*task]),
                outcome => panic!("{task:?} came to {outcome:?}"),
            }
        }
        assert_eq!(agent.log.borrow().starts.len(), tasks.len());
    });
}
