//! The emulated link, and the two network namespaces that it joins.

use std::fmt;
use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::Command;
use std::thread;

use rustix::process::{Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::common::namespace::Namespace;
use crate::common::process::Daemon;
use crate::tcp::Congestion;

/// Subnet of both ends, on the device `wire` that the emulator makes.
const SUBNET: &str = "10.77.0.0/30";

/// Properties of a link, in both directions.
#[derive(Clone, Copy)]
pub struct Shape {
    /// One-way delay in milliseconds.
    pub delay: u32,
    /// Rate in Mbit/s.
    pub rate: u32,
    /// Capacity of the queue before the link in KB.
    pub queue: u32,
    /// Packets lost at random, in per mille.
    pub loss: u32,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            delay, rate, queue, ..
        } = self;
        let rtt = 2 * delay;
        write!(f, "{rate} Mbit/s, {rtt} ms RTT, {queue} KB queue")
    }
}

/// End of a link.
#[derive(Clone, Copy)]
pub enum End {
    Controller,
    Agent,
}

impl End {
    /// Address that the emulator gives this end.
    pub const fn address(self) -> Ipv4Addr {
        match self {
            Self::Controller => Ipv4Addr::new(10, 77, 0, 1),
            Self::Agent => Ipv4Addr::new(10, 77, 0, 2),
        }
    }
}

/// A link that is up. Dropping it ends everything that runs in its namespaces.
pub struct Link {
    emulator: Daemon,
    controller: Namespace,
    agent: Namespace,
}

impl Link {
    pub fn up(emulator: &Path, shape: Shape) -> Self {
        let (controller, agent) = (Namespace::new("a"), Namespace::new("b"));
        let Shape {
            delay,
            rate,
            queue,
            loss,
        } = shape;
        let loss = f64::from(loss) / 10.0;
        let mut command = Command::new(emulator);
        command.args([controller.name(), agent.name()]).args([
            format!("delay={delay}"),
            format!("rate={rate}"),
            format!("queue={queue}"),
            format!("loss={loss}"),
        ]);
        let emulator = Daemon::start(command);
        emulator.line("linkem: up");
        Self {
            emulator,
            controller,
            agent,
        }
    }

    /// The controller's end and the agent's.
    pub const fn ends(&self) -> [&Namespace; 2] {
        [&self.controller, &self.agent]
    }

    const fn namespace(&self, end: End) -> &Namespace {
        match end {
            End::Controller => &self.controller,
            End::Agent => &self.agent,
        }
    }

    /// Runs `work` at one end. Sockets made there stay there.
    pub fn within<T: Send>(&self, end: End, work: impl FnOnce() -> T + Send) -> T {
        let path = Path::new("/run/netns").join(self.namespace(end).name());
        let enter_and_work = || {
            let file = File::open(path).expect("a namespace has a file");
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("root may enter a namespace");
            work()
        };
        // The thread ends before anything else could run in it.
        thread::scope(|scope| scope.spawn(enter_and_work).join())
            .expect("what is done at an end of the link succeeds")
    }

    /// Makes new TCP connections of both ends use this algorithm.
    pub fn set_congestion_control(&self, congestion: Congestion) {
        // The route has it, as a namespace's default may only be an algorithm that is free to every user.
        for end in [End::Controller, End::Agent] {
            let route = ["route", "change", SUBNET, "dev", "wire", "congctl"];
            let namespace = self.namespace(end);
            namespace.ip(&[&route[..], &[congestion.name()]].concat());
        }
    }

    /// Percentages of the packets so far that were lost at random and that the full queues dropped.
    pub fn losses(&self) -> (f64, f64) {
        let _ = kill_process(self.emulator.pid(), Signal::USR1);
        let counts = ["A->B", "B->A"].map(|direction| {
            let line = self.emulator.line(direction);
            ["sent", "lost", "dropped"].map(|name| count_after(&line, name))
        });
        let [sent, lost, dropped] = [0, 1, 2].map(|at| counts[0][at] + counts[1][at]);
        let percent = |count: f64| count * 100.0 / (sent + lost + dropped).max(1.0);
        (percent(lost), percent(dropped))
    }
}

/// Number after `name` in a line of counters.
fn count_after(line: &str, name: &str) -> f64 {
    let mut words = line.split(' ').skip_while(|word| *word != name).skip(1);
    let number = words.next().and_then(|word| word.parse().ok());
    number.unwrap_or_else(|| panic!("no {name} in {line:?}"))
}
