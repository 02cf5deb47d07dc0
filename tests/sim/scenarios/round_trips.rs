//! Round trips of a command on a network without loss, where only the path takes time.

use std::time::Duration;

use udpagent::session::Ticket;
use udpagent::wire::Early;

use super::{MS, SECOND, connect_and_get_ticket, took};
use crate::link::Link;
use crate::nodes::{Agent, Controller};
use crate::simulation::Simulation;
use crate::task::Task;

const RTT: Duration = Duration::from_millis(100);

fn two() -> (Simulation, Agent, Controller) {
    let mut sim = Simulation::new(0, Link::perfect(RTT / 2));
    let (agent, controller) = (sim.agent(), sim.controller());
    (sim, agent, controller)
}

fn first_command(
    (sim, agent, controller): (&mut Simulation, &Agent, &Controller),
    ticket: Option<Ticket>,
    task: Task,
) -> (Duration, Early) {
    let session = sim.connect(controller, agent, ticket, Some(task));
    let took = took(sim, controller, task);
    let early = controller.app.borrow().sessions[&session].early;
    (took, early.expect("connected"))
}

#[test]
fn the_first_command_to_an_agent_takes_two_round_trips() {
    let (mut sim, agent, controller) = two();
    let (took, _) = first_command((&mut sim, &agent, &controller), None, Task::echo(1));
    assert_eq!(took, RTT * 2);
}

#[test]
fn the_first_command_to_an_agent_that_was_met_before_takes_one() {
    let (mut sim, agent, controller) = two();
    let (_, ticket) = connect_and_get_ticket(&mut sim, &controller, &agent);
    let result = first_command((&mut sim, &agent, &controller), Some(ticket), Task::echo(1));
    assert_eq!(result, (RTT, Early::Accepted));
    assert_eq!(agent.app.borrow().starts[&1], 1);
}

#[test]
fn a_ticket_is_good_for_hours() {
    let (mut sim, agent, controller) = two();
    let (_, ticket) = connect_and_get_ticket(&mut sim, &controller, &agent);
    sim.run_for(SECOND * 36_000);
    let result = first_command((&mut sim, &agent, &controller), Some(ticket), Task::echo(1));
    assert_eq!(result, (RTT, Early::Accepted));
}

#[test]
fn each_command_in_a_session_takes_one_round_trip() {
    let (mut sim, agent, controller) = two();
    let (session, _) = connect_and_get_ticket(&mut sim, &controller, &agent);
    for id in 0..200 {
        sim.ask(&controller, session, Task::echo(id));
        assert_eq!(took(&mut sim, &controller, Task::echo(id)), RTT);
        sim.run_for(MS * (id % 7) as u32);
    }
}

#[test]
fn after_an_agent_restart_the_first_command_takes_two_and_runs_once() {
    let (mut sim, agent, controller) = two();
    let (_, ticket) = connect_and_get_ticket(&mut sim, &controller, &agent);
    sim.restart(&agent);
    // Within one round trip of its start the agent cannot tell whether its predecessor took the command.
    sim.run_for(RTT);
    let result = first_command((&mut sim, &agent, &controller), Some(ticket), Task::echo(1));
    assert_eq!(result, (RTT * 2, Early::Refused));
    assert_eq!(agent.app.borrow().starts[&1], 1);
}

#[test]
fn an_early_command_with_a_wrong_agent_time_is_refused_and_repeated() {
    for (off, expected) in [
        (-31, Early::Refused),
        (-29, Early::Accepted),
        (29, Early::Accepted),
        (31, Early::Refused),
    ] {
        let (mut sim, agent, controller) = two();
        // The agent is old enough for a time before to exist.
        sim.run_for(SECOND * 100);
        let (_, mut ticket) = connect_and_get_ticket(&mut sim, &controller, &agent);
        ticket.offset += off * 1_000_000;
        let (took, early) =
            first_command((&mut sim, &agent, &controller), Some(ticket), Task::echo(1));
        assert_eq!(early, expected, "{off} s off");
        let trips = if early == Early::Accepted { 1 } else { 2 };
        assert_eq!(took, RTT * trips, "{off} s off");
    }
}

#[test]
fn a_long_answer_to_an_early_command_waits_for_address_validation() {
    let (mut sim, agent, controller) = two();
    let (_, ticket) = connect_and_get_ticket(&mut sim, &controller, &agent);
    // The invariants check the budget; 10 kB fit any initial window but not the budget of one INIT.
    let task = Task::cat(1, 10_000);
    let result = first_command((&mut sim, &agent, &controller), Some(ticket), task);
    assert_eq!(result, (RTT * 2, Early::Accepted));
}

#[test]
fn an_answer_that_fits_the_budget_of_the_first_datagram_takes_one_round_trip() {
    let (mut sim, agent, controller) = two();
    let (_, ticket) = connect_and_get_ticket(&mut sim, &controller, &agent);
    let result = first_command(
        (&mut sim, &agent, &controller),
        Some(ticket),
        Task::cat(1, 2_000),
    );
    assert_eq!(result, (RTT, Early::Accepted));
}

#[test]
fn a_network_without_latency_is_no_special_case() {
    let mut sim = Simulation::new(0, Link::perfect(Duration::ZERO));
    let (agent, controller) = (sim.agent(), sim.controller());
    let (session, ticket) = connect_and_get_ticket(&mut sim, &controller, &agent);
    for id in 0..50 {
        sim.ask(&controller, session, Task::cat(id, 100_000));
        took(&mut sim, &controller, Task::echo(id));
    }
    let (took, _) = first_command(
        (&mut sim, &agent, &controller),
        Some(ticket),
        Task::echo(99),
    );
    assert!(took < MS, "{took:?}");
}

#[test]
fn an_agent_answers_from_the_address_that_was_asked() {
    let (mut sim, agent, controller) = two();
    let second = "192.0.2.200:7000".parse().unwrap();
    sim.add_address(agent.host, second);
    sim.network.records = Some(Vec::new());
    let to = (agent.key, second);
    sim.connect_to(&controller, to, None, Some(Task::echo(1)), SECOND * 10);
    took(&mut sim, &controller, Task::echo(1));
    let records = sim.network.records.take().unwrap();
    let replies = records
        .iter()
        .filter(|record| record.to == controller.address);
    assert!(replies.clone().count() > 1);
    assert!(replies.clone().all(|record| record.from == second));
}
