//! Tests of the journal, each in a directory of its own.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::control::exec::{ByteCount, Output};
use crate::control::stdio::{Ledger as _, Part};
use crate::crypto::SecretKey;
use crate::rng::Rng;

fn agent() -> PublicKey {
    SecretKey::generate(&mut Rng::from_seed([1; 32])).public()
}

fn id(number: u8) -> RequestId {
    RequestId([number; 16])
}

fn journal() -> (tempfile::TempDir, Journal) {
    let directory = tempfile::tempdir().unwrap();
    let journal = Journal::new(directory.path().join("state/requests"), "boot".into());
    (directory, journal)
}

fn plan(ids: &[u8]) -> Plan {
    Plan {
        argv: vec![
            "sleep".into(),
            "600".into(),
            "x".repeat(5000).as_str().into(),
        ],
        keeping: Keeping::UntilSettled,
        known: Known::New,
        requests: ids
            .iter()
            .map(|&number| {
                (number != 0).then(|| Request {
                    id: id(number),
                    host: format!("web{number}"),
                    agent: agent(),
                    offsets: [Offsets::default(); 2],
                })
            })
            .collect(),
    }
}

fn files(journal: &Journal) -> Vec<PathBuf> {
    fs::read_dir(&journal.directory)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .collect()
}

fn find(journal: &Journal, id: RequestId) -> Option<Record> {
    journal.history().find(id, &agent()).cloned()
}

#[test]
fn a_run_is_found_while_it_is_in_progress_and_after_it_crashed() {
    let (_directory, journal) = journal();
    let live = journal.begin(plan(&[1, 0, 2])).unwrap();
    let found = find(&journal, id(2)).unwrap();
    assert!(found.live && found.state == State::Open);
    assert_eq!((found.slot, found.host.as_str()), (2, "web2"));
    assert_eq!(
        found.argv,
        ["sleep".into(), "600".into()],
        "the third word is beyond JOURNAL_ARGV"
    );
    for file in files(&journal) {
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
    // The kernel does the same for a process that was killed.
    drop(live);
    assert!(!find(&journal, id(1)).unwrap().live);
    assert!(find(&journal, id(3)).is_none());
}

#[test]
fn an_open_request_keeps_the_files_of_its_run() {
    let (_directory, journal) = journal();
    let mut live = journal.begin(plan(&[1, 2, 3])).unwrap();
    live.settle(0, State::Settled);
    live.settle(2, State::Void);
    live.close();
    assert_eq!(find(&journal, id(1)).unwrap().state, State::Settled);
    assert_eq!(find(&journal, id(2)).unwrap().state, State::Open);
    assert!(find(&journal, id(3)).is_none());
    journal.settle(&[(id(2), agent())].into());
    assert!(files(&journal).is_empty());
}

#[test]
fn a_result_collected_by_a_later_run_settles_the_earlier_one() {
    let (_directory, journal) = journal();
    journal.begin(plan(&[1])).unwrap().close();
    let mut later = journal
        .begin(Plan {
            known: Known::Before,
            ..plan(&[1])
        })
        .unwrap();
    later.settle(0, State::Settled);
    later.close();
    assert!(files(&journal).is_empty());
}

#[test]
fn a_request_id_given_by_hand_is_kept_with_its_age() {
    let (_directory, journal) = journal();
    assert_eq!(journal.history().age(id(1), &agent()), None);
    for (state, known) in [(State::Void, false), (State::Settled, true)] {
        let mut live = journal
            .begin(Plan {
                keeping: Keeping::UntilOld,
                ..plan(&[1])
            })
            .unwrap();
        live.settle(0, state);
        live.close();
        assert_eq!(
            journal.history().age(id(1), &agent()).is_some(),
            known,
            "{state:?}"
        );
    }
}

#[test]
fn an_outcome_settles_a_request_unless_the_agent_may_have_another() {
    let void = ["spawn_failed", "denied", "busy", "conflict"];
    for outcome in crate::message::outcome::ALL {
        let name = outcome.row().name;
        let state = if name == "lost" {
            State::Open
        } else if name == "unreachable" {
            State::Unanswered
        } else if void.contains(&name) {
            State::Void
        } else {
            State::Settled
        };
        assert_eq!(State::of(outcome), state, "{name}");
        assert_eq!(state.is_open(), ["lost", "unreachable"].contains(&name));
    }
}

#[test]
fn ages_across_boots_come_from_the_wall_clock() {
    let moment = |wall_ms, boot: &str, boottime_ms| Moment {
        wall_ms,
        boot: boot.into(),
        boottime_ms,
    };
    let now = moment(10_000, "b", 500);
    let millis = Duration::from_millis;
    assert_eq!(now.since(&moment(1, "b", 400)), millis(100));
    assert_eq!(now.since(&moment(9_000, "a", 400)), millis(1000));
    assert_eq!(now.since(&moment(11_000, "a", 400)), millis(0));
}

#[test]
fn pruning_removes_old_runs_and_the_oldest_of_too_many() {
    let (_directory, journal) = journal();
    journal.begin(plan(&[1])).unwrap().close();
    let old = journal.names()[0].clone();
    let rename = |from: &str, to: &str| {
        for ending in [".jsonl", ".slots"] {
            let path = |name: &str| journal.directory.join(format!("{name}{ending}"));
            fs::rename(path(from), path(to)).unwrap();
        }
    };
    let now = journal.now().wall_ms;
    let days = |days: u64| now - days * 24 * 3600 * 1000;
    rename(&old, &format!("{:013}-1", days(31)));
    journal.begin(plan(&[2])).unwrap().close();
    assert!(find(&journal, id(1)).is_none());
    assert_eq!(journal.names().len(), 1);
    let first = journal.names()[0].clone();
    rename(&first, &format!("{:013}-1", days(29)));
    for number in 0..limits::JOURNAL_RUNS {
        let name = format!("{:013}-{number:016x}.jsonl", days(20));
        fs::write(journal.directory.join(name), "").unwrap();
    }
    let _live = journal.begin(plan(&[3])).unwrap();
    assert!(find(&journal, id(2)).is_none());
    assert_eq!(journal.names().len(), limits::JOURNAL_RUNS);
}

#[test]
fn a_run_without_output_has_one_file_and_its_requests_are_open() {
    let (_directory, journal) = journal();
    let mut live = journal.begin(plan(&[1])).unwrap();
    // No second file is created before the first datagram.
    assert_eq!(files(&journal).len(), 1);
    let record = find(&journal, id(1)).unwrap();
    assert_eq!(
        (record.state, record.offsets),
        (State::Open, [Offsets::default(); 2])
    );
    live.settle(0, State::Settled);
    live.close();
    assert!(files(&journal).is_empty());
}

#[test]
fn a_run_that_was_killed_before_any_output_is_settled_by_another() {
    let (_directory, journal) = journal();
    drop(journal.begin(plan(&[1, 2])).unwrap());
    assert_eq!(files(&journal).len(), 1);
    journal.settle(&HashSet::from([(id(2), agent())]));
    assert_eq!(find(&journal, id(1)).unwrap().state, State::Open);
    assert_eq!(find(&journal, id(2)).unwrap().state, State::Settled);
    journal.settle(&HashSet::from([(id(1), agent())]));
    assert!(files(&journal).is_empty());
}

#[test]
fn files_that_cannot_be_read_are_skipped() {
    let (_directory, journal) = journal();
    journal.begin(plan(&[1])).unwrap().close();
    let name = journal.names()[0].clone();
    fs::write(record::slots_of(&journal.directory, &name), [0xff; 3]).unwrap();
    assert_eq!(find(&journal, id(1)).unwrap().state, State::Open);
    fs::write(record::lines_of(&journal.directory, &name), "{").unwrap();
    assert!(journal.runs().is_empty());
}

/// Returns the bytes from `start` to `end` of a chunk of `of` bytes.
fn part<T>(tag: &T, start: usize, end: usize, of: usize) -> Part<'_, T> {
    Part {
        tag,
        start,
        end,
        of,
    }
}

