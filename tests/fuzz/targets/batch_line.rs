//! Lines of `udpctl batch`: one that is understood is a request that can be sent to each of its targets.
#![no_main]

use std::collections::HashSet;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use udpagent::cli::ctl::batch::line::Parser;
use udpagent::control::targets::{Expression, Inventory};
use udpagent::message::limits::LINE;
use udpagent::message::{Request, to_line};
use udpagent::net::Target;
use udpagent::rng::Rng;

/// Largest number of targets that are made.
const MOST: u64 = 1000;

/// Number of targets of a line, as far as that is known.
fn count(bytes: &[u8]) -> u64 {
    let object = serde_json::from_slice::<Value>(bytes).unwrap_or_default();
    let set = object["target"].as_str().map(str::parse::<Expression>);
    set.and_then(Result::ok).map_or(0, |set| set.count())
}

fuzz_target!(|bytes: &[u8]| {
    if count(bytes) > MOST {
        return;
    }
    let mut parser = Parser {
        inventory: Inventory::default(),
        rng: Rng::from_seed([9; 32]),
        lease: Duration::from_secs(60),
    };
    let line = parser.line(7, bytes);
    assert_eq!(line.number, 7);
    let Ok((request, members)) = line.content else {
        return;
    };
    assert!(!members.is_empty() && !request.exec.argv.is_empty());
    assert_eq!(
        (request.size, request.exec.lease_ms),
        (bytes.len(), Some(60_000))
    );
    assert!(request.stdin.is_empty() || request.exec.stdin);
    assert!(to_line(&Request::Exec(request.exec)).len() <= LINE);
    let targets: HashSet<&Target> = members.iter().map(|member| &member.target).collect();
    assert_eq!(targets.len(), members.len());
});
