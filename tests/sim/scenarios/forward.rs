//! Forwarded connections (`forward`): the destination is a socket that reads to the end of its input and answers.

use std::time::Duration;

use udpagent::message::{Cause, Outcome};

use super::{MS, SECOND};
use crate::link::Link;
use crate::rng::SimRng;
use crate::seeds;
use crate::simulation::Simulation;
use crate::task::Task;
use crate::whole::{WholeAgent, WholeController};

/// Connections of one seed.
const CONNECTIONS: u64 = 5;

fn two(seed: u64, link: Link) -> (Simulation, WholeAgent, WholeController) {
    let mut sim = Simulation::new(seed, link);
    let agent = WholeAgent::new(&mut sim);
    let controller = WholeController::new(&mut sim);
    (sim, agent, controller)
}

fn connection(rng: &mut SimRng, id: u64) -> Task {
    Task {
        id,
        out: rng.below(200_000),
        err: 20,
        stdin: 1 + rng.below(100_000),
        takes: rng.duration_below(MS * 200),
        bound: 0,
    }
}

/// Nothing of the destination's answer is sent before it has seen the end of its input, so that each connection is
/// half closed for a while.
#[test]
fn both_directions_of_a_forward_are_exact_under_loss_reordering_and_duplicates() {
    seeds::each(16, |seed| {
        let mut rng = SimRng::new(seed, "forward");
        let link = Link {
            loss: 0.1,
            duplicate: 0.05,
            reorder: 0.1,
            jitter: MS * 10,
            ..Link::perfect(MS * 20)
        };
        let (mut sim, agent, controller) = two(seed, link);
        let tasks: Vec<Task> = (1..=CONNECTIONS)
            .map(|id| connection(&mut rng, id))
            .collect();
        for &task in &tasks {
            controller.forward(&mut sim, &agent, task);
            sim.run_for(rng.duration_below(MS * 300));
        }
        sim.run_until(SECOND * 300, "reported", |_| controller.pending() == 0);
        let app = controller.app.borrow();
        for task in tasks {
            let report = &app.reports[&task.id];
            let code = WholeAgent::exit_code(task.id);
            assert_eq!(report.outcome, Some(Outcome::Exited { code }), "{task:?}");
            assert_eq!(app.written[&task.id], [task.out, task.err], "{task:?}");
            assert_eq!(report.lengths, [task.out, task.err]);
            assert_eq!(agent.log.borrow().starts[&task.id], 1);
        }
    });
}

#[test]
fn a_forward_whose_controller_is_gone_is_ended_after_the_lease_and_not_taken_for_an_end() {
    let (mut sim, agent, controller) = two(0, Link::lossy(MS * 20, 0.05));
    let task = Task {
        id: 1,
        out: 1000,
        stdin: 50_000_000,
        ..Task::default()
    };
    controller.forward(&mut sim, &agent, task);
    sim.run_for(MS * 300);
    assert_eq!(agent.log.borrow().starts[&1], 1);
    controller.crash(&mut sim);
    sim.run_for(Duration::from_secs(200));
    // The destination has not seen an end of its input: it would have answered.
    let log = agent.log.borrow();
    assert_eq!((log.ended, log.returned.len()), (1, 0));
}

#[test]
fn a_forward_that_the_key_may_not_make_starts_nothing_and_tells_the_kind() {
    let mut sim = Simulation::new(0, Link::lossy(MS * 20, 0.1));
    sim.members().restrict_forwards("db:5432");
    let agent = WholeAgent::new(&mut sim);
    let controller = WholeController::new(&mut sim);
    let task = Task {
        stdin: 1000,
        ..Task::echo(1)
    };
    controller.forward(&mut sim, &agent, task);
    sim.run_until(SECOND * 60, "reported", |_| controller.pending() == 0);
    let app = controller.app.borrow();
    let report = &app.reports[&1];
    assert_eq!(report.outcome, Some(Outcome::Denied {}));
    assert_eq!(report.cause, Some(Cause::Forward));
    assert!(agent.log.borrow().starts.is_empty());
}
