//! How a process ends, with everything that descends from it, and what is left then: nothing.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::process::Command;

use rustix::process::{PidfdFlags, WaitId, WaitIdOptions, getpid, pidfd_open, waitid};

use super::snapshot::{Entry, Identity, Table};
use super::*;
use crate::time::Instant;

/// Counts from when the test began, and jumps when told to.
struct Time {
    start: Clock,
    jumped: Duration,
}

impl Time {
    fn new() -> Self {
        let start = Clock::now();
        let jumped = Duration::ZERO;
        Self { start, jumped }
    }

    fn now(&self) -> Instant {
        Instant::ZERO + self.start.elapsed() + self.jumped
    }
}

/// As a run loop does.
fn drive(ending: &mut Ending, time: &Time, snapshot: &mut ProcessSnapshot) -> Progress {
    let give_up = time.now() + DEADLINE;
    loop {
        let now = time.now();
        assert!(now < give_up, "not over in time");
        let Some(next) = ending.poll_timeout() else {
            return ending.on_timeout(now, snapshot);
        };
        if next <= now {
            ending.on_timeout(now, snapshot);
        } else {
            let pause = Timespec::try_from(next.since(now)).unwrap();
            poll(&mut [], Some(&pause)).unwrap();
        }
    }
}

/// A process that a test has heard of, with a handle on it.
struct Witness {
    identity: Identity,
    pidfd: OwnedFd,
}

