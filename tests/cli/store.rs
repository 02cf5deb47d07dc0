//! The death of a supervisor whose descriptors the service manager keeps: its commands go on under the next one.
//!
//! The parent of an orphan must reap it, as the first process of a system does, and no other test must notice. So each
//! test here runs in a process of its own.

mod keeper;
mod taken;

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::Ordering;

use rustix::io::{pread, pwrite};

use self::keeper::{IDS, Kept, Start, as_reaper};
use crate::harness::{Child, Jobs, User, eventually, waiting};

#[test]
fn commands_go_on_after_the_death_of_a_supervisor_whose_descriptors_are_stored() {
    as_reaper(
        "store::commands_go_on_after_the_death_of_a_supervisor_whose_descriptors_are_stored",
        || {
            let mut kept = Kept::start(User::new(), Start::default());
            let target = kept.target.clone();
            kept.detach_waiting(IDS[0], 5);
            kept.detach(IDS[1], &[], "echo a result; exit 6");
            let on_terminal = format!(
                "while [ ! -e {} ]; do sleep 0.05; done; tty >/dev/null && stty size; exit 8",
                kept.go.display()
            );
            kept.detach(IDS[2], &["-t"], &on_terminal);
            let mut command = kept.user.command("udpctl");
            command.args(["exec", &target, "-i", "--", "sh", "-c", "cat; exit 7"]);
            let mut reader = Child::start(command);
            reader.type_in("before\n");
            reader.stdout_line(|line| line == "before");
            eventually("an end is known", || {
                let listed = kept.user.udpctl(["jobs", &target]).outcome().stdout;
                String::from_utf8_lossy(&listed).contains("exited with status 6")
            });
            // Of the one that has ended, the record of its result; of the terminal, the record, the process and it.
            eventually("the descriptors are kept", || {
                kept.keeper.of_jobs() == 4 + 1 + 3 + 5
            });
            for _ in 0..2 {
                kept.kill();
                kept.start_again();
                assert_eq!(kept.agent.target(), target);
            }
            fs::write(&kept.go, "").unwrap();
            kept.assert_waited(IDS[0], 5);
            let result = kept.result(IDS[1]);
            assert_eq!((result.status, &result.stdout[..]), (6, &b"a result\n"[..]));
            let result = kept.result(IDS[2]);
            let written = String::from_utf8_lossy(&result.stdout);
            assert_eq!(result.status, 8, "{written}");
            assert!(written.contains("24 80"), "{written}");
            reader.type_in("after\n");
            reader.stdout_line(|line| line == "after");
            let (status, errors) = reader.wait();
            assert_eq!(status.code(), Some(7), "{errors}");
            let again = ["exec", "--id", IDS[0], &target, "--", "true"];
            assert_ne!(kept.user.udpctl(again).outcome().status, 0);
            let jobs = kept.agent.jobs();
            drop(kept.agent);
            eventually("nothing is left", || jobs.left().is_empty());
            eventually("nothing is kept", || kept.keeper.names().is_empty());
        },
    );
}

/// Checks that of two commands the second one is not kept, and is ended after the death of the supervisor.
fn one_of_two_is_kept(start: Start) {
    let user = User::new();
    user.write_config("[cgroup]\nparent = 'off'");
    let mut kept = Kept::start(user, start);
    kept.detach_waiting(IDS[0], 5);
    let [up, ended] = ["up", "ended"].map(|name| kept.user.path(name));
    let script = format!(
        "exec 2>/dev/null; trap 'echo >{}; exit' TERM; echo >{}; while :; do sleep 0.05; done",
        ended.display(),
        up.display()
    );
    kept.detach(IDS[1], &[], &script);
    let full = |line: &str| line.contains("does not keep the descriptors");
    kept.agent.child.stderr_line(full);
    eventually("it is up", || up.exists());
    let jobs: Jobs = kept.agent.jobs();
    kept.kill();
    eventually("the guard has ended the other", || ended.exists());
    // This one ends while nobody follows it.
    fs::write(&kept.go, "").unwrap();
    eventually("it has ended", || jobs.left().is_empty());
    kept.start_again();
    kept.assert_unknown(IDS[1]);
    kept.assert_waited(IDS[0], 5);
}

#[test]
fn commands_that_the_service_manager_has_no_room_for_end_with_the_supervisor() {
    // Room for five descriptors of the agent, and four of a job.
    let most = 9;
    let start = Start {
        most,
        ..Start::default()
    };
    as_reaper(
        "store::commands_that_the_service_manager_has_no_room_for_end_with_the_supervisor",
        || one_of_two_is_kept(start),
    );
}

#[test]
fn commands_above_the_soft_limit_of_open_files_end_with_the_supervisor() {
    // The same room, besides what an agent needs for itself.
    let files = Some(128 + 9);
    let start = Start {
        files,
        ..Start::default()
    };
    as_reaper(
        "store::commands_above_the_soft_limit_of_open_files_end_with_the_supervisor",
        || one_of_two_is_kept(start),
    );
}

