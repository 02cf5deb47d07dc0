//! Floods of plain text: commands run meanwhile, memory and output stay bounded.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::Instant;

use udpagent::agent::limits::PLAIN_OVERALL;

use crate::harness::{User, helper, resident};

/// Source addresses of the flood.
const SOURCES: u8 = 200;

/// Datagrams sent at least.
const DATAGRAMS: u64 = 100_000;

/// Commands that run meanwhile.
const COMMANDS: usize = 10;

/// Growth of a process's memory, in bytes.
const GROWTH: u64 = 16 << 20;

/// Sends datagrams from several addresses while `work` runs, `DATAGRAMS` at least. Returns their number.
fn flood(agent: &str, sources: u8, work: impl FnOnce() + Send) -> u64 {
    let open = |number| {
        let socket = UdpSocket::bind((Ipv4Addr::new(127, 0, 1, number), 0)).unwrap();
        socket.connect(agent).unwrap();
        socket
    };
    let sockets: Vec<UdpSocket> = (1..=sources).map(open).collect();
    let mut sent = 0;
    std::thread::scope(|scope| {
        let work = scope.spawn(work);
        while !work.is_finished() || sent < DATAGRAMS {
            for socket in &sockets {
                // A full queue drops it.
                let _ = socket.send(b"flood\n");
                sent += 1;
            }
        }
    });
    sent
}

#[test]
fn a_flood_of_plain_text_stalls_no_command_and_neither_memory_nor_output_grows_with_it() {
    let user = User::new();
    let mut agent = user.agent();
    let target = agent.target();
    let run = || {
        let words = ["exec", &target, "--", "echo", "alive"];
        user.udpctl(words).stdout("alive\n").run();
    };
    run();
    let parent = agent.child.pid();
    let processes = [parent, helper(parent, "udpagent-front").unwrap()];
    let before = processes.map(resident);
    let began = Instant::now();
    let mut sent = 0;
    for sources in [1, SOURCES] {
        sent += flood(&target, sources, || (0..COMMANDS).for_each(|_| run()));
        let is_count = |line: &str| line.ends_with(" plain datagrams not shown");
        agent.child.stdout_line(is_count);
        let lines = agent.child.stdout_seen();
        let shown = lines.iter().filter(|line| line.ends_with(": flood"));
        let shown = u64::try_from(shown.count()).unwrap();
        let suppressed = lines.iter().filter_map(|line| {
            let line = line.strip_suffix(" plain datagrams not shown")?;
            Some(line.strip_prefix("* ")?.parse::<u64>().unwrap())
        });
        let suppressed: u64 = suppressed.sum();
        assert!(shown > 0 && suppressed > 0, "{shown} and {suppressed}");
        // The kernel drops some.
        assert!(
            shown + suppressed <= sent,
            "{shown} and {suppressed} of {sent}"
        );
        // In each second as many as are shown, and the number of the others.
        let most = (u64::from(PLAIN_OVERALL) + 1) * (began.elapsed().as_secs() + 2);
        assert!(lines.len() as u64 <= most, "{} lines", lines.len());
        for (process, before) in processes.into_iter().zip(before) {
            let grown = resident(process).saturating_sub(before);
            assert!(grown < GROWTH, "{grown} bytes more after {sent} datagrams");
        }
    }
}
