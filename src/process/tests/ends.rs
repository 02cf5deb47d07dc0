//! Termination of process trees, and their reaping.

use std::io::Write;
use std::os::fd::OwnedFd;

use rustix::process::{PidfdFlags, WaitId, WaitIdOptions, getpid, pidfd_open, waitid};

use super::snapshot::{Entry, Identity, Table};
use super::tree::Group;
use super::trial::{BY_KILL, BY_TERM, Trial, marked};
use super::*;
use crate::time::Instant;

/// A descendant of a process under test, with its pidfd.
struct Descendant {
    identity: Identity,
    pidfd: OwnedFd,
}

impl Descendant {
    /// Reads its process id from the next line of `pipe`.
    fn announced(pipe: &mut Pipe) -> Self {
        let pid = Pid::from_raw(read_line(pipe).trim_end().parse().unwrap()).unwrap();
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).unwrap();
        let identity = Entry::read(pid).unwrap().identity();
        Self { identity, pidfd }
    }

    fn entry(&self) -> Option<Entry> {
        let entry = Entry::read(self.identity.0)?;
        (entry.identity() == self.identity).then_some(entry)
    }

    fn is_running(&self) -> bool {
        self.entry().is_some_and(|entry| entry.alive)
    }
}

#[test]
fn a_tree_ends_to_the_last_descendant_and_leaves_no_zombie() {
    become_subreaper().unwrap();
    let script = "sleep 600 & echo $!
        setsid sleep 600 & echo $!
        (setsid sh -c 'sleep 600 & echo $!' &)
        sleep 600";
    let mut process = spawn(&marked(script, "tree")).unwrap();
    let stdout = process.stdout.as_mut().unwrap();
    let descendants: Vec<Descendant> = (0..3).map(|_| Descendant::announced(stdout)).collect();
    // The parents of one of them have ended, and this process adopts it.
    eventually("an orphan is adopted", || {
        let is_adopted =
            |descendant: &Descendant| descendant.entry().unwrap().parent == getpid().as_raw_pid();
        descendants.iter().any(is_adopted)
    });

    let mut trial = Trial::new(&process);
    assert_eq!(trial.result(), Progress::Ended);

    let took = trial.time.now().since(Instant::ZERO);
    assert!(took < GRACE, "TERM must suffice: {took:?}");
    assert!(!descendants.iter().any(Descendant::is_running));
    assert!(trial.endings.is_empty() && trial.endings.poll_timeout().is_none());
    assert_eq!(process.exited().unwrap(), Some(BY_TERM));
    assert_eq!(process.reap().unwrap(), Some(BY_TERM));
    eventually("no zombie is left", || {
        reap_orphans();
        !descendants
            .iter()
            .any(|descendant| descendant.entry().is_some())
    });
}

#[test]
fn a_process_that_leaves_the_group_between_snapshot_and_signal_gets_the_signal() {
    let script = "exec 3<&0; { read go; exec setsid sleep 600; } <&3 & echo $!; wait";
    let mut process = spawn(&Spec {
        stdin: Stdin::Pipe,
        ..marked(script, "leaving")
    })
    .unwrap();
    let descendant = Descendant::announced(process.stdout.as_mut().unwrap());
    let table = Table::read();
    let entry = table.find(descendant.identity).unwrap();
    assert_eq!(entry.group, process.pid().as_raw_pid());
    // The snapshot shows it in the group, which it leaves now.
    process.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
    eventually("it left", || {
        descendant.entry().unwrap().session == descendant.identity.0.as_raw_pid()
    });
    process.signal(Signal::TERM).unwrap();
    let tree = process.tree();
    tree.signal_outside(&[Signal::TERM], entry, Group::Signalled);
    wait_readable(&descendant.pidfd);
    wait_readable(process.pidfd());
    assert_eq!(process.reap().unwrap(), Some(BY_TERM));
}

#[test]
fn a_tree_that_ignores_term_is_killed_after_the_grace_period() {
    let script = r#"trap "" TERM; sleep 600 & echo $!; setsid sleep 600 & echo $!; wait"#;
    let mut process = spawn(&marked(script, "ignoring")).unwrap();
    let stdout = process.stdout.as_mut().unwrap();
    let descendants = [Descendant::announced(stdout), Descendant::announced(stdout)];
    let mut trial = Trial::new(&process);

    // No process is killed before the end of the grace period, for which a timer is set.
    let until = trial.started + GRACE;
    for step in 0..20 {
        trial.look(trial.started + GRACE / 20 * step);
    }
    assert_eq!(trial.endings.poll(), None);
    assert!(trial.endings.poll_timeout().unwrap() <= until);
    assert!(descendants.iter().all(Descendant::is_running));

    trial.time.skipped = GRACE;
    assert_eq!(trial.result(), Progress::Ended);
    assert!(!descendants.iter().any(Descendant::is_running));
    assert_eq!(process.reap().unwrap(), Some(BY_KILL));
}

