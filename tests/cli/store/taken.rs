//! Stored descriptors that do not fit, or no longer.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::Ordering;

use rustix::io::{pread, pwrite};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::keeper::{IDS, Kept, Start, as_reaper};
use crate::harness::{User, cgroups, eventually, jobs_in};

/// Positions of the two copies in a record.
const COPIES: [u64; 2] = [64, 1 << 20];

/// Octets before a text: its number, its length and its checksum.
const HEADER: usize = 24;

/// Position of the checksum in a copy.
const CHECKSUM: u64 = 16;

fn numbers(record: &OwnedFd, at: u64) -> [u64; 3] {
    let mut header = [0; HEADER];
    pread(record, &mut header, at).unwrap();
    [0, 8, 16].map(|at| u64::from_le_bytes(header[at..at + 8].try_into().unwrap()))
}

/// Changes the state in a record, as if its writer had.
fn change(record: &OwnedFd, change: impl Fn(&mut Value)) {
    let [first, second] = COPIES.map(|at| numbers(record, at));
    let last = usize::from(second[0] > first[0]);
    let [number, length, _] = [first, second][last];
    let mut text = vec![0; usize::try_from(length).unwrap()];
    pread(record, &mut text, COPIES[last] + HEADER as u64).unwrap();
    let mut state = serde_json::from_slice(&text).unwrap();
    change(&mut state);
    let text = serde_json::to_vec(&state).unwrap();
    let number = (number + 1).to_le_bytes();
    let sum = number.iter().chain(&text);
    let sum = sum.fold(0xcbf2_9ce4_8422_2325, |sum: u64, &byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let length = (text.len() as u64).to_le_bytes();
    let copy = [&number[..], &length, &sum.to_le_bytes(), &text].concat();
    assert_eq!(pwrite(record, &copy, COPIES[1 - last]).unwrap(), copy.len());
}

/// Lets the service manager lose the standard output of the job that was kept last.
fn lose_output(kept: &Kept) {
    let mut list = kept.keeper.kept.lock().unwrap();
    let is_output = |(name, _): &(String, OwnedFd)| name.ends_with("-stdout");
    let last = list.iter().rposition(is_output).unwrap();
    list.remove(last);
}

#[test]
fn an_agent_whose_addresses_have_changed_meanwhile_stores_its_sockets_again() {
    as_reaper(
        "store::taken::an_agent_whose_addresses_have_changed_meanwhile_stores_its_sockets_again",
        || {
            let user = User::new();
            user.write_config("bind = ['127.0.0.1:0']\n");
            let bind = None;
            let start = Start {
                bind,
                ..Start::default()
            };
            let mut kept = Kept::start(user, start);
            kept.detach_waiting(IDS[0], 5);
            let sockets = |kept: &Kept| {
                let names = kept.keeper.names();
                names.iter().filter(|name| *name == "stored-socket").count()
            };
            assert_eq!(sockets(&kept), 1);
            kept.kill();
            let config = "bind = ['127.0.0.1:0', '127.0.0.2:0']\n";
            kept.user.write_config(config);
            kept.start_again();
            let both = kept.agent.addresses().to_vec();
            assert_eq!(both.len(), 2);
            assert_eq!(both[0].to_string(), kept.target);
            eventually("both sockets are kept", || sockets(&kept) == 2);
            // The next agent has them again.
            kept.kill();
            kept.start_again();
            assert_eq!(kept.agent.addresses(), both);
            kept.kill();
            kept.user.write_config("bind = ['127.0.0.2:0']\n");
            kept.start_again();
            assert_eq!(kept.agent.addresses(), &both[1..]);
            eventually("one socket is kept", || sockets(&kept) == 1);
            kept.target = kept.agent.target();
            fs::write(&kept.go, "").unwrap();
            let result = kept.result(IDS[0]);
            assert_eq!(
                (result.status, &result.stdout[..]),
                (5, &b"begun\ndone\n"[..]),
                "{}",
                result.stderr
            );
        },
    );
}

#[test]
fn a_command_whose_record_is_damaged_is_ended_and_the_others_go_on() {
    as_reaper(
        "store::taken::a_command_whose_record_is_damaged_is_ended_and_the_others_go_on",
        || {
            let mut kept = Kept::start(User::new(), Start::default());
            // Nothing but its process is known.
            let number = kept.user.path("number");
            let script = format!("echo $$ >{}; exec sleep 3600", number.display());
            kept.detach(IDS[0], &[], &script);
            eventually("it is kept", || kept.keeper.of_jobs() == 4);
            let number = fs::read_to_string(number).unwrap();
            let process = format!("/proc/{}", number.trim());
            assert!(Path::new(&process).exists());
            kept.detach_waiting(IDS[1], 6);
            kept.kill();
            {
                let list = kept.keeper.kept.lock().unwrap();
                let is_record = |(name, _): &&(String, OwnedFd)| name.ends_with("-record");
                let (_, first) = list.iter().find(is_record).unwrap();
                for at in COPIES {
                    pwrite(first, b"damaged", at + CHECKSUM).unwrap();
                }
            }
            kept.start_again();
            eventually("it is ended", || !Path::new(&process).exists());
            kept.assert_unknown(IDS[0]);
            eventually("nothing of it is kept", || kept.keeper.of_jobs() == 4);
            fs::write(&kept.go, "").unwrap();
            kept.assert_waited(IDS[1], 6);
        },
    );
}

#[test]
fn a_process_id_that_another_process_has_by_now_ends_that_one_not() {
    as_reaper(
        "store::taken::a_process_id_that_another_process_has_by_now_ends_that_one_not",
        || {
            let user = User::new();
            user.write_config("[cgroup]\nparent = 'off'");
            let mut kept = Kept::start(user, Start::default());
            kept.detach_waiting(IDS[0], 5);
            let jobs = kept.agent.jobs();
            kept.kill();
            fs::write(&kept.go, "").unwrap();
            eventually("it has ended", || jobs.left().is_empty());
            let mut other = Command::new("sleep")
                .arg("3600")
                .process_group(0)
                .spawn()
                .unwrap();
            kept.keeper.each("-record", |record| {
                change(record, |state| {
                    state["child"]["tree"]["leader"] = other.id().into();
                });
            });
            // It cannot be taken, so its tree is to be ended.
            lose_output(&kept);
            kept.start_again();
            kept.assert_unknown(IDS[0]);
            eventually("nothing of it is kept", || kept.keeper.of_jobs() == 0);
            let status = other.try_wait().unwrap();
            kill_process(Pid::from_child(&other), Signal::KILL).unwrap();
            other.wait().unwrap();
            assert_eq!(status, None);
        },
    );
}

#[test]
fn commands_whose_cgroups_are_gone_have_ended() {
    as_reaper(
        "store::taken::commands_whose_cgroups_are_gone_have_ended",
        || {
            let mut kept = Kept::start(User::new(), Start::default());
            let Some(directory) = cgroups(&kept.agent) else {
                return;
            };
            kept.detach_waiting(IDS[0], 5);
            kept.detach_waiting(IDS[1], 6);
            let jobs = kept.agent.jobs();
            kept.kill();
            fs::write(&kept.go, "").unwrap();
            eventually("they have ended", || jobs.left().is_empty());
            for name in jobs_in(&directory) {
                let gone = directory.join(name);
                eventually("it is empty", || fs::remove_dir(&gone).is_ok());
            }
            // This one cannot be taken.
            lose_output(&kept);
            kept.start_again();
            kept.assert_waited(IDS[0], 5);
            kept.assert_unknown(IDS[1]);
            // The retained result.
            eventually("one record is kept", || kept.keeper.of_jobs() == 1);
        },
    );
}

#[test]
fn commands_go_on_if_the_next_supervisor_dies_before_it_has_stored_anything() {
    as_reaper(
        "store::taken::commands_go_on_if_the_next_supervisor_dies_before_it_has_stored_anything",
        || {
            let mut kept = Kept::start(User::new(), Start::default());
            kept.detach_waiting(IDS[0], 5);
            // Something to discard, which comes first.
            let stale = fs::File::open("/dev/null").unwrap().into();
            let mut list = kept.keeper.kept.lock().unwrap();
            list.push(("stored-job-99-stdin".to_owned(), stale));
            drop(list);
            kept.kill();
            kept.keeper.make_busy();
            kept.start_again();
            let ping = kept.user.udpctl(["ping", &kept.target]).outcome();
            assert_eq!(ping.status, 0, "{}", ping.stderr);
            assert!(
                kept.keeper
                    .names()
                    .contains(&"stored-job-99-stdin".to_owned())
            );
            kept.kill();
            kept.keeper.is_busy.store(false, Ordering::SeqCst);
            kept.start_again();
            fs::write(&kept.go, "").unwrap();
            kept.assert_waited(IDS[0], 5);
        },
    );
}
