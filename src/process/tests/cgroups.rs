//! Trees with a cgroup, and the cgroups of an agent, in the hierarchy of this machine.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

use super::trial::{BY_KILL, BY_TERM, Trial};
use super::*;
use crate::time::Instant;

/// Returns the cgroups of an agent of this test, if they can be made here.
fn cgroups() -> Option<Cgroups> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let mark = format!("{:08x}{number:08x}", std::process::id());
    let opened = Cgroups::open(&CgroupParent::Auto, &mark);
    opened
        .inspect_err(|error| eprintln!("SKIPPED: {error}"))
        .ok()
}

/// Puts a process to start in a new cgroup.
fn within(cgroups: &mut Cgroups, spec: Spec) -> Spec {
    let cgroup = cgroups
        .create(Instant::ZERO, &CgroupLimits::default())
        .unwrap();
    let cgroup = Some(cgroup);
    Spec { cgroup, ..spec }
}

fn cgroup(process: &Process) -> &Cgroup {
    process.tree().cgroup().unwrap()
}

/// A leader, and a descendant that has left its session and has no marker. Both ignore TERM and write a line.
const STRAY: &str = "trap '' TERM; (setsid env -i sh -c 'echo stray; sleep 600' &); sleep 600";

#[test]
fn a_stray_descendant_without_a_marker_is_killed_by_the_cgroup_without_a_look_at_proc() {
    let Some(mut cgroups) = cgroups() else { return };
    let mut process = spawn(&within(&mut cgroups, shell(STRAY))).unwrap();
    let mut stdout = process.stdout.take().unwrap();
    assert_eq!(read_line(&mut stdout), "stray");
    let mut trial = Trial::new(&process);
    trial.endings.kill_now(&(), trial.started);
    assert_eq!(trial.result(), Progress::Ended);
    assert_eq!(trial.endings.looks(), 0);
    assert_eq!(read_to_end(stdout), b"", "nobody holds the pipe open");
    assert_eq!(process.reap().unwrap(), Some(BY_KILL));
    assert!(cgroup(&process).remove().unwrap());
    cgroups.close();
    assert!(!cgroups.directory().exists());
}

#[test]
fn a_stray_descendant_gets_term_before_the_cgroup_is_killed() {
    let Some(mut cgroups) = cgroups() else { return };
    let stray = r#"(setsid env -i sh -c 'trap "echo terminated; exit" TERM; echo ready; sleep 600 & wait' &)
        sleep 600"#;
    let mut process = spawn(&within(&mut cgroups, shell(stray))).unwrap();
    let mut stdout = process.stdout.take().unwrap();
    assert_eq!(read_line(&mut stdout), "ready");
    let mut trial = Trial::new(&process);
    assert_eq!(trial.result(), Progress::Ended);
    assert_eq!(read_to_end(stdout), b"terminated\n");
    assert_eq!(process.reap().unwrap(), Some(BY_TERM));
    cgroups.close();
    assert!(!cgroups.directory().exists());
}

#[test]
fn a_leader_that_has_moved_to_another_cgroup_is_ended_by_looks_at_proc() {
    let Some(mut cgroups) = cgroups() else { return };
    let outside = cgroups.directory().parent().unwrap().join("cgroup.procs");
    let script = r#"trap '' TERM; echo $$ >"$0" && echo moved; sleep 600 & wait"#;
    let mut spec = shell(script);
    spec.argv.push(outside.into());
    let mut process = spawn(&within(&mut cgroups, spec)).unwrap();
    assert_eq!(read_line(process.stdout.as_mut().unwrap()), "moved");
    let mut trial = Trial::new(&process);
    trial.endings.kill_now(&(), trial.started);
    assert_eq!(trial.result(), Progress::Ended);
    assert_eq!(process.reap().unwrap(), Some(BY_KILL));
    cgroups.close();
}

/// Checks that a process of this user and one of another are in their cgroup when their program begins.
fn begin_in_their_cgroup() {
    let Some(mut cgroups) = cgroups() else { return };
    let mut users = vec![User::Own(Account::current())];
    if rustix::process::geteuid().is_root() {
        users.push(User::Named("nobody".into()));
    }
    for user in users {
        let spec = spec(&["cat", "/proc/self/cgroup"]);
        let spec = within(&mut cgroups, Spec { user, ..spec });
        let path = spec.cgroup.as_ref().unwrap().path();
        let name = path
            .strip_prefix(cgroups.directory().parent().unwrap())
            .unwrap();
        let (stdout, ..) = run(&spec);
        let text = String::from_utf8(stdout).unwrap();
        let own = text.lines().find_map(|line| line.strip_prefix("0::"));
        assert!(own.unwrap().ends_with(name.to_str().unwrap()), "{text}");
    }
    cgroups.close();
    assert!(!cgroups.directory().exists());
}

#[test]
fn a_program_begins_in_its_cgroup() {
    begin_in_their_cgroup();
}

#[test]
fn a_program_begins_in_its_cgroup_where_clone3_is_refused() {
    let name = "a_program_begins_in_its_cgroup_where_clone3_is_refused";
    let launcher = ["sh", "-c", r#"shift && exec "$@""#, "sh"];
    if again(module_path!(), name, &launcher).is_none() {
        return;
    }
    let refused = SeccompAction::Errno(libc::ENOSYS.cast_unsigned());
    let arch: TargetArch = std::env::consts::ARCH.try_into().unwrap();
    let rules = [(libc::SYS_clone3, Vec::new())].into();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refused, arch).unwrap();
    let filter: BpfProgram = filter.try_into().unwrap();
    seccompiler::apply_filter(&filter).unwrap();
    begin_in_their_cgroup();
}

