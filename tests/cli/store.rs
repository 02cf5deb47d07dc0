//! The death of a supervisor whose descriptors the service manager keeps: its commands go on under the next one.
//!
//! The parent of an orphan must reap it, as the first process of a system does, and no other test must notice. So each
//! test here runs in a process of its own.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::fs::{OFlags, fcntl_getfl, fstat};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::io::{FdFlags, fcntl_setfd, pread, pwrite};
use rustix::pty::ptsname;
use udpagent::process::{become_subreaper, reap_orphans};

use crate::harness::{Agent, Child, Jobs, User, eventually};
use crate::service::Manager;

/// Variable of the process of one test.
const REAPER: &str = "UDPAGENT_TEST_REAPER";

/// Lowest number of a descriptor that is passed on, above those that an agent gets.
const PASSED: i32 = 600;

/// Runs a test in a process that reaps orphans.
fn as_reaper(name: &str, test: impl FnOnce()) {
    if std::env::var_os(REAPER).is_some() {
        become_subreaper().unwrap();
        std::thread::spawn(|| {
            loop {
                reap_orphans();
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        return test();
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", &format!("store::{name}"), "--nocapture"])
        .env(REAPER, "1");
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("1 passed"), "{text}");
}

/// Descriptors with their names, oldest first.
type Kept = Arc<Mutex<Vec<(String, OwnedFd)>>>;

/// Returns what distinguishes an open file from the others of an agent: its inode, its access, and the number of its
/// terminal, as the masters of all terminals are one inode.
fn file(descriptor: &OwnedFd) -> (u64, u64, OFlags, Option<CString>) {
    let stat = fstat(descriptor).unwrap();
    let access = fcntl_getfl(descriptor).unwrap() & OFlags::RWMODE;
    let terminal = ptsname(descriptor, Vec::new()).ok();
    (stat.st_dev, stat.st_ino, access, terminal)
}

/// A service manager that keeps descriptors.
struct Keeper {
    path: PathBuf,
    kept: Kept,
}

impl Keeper {
    fn new(user: &User) -> Self {
        let manager = Manager::new(user);
        let path = manager.path.clone();
        let kept = Kept::default();
        let list = Arc::clone(&kept);
        std::thread::spawn(move || {
            while let Ok((text, descriptors)) = manager.try_receive() {
                let lines = text.lines().filter_map(|line| line.split_once('='));
                let lines: BTreeMap<&str, &str> = lines.collect();
                let mut list = list.lock().unwrap();
                if lines.contains_key("FDSTORE") {
                    let name = lines["FDNAME"].to_owned();
                    for descriptor in descriptors {
                        // As systemd does: a duplicate of what is kept is not kept.
                        let is_new =
                            |(_, kept): &(String, OwnedFd)| file(kept) != file(&descriptor);
                        if list.iter().all(is_new) {
                            list.push((name.clone(), descriptor));
                        }
                    }
                } else if lines.contains_key("FDSTOREREMOVE") {
                    list.retain(|(name, _)| name != lines["FDNAME"]);
                }
            }
        });
        Self { path, kept }
    }

    fn names(&self) -> Vec<String> {
        let kept = self.kept.lock().unwrap();
        kept.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Number of descriptors of jobs.
    fn of_jobs(&self) -> usize {
        let names = self.names();
        names.iter().filter(|name| name.contains("job-")).count()
    }

    /// Starts an agent with the descriptors that are kept.
    fn start(&self, user: &User, most: usize) -> Agent {
        let copies: Vec<(String, OwnedFd)> = {
            let kept = self.kept.lock().unwrap();
            let copy = |(name, fd): &(String, OwnedFd)| {
                let copy = fcntl_dupfd_cloexec(fd, PASSED).unwrap();
                fcntl_setfd(&copy, FdFlags::empty()).unwrap();
                (name.clone(), copy)
            };
            kept.iter().map(copy).collect()
        };
        let numbers = copies.iter().map(|(_, fd)| fd.as_raw_fd());
        let moves = numbers.enumerate().map(|(index, number)| {
            let wanted = index + 3;
            format!("exec {wanted}<&{number} {number}<&-;")
        });
        let script = format!(
            "{} LISTEN_PID=$$ exec \"$@\"",
            moves.collect::<Vec<_>>().concat()
        );
        let names: Vec<_> = copies.iter().map(|(name, _)| name.clone()).collect();
        let mut command = user.command("bash");
        command
            .args(["-c", &script, "bash", env!("CARGO_BIN_EXE_udpagent")])
            .args(["--bind", "127.0.0.1:0", "-v"])
            .env("NOTIFY_SOCKET", &self.path)
            .env("FDSTORE", most.to_string())
            .env("LISTEN_FDS", copies.len().to_string())
            .env("LISTEN_FDNAMES", names.join(":"));
        Agent::from(command)
    }
}

/// Returns a script that waits for a file between two lines, and then exits.
fn waiting(go: &Path, exit: u8) -> String {
    format!(
        "echo begun; while [ ! -e {} ]; do sleep 0.05; done; echo done; exit {exit}",
        go.display()
    )
}

const IDS: [&str; 3] = [
    "000000000000000000000000000057a0",
    "000000000000000000000000000057a1",
    "000000000000000000000000000057a2",
];

fn detach(user: &User, target: &str, id: &str, script: &str) {
    detach_with(user, target, id, &[], script);
}

fn detach_with(user: &User, target: &str, id: &str, options: &[&str], script: &str) {
    let words = ["exec", "--detach", "--id", id, target];
    let words = [&words[..], options, &["--shell", script]].concat();
    let outcome = user.udpctl(words).outcome();
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
}

/// Kills a supervisor at a moment in which it moves no bytes.
fn kill(agent: &mut Agent) {
    let stat = format!("/proc/{}/stat", agent.child.pid().as_raw_pid());
    eventually("it sleeps", || {
        fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") S "))
    });
    agent.child.kill();
}

#[test]
fn commands_go_on_after_the_death_of_a_supervisor_whose_descriptors_are_stored() {
    as_reaper(
        "commands_go_on_after_the_death_of_a_supervisor_whose_descriptors_are_stored",
        || {
            let user = User::new();
            let keeper = Keeper::new(&user);
            let mut agent = keeper.start(&user, 64);
            let target = agent.target();
            let go = user.path("go");
            detach(&user, &target, IDS[0], &waiting(&go, 5));
            detach(&user, &target, IDS[1], "echo a result; exit 6");
            let on_terminal = format!(
                "while [ ! -e {} ]; do sleep 0.05; done; tty >/dev/null && stty size; exit 8",
                go.display()
            );
            detach_with(&user, &target, IDS[2], &["-t"], &on_terminal);
            let ended = |id: &str| user.udpctl(["attach", &target, id]).outcome();
            let mut command = user.command("udpctl");
            command.args(["exec", &target, "-i", "--", "sh", "-c", "cat; exit 7"]);
            let mut reader = Child::start(command);
            reader.type_in("before\n");
            reader.stdout_line(|line| line == "before");
            eventually("an end is known", || {
                let listed = user.udpctl(["jobs", &target]).outcome().stdout;
                String::from_utf8_lossy(&listed).contains("exited with status 6")
            });
            // Of the one that has ended, the record of its result; of the terminal, the record, the process and it.
            eventually("the descriptors are kept", || {
                keeper.of_jobs() == 4 + 1 + 3 + 5
            });
            for _ in 0..2 {
                kill(&mut agent);
                agent = keeper.start(&user, 64);
                assert_eq!(agent.target(), target);
            }
            fs::write(&go, "").unwrap();
            let result = ended(IDS[0]);
            let found = (result.status, &result.stdout[..], &result.stderr[..]);
            assert_eq!(found, (5, &b"begun\ndone\n"[..], ""));
            let result = ended(IDS[1]);
            assert_eq!((result.status, &result.stdout[..]), (6, &b"a result\n"[..]));
            let result = ended(IDS[2]);
            let written = String::from_utf8_lossy(&result.stdout);
            assert_eq!(result.status, 8, "{written}");
            assert!(written.contains("24 80"), "{written}");
            reader.type_in("after\n");
            reader.stdout_line(|line| line == "after");
            let (status, errors) = reader.wait();
            assert_eq!(status.code(), Some(7), "{errors}");
            let again = ["exec", "--id", IDS[0], &target, "--", "true"];
            assert_ne!(user.udpctl(again).outcome().status, 0);
            let jobs = agent.jobs();
            drop(agent);
            eventually("nothing is left", || jobs.left().is_empty());
            eventually("nothing is kept", || keeper.names().is_empty());
        },
    );
}

#[test]
fn commands_that_the_service_manager_has_no_room_for_end_with_the_supervisor() {
    as_reaper(
        "commands_that_the_service_manager_has_no_room_for_end_with_the_supervisor",
        || {
            let user = User::new();
            user.write_config("[cgroup]\nparent = 'off'");
            let keeper = Keeper::new(&user);
            // Room for five descriptors of the agent, and four of a job.
            let mut agent = keeper.start(&user, 9);
            let target = agent.target();
            let go = user.path("go");
            detach(&user, &target, IDS[0], &waiting(&go, 5));
            eventually("one is kept", || keeper.of_jobs() == 4);
            let [up, ended] = ["up", "ended"].map(|name| user.path(name));
            let script = format!(
                "exec 2>/dev/null; trap 'echo >{}; exit' TERM; echo >{}; while :; do sleep 0.05; done",
                ended.display(),
                up.display()
            );
            detach(&user, &target, IDS[1], &script);
            agent
                .child
                .stderr_line(|line| line.contains("does not keep the descriptors"));
            eventually("it is up", || up.exists());
            let jobs: Jobs = agent.jobs();
            kill(&mut agent);
            eventually("the guard has ended the other", || ended.exists());
            // This one ends while nobody follows it.
            fs::write(&go, "").unwrap();
            eventually("it has ended", || jobs.left().is_empty());
            let agent = keeper.start(&user, 9);
            let outcome = user.udpctl(["attach", &target, IDS[1]]).outcome();
            assert_eq!(outcome.status, 255);
            assert!(
                outcome.stderr.contains("does not know the request"),
                "{}",
                outcome.stderr
            );
            let result = user.udpctl(["attach", &target, IDS[0]]).outcome();
            assert_eq!(
                (result.status, &result.stdout[..]),
                (5, &b"begun\ndone\n"[..])
            );
            drop(agent);
        },
    );
}

/// Marks the record of a job as that of a supervisor that has died while it moved bytes.
fn mark(record: &OwnedFd) {
    let numbers = [64, 1 << 20].map(|at| {
        let mut number = [0; 8];
        pread(record, &mut number, at).unwrap();
        u64::from_le_bytes(number)
    });
    let last = numbers[0].max(numbers[1]);
    pwrite(record, &last.to_le_bytes(), 0).unwrap();
}

#[test]
fn a_command_whose_bytes_were_being_moved_is_lost_and_ended() {
    as_reaper(
        "a_command_whose_bytes_were_being_moved_is_lost_and_ended",
        || {
            let user = User::new();
            let keeper = Keeper::new(&user);
            let mut agent = keeper.start(&user, 64);
            let target = agent.target();
            let go = user.path("go");
            detach(&user, &target, IDS[0], &waiting(&go, 5));
            eventually("it is kept", || keeper.of_jobs() == 4);
            let jobs = agent.jobs();
            kill(&mut agent);
            for (name, descriptor) in keeper.kept.lock().unwrap().iter() {
                if name.ends_with("-record") {
                    mark(descriptor);
                }
            }
            let agent = keeper.start(&user, 64);
            let result = user.udpctl(["attach", &target, IDS[0]]).outcome();
            assert_eq!(result.status, 255);
            assert!(result.stderr.contains("lost"), "{}", result.stderr);
            eventually("it is ended", || jobs.left().is_empty());
            eventually("its process is no longer kept", || keeper.of_jobs() <= 1);
            drop(agent);
        },
    );
}

/// Commands that write in the moment of the crash.
const WRITERS: usize = 6;

#[test]
fn output_of_a_crash_in_full_flow_is_true_or_said_to_be_unknown() {
    as_reaper(
        "output_of_a_crash_in_full_flow_is_true_or_said_to_be_unknown",
        || {
            let user = User::new();
            let keeper = Keeper::new(&user);
            let mut agent = keeper.start(&user, 64);
            let target = agent.target();
            let lines: Vec<String> = (1..=LINES).map(|line| line.to_string()).collect();
            let whole = lines.join("\n") + "\n";
            // They write once they are kept, and for longer than it takes to kill the agent.
            let go = user.path("go");
            let script = format!(
                "while [ ! -e {} ]; do sleep 0.05; done; seq 1 {LINES}",
                go.display()
            );
            let outs: Vec<PathBuf> = (0..WRITERS)
                .map(|writer| user.path(format!("out-{writer}")))
                .collect();
            let writers: Vec<_> = outs
                .iter()
                .map(|out| {
                    let mut command = user.command("udpctl");
                    command.args(["exec", &target, "--shell", &script]);
                    command.stdout(fs::File::create(out).unwrap());
                    command.stderr(Stdio::piped()).spawn().unwrap()
                })
                .collect();
            eventually("they are kept", || keeper.of_jobs() == 4 * WRITERS);
            fs::write(&go, "").unwrap();
            eventually("they write", || {
                let lengths = outs.iter().map(|out| fs::metadata(out).unwrap().len());
                lengths.sum::<u64>() > 1 << 20
            });
            agent.child.kill();
            let agent = keeper.start(&user, 64);
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
            drop(agent);
        },
    );
}

/// Lines of a writer: some megabytes, more than its rings and pipes hold.
const LINES: usize = 1_500_000;
