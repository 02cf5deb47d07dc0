//! How many round trips a command takes. Nothing is lost here and nothing takes time but the way.

use std::time::Duration;

use udpagent::session::Ticket;
use udpagent::wire::Early;

use super::{MS, SECOND, meet, took};
use crate::cast::{Agent, Laptop};
use crate::link::Link;
use crate::work::Work;
use crate::world::World;

const RTT: Duration = Duration::from_millis(100);

fn two() -> (World, Agent, Laptop) {
    let mut world = World::new(0, Link::perfect(RTT / 2));
    let (agent, laptop) = (world.agent(), world.laptop());
    (world, agent, laptop)
}

fn first_command(
    (world, agent, laptop): (&mut World, &Agent, &Laptop),
    ticket: Option<Ticket>,
    work: Work,
) -> (Duration, Early) {
    let session = world.connect(laptop, agent, ticket, Some(work));
    let took = took(world, laptop, work);
    let early = laptop.app.borrow().sessions[&session].early;
    (took, early.expect("connected"))
}

#[test]
fn the_first_command_to_an_agent_takes_two_round_trips() {
    let (mut world, agent, laptop) = two();
    let (took, _) = first_command((&mut world, &agent, &laptop), None, Work::echo(1));
    assert_eq!(took, RTT * 2);
}

#[test]
fn the_first_command_to_an_agent_that_was_met_before_takes_one() {
    let (mut world, agent, laptop) = two();
    let (_, ticket) = meet(&mut world, &laptop, &agent);
    let told = first_command((&mut world, &agent, &laptop), Some(ticket), Work::echo(1));
    assert_eq!(told, (RTT, Early::Accepted));
    assert_eq!(agent.app.borrow().starts[&1], 1);
}

#[test]
fn a_ticket_is_good_for_hours() {
    let (mut world, agent, laptop) = two();
    let (_, ticket) = meet(&mut world, &laptop, &agent);
    world.run_for(SECOND * 36_000);
    let told = first_command((&mut world, &agent, &laptop), Some(ticket), Work::echo(1));
    assert_eq!(told, (RTT, Early::Accepted));
}

#[test]
fn each_command_in_a_session_takes_one_round_trip() {
    let (mut world, agent, laptop) = two();
    let (session, _) = meet(&mut world, &laptop, &agent);
    for id in 0..200 {
        world.ask(&laptop, session, Work::echo(id));
        assert_eq!(took(&mut world, &laptop, Work::echo(id)), RTT);
        world.run_for(MS * (id % 7) as u32);
    }
}

#[test]
fn after_an_agent_restart_the_first_command_takes_two_and_runs_once() {
    let (mut world, agent, laptop) = two();
    let (_, ticket) = meet(&mut world, &laptop, &agent);
    world.restart(&agent);
    // Within one round trip of its start nobody can tell whether the agent before took the command.
    world.run_for(RTT);
    let told = first_command((&mut world, &agent, &laptop), Some(ticket), Work::echo(1));
    assert_eq!(told, (RTT * 2, Early::Refused));
    assert_eq!(agent.app.borrow().starts[&1], 1);
}

#[test]
fn a_controller_whose_idea_of_the_agents_time_is_off_is_asked_to_repeat() {
    for (off, expected) in [
        (-31, Early::Refused),
        (-29, Early::Accepted),
        (29, Early::Accepted),
        (31, Early::Refused),
    ] {
        let (mut world, agent, laptop) = two();
        // The agent is old enough for a time before to exist.
        world.run_for(SECOND * 100);
        let (_, mut ticket) = meet(&mut world, &laptop, &agent);
        ticket.offset += off * 1_000_000;
        let (took, early) =
            first_command((&mut world, &agent, &laptop), Some(ticket), Work::echo(1));
        assert_eq!(early, expected, "{off} s off");
        let trips = if early == Early::Accepted { 1 } else { 2 };
        assert_eq!(took, RTT * trips, "{off} s off");
    }
}

#[test]
fn a_long_answer_to_an_early_command_waits_for_the_address_to_be_proved() {
    let (mut world, agent, laptop) = two();
    let (_, ticket) = meet(&mut world, &laptop, &agent);
    // The judge watches the budget; 30 kB fit any initial window but the budget of one INIT.
    let work = Work::cat(1, 10_000);
    let told = first_command((&mut world, &agent, &laptop), Some(ticket), work);
    assert_eq!(told, (RTT * 2, Early::Accepted));
}

#[test]
fn an_answer_that_fits_the_budget_of_the_first_datagram_takes_one_round_trip() {
    let (mut world, agent, laptop) = two();
    let (_, ticket) = meet(&mut world, &laptop, &agent);
    let told = first_command(
        (&mut world, &agent, &laptop),
        Some(ticket),
        Work::cat(1, 2_000),
    );
    assert_eq!(told, (RTT, Early::Accepted));
}

#[test]
fn a_network_without_latency_is_no_special_case() {
    let mut world = World::new(0, Link::perfect(Duration::ZERO));
    let (agent, laptop) = (world.agent(), world.laptop());
    let (session, ticket) = meet(&mut world, &laptop, &agent);
    for id in 0..50 {
        world.ask(&laptop, session, Work::cat(id, 100_000));
        took(&mut world, &laptop, Work::echo(id));
    }
    let (took, _) = first_command((&mut world, &agent, &laptop), Some(ticket), Work::echo(99));
    assert!(took < MS, "{took:?}");
}

#[test]
fn an_agent_answers_from_the_address_that_was_asked() {
    let (mut world, agent, laptop) = two();
    let second = "192.0.2.200:7000".parse().unwrap();
    world.add_address(agent.host, second);
    world.network.records = Some(Vec::new());
    let to = (agent.key, second);
    world.connect_to(&laptop, to, None, Some(Work::echo(1)), SECOND * 10);
    took(&mut world, &laptop, Work::echo(1));
    let records = world.network.records.take().unwrap();
    let replies = records.iter().filter(|record| record.to == laptop.address);
    assert!(replies.clone().count() > 1);
    assert!(replies.clone().all(|record| record.from == second));
}
