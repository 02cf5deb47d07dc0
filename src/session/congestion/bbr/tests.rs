//! The controller on a modelled path, in simulated time.

use std::time::Duration;

use super::super::model::{DATAGRAM, Demand, Link, Model, Seen};
use crate::time::Instant;

const SEEDS: std::ops::Range<u64> = 0..3;

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// 100 Mbit/s, 50 ms, a queue of one BDP.
fn wide(loss_permille: u64) -> Link {
    Link::new(100, 50, 100, loss_permille)
}

/// Percent of what the link could have carried.
fn utilisation(seen: &Seen, link: &Link, time: Duration) -> u64 {
    seen.delivered * 100 / (link.rate * time.as_secs())
}

#[test]
fn random_loss_costs_what_was_lost_and_little_more() {
    for loss in [0, 10, 20, 50] {
        for seed in SEEDS {
            let link = wide(loss);
            let mut model = Model::new(link, seed);
            model.run(secs(3));
            let seen = model.run(secs(10));
            let used = utilisation(&seen, &link, secs(10));
            assert!(used >= 85, "{loss} per mille, seed {seed}: {used} %");
        }
    }
}

#[test]
fn heavy_random_loss_leaves_most_of_what_gets_through() {
    for (loss, least) in [(100, 75), (200, 50), (300, 45)] {
        for link in [wide(loss), Link::new(10, 20, 100, loss)] {
            for seed in SEEDS {
                let mut model = Model::new(link, seed);
                model.run(secs(4));
                let seen = model.run(secs(12));
                let used = utilisation(&seen, &link, secs(12));
                assert!(used >= least, "{link:?}, seed {seed}: {used} %");
            }
        }
    }
}

#[test]
fn loss_of_our_own_making_is_not_taken_for_the_paths() {
    // The path lost a fifth by itself; then it stops that, but is cut to a third.
    for seed in SEEDS {
        let mut model = Model::new(Link::new(100, 50, 5, 200), seed);
        model.run(secs(10));
        model.path.link = Link::new(33, 50, 5, 0);
        model.run(secs(30));
        let seen = model.run(secs(10));
        assert!(seen.dropped * 100 <= seen.sent * 3, "seed {seed}: {seen:?}");
    }
}

#[test]
fn start_up_fills_the_pipe_within_a_second() {
    for seed in SEEDS {
        let link = wide(0);
        let mut model = Model::new(link, seed);
        model.run(secs(1));
        let seen = model.run(secs(1));
        let used = utilisation(&seen, &link, secs(1));
        assert!(used >= 85, "seed {seed}: {used} %");
    }
}

#[test]
fn the_queue_it_adds_stays_small() {
    for queue in [50, 100, 400] {
        let link = Link::new(100, 50, queue, 0);
        let bdp = link.rate / 20;
        let mut model = Model::new(link, 1);
        model.run(secs(3));
        let seen = model.run(secs(15));
        assert!(seen.max_queue <= bdp * 3 / 10, "{queue} %: {seen:?}");
        assert!(seen.mean_queue <= bdp / 20, "{queue} %: {seen:?}");
        assert_eq!(seen.dropped, 0);
    }
}

#[test]
fn a_shallow_queue_is_filled_without_flooding_it() {
    for (megabits, rtt) in [(100, 50), (100, 10), (10, 20)] {
        let link = Link::new(megabits, rtt, 10, 0);
        let mut model = Model::new(link, 1);
        model.run(secs(3));
        let seen = model.run(secs(15));
        assert!(utilisation(&seen, &link, secs(15)) >= 85, "{seen:?}");
        assert!(seen.dropped * 100 <= seen.sent * 3, "{seen:?}");
    }
}

