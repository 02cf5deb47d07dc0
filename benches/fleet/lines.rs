//! Output of which every byte is known.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read};

/// Lines of each host, of 100 bytes: 5 MB.
const LINES: u32 = 50_000;

/// Command that writes them.
pub const COMMAND: [&str; 4] = ["seq", "-f", "%099.0f", "50000"];

/// Panics unless `output` has all lines of so many hosts, those of each in order.
pub fn check(output: impl Read, hosts: usize) {
    let mut last: HashMap<Vec<u8>, u32> = HashMap::new();
    let mut reader = BufReader::with_capacity(1 << 20, output);
    let mut line = Vec::new();
    while reader
        .read_until(b'\n', &mut line)
        .expect("a pipe can be read")
        > 0
    {
        let text = String::from_utf8_lossy(&line);
        assert!(
            add(&mut last, &line),
            "not the next line of its host: {text}"
        );
        line.clear();
    }
    assert_eq!(last.len(), hosts, "hosts that have written");
    assert!(
        last.values().all(|&last| last == LINES),
        "a host has written less"
    );
}

/// Counts a line; returns false if it is not the next one of its host.
fn add(hosts: &mut HashMap<Vec<u8>, u32>, line: &[u8]) -> bool {
    let Some(begin) = line.len().checked_sub(100).filter(|&begin| begin > 0) else {
        return false;
    };
    let (label, text) = line.split_at(begin);
    if !hosts.contains_key(label) {
        hosts.insert(label.to_owned(), 0);
    }
    let last = hosts.get_mut(label).expect("it was inserted");
    *last += 1;
    text == format!("{last:099}\n").as_bytes()
}
