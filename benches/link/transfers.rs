//! Times of whole transfers, in both directions, by each tool.

use std::time::Duration;

use crate::Bench;
use crate::common::programs::Agent;
use crate::common::ssh::Server;
use crate::ending::{Ending, transfer};
use crate::link::Shape;
use crate::payload::Payload;
use crate::tcp::Congestion;

/// Longest time for one transfer. TCP CUBIC would take minutes over some of the links.
const LIMIT: Duration = Duration::from_secs(60);

/// A link, and the number of bytes to transfer over it.
pub struct Case {
    pub name: &'static str,
    pub shape: Shape,
    bytes: usize,
}

/// A link of 100 Mbit/s with 50 ms of round-trip time and a queue of one bandwidth-delay product.
pub const fn usual(loss: u32) -> Shape {
    shape(25, 100, 625, loss)
}

const fn shape(delay: u32, rate: u32, queue: u32, loss: u32) -> Shape {
    Shape {
        delay,
        rate,
        queue,
        loss,
    }
}

const fn case(name: &'static str, shape: Shape, megabytes: usize) -> Case {
    Case {
        name,
        shape,
        bytes: megabytes * 1_000_000,
    }
}

pub const CASES: &[Case] = &[
    case("loss-0", usual(0), 30),
    case("loss-1", usual(10), 30),
    case("loss-2", usual(20), 30),
    case("loss-5", usual(50), 30),
    case("long", shape(100, 100, 2500, 10), 30),
    case("fast", shape(40, 400, 4000, 5), 100),
];

#[derive(Clone, Copy)]
enum Direction {
    Download,
    Upload,
}

#[derive(Clone, Copy)]
enum Tool {
    Udpctl,
    Ssh(Congestion),
}

/// Column of the table: a tool in one direction.
#[derive(Clone, Copy)]
struct Column {
    tool: Tool,
    direction: Direction,
}

impl Column {
    fn title(self) -> String {
        let tool = match self.tool {
            Tool::Udpctl => "udpctl".to_owned(),
            Tool::Ssh(congestion) => format!("ssh, {congestion}"),
        };
        match self.direction {
            Direction::Download => format!("{tool}, down"),
            Direction::Upload => format!("{tool}, up"),
        }
    }
}

/// Prints a row for each of the `cases`, and returns the number of transfers that failed.
pub fn run(bench: &Bench, cases: &[&Case]) -> usize {
    let columns = columns(bench);
    let runs = bench.runs;
    println!("\nMedian time of a whole command, of {runs} runs, interleaved\n");
    let titles: Vec<_> = columns.iter().map(|column| column.title()).collect();
    println!(
        "| case | link | bytes | lost | dropped | {} |",
        titles.join(" | ")
    );
    println!("|{}", "---|".repeat(5 + columns.len()));
    let mut failures = 0;
    for case in cases {
        let payload = Payload::new(bench.programs.directory(), case.bytes);
        failures += row(bench, case, &payload, &columns);
        let _ = std::fs::remove_file(&payload.path);
    }
    failures
}

fn columns(bench: &Bench) -> Vec<Column> {
    let mut columns = Vec::new();
    for direction in [Direction::Download, Direction::Upload] {
        let ssh = bench
            .ssh
            .iter()
            .flat_map(|_| bench.congestion.iter().copied().map(Tool::Ssh));
        let tools = std::iter::once(Tool::Udpctl).chain(ssh);
        columns.extend(tools.map(|tool| Column { tool, direction }));
    }
    columns
}

fn row(bench: &Bench, case: &Case, payload: &Payload, columns: &[Column]) -> usize {
    let link = bench.link(case.shape);
    let agent = bench.agent(&link);
    let [controller, agents_end] = link.ends();
    let server = bench
        .ssh
        .as_ref()
        .map(|ssh| ssh.server(agents_end, controller));
    let mut endings = vec![Vec::new(); columns.len()];
    for _ in 0..bench.runs {
        for (column, endings) in columns.iter().zip(&mut endings) {
            // A tool that once took too long is not run again.
            if matches!(endings.last(), Some(Ending::TimedOut)) {
                continue;
            }
            if let Tool::Ssh(congestion) = column.tool {
                link.set_congestion_control(congestion);
            }
            let ending = measure(*column, &agent, server.as_ref(), payload);
            if let (Ending::TimedOut, Some(server)) = (ending, &server) {
                server.end_sessions();
            }
            endings.push(ending);
        }
    }
    let (lost, dropped) = link.losses();
    let cells: Vec<_> = endings.iter().map(|endings| cell(endings)).collect();
    let Case { name, shape, bytes } = case;
    println!(
        "| {name} | {shape} | {} MB | {lost:.2} % | {dropped:.2} % | {} |",
        bytes / 1_000_000,
        cells.join(" | ")
    );
    let failed = |ending: &&Ending| matches!(ending, Ending::Failed);
    endings.iter().flatten().filter(failed).count()
}

/// Transfers the payload once. A download is compared with it; an upload is read by cksum.
fn measure(
    column: Column,
    agent: &Agent<'_>,
    server: Option<&Server<'_>>,
    payload: &Payload,
) -> Ending {
    let path = payload.path.to_str().expect("its name is UTF-8");
    let (input, argv, expected) = match column.direction {
        Direction::Download => {
            let count = payload.bytes.len().to_string();
            let argv = ["head", "-c", &count, path].map(str::to_owned).to_vec();
            (None, argv, &payload.bytes)
        }
        Direction::Upload => {
            let argv = vec!["cksum".to_owned()];
            (Some(payload.path.as_path()), argv, &payload.checksum)
        }
    };
    let argv: Vec<_> = argv.iter().map(String::as_str).collect();
    let command = match column.tool {
        Tool::Udpctl => {
            let options: &[&str] = if input.is_some() { &["-i"] } else { &[] };
            agent.exec(options, &argv)
        }
        Tool::Ssh(_) => server
            .expect("ssh has a column only if installed")
            .exec(&[], &argv),
    };
    transfer(command, input, expected, LIMIT)
}

/// Median of the runs as text, or the worst that happened.
fn cell(endings: &[Ending]) -> String {
    let mut times = Vec::new();
    let mut timed_out = false;
    for ending in endings {
        match ending {
            Ending::Finished(time) => times.push(*time),
            Ending::TimedOut => timed_out = true,
            Ending::Failed => return "failed".to_owned(),
        }
    }
    if timed_out {
        return format!("> {} s", LIMIT.as_secs());
    }
    times.sort();
    format!("{:.2} s", times[times.len() / 2].as_secs_f64())
}