impl Witness {
    /// The next line of `pipe` is its process id.
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

fn marked(script: &str, marker: &str) -> Spec {
    let marker = format!("{marker}-{}", getpid());
    Spec {
        marker,
        ..shell(script)
    }
}

const BY_TERM: Exit = Exit::Signal {
    signal: 15,
    core: false,
};
const BY_KILL: Exit = Exit::Signal {
    signal: 9,
    core: false,
};

#[test]
fn a_tree_ends_to_the_last_descendant_and_leaves_no_zombie() {
    become_subreaper().unwrap();
    let script = "sleep 600 & echo $!
        setsid sleep 600 & echo $!
        (setsid sh -c 'sleep 600 & echo $!' &)
        sleep 600";
    let mut process = spawn(&marked(script, "tree")).unwrap();
    let stdout = process.stdout.as_mut().unwrap();
    let witnesses: Vec<Witness> = (0..3).map(|_| Witness::announced(stdout)).collect();
    // One of them escapes altogether: its parents are gone, and we are its parent now.
    eventually("an orphan is adopted", || {
        let is_ours = |witness: &Witness| witness.entry().unwrap().parent == getpid().as_raw_pid();
        witnesses.iter().any(is_ours)
    });

    let (time, mut snapshot) = (Time::new(), ProcessSnapshot::new());
    let mut ending = Ending::start(time.now(), process.tree().clone(), &mut snapshot);
    assert_eq!(drive(&mut ending, &time, &mut snapshot), Progress::Ended);

    let took = time.now().since(Instant::ZERO);
    assert!(took < GRACE, "TERM should have sufficed: {took:?}");
    assert!(!witnesses.iter().any(Witness::is_running));
    assert!(process.tree().is_empty(time.now(), &mut snapshot));
    assert_eq!(process.exited().unwrap(), Some(BY_TERM));
    assert_eq!(process.reap().unwrap(), Some(BY_TERM));
    eventually("no zombie is left", || {
        reap_orphans();
        !witnesses.iter().any(|witness| witness.entry().is_some())
    });
}

#[test]
fn who_leaves_the_group_between_the_census_and_the_signal_is_hit() {
    let script = "exec 3<&0; { read go; exec setsid sleep 600; } <&3 & echo $!; wait";
    let mut process = spawn(&Spec {
        stdin: Stdin::Pipe,
        ..marked(script, "leaving")
    })
    .unwrap();
    let witness = Witness::announced(process.stdout.as_mut().unwrap());
    let (time, mut snapshot) = (Time::new(), ProcessSnapshot::new());
    let then = time.now();
    assert!(!process.tree().is_empty(then, &mut snapshot));
    // It is in the group in the snapshot, and leaves it now.
    process.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
    eventually("it left", || {
        witness.entry().unwrap().session == witness.identity.0.as_raw_pid()
    });
    let _ending = Ending::start(then, process.tree().clone(), &mut snapshot);
    wait_readable(&witness.pidfd);
    wait_readable(process.pidfd());
    assert_eq!(process.reap().unwrap(), Some(BY_TERM));
}

#[test]
fn what_does_not_listen_is_killed_after_the_grace() {
    let script = r#"trap "" TERM; sleep 600 & echo $!; setsid sleep 600 & echo $!; wait"#;
    let mut process = spawn(&marked(script, "deaf")).unwrap();
    let stdout = process.stdout.as_mut().unwrap();
    let witnesses = [Witness::announced(stdout), Witness::announced(stdout)];
    let (mut time, mut snapshot) = (Time::new(), ProcessSnapshot::new());
    let started = time.now();
    let mut ending = Ending::start(started, process.tree().clone(), &mut snapshot);

    // To the last moment of the grace nobody is killed, and there is a timer for it.
    while let Some(next) = ending.poll_timeout().filter(|next| *next < started + GRACE) {
        assert_eq!(ending.on_timeout(next, &mut snapshot), Progress::Pending);
    }
    assert_eq!(ending.poll_timeout(), Some(started + GRACE));
    assert!(witnesses.iter().all(Witness::is_running));

    time.jumped = GRACE;
    assert_eq!(drive(&mut ending, &time, &mut snapshot), Progress::Ended);
    assert!(!witnesses.iter().any(Witness::is_running));
    assert_eq!(process.reap().unwrap(), Some(BY_KILL));
}

#[test]
fn who_cleans_up_after_term_is_asked_once_and_left_in_peace() {
    let script = "trap 'echo asked' TERM; echo $$; sleep 600; sleep 600 & wait $!; echo cleaned";
    let mut process = spawn(&marked(script, "tidy")).unwrap();
    let mut stdout = process.stdout.take().unwrap();
    Witness::announced(&mut stdout);
    // Until its child has become `sleep`, it is the shell still and takes TERM for itself.
    eventually("it sleeps", || {
        let children = Table::read().children_of(process.pid());
        let is_sleep = |pid: &Pid| {
            std::fs::read(format!("/proc/{pid}/comm")).is_ok_and(|name| name == b"sleep\n")
        };
        children.iter().any(is_sleep)
    });
    let (time, mut snapshot) = (Time::new(), ProcessSnapshot::new());
    let started = time.now();
    let mut ending = Ending::start(started, process.tree().clone(), &mut snapshot);
    assert_eq!(read_line(&mut stdout), "asked");
    for step in 1..20 {
        let now = started + GRACE / 20 * step;
        assert_eq!(ending.on_timeout(now, &mut snapshot), Progress::Pending);
    }
    let now = started + GRACE;
    ending.kill_now(now, &mut snapshot);
    let rest = read_to_end(stdout);
    assert_eq!(String::from_utf8(rest).unwrap(), "");
    wait_readable(process.pidfd());
    assert_eq!(process.reap().unwrap(), Some(BY_KILL));
}

#[test]
fn that_nobody_is_left_is_believed_when_it_has_been_seen_for_a_while() {
    let mut process = spawn(&spec(&["true"])).unwrap();
    wait_readable(process.pidfd());
    let mut snapshot = ProcessSnapshot::new();
    let started = Instant::from_micros(7);
    let mut ending = Ending::start(started, process.tree().clone(), &mut snapshot);
    let mut looks = 0;
    let mut progress = Progress::Pending;
    let mut now = started;
    while let Some(next) = ending.poll_timeout() {
        assert!(next > now && progress == Progress::Pending);
        now = next;
        progress = ending.on_timeout(now, &mut snapshot);
        looks += 1;
        // The same instant again is no other look.
        assert_eq!(ending.on_timeout(now, &mut snapshot), progress);
    }
    assert_eq!(progress, Progress::Ended);
    assert!(
        looks >= 3 && now < started + GRACE / 100,
        "{looks} looks until {now:?}"
    );
    assert_eq!(process.reap().unwrap(), Some(Exit::Code(0)));
}

#[test]
fn a_stopped_process_ends_too() {
    let mut process = spawn(&marked("echo $$; kill -STOP $$", "stopped")).unwrap();
    let stopped = Witness::announced(process.stdout.as_mut().unwrap());
    eventually("it has stopped", || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", stopped.identity.0));
        stat.unwrap().contains(") T ")
    });
    let (time, mut snapshot) = (Time::new(), ProcessSnapshot::new());
    let mut ending = Ending::start(time.now(), process.tree().clone(), &mut snapshot);
    assert_eq!(drive(&mut ending, &time, &mut snapshot), Progress::Ended);
    assert_eq!(process.reap().unwrap(), Some(BY_TERM));
}

#[test]
fn an_interactive_shell_ends_with_its_terminal() {
    // As an interactive shell does, it ignores TERM.
    let spec = Spec {
        terminal: Some(WindowSize {
            rows: 24,
            columns: 80,
        }),
        ..marked("trap '' TERM; echo $$; read line", "interactive")
    };
    let mut process = spawn(&spec).unwrap();
    Witness::announced(process.stdout.as_mut().unwrap());
    let (time, mut snapshot) = (Time::new(), ProcessSnapshot::new());
    let mut ending = Ending::start(time.now(), process.tree().clone(), &mut snapshot);
    assert_eq!(drive(&mut ending, &time, &mut snapshot), Progress::Ended);
    assert!(time.now() < Instant::ZERO + GRACE);
    let by_hup = Exit::Signal {
        signal: 1,
        core: false,
    };
    assert_eq!(process.reap().unwrap(), Some(by_hup));
}

