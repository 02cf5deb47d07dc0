//! Terminations under adverse conditions: without `/proc`, without the right to kill, and of many trees.

use rustix::io::Errno;
use rustix::process::{WaitId, WaitIdOptions, waitid};

use super::trial::{BY_KILL, BY_TERM, Time, Trial, marked};
use super::*;
use crate::time::Instant;

/// Makes `$1/root`, a program that becomes root for good when an unprivileged user runs it, and goes on as such a user.
const PREPARE: &str = r#"chmod 755 "$1" && cp "$(command -v setpriv)" "$1/root" && chmod 4755 "$1/root" &&
    shift && exec setpriv --reuid nobody --regid nogroup --clear-groups "$@""#;

#[test]
fn a_tree_ends_in_time_without_proc() {
    let launcher = ["unshare", "--mount", "sh", "-c"];
    let hide = r#"mount -t tmpfs none /proc && shift && exec "$@""#;
    let launcher = [&launcher[..], &[hide, "sh"]].concat();
    if again(
        module_path!(),
        "a_tree_ends_in_time_without_proc",
        &launcher,
    )
    .is_none()
    {
        return;
    }
    assert!(!std::path::Path::new("/proc/self").exists());
    let script = "trap '' TERM; sleep 600 & echo ready; wait";
    let mut process = spawn(&marked(script, "no-proc")).unwrap();
    assert_eq!(read_line(process.stdout.as_mut().unwrap()), "ready");
    let mut trial = Trial::new(&process);
    trial.look(trial.started);
    assert_eq!(trial.endings.poll(), None);
    trial.time.skipped = GRACE;
    assert_eq!(trial.result(), Progress::Ended);
    assert_eq!(process.reap().unwrap(), Some(BY_KILL));
    // Its child, which has the same pipe, has ended as well.
    assert_eq!(read_to_end(process.stdout.take().unwrap()), b"");
    drop(spawn(&spec(&["sleep", "600"])).unwrap());
    // At once, if it ends as quickly as it is dropped.
    eventually("a dropped process is reaped", || {
        reap_orphans();
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        matches!(waitid(WaitId::All, options), Err(Errno::CHILD))
    });
}

#[test]
fn a_process_that_may_not_be_killed_is_reported_in_time_and_followed() {
    let name = "a_process_that_may_not_be_killed_is_reported_in_time_and_followed";
    let Some(directory) = again(module_path!(), name, &["sh", "-c", PREPARE, "sh"]) else {
        return;
    };
    let root = directory.join("root");
    let script = r#"exec "$0" --reuid 0 sh -c 'echo ready; sleep 3'"#;
    let mut protected = shell(script);
    protected.argv.push(root.into());
    let mut process = spawn(&protected).unwrap();
    assert_eq!(read_line(process.stdout.as_mut().unwrap()), "ready");
    let mut trial = Trial::new(&process);
    trial.look(trial.started);
    trial.time.skipped = GRACE + KILL_TIME;
    trial.look(trial.time.now());
    trial.time.skipped += KILL_TIME;
    assert_eq!(trial.result(), Progress::StillRunning { leader: true });
    assert_eq!(process.exited().unwrap(), None);
    assert!(trial.endings.contains(&()));
    assert_eq!(trial.result(), Progress::Ended);
    assert_eq!(process.reap().unwrap(), Some(Exit::Code(0)));
}

#[test]
fn a_descendant_that_may_not_be_killed_is_reported_and_followed() {
    let name = "a_descendant_that_may_not_be_killed_is_reported_and_followed";
    let Some(directory) = again(module_path!(), name, &["sh", "-c", PREPARE, "sh"]) else {
        return;
    };
    let script = r#""$0" --reuid 0 sh -c 'echo ready; sleep 3' & exec sleep 600"#;
    let mut protected = shell(script);
    protected.argv.push(directory.join("root").into());
    let mut process = spawn(&protected).unwrap();
    assert_eq!(read_line(process.stdout.as_mut().unwrap()), "ready");
    let mut trial = Trial::new(&process);
    wait_readable(process.pidfd());
    trial.look(trial.started);
    trial.time.skipped = GRACE + KILL_TIME;
    trial.look(trial.time.now());
    trial.time.skipped += KILL_TIME;
    assert_eq!(trial.result(), Progress::StillRunning { leader: false });
    assert!(trial.endings.contains(&()), "it is followed");
    assert_eq!(trial.result(), Progress::Ended);
    assert_eq!(process.reap().unwrap(), Some(BY_TERM));
}

#[test]
fn many_trees_end_with_few_looks_and_short_calls() {
    let mut processes: Vec<Process> = (0..60)
        .map(|number| {
            let script = "setsid sleep 600 & setsid sleep 600 & sleep 600";
            spawn(&marked(script, &format!("many-{number}"))).unwrap()
        })
        .collect();
    let (mut endings, time) = (Endings::new(), Time::new());
    for (key, process) in processes.iter().enumerate() {
        endings.start(key, process, time.now());
    }
    let mut ended = 0;
    while ended < processes.len() {
        endings.on_timeout(time.now());
        while let Some((_, progress)) = endings.poll() {
            assert_eq!(progress, Progress::Ended);
            ended += 1;
        }
        assert!(time.now() < Instant::ZERO + DEADLINE);
        if endings.poll_timeout().is_some_and(|next| next > time.now()) {
            std::thread::yield_now();
        }
    }
    assert!(endings.looks() < 40, "{} looks", endings.looks());
    for process in &mut processes {
        assert_eq!(process.reap().unwrap(), Some(BY_TERM));
    }
}

#[test]
fn a_look_at_the_process_table_is_followed_by_a_rest() {
    let process = spawn(&marked("trap '' TERM; sleep 600 & wait", "rest")).unwrap();
    let mut trial = Trial::new(&process);
    trial.look(trial.started);
    assert_eq!(trial.endings.looks(), 1);
    // A look takes more than a tenth of this time.
    let soon = trial.started + Duration::from_micros(100);
    trial.look(soon);
    assert_eq!(trial.endings.looks(), 1);
    trial.look(soon + DEADLINE);
    assert_eq!(trial.endings.looks(), 2);
}

#[test]
fn a_process_of_the_cleanup_gets_no_term_in_a_session_of_its_own() {
    let script = r#"trap 'sleep 0.1; setsid sh -c "$cleanup" & wait' TERM; echo ready; sleep 600 & wait; wait"#;
    let mut spec = marked(script, "cleanup");
    let cleanup = "trap 'echo terminated' TERM; echo cleaning; sleep 600 & wait; wait";
    spec.variables = vec![("cleanup".into(), cleanup.into())];
    let mut process = spawn(&spec).unwrap();
    let mut stdout = process.stdout.take().unwrap();
    assert_eq!(read_line(&mut stdout), "ready");
    let mut trial = Trial::new(&process);
    assert_eq!(read_line(&mut stdout), "cleaning");
    for step in 1..20 {
        trial.look(trial.started + GRACE / 20 * step);
    }
    trial.time.skipped = GRACE;
    assert_eq!(trial.result(), Progress::Ended);
    assert_eq!(read_to_end(stdout), b"");
    assert!(process.reap().unwrap().is_some());
}
