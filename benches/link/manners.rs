//! Behaviour towards others on the same link: shares of two downloads at the same time, and the queue that
//! one keeps. One run each.
#![allow(
    clippy::cast_precision_loss,
    reason = "counts of bytes are far below 2^52"
)]

use std::fmt;
use std::io::Read as _;
use std::net::UdpSocket;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::Bench;
use crate::common::process::{Running, TICK, check_signals};
use crate::common::programs::Agent;
use crate::link::{End, Link};
use crate::tcp::{Congestion, Download};
use crate::transfers::usual;

/// Time over which shares and round trips are taken.
const WINDOW: Duration = Duration::from_secs(20);

/// Time for a download to find the rate of the link before its queue is measured.
const WARM_UP: Duration = Duration::from_secs(3);

/// Time over which round trips of the idle link are taken.
const IDLE: Duration = Duration::from_secs(3);

/// Interval of probes.
const INTERVAL: Duration = Duration::from_millis(100);

/// Longest time for a probe, and for a download to begin.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone, Copy)]
enum Sender {
    Udpctl,
    Tcp(Congestion),
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udpctl => f.write_str("udpctl"),
            Self::Tcp(congestion) => congestion.fmt(f),
        }
    }
}

/// Prints both tables.
pub fn run(bench: &Bench) {
    let (shape, seconds) = (usual(0), WINDOW.as_secs());
    let tcp = bench.congestion.iter().copied().map(Sender::Tcp);
    let senders: Vec<_> = std::iter::once(Sender::Udpctl).chain(tcp).collect();

    println!("\nShares of two downloads begun at the same time, over {seconds} s, on {shape}\n");
    println!("| first | second | first | second | together |");
    println!("|---|---|---|---|---|");
    for (at, first) in senders.iter().enumerate() {
        for second in &senders[at..] {
            shares(bench, *first, *second);
        }
    }

    println!("\nMedian round trip during a download, over {seconds} s, on {shape}\n");
    println!("| sender | idle | loaded | queue added, in bandwidth-delay products | throughput |");
    println!("|---|---|---|---|---|");
    for sender in senders {
        queue(bench, sender);
    }
}

fn shares(bench: &Bench, first: Sender, second: Sender) {
    let link = bench.link(usual(0));
    let agent = bench.agent(&link);
    let flows = [first, second].map(|sender| Flow::start(sender, &link, &agent));
    flows.iter().for_each(Flow::await_begin);
    let begin = Instant::now();
    let before = flows.each_ref().map(Flow::received);
    pause(WINDOW);
    let after = flows.each_ref().map(Flow::received);
    let [one, other] = [after[0] - before[0], after[1] - before[1]];
    let total = one + other;
    let percent = |bytes: u64| bytes as f64 * 100.0 / total.max(1) as f64;
    println!(
        "| {first} | {second} | {:.0} % | {:.0} % | {:.1} Mbit/s |",
        percent(one),
        percent(other),
        rate(total, begin.elapsed())
    );
}

fn queue(bench: &Bench, sender: Sender) {
    let link = bench.link(usual(0));
    let agent = bench.agent(&link);
    let mut probe = Probe::new(&link);
    let idle = probe.median(IDLE);
    let flow = Flow::start(sender, &link, &agent);
    flow.await_begin();
    pause(WARM_UP);
    let (begin, before) = (Instant::now(), flow.received());
    let loaded = probe.median(WINDOW);
    let received = flow.received() - before;
    let product = f64::from(2 * usual(0).delay) / 1000.0;
    let added = loaded.saturating_sub(idle).as_secs_f64() / product;
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    println!(
        "| {sender} | {:.1} ms | {:.1} ms | {added:.2} | {:.1} Mbit/s |",
        ms(idle),
        ms(loaded),
        rate(received, begin.elapsed())
    );
}

/// Sleeps, and panics when the bench is asked to end.
fn pause(time: Duration) {
    let end = Instant::now() + time;
    loop {
        check_signals();
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        thread::sleep(left.min(TICK));
    }
}

/// Mbit/s of bytes received within `time`.
fn rate(bytes: u64, time: Duration) -> f64 {
    bytes as f64 * 8.0 / 1e6 / time.as_secs_f64()
}

/// An endless download, and a count of what it has received. Ended when dropped.
struct Flow {
    received: Arc<AtomicU64>,
    _source: Source,
}

#[expect(dead_code, reason = "they are held until they are dropped")]
enum Source {
    Program(Running),
    Connection(Download),
}

impl Flow {
    fn start(sender: Sender, link: &Link, agent: &Agent<'_>) -> Self {
        let received = Arc::new(AtomicU64::new(0));
        let source = match sender {
            Sender::Udpctl => Source::Program(udpctl(agent, &received)),
            Sender::Tcp(congestion) => {
                Source::Connection(Download::start(link, congestion, &received))
            }
        };
        Self {
            received,
            _source: source,
        }
    }

    fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    fn await_begin(&self) {
        let end = Instant::now() + PATIENCE;
        while self.received() == 0 {
            assert!(Instant::now() < end, "a download has not begun");
            thread::sleep(Duration::from_millis(1));
        }
    }
}

fn udpctl(agent: &Agent<'_>, received: &Arc<AtomicU64>) -> Running {
    let mut command = agent.exec(&[], &["cat", "/dev/zero"]);
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut running = Running(child.expect("ip can be started"));
    let mut stdout = running.0.stdout.take().expect("stdout is a pipe");
    let received = Arc::clone(received);
    thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(count @ 1..) = stdout.read(&mut buffer) {
            received.fetch_add(count as u64, Ordering::Relaxed);
        }
    });
    running
}

/// A socket at each end of the link, between which a datagram goes forth and back.
struct Probe {
    controller: UdpSocket,
    agent: UdpSocket,
    sequence: u64,
}

impl Probe {
    fn new(link: &Link) -> Self {
        let [controller, agent] = [End::Controller, End::Agent].map(|end| {
            let socket = link.within(end, || UdpSocket::bind((end.address(), 0)));
            socket.expect("a port is free")
        });
        for (socket, peer) in [(&controller, &agent), (&agent, &controller)] {
            let address = peer.local_addr().expect("a socket has an address");
            socket.connect(address).expect("the link has a route");
            let limited = socket.set_read_timeout(Some(PATIENCE / 10));
            limited.expect("a socket has a time-out");
        }
        Self {
            controller,
            agent,
            sequence: 0,
        }
    }

    /// Median of the round trips over `time`.
    fn median(&mut self, time: Duration) -> Duration {
        let end = Instant::now() + time;
        let mut trips = Vec::new();
        while Instant::now() < end {
            check_signals();
            trips.extend(self.round_trip());
            thread::sleep(INTERVAL);
        }
        trips.sort();
        *trips.get(trips.len() / 2).expect("a probe came back")
    }

    /// None if the datagram was lost.
    fn round_trip(&mut self) -> Option<Duration> {
        self.sequence += 1;
        let datagram = self.sequence.to_be_bytes();
        let begin = Instant::now();
        for (from, to) in [
            (&self.controller, &self.agent),
            (&self.agent, &self.controller),
        ] {
            from.send(&datagram).ok()?;
            let mut arrived = [0; 8];
            while arrived != datagram {
                to.recv(&mut arrived).ok()?;
            }
        }
        Some(begin.elapsed())
    }
}