#[test]
fn a_cleanup_after_term_gets_one_term_and_no_other_signal_until_kill() {
    let script =
        "trap 'echo terminated' TERM; echo $$; sleep 600; sleep 600 & wait $!; echo cleaned";
    let mut process = spawn(&marked(script, "tidy")).unwrap();
    let mut stdout = process.stdout.take().unwrap();
    Descendant::announced(&mut stdout);
    // Before its child executes `sleep`, the child is a shell that would handle TERM itself.
    eventually("it sleeps", || {
        let is_sleep = |pid: Pid| {
            std::fs::read(format!("/proc/{pid}/comm")).is_ok_and(|name| name == b"sleep\n")
        };
        let table = Table::read();
        table
            .children_of(process.pid())
            .any(|entry| is_sleep(entry.pid))
    });
    let mut trial = Trial::new(&process);
    assert_eq!(read_line(&mut stdout), "terminated");
    for step in 1..20 {
        trial.look(trial.started + GRACE / 20 * step);
    }
    assert_eq!(trial.endings.poll(), None);
    trial.endings.kill_now(&(), trial.started + GRACE);
    let rest = read_to_end(stdout);
    assert_eq!(String::from_utf8(rest).unwrap(), "");
    wait_readable(process.pidfd());
    assert_eq!(process.reap().unwrap(), Some(BY_KILL));
}

#[test]
fn an_empty_tree_is_confirmed_by_repeated_scans() {
    let mut process = spawn(&spec(&["true"])).unwrap();
    wait_readable(process.pidfd());
    let mut trial = Trial::new(&process);
    let started = trial.started;
    trial.look(started);
    assert_eq!(trial.endings.poll(), None, "one look is not enough");
    // Nor is another one at once.
    trial.endings.on_exit(&(), started);
    trial.endings.on_timeout(started);
    assert_eq!(trial.endings.poll(), None);
    assert_eq!(trial.result(), Progress::Ended);
    let took = trial.time.now().since(Instant::ZERO);
    assert!(took < GRACE, "{took:?}");
    assert_eq!(process.reap().unwrap(), Some(Exit::Code(0)));
}

#[test]
fn a_stopped_process_is_terminated() {
    let mut process = spawn(&marked("echo $$; kill -STOP $$", "stopped")).unwrap();
    let stopped = Descendant::announced(process.stdout.as_mut().unwrap());
    eventually("it has stopped", || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", stopped.identity.0));
        stat.unwrap().contains(") T ")
    });
    let mut trial = Trial::new(&process);
    assert_eq!(trial.result(), Progress::Ended);
    assert_eq!(process.reap().unwrap(), Some(BY_TERM));
}

#[test]
fn an_interactive_shell_that_ignores_term_is_terminated_by_hup() {
    // Like an interactive shell, it ignores TERM.
    let spec = Spec {
        terminal: Some(Terminal {
            size: WindowSize {
                rows: 24,
                columns: 80,
            },
            term: "vt100".into(),
        }),
        ..marked("trap '' TERM; echo $$; read line", "interactive")
    };
    let mut process = spawn(&spec).unwrap();
    Descendant::announced(process.stdout.as_mut().unwrap());
    let mut trial = Trial::new(&process);
    assert_eq!(trial.result(), Progress::Ended);
    assert!(trial.time.now() < Instant::ZERO + GRACE);
    let by_hup = Exit::Signal {
        signal: 1,
        core: false,
    };
    assert_eq!(process.reap().unwrap(), Some(by_hup));
}

