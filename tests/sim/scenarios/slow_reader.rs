//! A slow reader: the writer stalls, memory stays bounded, and every byte arrives.

use udpagent::session::limits::{SESSION_WINDOW, STREAM_WINDOW};

use super::{MS, SECOND, connect_and_get_ticket};
use crate::caller::{Pace, TaskState};
use crate::link::Link;
use crate::nodes::Tuning;
use crate::seeds;
use crate::simulation::Simulation;
use crate::task::Task;

#[test]
fn a_reader_that_stops_stalls_the_writer_and_then_gets_every_byte() {
    let mut sim = Simulation::new(0, Link::perfect(MS * 5));
    let (agent, controller) = (sim.agent(), sim.controller());
    let (session, _) = connect_and_get_ticket(&mut sim, &controller, &agent);
    controller.app.borrow_mut().pace = Pace::Stopped;
    sim.ask(&controller, session, Task::cat(1, 20 << 20));
    sim.run_for(SECOND * 20);

    let held = controller.app.borrow().unread();
    assert!(
        held <= STREAM_WINDOW + 8,
        "{held} bytes wait for the reader"
    );
    let written = agent.app.borrow().written(1);
    assert!(
        written <= STREAM_WINDOW + 8,
        "{written} bytes were handed to the machine"
    );
    let sent = sim.network.counters.sent;
    sim.run_for(SECOND * 10);
    let more = sim.network.counters.sent - sent;
    assert!(more < 20, "{more} datagrams sent while nothing can move");

    controller.app.borrow_mut().wake(Pace::Slow {
        bytes: 16 << 10,
        every: MS * 10,
    });
    sim.act(controller.host, Vec::new());
    sim.run_until(SECOND * 60, "done", |_| controller.app.borrow().done() == 1);
    let most = sim.host(controller.host).most_unread();
    // The answer on the control lane waits beside them.
    assert!(most <= STREAM_WINDOW + 8, "{most} bytes waited at once");
}

#[test]
fn a_stalled_lane_holds_up_no_other_call() {
    let mut sim = Simulation::new(0, Link::perfect(MS * 5));
    let (agent, controller) = (sim.agent(), sim.controller());
    let (session, _) = connect_and_get_ticket(&mut sim, &controller, &agent);
    controller.app.borrow_mut().pace = Pace::Stopped;
    sim.ask(&controller, session, Task::cat(1, 5 << 20));
    sim.run_for(SECOND * 5);
    controller.app.borrow_mut().stalled = Some(1);
    controller.app.borrow_mut().pace = Pace::Eager;
    for id in 2..20 {
        sim.ask(&controller, session, Task::cat(id, 300_000));
    }
    sim.run_until(SECOND * 20, "done", |_| {
        controller.app.borrow().done() == 18
    });
    assert!(matches!(
        controller.app.borrow().task_state(1),
        Some(TaskState::Asked(_))
    ));
}

#[test]
fn all_calls_together_stay_within_the_sessions_window() {
    let mut sim = Simulation::new(0, Link::perfect(MS * 5));
    let (agent, controller) = (sim.agent(), sim.controller());
    let (session, _) = connect_and_get_ticket(&mut sim, &controller, &agent);
    controller.app.borrow_mut().pace = Pace::Stopped;
    for id in 0..16 {
        let task = Task {
            err: 2 << 20,
            ..Task::cat(id, 2 << 20)
        };
        sim.ask(&controller, session, task);
    }
    sim.run_for(SECOND * 20);
    let held = controller.app.borrow().unread();
    assert!(held <= SESSION_WINDOW, "{held} bytes wait for the reader");
    assert!(
        held > SESSION_WINDOW / 2,
        "{held}: the window is there to be used"
    );
}

#[test]
fn slow_readers_small_windows_and_loss_together_lose_nothing() {
    seeds::each(60, |seed| {
        let mut sim = Simulation::new(seed, Link::lossy(MS * 5, 0.1));
        sim.tuning = Tuning {
            sessions_per_key: None,
            stream_window: Some(1 + sim.rng.below(80_000)),
            session_window: Some(1 + sim.rng.below(300_000)),
            bytes_per_key: None,
            segments: None,
        };
        let (agent, controller) = (sim.agent(), sim.controller());
        let (session, _) = connect_and_get_ticket(&mut sim, &controller, &agent);
        controller.app.borrow_mut().pace = Pace::Slow {
            bytes: 1 + sim.rng.below(30_000),
            every: sim.rng.between(MS, MS * 50),
        };
        let slow = Pace::Slow {
            bytes: 5_000,
            every: MS * 5,
        };
        controller.app.borrow_mut().pace = slow;
        for id in 0..4 {
            let task = Task {
                err: 20_000,
                stdin: 100_000,
                ..Task::cat(id, 200_000)
            };
            sim.ask(&controller, session, task);
        }
        sim.run_until(SECOND * 300, "done", |_| {
            controller.app.borrow().done() == 4
        });
        assert_eq!(agent.app.borrow().started(), 4);
    });
}
