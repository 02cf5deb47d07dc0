//! Memory that a network thread takes before it has anything to do.

use super::*;

/// Number of page faults of this thread that needed no disk, proc_pid_stat(5).
fn faults() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let faults = fields.split_ascii_whitespace().nth(7).unwrap();
    faults.parse().unwrap()
}

#[test]
fn a_network_thread_is_started_with_few_page_faults() {
    let carriers = bind_udp(&["127.0.0.1:0".parse().unwrap()])
        .unwrap()
        .carriers;
    let before = faults();
    let config = Config::new(secret(1), None);
    let net = start(carriers, config, rng().unwrap(), None, None).unwrap();
    let faults = faults() - before;
    // Each costs microseconds, and all of them precede the first datagram.
    assert!(faults < 100, "{faults} page faults");
    net.end();
}