#[test]
fn the_rate_follows_a_link_that_is_cut_to_a_tenth() {
    for queue in [20, 100] {
        for seed in SEEDS {
            let mut model = Model::new(Link::new(100, 50, queue, 0), seed);
            model.run(secs(5));
            let tenth = model.path.link.rate / 10;
            model.path.link.rate = tenth;
            model.run(secs(10));
            let seen = model.run(secs(5));
            let rate = model.pacing_rate();
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
        let mut model = Model::new(Link::new(10, 50, 100, 0), seed);
        model.run(secs(5));
        model.path.link = wide(0);
        model.run(secs(8));
        let seen = model.run(secs(2));
        let used = utilisation(&seen, &model.path.link, secs(2));
        assert!(used >= 80, "seed {seed}: {used} %");
    }
}

#[test]
fn a_longer_path_is_noticed_by_probing_the_round_trip() {
    let mut model = Model::new(Link::new(20, 20, 200, 0), 1);
    model.run(secs(5));
    model.path.link.rtt = Duration::from_millis(80);
    model.run(secs(20));
    let seen = model.run(secs(5));
    assert!(
        utilisation(&seen, &model.path.link, secs(5)) >= 80,
        "{seen:?}"
    );
}

#[test]
fn an_app_limited_sender_earns_no_more_than_it_used() {
    let mut model = Model::new(wide(0), 1);
    model.flows[0].demand = Demand::Rate(250_000);
    let seen = model.run(secs(30));
    assert!(seen.delivered >= 7_000_000, "{seen:?}");
    // 12 500 bytes fill its round trip; what it may burst is that and the initial window, thrice.
    assert!(model.window() <= 3 * 25_000);
}

#[test]
fn a_pause_of_the_application_lowers_no_estimate() {
    let mut model = Model::new(wide(0), 1);
    model.run(secs(5));
    let before = model.pacing_rate();
    model.flows[0].demand = Demand::Rate(100_000);
    model.run(secs(20));
    let after = model.pacing_rate();
    assert!(after >= before * 7 / 10, "{before} before, {after} after");
}

#[test]
fn a_dark_path_brings_the_minimum_window_and_then_a_fresh_start() {
    let mut model = Model::new(wide(0), 1);
    model.run(secs(3));
    model.path.dark_until = model.now + secs(4);
    let mut least = u64::MAX;
    while model.now < model.path.dark_until + secs(2) {
        model.run(Duration::from_millis(10));
        least = least.min(model.window());
    }
    assert_eq!(least, 4 * DATAGRAM);
    model.run(secs(6));
    let seen = model.run(secs(2));
    let used = utilisation(&seen, &model.path.link, secs(2));
    assert!(used >= 85, "{used} %");
}

#[test]
fn marks_end_the_growth_of_the_queue_before_loss_does() {
    let queue = |mark_above| {
        let mut link = Link::new(100, 50, 400, 0);
        link.mark_above = mark_above;
        let mut model = Model::new(link, 1);
        let start = model.run(secs(2));
        let steady = model.run(secs(10));
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
    let mut model = Model::new(link, 7);
    let end = Instant::ZERO + secs(30);
    while model.now < end {
        model.run(Duration::from_millis(5));
        assert!(model.window() >= 4 * DATAGRAM);
        assert!(model.pacing_rate() > 0);
    }
}

/// Percent: 100 when all get the same (Jain's index).
fn fairness(each: &[u64]) -> u64 {
    let sum: u128 = each.iter().map(|&bytes| u128::from(bytes)).sum();
    let squares: u128 = each.iter().map(|&bytes| u128::from(bytes).pow(2)).sum();
    u64::try_from(sum * sum * 100 / (squares * each.len() as u128)).unwrap()
}

#[test]
fn flows_that_join_share_a_link_and_do_not_flood_it() {
    for (queue, loss) in [(100, 0), (20, 0), (10, 0), (20, 100)] {
        let link = Link::new(50, 30, queue, loss);
        let mut model = Model::new(link, 1);
        for _ in 0..3 {
            model.run(secs(2));
            model.join();
        }
        model.run(secs(10));
        let seen = model.run(secs(15));
        assert!(utilisation(&seen, &link, secs(15)) >= 80, "{queue} {loss}");
        assert!(
            seen.dropped * 100 <= seen.sent * 8,
            "{queue} {loss} {seen:?}"
        );
        assert!(fairness(&seen.each) >= 60, "{queue} {loss} {seen:?}");
    }
}