#[test]
fn who_was_seen_stays_known_without_the_marker() {
    become_subreaper().unwrap();
    // Its environment is empty, its session its own, and its parent, deaf to TERM, about to die.
    let script = r#"trap "" TERM; setsid env -i sleep 600 & echo $!; wait"#;
    let mut process = spawn(&marked(script, "stealthy")).unwrap();
    let witness = Witness::announced(process.stdout.as_mut().unwrap());
    eventually("it left", || {
        witness.entry().unwrap().session == witness.identity.0.as_raw_pid()
    });
    let (time, mut snapshot) = (Time::new(), ProcessSnapshot::new());
    let mut ending = Ending::start(time.now(), process.tree().clone(), &mut snapshot);
    process.signal(Signal::KILL).unwrap();
    wait_readable(process.pidfd());
    eventually("it is adopted", || {
        witness.entry().unwrap().parent == getpid().as_raw_pid()
    });
    assert!(witness.is_running());
    assert_eq!(
        ending.on_timeout(time.now(), &mut snapshot),
        Progress::Pending
    );
    ending.kill_now(time.now(), &mut snapshot);
    assert_eq!(drive(&mut ending, &time, &mut snapshot), Progress::Ended);
    assert!(!witness.is_running());
}

#[test]
fn after_the_leader_was_reaped_its_strays_are_still_found() {
    become_subreaper().unwrap();
    let mut process = spawn(&marked("sleep 600 & echo $!", "background")).unwrap();
    let witness = Witness::announced(process.stdout.as_mut().unwrap());
    wait_readable(process.pidfd());
    assert_eq!(process.reap().unwrap(), Some(Exit::Code(0)));
    assert!(
        process.signal(Signal::TERM).is_err(),
        "no longer ours to signal"
    );
    let (time, mut snapshot) = (Time::new(), ProcessSnapshot::new());
    assert!(!process.tree().is_empty(time.now(), &mut snapshot));
    let mut ending = Ending::start(time.now(), process.tree().clone(), &mut snapshot);
    assert_eq!(drive(&mut ending, &time, &mut snapshot), Progress::Ended);
    assert!(!witness.is_running());
}

#[test]
fn one_tree_ends_and_its_neighbour_does_not_notice() {
    let mut neighbour = spawn(&marked("sleep 600 & echo $!; wait", "neighbour")).unwrap();
    let witness = Witness::announced(neighbour.stdout.as_mut().unwrap());
    let mut process = spawn(&marked("sleep 600", "one")).unwrap();
    let (time, mut snapshot) = (Time::new(), ProcessSnapshot::new());
    let mut ending = Ending::start(time.now(), process.tree().clone(), &mut snapshot);
    assert_eq!(drive(&mut ending, &time, &mut snapshot), Progress::Ended);
    assert_eq!(process.reap().unwrap(), Some(BY_TERM));
    assert!(witness.is_running());
    assert_eq!(neighbour.exited().unwrap(), None);
    assert_eq!(neighbour.reap().unwrap(), None, "not while it runs");
    let now = time.now();
    assert!(
        neighbour
            .tree()
            .signal_all(Signal::KILL, now, &mut snapshot)
            >= 2
    );
    wait_readable(neighbour.pidfd());
    wait_readable(&witness.pidfd);
    assert_eq!(neighbour.reap().unwrap(), Some(BY_KILL));
    assert_eq!(neighbour.reap().unwrap(), Some(BY_KILL), "again, the same");
}

#[test]
fn a_dropped_process_is_killed_and_collected() {
    let mut process = spawn(&marked("sleep 600 & echo $!; wait", "dropped")).unwrap();
    let witness = Witness::announced(process.stdout.as_mut().unwrap());
    let leader = (process.pid(), Entry::read(process.pid()).unwrap().started);
    drop(process);
    wait_readable(&witness.pidfd);
    eventually("the leader is collected", || {
        reap_orphans();
        Entry::read(leader.0).is_none_or(|entry| entry.identity() != leader)
    });
}

#[test]
fn nobody_elses_child_is_reaped() {
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
fn starts_that_fail_are_not_reaped_by_another_thread() {
    // The standard library panics if its wait for the failed child finds none.
    let fail = || assert!(spawn(&spec(&["/no/such/program"])).is_err());
    let failing = std::thread::spawn(move || (0..200).for_each(|_| fail()));
    while !failing.is_finished() {
        reap_orphans();
    }
    failing.join().unwrap();
}

#[test]
fn a_thousand_processes_leave_no_descriptor() {
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = descriptors();
    for round in 0..1000 {
        if round % 2 == 0 {
            assert_eq!(run(&spec(&["true"])).2, Exit::Code(0));
        } else {
            assert!(spawn(&spec(&["/no/such/program"])).is_err());
        }
    }
    // Other tests open some meanwhile, but not hundreds.
    let after = descriptors();
    assert!(after < before + 300, "{before} before, {after} after");
}
