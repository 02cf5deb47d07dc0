//! Keys with `from=`: nothing from an address that is not validated is acted upon.

use std::net::SocketAddr;

use udpagent::session::Drop;
use udpagent::wire::Datagram;

use super::{MS, SECOND, connect_and_get_ticket};
use crate::caller::TaskState;
use crate::link::Link;
use crate::nodes::{Agent, Controller};
use crate::simulation::Simulation;
use crate::task::Task;

fn restricted() -> (Simulation, Agent, Controller) {
    let mut sim = Simulation::new(0, Link::perfect(MS * 10));
    sim.members().restrict("198.51.0.0/16,203.0.113.0/24");
    let (agent, controller) = (sim.agent(), sim.controller());
    (sim, agent, controller)
}

#[test]
fn a_recorded_undelivered_init_from_a_forged_address_starts_nothing() {
    let (mut sim, agent, controller) = restricted();
    let (_, ticket) = connect_and_get_ticket(&mut sim, &controller, &agent);
    sim.network.records = Some(Vec::new());
    let lost = Link::lossy(MS * 10, 1.0);
    sim.network.set_link(controller.host, agent.host, lost);
    sim.connect(&controller, &agent, Some(ticket), Some(Task::echo(1)));
    sim.run_for(MS * 100);
    let records = sim.network.records.take().expect("kept");
    let is_init = |bytes: &[u8]| matches!(Datagram::parse(bytes), Ok(Some(Datagram::Init(_))));
    let init = records.iter().find(|record| is_init(&record.bytes));
    // An address that from= allows, and at which the sender receives nothing.
    let forged: SocketAddr = "198.51.77.7:4000".parse().unwrap();
    let incarnation = sim.incarnation(agent.host);
    sim.invariants.key_is_known(incarnation, forged);
    let unvalidated = |sim: &Simulation| {
        let dropped = sim.endpoint(agent.host).stats().dropped;
        dropped[Drop::Unvalidated as usize]
    };
    let before = unvalidated(&sim);
    sim.forward(init.expect("one was sent"), forged);
    sim.run_for(SECOND);
    assert_eq!(agent.app.borrow().started(), 0);
    assert_eq!(unvalidated(&sim), before + 1);
}

#[test]
fn early_data_of_a_restricted_key_takes_a_second_round_trip_for_the_address() {
    let (mut sim, agent, controller) = restricted();
    let (_, ticket) = connect_and_get_ticket(&mut sim, &controller, &agent);
    sim.connect(&controller, &agent, Some(ticket), Some(Task::echo(1)));
    sim.run_for(SECOND);
    let app = controller.app.borrow();
    let Some(TaskState::Done(took)) = app.task_state(1) else {
        panic!("not done");
    };
    // The second round trip, and the pacing of the reply.
    assert!(*took >= MS * 40 && *took < MS * 45, "{took:?}");
}

#[test]
fn a_request_from_a_new_address_waits_until_that_address_is_validated() {
    let (mut sim, agent, controller) = restricted();
    let (session, _) = connect_and_get_ticket(&mut sim, &controller, &agent);
    let moved: SocketAddr = "203.0.113.7:1024".parse().unwrap();
    sim.network.rebind(controller.address, moved);
    // The challenge does not arrive, so the address stays unproved.
    let lost = Link::lossy(MS * 10, 1.0);
    sim.network.set_link(agent.host, controller.host, lost);
    sim.ask(&controller, session, Task::echo(1));
    sim.run_for(SECOND);
    assert_eq!(agent.app.borrow().started(), 0);
    sim.network
        .set_link(agent.host, controller.host, Link::perfect(MS * 10));
    sim.run_until(SECOND * 10, "done", |_| controller.app.borrow().done() == 1);
    assert_eq!(agent.app.borrow().moved.len(), 1);
}

#[test]
fn a_session_that_moves_to_an_address_that_is_not_allowed_is_closed_unheard() {
    let (mut sim, agent, controller) = restricted();
    let (session, _) = connect_and_get_ticket(&mut sim, &controller, &agent);
    let moved: SocketAddr = "233.252.0.7:1024".parse().unwrap();
    sim.network.rebind(controller.address, moved);
    sim.ask(&controller, session, Task::echo(1));
    sim.run_until(SECOND * 10, "closed", |_| {
        controller.app.borrow().sessions[&session].closed.is_some()
    });
    assert_eq!(agent.app.borrow().started(), 0);
}
