//! Goodput of a download by loss, round trip and queue: a table kept as text, so that a change in
//! congestion control shows as a difference.

use std::fmt::Write as _;
use std::time::Duration;

use udpagent::session::limits;

use super::{MS, connect_and_get_ticket, took};
use crate::link::Link;
use crate::nodes::Tuning;
use crate::simulation::Simulation;
use crate::task::Task;

/// The accepted table.
const GOLDEN: &str = include_str!("../golden.txt");

/// Environment variable; with the value `write` the test rewrites the table.
const VARIABLE: &str = "UDPAGENT_GOLDEN";

/// Bytes per second of the link towards the controller.
const RATE: u64 = 2_500_000;

/// Bytes of a download: 3.2 s of that link.
const SIZE: u64 = 8_000_000;

const LOSSES: [f64; 6] = [0.0, 0.01, 0.02, 0.05, 0.1, 0.3];
const ROUND_TRIPS: [u32; 4] = [1, 10, 50, 200];

/// Percent of the bandwidth-delay product.
const QUEUES: [u64; 3] = [25, 100, 400];

/// Smallest queue: two datagrams.
const MIN_QUEUE: u64 = 3000;

/// Number of downloads whose mean is a cell of the table.
const SEEDS: u64 = 3;

/// Percent of the link's rate, rounded to steps of five, because smaller differences are chance.
fn goodput(loss: f64, round_trip: Duration, queue_percent: u64) -> u128 {
    let total: u128 = (1..=SEEDS)
        .map(|seed| duration(seed, loss, round_trip, queue_percent).as_micros())
        .sum();
    let percent = u128::from(SEEDS * SIZE) * 100_000_000 / u128::from(RATE) / total;
    (percent + 2) / 5 * 5
}

/// Time of a download.
fn duration(seed: u64, loss: f64, round_trip: Duration, queue_percent: u64) -> Duration {
    let latency = round_trip / 2;
    let volume = RATE * u64::try_from(round_trip.as_millis()).expect("short") / 1000;
    let mut sim = Simulation::new(seed, Link::lossy(latency, loss));
    sim.tuning = Tuning {
        segments: Some(limits::SEGMENTS),
        ..Tuning::default()
    };
    let agent = sim.agent();
    let controller = sim.controller();
    let bottleneck = Link {
        loss,
        ..Link::narrow(latency, RATE, (volume * queue_percent / 100).max(MIN_QUEUE))
    };
    sim.network
        .set_link(agent.host, controller.host, bottleneck);
    let (session, _) = connect_and_get_ticket(&mut sim, &controller, &agent);
    let task = Task::cat(1, SIZE);
    sim.ask(&controller, session, task);
    took(&mut sim, &controller, task)
}

fn table() -> String {
    let mut out = String::from(
        "Goodput of a download of 8 MB over a link of 20 Mbit/s, headers and start-up included, in
percent of the link, by random loss (both ways), round trip, and queue in bandwidth-delay products, but at least
two datagrams.

 rtt ms  queue",
    );
    for loss in LOSSES {
        write!(out, "{:>6.0} %", loss * 100.0).expect("a string");
    }
    for round_trip in ROUND_TRIPS {
        for queue in QUEUES {
            write!(
                out,
                "\n{round_trip:7}  {:>3}.{:02}",
                queue / 100,
                queue % 100
            )
            .expect("a string");
            for loss in LOSSES {
                write!(out, "{:8}", goodput(loss, MS * round_trip, queue)).expect("a string");
            }
        }
    }
    out.push('\n');
    out
}

#[test]
fn goodput_is_what_the_golden_table_says() {
    let table = table();
    if std::env::var(VARIABLE).is_ok_and(|value| value == "write") {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sim/golden.txt");
        std::fs::write(path, &table).expect("the repository can be written");
        return;
    }
    assert!(
        table == GOLDEN,
        "tests/sim/golden.txt says\n{GOLDEN}\nbut it is\n{table}\n\
         if that is meant: {VARIABLE}=write cargo test --test sim goodput"
    );
}