#[test]
fn nothing_of_a_collected_command_is_kept_or_taken() {
    as_reaper(
        "store::nothing_of_a_collected_command_is_kept_or_taken",
        || {
            let mut kept = Kept::start(User::new(), Start::default());
            let is_open = |name: &String| name == "stored-agent";
            eventually("the store is open", || {
                kept.keeper.names().iter().any(is_open)
            });
            let before = kept.keeper.names();
            let waits = |exit: u8| {
                let mut command = kept.user.command("udpctl");
                let script = waiting(&kept.go, exit);
                command.args(["exec", &kept.target, "--shell", &script]);
                let child = Child::start(command);
                eventually("it is kept", || kept.keeper.of_jobs() == 4);
                child
            };
            let ends = |mut child: Child, exit: i32| {
                fs::write(&kept.go, "").unwrap();
                let (status, errors) = child.wait();
                assert_eq!(status.code(), Some(exit), "{errors}");
                fs::remove_file(&kept.go).unwrap();
            };
            ends(waits(5), 5);
            eventually("nothing of it is kept", || kept.keeper.names() == before);
            // What is still kept of this one when the supervisor dies counts no longer.
            let last = waits(6);
            kept.keeper.is_late.store(true, Ordering::SeqCst);
            ends(last, 6);
            let ignored = || kept.keeper.ignored.load(Ordering::SeqCst);
            eventually("its descriptors are to be discarded", || ignored() == 4);
            kept.kill();
            assert_eq!(kept.keeper.of_jobs(), 4);
            kept.keeper.is_late.store(false, Ordering::SeqCst);
            kept.start_again();
            let none = |line: &str| line.contains("has taken over, with 0 running commands");
            let log = kept.agent.child.stderr_seen();
            assert!(log.iter().any(|line| none(line)), "{log:?}");
            eventually("they are discarded", || kept.keeper.of_jobs() == 0);
        },
    );
}

#[test]
fn a_command_whose_bytes_were_being_moved_is_lost_and_ended() {
    as_reaper(
        "store::a_command_whose_bytes_were_being_moved_is_lost_and_ended",
        || {
            let mut kept = Kept::start(User::new(), Start::default());
            kept.detach_waiting(IDS[0], 5);
            let jobs = kept.agent.jobs();
            kept.kill();
            // As by a supervisor that has died while it moved bytes.
            kept.keeper.each("-record", |record| {
                let numbers = [64, 1 << 20].map(|at| {
                    let mut number = [0; 8];
                    pread(record, &mut number, at).unwrap();
                    u64::from_le_bytes(number)
                });
                let last = numbers[0].max(numbers[1]);
                pwrite(record, &last.to_le_bytes(), 0).unwrap();
            });
            kept.start_again();
            let result = kept.result(IDS[0]);
            assert_eq!(result.status, 255);
            assert!(result.stderr.contains("lost"), "{}", result.stderr);
            eventually("it is ended", || jobs.left().is_empty());
            eventually("its process is no longer kept", || {
                kept.keeper.of_jobs() <= 1
            });
        },
    );
}

/// Commands that write in the moment of the crash.
const WRITERS: usize = 6;

/// Lines of a writer: some megabytes, more than its rings and pipes hold.
const LINES: usize = 1_500_000;

#[test]
fn output_of_a_crash_in_full_flow_is_true_or_said_to_be_unknown() {
    as_reaper(
        "store::output_of_a_crash_in_full_flow_is_true_or_said_to_be_unknown",
        || {
            let mut kept = Kept::start(User::new(), Start::default());
            let lines: Vec<String> = (1..=LINES).map(|line| line.to_string()).collect();
            let whole = lines.join("\n") + "\n";
            // They write once they are kept, and for longer than it takes to kill the agent.
            let script = format!(
                "while [ ! -e {} ]; do sleep 0.05; done; seq 1 {LINES}",
                kept.go.display()
            );
            let outs: Vec<PathBuf> = (0..WRITERS)
                .map(|writer| kept.user.path(format!("out-{writer}")))
                .collect();
            let writers: Vec<_> = outs
                .iter()
                .map(|out| {
                    let mut command = kept.user.command("udpctl");
                    command.args(["exec", &kept.target, "--shell", &script]);
                    command.stdout(fs::File::create(out).unwrap());
                    command.stderr(Stdio::piped()).spawn().unwrap()
                })
                .collect();
            eventually("they are kept", || kept.keeper.of_jobs() == 4 * WRITERS);
            fs::write(&kept.go, "").unwrap();
            eventually("they write", || {
                let lengths = outs.iter().map(|out| fs::metadata(out).unwrap().len());
                lengths.sum::<u64>() > 1 << 20
            });
            kept.agent.child.kill();
            kept.start_again();
            for (writer, out) in writers.into_iter().zip(outs) {
                let output = writer.wait_with_output().unwrap();
                let errors = String::from_utf8_lossy(&output.stderr);
                let written = fs::read(out).unwrap();
                if output.status.success() {
                    assert!(written == whole.as_bytes(), "{errors}");
                } else {
                    assert_eq!(output.status.code(), Some(255), "{errors}");
                    assert!(errors.contains("lost"), "{errors}");
                    assert!(whole.as_bytes().starts_with(&written), "{errors}");
                }
            }
        },
    );
}
