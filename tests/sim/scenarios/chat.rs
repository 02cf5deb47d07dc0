//! Members of a chat over days, lost sessions, and agents that end.

use std::time::Duration;

use super::{MS, SECOND};
use crate::link::Link;
use crate::seeds;
use crate::simulation::Simulation;
use crate::whole::{WholeAgent, WholeMember};

const HOUR: Duration = Duration::from_secs(3600);

/// Returns an agent whose chat has two members.
fn two_members(seed: u64, link: Link) -> (Simulation, WholeAgent, WholeMember, WholeMember) {
    let mut sim = Simulation::new(seed, link);
    let agent = WholeAgent::new(&mut sim);
    let [ann, bob] = [(); 2].map(|()| {
        let member = WholeMember::new(&mut sim, &agent, true);
        sim.run_until(SECOND * 60, "joined", |_| member.app.borrow().is_member());
        member
    });
    (sim, agent, ann, bob)
}

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}

#[test]
fn a_listener_over_days_hears_every_message_once() {
    let (mut sim, _, talker, listener) = two_members(0, Link::lossy(MS * 30, 0.02));
    let messages = 5 * 24;
    for number in 0..messages {
        talker.plan(&mut sim, HOUR * number, &number.to_string());
    }
    sim.run_for(HOUR * messages);
    let listener = listener.app.borrow();
    assert_eq!(listener.heard, numbers(messages as usize));
    assert_eq!((listener.names.len(), listener.missed), (1, 0));
    assert_eq!(talker.app.borrow().delivered, u64::from(messages));
}

#[test]
fn a_member_that_slept_hears_what_was_said_meanwhile_and_keeps_its_name() {
    let (mut sim, _, talker, sleeper) = two_members(0, Link::perfect(MS * 30));
    for number in 0..20 {
        talker.plan(&mut sim, HOUR * number / 2, &number.to_string());
    }
    sim.run_for(HOUR + SECOND);
    sim.sleep(sleeper.host, HOUR * 8);
    sim.run_for(HOUR * 10);
    let sleeper = sleeper.app.borrow();
    assert_eq!(sleeper.heard, numbers(20));
    assert_eq!(sleeper.missed, 0);
    assert_eq!(sleeper.names.len(), 2, "{:?}", sleeper.names);
    assert_eq!(sleeper.names[0], sleeper.names[1]);
}

#[test]
fn messages_that_the_history_no_longer_has_are_counted_for_a_member_that_slept() {
    let (mut sim, _, talker, sleeper) = two_members(0, Link::perfect(MS * 30));
    let history = WholeAgent::CHAT_HISTORY;
    let messages = history + 50;
    for number in 0..messages {
        talker.plan(&mut sim, HOUR, &number.to_string());
    }
    sim.sleep(sleeper.host, HOUR * 2);
    sim.run_for(HOUR * 3);
    let sleeper = sleeper.app.borrow();
    assert_eq!(sleeper.heard, numbers(messages)[50..]);
    assert_eq!(sleeper.missed, 50);
}

#[test]
fn a_line_whose_receipt_is_lost_with_the_session_is_said_once() {
    seeds::each(20, |seed| {
        let (mut sim, agent, talker, listener) = two_members(seed, Link::perfect(MS * 30));
        let lines = 20;
        for number in 0..lines {
            talker.plan(&mut sim, SECOND * number, &number.to_string());
        }
        // Either way is lost from some moment on, for longer than a session lasts.
        let cut = sim.rng.between(SECOND, SECOND * 19);
        sim.run_for(cut);
        let dead = Link::lossy(MS * 30, 1.0);
        let ends = [agent.host, talker.host];
        let [from, to] = if seed % 2 == 0 {
            ends
        } else {
            [ends[1], ends[0]]
        };
        sim.network.set_link(from, to, dead);
        sim.run_for(SECOND * 200);
        sim.network.set_link(from, to, Link::perfect(MS * 30));
        sim.run_for(SECOND * 400);
        assert_eq!(listener.app.borrow().heard, numbers(lines as usize));
        let talker = talker.app.borrow();
        assert_eq!(
            (talker.delivered, talker.end.clone()),
            (u64::from(lines), None)
        );
        assert_eq!(listener.app.borrow().came_and_left.len() % 2, 0);
    });
}
