//! Scenarios: a topology, a seed, and the expected behaviour.

mod at_most_once;
mod chaos;
mod chat;
mod datagram_size;
mod ecn;
mod fleet;
mod forward;
mod from_option;
mod front_crashes;
mod goodput;
mod hostile;
mod idle;
mod init_flood;
mod jobs;
mod known_path;
mod loss;
mod network_model;
mod per_key;
mod progress;
mod reordering;
mod replay;
mod reset;
mod restart;
mod roaming;
mod round_trips;
mod several_addresses;
mod slow_reader;
mod unauthorized;

use std::time::Duration;

use udpagent::session::{SessionHandle, Ticket};

use crate::caller::TaskState;
use crate::nodes::{Agent, Controller};
use crate::simulation::Simulation;
use crate::task::Task;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// Connects a controller to an agent, and returns the session and the ticket for later ones.
fn connect_and_get_ticket(
    sim: &mut Simulation,
    controller: &Controller,
    agent: &Agent,
) -> (SessionHandle, Ticket) {
    let session = sim.connect(controller, agent, None, None);
    sim.run_until(SECOND * 60, "connected", |_| {
        controller.app.borrow().sessions[&session].ticket.is_some()
    });
    let ticket = controller.app.borrow().sessions[&session].ticket;
    (session, ticket.expect("connected"))
}

/// Runs until a task is complete, and returns its duration.
fn took(sim: &mut Simulation, controller: &Controller, task: Task) -> Duration {
    sim.run_until(SECOND * 600, "done", |_| {
        controller.app.borrow().pending() == 0
    });
    match controller.app.borrow().task_state(task.id) {
        Some(TaskState::Done(took)) => *took,
        task_state => panic!("{task:?} came to {task_state:?}"),
    }
}
