//! The controller on the path of the test bed, in simulated time.

use std::time::Duration;

use super::super::testbed::{DATAGRAM, Demand, Link, Seen, Testbed};
use crate::time::Instant;

const SEEDS: std::ops::Range<u64> = 0..3;

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// 100 Mbit/s, 50 ms, a queue of one BDP.
fn wide(loss_permille: u64) -> Link {
    Link::new(100, 50, 100, loss_permille)
}

/// Bytes delivered, in percent of the capacity of the link.
fn utilisation(seen: &Seen, link: &Link, time: Duration) -> u64 {
    seen.delivered * 100 / (link.rate * time.as_secs())
}

#[test]
fn random_loss_costs_little_more_throughput_than_the_lost_packets() {
    for loss in [0, 10, 20, 50] {
        for seed in SEEDS {
            let link = wide(loss);
            let mut testbed = Testbed::new(link, seed);
            testbed.run(secs(3));
            let seen = testbed.run(secs(10));
            let used = utilisation(&seen, &link, secs(10));
            assert!(used >= 85, "{loss} per mille, seed {seed}: {used} %");
        }
    }
}

#[test]
fn heavy_random_loss_leaves_most_of_the_remaining_capacity() {
    for (loss, least) in [(100, 75), (200, 60), (300, 45)] {
        for link in [wide(loss), Link::new(10, 20, 100, loss)] {
            for seed in SEEDS {
                let mut testbed = Testbed::new(link, seed);
                testbed.run(secs(4));
                let seen = testbed.run(secs(12));
                let used = utilisation(&seen, &link, secs(12));
                assert!(used >= least, "{link:?}, seed {seed}: {used} %");
            }
        }
    }
}

#[test]
fn congestion_loss_is_not_taken_for_the_paths_own_loss() {
    // The path loses a fifth by itself; then that loss ends, but the rate is cut to a third.
    for seed in SEEDS {
        let mut testbed = Testbed::new(Link::new(100, 50, 5, 200), seed);
        testbed.run(secs(10));
        testbed.path.link = Link::new(33, 50, 5, 0);
        testbed.run(secs(30));
        let seen = testbed.run(secs(10));
        assert!(seen.dropped * 100 <= seen.sent * 3, "seed {seed}: {seen:?}");
    }
}

#[test]
fn startup_fills_the_pipe_within_a_second() {
    for seed in SEEDS {
        let link = wide(0);
        let mut testbed = Testbed::new(link, seed);
        testbed.run(secs(1));
        let seen = testbed.run(secs(1));
        let used = utilisation(&seen, &link, secs(1));
        assert!(used >= 85, "seed {seed}: {used} %");
    }
}

#[test]
fn the_standing_queue_of_a_flow_stays_small() {
    for queue in [50, 100, 400] {
        let link = Link::new(100, 50, queue, 0);
        let bdp = link.rate / 20;
        let mut testbed = Testbed::new(link, 1);
        testbed.run(secs(3));
        let seen = testbed.run(secs(15));
        assert!(seen.max_queue <= bdp * 3 / 10, "{queue} %: {seen:?}");
        assert!(seen.mean_queue <= bdp / 20, "{queue} %: {seen:?}");
        assert_eq!(seen.dropped, 0);
    }
}

#[test]
fn a_shallow_queue_is_filled_without_flooding_it() {
    for (megabits, rtt) in [(100, 50), (100, 10), (10, 20)] {
        let link = Link::new(megabits, rtt, 10, 0);
        let mut testbed = Testbed::new(link, 1);
        testbed.run(secs(3));
        let seen = testbed.run(secs(15));
        assert!(utilisation(&seen, &link, secs(15)) >= 85, "{seen:?}");
        assert!(seen.dropped * 100 <= seen.sent * 3, "{seen:?}");
    }
}

#[test]
fn the_rate_follows_a_link_that_is_cut_to_a_tenth() {
    for queue in [20, 100] {
        for seed in SEEDS {
            let mut testbed = Testbed::new(Link::new(100, 50, queue, 0), seed);
            testbed.run(secs(5));
            let tenth = testbed.path.link.rate / 10;
            testbed.path.link.rate = tenth;
            testbed.run(secs(10));
            let seen = testbed.run(secs(5));
            let rate = testbed.pacing_rate();
            assert!(rate <= tenth * 3 / 2, "seed {seed}: {rate}");
            assert!(seen.dropped * 20 <= seen.sent, "seed {seed}: {seen:?}");
            assert!(
                seen.delivered >= tenth * 5 * 80 / 100,
                "seed {seed}: {seen:?}"
            );
        }
    }
}

