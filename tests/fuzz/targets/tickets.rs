//! The controller's file of tickets, with bytes changed, cut off and appended: a ticket that is found is one that was
//! stored.
#![no_main]

use std::fs;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use udpagent::control::tickets::Tickets;
use udpagent::crypto::PublicKey;
use udpagent::session::Ticket;

const BOOT: &str = "c0ffee00-0000-4000-8000-000000000000";

fuzz_target!(|input: (&[u8], Vec<(u16, u8)>, u16, &[u8])| {
    let (numbers, changes, cut, tail) = input;
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("tickets");
    let stored: Vec<(PublicKey, Ticket)> = numbers
        .iter()
        .map(|&number| {
            let ticket = Ticket {
                epoch: number.into(),
                offset: -i64::from(number),
                rtt: Duration::from_micros(number.into()),
                variation: Duration::from_micros(number.into()),
            };
            (PublicKey([number; 32]), ticket)
        })
        .collect();
    let tickets = Tickets::new(path.clone(), BOOT.into());
    for (agent, ticket) in &stored {
        tickets.learn(agent, ticket);
    }
    drop(tickets);
    if let Ok(mut bytes) = fs::read(&path) {
        for (at, flip) in changes {
            let length = bytes.len();
            bytes[usize::from(at) % length] ^= flip;
        }
        bytes.truncate(usize::from(cut));
        bytes.extend_from_slice(tail);
        fs::write(&path, bytes).expect("the file can be written");
    }
    // One that is read block by block, and one that is read at once.
    for count in [1, 256] {
        let tickets = Tickets::new(path.clone(), BOOT.into());
        let agents: Vec<PublicKey> = (0..=255).map(|number| PublicKey([number; 32])).collect();
        for some in agents.chunks(count) {
            for (agent, ticket) in std::iter::zip(some, tickets.load(some)) {
                let is_stored = |ticket| stored.contains(&(*agent, ticket));
                assert!(ticket.is_none_or(is_stored), "{agent}");
            }
        }
    }
});
