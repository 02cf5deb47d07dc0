//! What happens, told as stories: given this network, these hosts, this comes of it.

mod chaos;
mod first_contact;
mod goodput;
mod hostile;
mod jobs;
mod load;
mod loss;
mod progress;
mod replay;
mod restart;
mod roaming;
mod silence;
mod slow_reader;
mod strangers;
mod ten_thousand;
mod the_network;

use std::time::Duration;

use udpagent::session::{SessionHandle, Ticket};

use crate::caller::Fate;
use crate::cast::{Agent, Laptop};
use crate::work::Work;
use crate::world::World;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// Lets a laptop meet an agent, so that it knows it from now on.
fn meet(world: &mut World, laptop: &Laptop, agent: &Agent) -> (SessionHandle, Ticket) {
    let session = world.connect(laptop, agent, None, None);
    world.run_until(SECOND * 60, "connected", |_| {
        laptop.app.borrow().sessions[&session].ticket.is_some()
    });
    let ticket = laptop.app.borrow().sessions[&session].ticket;
    (session, ticket.expect("connected"))
}

/// Runs until a work is over, and says how long it took.
fn took(world: &mut World, laptop: &Laptop, work: Work) -> Duration {
    world.run_until(SECOND * 600, "done", |_| laptop.app.borrow().pending() == 0);
    match laptop.app.borrow().fate(work.id) {
        Some(Fate::Done(took)) => *took,
        fate => panic!("{work:?} came to {fate:?}"),
    }
}