#[test]
fn the_cgroup_of_a_job_that_leaves_a_process_is_removed_after_it() {
    let Some(mut cgroups) = cgroups() else { return };
    let script = "sleep 600 >&- 2>&- & echo $!";
    let mut process = spawn(&within(&mut cgroups, shell(script))).unwrap();
    let pid = read_line(process.stdout.as_mut().unwrap());
    wait_readable(process.pidfd());
    process.reap().unwrap();
    let cgroup = cgroup(&process).clone();
    cgroups.release(Instant::ZERO, cgroup.clone());
    let tidy = cgroups.poll_timeout().expect("it is to be removed");
    cgroups.on_timeout(tidy);
    let retry = cgroups.poll_timeout().expect("it is tried again");
    cgroups.on_timeout(retry);
    assert!(cgroup.is_populated().unwrap(), "it is left alone");
    assert_eq!(cgroups.poll_timeout(), None, "until a child ends");
    let pid = Pid::from_raw(pid.parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, Signal::KILL).unwrap();
    eventually("it is empty", || !cgroup.is_populated().unwrap());
    cgroups.on_child(retry);
    let retry = cgroups.poll_timeout().unwrap();
    cgroups.on_timeout(retry);
    assert!(!cgroup.path().exists());
    cgroups.close();
    assert!(!cgroups.directory().exists());
}

#[test]
fn the_removal_of_cgroups_waits_for_a_pause_unless_many_are_to_be_removed() {
    let Some(mut cgroups) = cgroups() else { return };
    let mut now = Instant::ZERO;
    cgroups.on_timeout(now);
    let mut cycle = |cgroups: &mut Cgroups| {
        now += Duration::from_millis(1);
        let own = cgroups.create(now, &CgroupLimits::default()).unwrap();
        cgroups.release(now, own);
        cgroups.poll_timeout().unwrap().since(now)
    };
    let pause = cycle(&mut cgroups);
    for _ in 1..limits::ENDED {
        assert_eq!(cycle(&mut cgroups), pause);
    }
    assert!(cycle(&mut cgroups) < pause);
    cgroups.close();
    assert!(!cgroups.directory().exists());
}

#[test]
fn cgroups_that_a_job_has_made_below_its_own_are_removed_with_it() {
    let Some(mut cgroups) = cgroups() else { return };
    let own = cgroups
        .create(Instant::ZERO, &CgroupLimits::default())
        .unwrap();
    std::fs::create_dir_all(own.path().join("a/b/c")).unwrap();
    std::fs::create_dir(own.path().join("d")).unwrap();
    assert!(own.remove().unwrap());
    assert!(!own.path().exists());
    assert!(own.remove().unwrap(), "also if it is gone");
    cgroups.close();
}

#[test]
fn what_a_dead_agent_has_left_is_ended_by_the_next_but_not_what_it_left_alone_on_purpose() {
    let Some(mut first) = cgroups() else { return };
    let kill = |process: &mut Process| {
        process.signal(Signal::KILL).unwrap();
        wait_readable(process.pidfd());
        process.reap().unwrap();
    };
    let sleep = || spec(&["sleep", "600"]);
    let mut left = spawn(&within(&mut first, sleep())).unwrap();
    let mut kept = spawn(&within(&mut first, sleep())).unwrap();
    cgroup(&kept).keep().unwrap();
    let directory = first.directory().to_owned();
    let is_running = |process: &Process| process.exited().unwrap().is_none();
    cgroups().unwrap().close();
    assert!(is_running(&left), "its agent runs");
    // The guard of an agent holds the lock as well.
    let guard = CgroupsLock::hold(&directory).unwrap();
    drop(first);
    cgroups().unwrap().close();
    assert!(is_running(&left), "its guard runs");
    drop(guard);
    cgroups().unwrap().close();
    wait_readable(left.pidfd());
    assert_eq!(left.reap().unwrap(), Some(BY_KILL));
    assert!(!cgroup(&left).path().exists());
    assert!(is_running(&kept));
    kill(&mut kept);
    cgroups().unwrap().close();
    assert!(!Path::new(&directory).exists());
}

#[test]
fn a_tree_keeps_its_cgroup_for_another_program() {
    let Some(mut cgroups) = cgroups() else { return };
    let process = spawn(&within(&mut cgroups, spec(&["true"]))).unwrap();
    let tree = Tree::from_parts(process.tree().to_parts()).unwrap();
    assert_eq!(&tree, process.tree());
    assert!(tree.cgroup().is_some());
    wait_readable(process.pidfd());
    cgroups.close();
}

#[test]
fn a_limit_without_its_controller_is_refused_and_nothing_is_made() {
    let Some(mut cgroups) = cgroups() else { return };
    let limits = CgroupLimits {
        pids: Some(3),
        ..CgroupLimits::default()
    };
    let error = cgroups.create(Instant::ZERO, &limits).unwrap_err();
    assert_eq!(error.to_string(), "its limits cannot be applied: pids");
    let made = std::fs::read_dir(cgroups.directory()).unwrap();
    assert!(!made.flatten().any(|entry| entry.path().is_dir()));
    cgroups.close();
}