fn count(slot: u32, from: u64, bytes: u64) -> ByteCount {
    ByteCount {
        slot,
        output: Output::Stdout,
        from,
        bytes,
    }
}

#[test]
fn only_bytes_of_a_write_in_progress_are_in_doubt() {
    let (_directory, journal) = journal();
    let live = journal.begin(plan(&[1, 2])).unwrap();
    let mut ledger = live.ledger(40);
    let stdout = |number| {
        journal
            .history()
            .find(id(number), &agent())
            .unwrap()
            .offsets[0]
    };
    let (first, second) = (Some(count(40, 100, 10)), Some(count(40, 110, 10)));
    let parts = [part(&first, 4, 10, 10), part(&second, 0, 10, 10)];
    ledger.begin(&parts);
    assert_eq!(
        stdout(1),
        Offsets {
            written: 104,
            begun: 120
        }
    );
    ledger.done(&parts, 8);
    assert_eq!(stdout(1), Offsets::at(112));
    ledger.done(&parts, 3);
    assert_eq!(stdout(1), Offsets::at(107));
    // Lines behind the names of hosts, and one of udpctl itself, count as a whole or not at all.
    let (line, own, next) = (Some(count(41, 0, 5)), None, Some(count(41, 5, 5)));
    let other = Some(count(40, 120, 5));
    let parts = [
        part(&line, 0, 12, 12),
        part(&own, 0, 9, 9),
        part(&other, 0, 12, 12),
        part(&next, 0, 12, 12),
    ];
    ledger.begin(&parts);
    assert_eq!(
        stdout(2),
        Offsets {
            written: 0,
            begun: 10
        }
    );
    ledger.done(&parts, 12 + 9 + 3);
    assert_eq!(stdout(2), Offsets::at(5));
    assert_eq!(
        stdout(1),
        Offsets {
            written: 120,
            begun: 125
        }
    );
    assert_eq!(stdout(1).in_doubt(), 5);
}
