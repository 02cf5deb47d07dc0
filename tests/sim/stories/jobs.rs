//! Whole programs: service and attempts on the machine, with pretended processes.

use std::net::SocketAddr;
use std::time::Duration;

use udpagent::control::exec::Report;
use udpagent::message::Outcome;

use super::{MS, SECOND};
use crate::link::Link;
use crate::seeds;
use crate::whole::{WholeAgent, WholeLaptop};
use crate::work::Work;
use crate::world::World;

const RTT: Duration = Duration::from_millis(100);

fn two(seed: u64, link: Link) -> (World, WholeAgent, WholeLaptop) {
    let mut world = World::new(seed, link);
    let agent = WholeAgent::new(&mut world);
    let laptop = WholeLaptop::new(&mut world);
    (world, agent, laptop)
}

fn finish(world: &mut World, laptop: &WholeLaptop, limit: Duration) {
    world.run_until(limit, "reported", |_| laptop.pending() == 0);
}

/// The report is what the process did, to the byte.
fn is_true(report: &Report, work: Work) {
    let code = WholeAgent::exit_code(work.id);
    assert_eq!(report.outcome, Some(Outcome::Exited { code }), "{work:?}");
    assert_eq!(report.lengths, [work.out, work.err]);
    assert_eq!(report.missing, [0, 0]);
}

fn all_true(laptop: &WholeLaptop, works: &[Work]) {
    let app = laptop.app.borrow();
    for work in works {
        is_true(&app.reports[&work.id], *work);
        let written = app.written.get(&work.id).copied().unwrap_or_default();
        assert_eq!(written, [work.out, work.err], "{work:?}");
    }
}

fn works(count: u64, most: u64) -> Vec<Work> {
    let work = |id| Work {
        id,
        out: id * 7_919 % most,
        err: id * 104_729 % (most / 4),
        stdin: if id % 4 == 0 { id * 31 % 9_000 } else { 0 },
        takes: Duration::from_millis(id % 5 * 40),
        bound: 0,
    };
    (1..=count).map(work).collect()
}

#[test]
fn a_command_takes_two_round_trips_and_then_one() {
    let (mut world, agent, laptop) = two(0, Link::perfect(RTT / 2));
    let mut took = Vec::new();
    for id in 1..=3 {
        let started = world.now();
        laptop.run(&mut world, &agent, Work::echo(id));
        finish(&mut world, &laptop, SECOND * 5);
        took.push(world.now().since(started));
        is_true(&laptop.app.borrow().reports[&id], Work::echo(id));
    }
    assert_eq!(took, [RTT * 2, RTT, RTT]);
}

#[test]
fn after_an_agent_restart_a_command_takes_two_and_runs_once() {
    let (mut world, agent, laptop) = two(0, Link::perfect(RTT / 2));
    laptop.run(&mut world, &agent, Work::echo(1));
    finish(&mut world, &laptop, SECOND * 5);
    agent.restart(&mut world);
    world.run_for(RTT);
    let started = world.now();
    laptop.run(&mut world, &agent, Work::echo(2));
    finish(&mut world, &laptop, SECOND * 5);
    assert_eq!(world.now().since(started), RTT * 2);
    assert_eq!(agent.log.borrow().starts[&2], 1);
}

#[test]
fn at_30_percent_loss_every_report_is_true() {
    seeds::each(6, |seed| {
        let (mut world, agent, laptop) = two(seed, Link::lossy(MS * 20, 0.3));
        let works = works(60, 40_000);
        for chunk in works.chunks(12) {
            for work in chunk {
                laptop.run(&mut world, &agent, *work);
            }
            finish(&mut world, &laptop, SECOND * 200);
        }
        all_true(&laptop, &works);
        assert_eq!(agent.log.borrow().starts.len(), works.len());
        world.run_for(SECOND * 10);
        assert_eq!(agent.processes(), 0);
    });
}

#[test]
fn in_any_mix_of_troubles_every_report_is_true() {
    seeds::each(150, |seed| {
        let mut dice = crate::dice::Dice::new(seed, "troubles");
        let (mut world, agent, laptop) = two(seed, Link::troubled(&mut dice));
        let works = works(6, 60_000);
        for work in &works {
            laptop.run(&mut world, &agent, *work);
            world.run_for(dice.upto(SECOND));
            if dice.chance(0.3) {
                let port = 1024 + u16::try_from(dice.below(60_000)).unwrap();
                let outer = SocketAddr::from(([203, 0, 113, 1], port));
                world.network.rebind(laptop.address, outer);
            }
        }
        finish(&mut world, &laptop, SECOND * 300);
        all_true(&laptop, &works);
    });
}

#[test]
fn a_controller_that_died_gets_exactly_the_rest_when_it_attaches() {
    seeds::each(30, |seed| {
        let (mut world, agent, laptop) = two(seed, Link::narrow(MS * 10, 500_000, 50_000));
        let work = Work::cat(1, 400_000);
        laptop.run(&mut world, &agent, work);
        let pause = world.dice.between(MS * 100, MS * 900);
        world.run_for(pause);
        laptop.crash(&mut world);
        laptop.attach(&mut world, &agent, work);
        finish(&mut world, &laptop, SECOND * 60);
        all_true(&laptop, &[work]);
        assert_eq!(agent.log.borrow().starts[&1], 1);
    });
}

#[test]
fn an_agent_that_restarts_in_the_middle_is_never_reported_as_success() {
    seeds::each(60, |seed| {
        let (mut world, agent, laptop) = two(seed, Link::lossy(MS * 20, 0.1));
        let works = works(8, 50_000);
        for work in &works {
            laptop.run(&mut world, &agent, *work);
        }
        let pause = world.dice.upto(MS * 800);
        world.run_for(pause);
        agent.restart(&mut world);
        // A second start of any of them, in whichever life, fails in the pretended processes.
        finish(&mut world, &laptop, SECOND * 400);
        for work in &works {
            let app = laptop.app.borrow();
            match app.reports[&work.id].outcome {
                Some(Outcome::Exited { .. }) => all_true(&laptop, &[*work]),
                Some(Outcome::Unknown {} | Outcome::Lost {}) => {}
                outcome => panic!("{work:?} came to {outcome:?}"),
            }
        }
    });
}

#[test]
fn a_controller_that_asked_several_times_does_not_take_its_command_away_from_itself() {
    // The agent is known to be near, and is far all of a sudden: by the time of its answer the first request
    // has been made anew several times, and the agent has all of them.
    let (mut world, agent, laptop) = two(0, Link::perfect(MS * 2));
    laptop.run(&mut world, &agent, Work::echo(1));
    finish(&mut world, &laptop, SECOND * 5);
    let far = Link::perfect(SECOND * 3);
    world.network.set_link(agent.host, laptop.host, far.clone());
    world.network.set_link(laptop.host, agent.host, far);
    let work = Work {
        takes: SECOND * 20,
        ..Work::echo(2)
    };
    laptop.run(&mut world, &agent, work);
    finish(&mut world, &laptop, SECOND * 200);
    all_true(&laptop, &[work]);
}