#[test]
fn a_process_seen_in_the_tree_stays_known_without_marker_and_parent() {
    become_subreaper().unwrap();
    // It has an empty environment and a session of its own; its parent ignores TERM and is killed below.
    let script = r#"trap "" TERM; setsid env -i sleep 600 & echo $!; wait"#;
    let mut process = spawn(&marked(script, "unmarked")).unwrap();
    let descendant = Descendant::announced(process.stdout.as_mut().unwrap());
    eventually("it left", || {
        descendant.entry().unwrap().session == descendant.identity.0.as_raw_pid()
    });
    let mut trial = Trial::new(&process);
    trial.look(trial.started);
    process.signal(Signal::KILL).unwrap();
    wait_readable(process.pidfd());
    eventually("it is adopted", || {
        descendant.entry().unwrap().parent == getpid().as_raw_pid()
    });
    trial.endings.kill_now(&(), trial.time.now());
    assert_eq!(trial.result(), Progress::Ended);
    assert!(!descendant.is_running());
}

#[test]
fn orphans_of_a_reaped_leader_are_found_by_their_marker() {
    become_subreaper().unwrap();
    let mut process = spawn(&marked("sleep 600 & echo $!", "background")).unwrap();
    let descendant = Descendant::announced(process.stdout.as_mut().unwrap());
    wait_readable(process.pidfd());
    assert_eq!(process.reap().unwrap(), Some(Exit::Code(0)));
    assert!(
        process.signal(Signal::TERM).is_err(),
        "the process id may be reused"
    );
    assert_eq!(Trial::new(&process).result(), Progress::Ended);
    assert!(!descendant.is_running());
}

#[test]
fn terminating_one_tree_leaves_another_alone() {
    let mut other = spawn(&marked("sleep 600 & echo $!; wait", "other")).unwrap();
    let descendant = Descendant::announced(other.stdout.as_mut().unwrap());
    let mut process = spawn(&marked("sleep 600", "one")).unwrap();
    let mut trial = Trial::new(&process);
    assert_eq!(trial.result(), Progress::Ended);
    assert_eq!(process.reap().unwrap(), Some(BY_TERM));
    assert!(descendant.is_running());
    assert_eq!(other.exited().unwrap(), None);
    assert_eq!(other.reap().unwrap(), None, "it is still running");
    other.signal(Signal::KILL).unwrap();
    wait_readable(other.pidfd());
    wait_readable(&descendant.pidfd);
    assert_eq!(other.reap().unwrap(), Some(BY_KILL));
    assert_eq!(
        other.reap().unwrap(),
        Some(BY_KILL),
        "a repeated reap returns the same status"
    );
}

#[test]
fn a_dropped_process_is_killed_and_reaped() {
    let mut process = spawn(&marked("sleep 600 & echo $!; wait", "dropped")).unwrap();
    let descendant = Descendant::announced(process.stdout.as_mut().unwrap());
    let leader = (process.pid(), Entry::read(process.pid()).unwrap().started);
    drop(process);
    wait_readable(&descendant.pidfd);
    eventually("the leader is reaped", || {
        reap_orphans();
        Entry::read(leader.0).is_none_or(|entry| entry.identity() != leader)
    });
}

#[test]
fn children_of_the_standard_library_and_leaders_are_not_reaped_as_orphans() {
    let mut other = Command::new("true").spawn().unwrap();
    let mut process = spawn(&spec(&["sh", "-c", "exit 3"])).unwrap();
    let other_ended = waitid(
        WaitId::Pid(Pid::from_child(&other)),
        WaitIdOptions::EXITED | WaitIdOptions::NOWAIT,
    );
    assert!(other_ended.unwrap().is_some());
    wait_readable(process.pidfd());
    for _ in 0..100 {
        reap_orphans();
    }
    assert!(other.wait().unwrap().success());
    assert_eq!(process.exited().unwrap(), Some(Exit::Code(3)));
    assert_eq!(process.reap().unwrap(), Some(Exit::Code(3)));
}

#[test]
fn failed_spawns_are_not_reaped_by_another_thread() {
    // `reap_orphans` must leave the failed child to `spawn`.
    let fail = || assert!(spawn(&spec(&["/no/such/program"])).is_err());
    let failing = std::thread::spawn(move || (0..200).for_each(|_| fail()));
    while !failing.is_finished() {
        reap_orphans();
    }
    failing.join().unwrap();
}

#[test]
fn a_thousand_processes_leave_no_descriptor_open() {
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = descriptors();
    for round in 0..1000 {
        if round % 2 == 0 {
            assert_eq!(run(&spec(&["true"])).2, Exit::Code(0));
        } else {
            assert!(spawn(&spec(&["/no/such/program"])).is_err());
        }
    }
    // Tests in other threads may open some, but not hundreds.
    let after = descriptors();
    assert!(after < before + 300, "{before} before, {after} after");
}