#[test]
fn the_rate_follows_a_link_that_becomes_ten_times_as_wide() {
    for seed in SEEDS {
        let mut testbed = Testbed::new(Link::new(10, 50, 100, 0), seed);
        testbed.run(secs(5));
        testbed.path.link = wide(0);
        testbed.run(secs(8));
        let seen = testbed.run(secs(2));
        let used = utilisation(&seen, &testbed.path.link, secs(2));
        assert!(used >= 80, "seed {seed}: {used} %");
    }
}

#[test]
fn a_longer_round_trip_is_detected_by_probe_rtt() {
    let mut testbed = Testbed::new(Link::new(20, 20, 200, 0), 1);
    testbed.run(secs(5));
    testbed.path.link.rtt = Duration::from_millis(80);
    testbed.run(secs(20));
    let seen = testbed.run(secs(5));
    assert!(
        utilisation(&seen, &testbed.path.link, secs(5)) >= 80,
        "{seen:?}"
    );
}

#[test]
fn an_app_limited_sender_does_not_grow_its_window_beyond_its_use() {
    let mut testbed = Testbed::new(wide(0), 1);
    testbed.flows[0].demand = Demand::Rate(250_000);
    let seen = testbed.run(secs(30));
    assert!(seen.delivered >= 7_000_000, "{seen:?}");
    // 12 500 bytes fill its round trip. It may burst that and the initial window, thrice.
    assert!(testbed.window() <= 3 * 25_000);
}

#[test]
fn an_application_pause_lowers_no_estimate() {
    let mut testbed = Testbed::new(wide(0), 1);
    testbed.run(secs(5));
    let before = testbed.pacing_rate();
    testbed.flows[0].demand = Demand::Rate(100_000);
    testbed.run(secs(20));
    let after = testbed.pacing_rate();
    assert!(after >= before * 7 / 10, "{before} before, {after} after");
}

#[test]
fn a_path_outage_leads_to_the_minimum_window_and_then_to_a_new_startup() {
    let mut testbed = Testbed::new(wide(0), 1);
    testbed.run(secs(3));
    testbed.path.dark_until = testbed.now + secs(4);
    let mut least = u64::MAX;
    while testbed.now < testbed.path.dark_until + secs(2) {
        testbed.run(Duration::from_millis(10));
        least = least.min(testbed.window());
    }
    assert_eq!(least, 4 * DATAGRAM);
    testbed.run(secs(6));
    let seen = testbed.run(secs(2));
    let used = utilisation(&seen, &testbed.path.link, secs(2));
    assert!(used >= 85, "{used} %");
}

#[test]
fn ecn_marks_end_the_growth_of_the_queue_before_loss_does() {
    let queue = |mark_above| {
        let mut link = Link::new(100, 50, 400, 0);
        link.mark_above = mark_above;
        let mut testbed = Testbed::new(link, 1);
        let start = testbed.run(secs(2));
        let steady = testbed.run(secs(10));
        assert!(utilisation(&steady, &link, secs(10)) >= 85, "{steady:?}");
        (start.mean_queue, steady.max_queue)
    };
    let (start, steady) = queue(None);
    let (marked_start, marked_steady) = queue(Some(30_000));
    assert!(marked_start * 5 <= start * 4, "{marked_start} of {start}");
    assert!(marked_steady <= steady, "{marked_steady} of {steady}");
}

#[test]
fn the_window_is_never_below_four_datagrams_nor_the_rate_zero() {
    let mut link = Link::new(1, 20, 20, 300);
    link.mark_above = Some(0);
    let mut testbed = Testbed::new(link, 7);
    let end = Instant::ZERO + secs(30);
    while testbed.now < end {
        testbed.run(Duration::from_millis(5));
        assert!(testbed.window() >= 4 * DATAGRAM);
        assert!(testbed.pacing_rate() > 0);
    }
}

/// Jain's fairness index in percent: 100 if all flows get the same.
fn fairness(each: &[u64]) -> u64 {
    let sum: u128 = each.iter().map(|&bytes| u128::from(bytes)).sum();
    let squares: u128 = each.iter().map(|&bytes| u128::from(bytes).pow(2)).sum();
    u64::try_from(sum * sum * 100 / (squares * each.len() as u128)).unwrap()
}

#[test]
fn flows_that_join_share_a_link_and_do_not_flood_it() {
    for (queue, loss) in [(100, 0), (20, 0), (10, 0), (20, 100)] {
        let link = Link::new(50, 30, queue, loss);
        let mut testbed = Testbed::new(link, 1);
        for _ in 0..3 {
            testbed.run(secs(2));
            testbed.join();
        }
        testbed.run(secs(10));
        let seen = testbed.run(secs(15));
        assert!(utilisation(&seen, &link, secs(15)) >= 80, "{queue} {loss}");
        assert!(
            seen.dropped * 100 <= seen.sent * 8,
            "{queue} {loss} {seen:?}"
        );
        assert!(fairness(&seen.each) >= 60, "{queue} {loss} {seen:?}");
    }
}
