//! Order of the hosts under the rules of a run.

use super::*;
use proptest::prelude::*;

const START: Instant = Instant::from_micros(1_000_000);

fn ready(total: usize, rules: Rules) -> Schedule {
    let mut schedule = Schedule::new(total, rules);
    (0..total).for_each(|host| schedule.ready(host));
    schedule
}

fn begin(schedule: &mut Schedule, now: Instant) -> Vec<usize> {
    std::iter::from_fn(|| schedule.next(now)).collect()
}

#[test]
fn hosts_begin_in_order_as_they_become_ready() {
    let mut schedule = Schedule::new(3, Rules::default());
    assert_eq!(schedule.next(START), None);
    schedule.ready(2);
    schedule.ready(1);
    assert_eq!(begin(&mut schedule, START), [1, 2]);
    schedule.ready(0);
    assert_eq!(begin(&mut schedule, START), [0]);
    for host in 0..3 {
        assert!(!schedule.is_done());
        assert!(!schedule.ended(host, host > 0, START));
    }
    assert!(schedule.is_done() && schedule.stopped().is_none());
}

#[test]
fn a_batch_begins_after_the_pause_behind_the_one_before() {
    let rules = Rules {
        batches: Some(Batches {
            size: Share::Percent(40),
            pause: Duration::from_secs(5),
        }),
        ..Rules::default()
    };
    let mut schedule = ready(5, rules);
    assert_eq!(begin(&mut schedule, START), [0, 1]);
    schedule.ended(1, false, START);
    assert_eq!((schedule.next(START), schedule.deadline()), (None, None));
    schedule.ended(0, true, START);
    let later = START + Duration::from_secs(5);
    assert_eq!(
        (schedule.next(START), schedule.deadline()),
        (None, Some(later))
    );
    assert_eq!(begin(&mut schedule, later), [2, 3]);
    schedule.ended(2, true, later);
    schedule.ended(3, true, later);
    assert_eq!(begin(&mut schedule, later + Duration::from_secs(5)), [4]);
    schedule.ended(4, true, later);
    assert!(schedule.is_done() && schedule.deadline().is_none());
}

#[test]
fn a_canary_that_fails_stops_the_run_and_one_that_is_ok_asks() {
    let canary = |then| Rules {
        canary: Some(Canary { hosts: 1, then }),
        ..Rules::default()
    };
    let mut schedule = ready(3, canary(Then::Go));
    assert_eq!(begin(&mut schedule, START), [0]);
    assert!(schedule.ended(0, false, START));
    assert_eq!(schedule.stopped(), Some(Stop::Canary));
    assert!(schedule.next(START).is_none() && schedule.is_done());
    assert!(schedule.waiting().eq([1, 2]));

    let mut schedule = ready(3, canary(Then::Go));
    begin(&mut schedule, START);
    assert!(!schedule.ended(0, true, START));
    assert_eq!(begin(&mut schedule, START), [1, 2]);

    for go in [false, true] {
        let mut schedule = ready(3, canary(Then::Ask));
        begin(&mut schedule, START);
        schedule.ended(0, true, START);
        assert!(schedule.asks() && schedule.next(START).is_none());
        schedule.answer(go, START);
        assert!(!schedule.asks());
        assert_eq!(begin(&mut schedule, START).len(), if go { 2 } else { 0 });
        assert_eq!(schedule.stopped(), (!go).then_some(Stop::Declined));
    }
}

#[test]
fn a_canary_of_all_hosts_asks_nothing() {
    let rules = Rules {
        canary: Some(Canary {
            hosts: 2,
            then: Then::Ask,
        }),
        ..Rules::default()
    };
    let mut schedule = ready(2, rules);
    begin(&mut schedule, START);
    schedule.ended(0, true, START);
    schedule.ended(1, false, START);
    assert!(schedule.is_done() && !schedule.asks());
    assert_eq!(schedule.stopped(), None, "nothing was left to stop");
}

#[test]
fn too_many_errors_stop_the_run_unless_nothing_is_left_of_it() {
    let rules = Rules {
        max_errors: Some(Share::Hosts(2)),
        batches: Some(Batches {
            size: Share::Hosts(2),
            pause: Duration::ZERO,
        }),
        ..Rules::default()
    };
    let mut schedule = ready(4, rules);
    begin(&mut schedule, START);
    assert!(!schedule.ended(0, false, START));
    assert!(schedule.ended(1, false, START));
    assert_eq!(schedule.stopped(), Some(Stop::Errors(2)));
    assert!(schedule.is_done());
    let mut schedule = ready(2, rules);
    begin(&mut schedule, START);
    schedule.ended(0, false, START);
    assert!(!schedule.ended(1, false, START), "it was the last one");
}

#[test]
fn a_host_that_is_handed_back_begins_once_more_after_the_others_of_its_stage() {
    let rules = Rules {
        batches: Some(Batches {
            size: Share::Hosts(2),
            pause: Duration::ZERO,
        }),
        ..Rules::default()
    };
    let mut schedule = ready(3, rules);
    assert_eq!(schedule.next(START), Some(0));
    schedule.again(0);
    assert_eq!(begin(&mut schedule, START), [1, 0]);
    schedule.ended(1, true, START);
    assert_eq!(schedule.next(START), None);
    schedule.ended(0, true, START);
    assert_eq!(begin(&mut schedule, START), [2]);
}

proptest! {
    #[test]
    fn every_host_begins_once_and_ends_unless_the_run_stops(
        total in 1_usize..40,
        size in 1_usize..10,
        canary in proptest::option::of(1_usize..50),
        most in proptest::option::of(1_usize..10),
        failing: u64,
    ) {
        let rules = Rules {
            canary: canary.map(|hosts| Canary { hosts, then: Then::Go }),
            batches: Some(Batches { size: Share::Hosts(size), pause: Duration::ZERO }),
            max_errors: most.map(Share::Hosts),
            fail_fast: false,
        };
        let mut schedule = ready(total, rules);
        let (mut begun, mut errors) = (Vec::new(), 0);
        while !schedule.is_done() {
            let stage = begin(&mut schedule, START);
            prop_assert!(!stage.is_empty(), "the run stands still");
            for &host in &stage {
                let is_ok = failing >> host & 1 == 0;
                errors += usize::from(!is_ok);
                schedule.ended(host, is_ok, START);
            }
            begun.extend(stage);
        }
        prop_assert!(begun.iter().copied().eq(0..begun.len()), "in order");
        prop_assert!(schedule.waiting().eq(begun.len()..total));
        prop_assert_eq!(begun.len() < total, schedule.stopped().is_some());
        if schedule.stopped().is_some() {
            prop_assert!(errors > 0);
        }
    }
}
