//! Starts that do not come about: a file system that does not answer, a child that is ended before exec.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::*;

/// Mounts a file system that does not answer on the directory `$1`, and goes on with the other arguments.
const MOUNT: &str = r#"exec 9<>/dev/fuse && mount -i -t fuse \
    -o fd=9,rootmode=40000,user_id=0,group_id=0,allow_other none "$1" && shift && exec "$@""#;

/// Returns the directory of a file system that does not answer, in the inner run of a test.
fn hanging_directory(name: &str) -> Option<PathBuf> {
    if !Path::new("/dev/fuse").exists() {
        eprintln!("SKIPPED: there is no /dev/fuse");
        return None;
    }
    again(
        module_path!(),
        name,
        &["unshare", "--mount", "sh", "-c", MOUNT, "sh"],
    )
}

#[test]
fn a_start_in_a_directory_that_hangs_returns_at_once_and_can_be_killed() {
    let name = "a_start_in_a_directory_that_hangs_returns_at_once_and_can_be_killed";
    let Some(directory) = hanging_directory(name) else {
        return;
    };
    // The child waits in chdir, in execve, and in chdir after the lookup of another user.
    let in_directory = Spec {
        cwd: Some(directory.join("below")),
        ..spec(&["true"])
    };
    let as_nobody = Spec {
        user: User::Named("nobody".into()),
        ..in_directory.clone()
    };
    let program = directory.join("program");
    let program = spec(&[program.to_str().unwrap()]);
    for spec in [in_directory, as_nobody, program] {
        let mut starting = start(&spec).unwrap();
        let pid = starting.pid();
        eventually("the child waits for the file system", || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
            let waits = [") S ", ") D "].iter().any(|state| stat.contains(state));
            waits
                && std::fs::read_dir(format!("/proc/{pid}/fd"))
                    .unwrap()
                    .count()
                    == 4
        });
        assert_eq!(starting.poll(), None);
        starting.kill();
        wait_readable(starting.report());
        let failure = starting.poll().unwrap().unwrap_err();
        assert_eq!(failure.cause, Cause::Ended);
        wait_readable(starting.pidfd());
        let mut process = starting.into_process();
        assert!(process.reap().unwrap().is_some());
    }
}

#[test]
fn a_child_that_hangs_holds_no_pipe_of_another_process() {
    let name = "a_child_that_hangs_holds_no_pipe_of_another_process";
    let Some(directory) = hanging_directory(name) else {
        return;
    };
    let mut cat = spec(&["cat"]);
    cat.stdin = Stdin::Pipe;
    let mut cat = spawn(&cat).unwrap();
    let mut hanging = spec(&["true"]);
    hanging.cwd = Some(directory.join("below"));
    let mut own = start(&hanging).unwrap();
    hanging.user = User::Named("nobody".into());
    let mut named = start(&hanging).unwrap();
    // When the children wait for the file system, only the agent holds the other end of this pipe.
    for starting in [&own, &named] {
        let held = format!("/proc/{}/fd", starting.pid());
        eventually("it has its own descriptors only", || {
            std::fs::read_dir(&held).unwrap().count() == 4
        });
    }
    cat.stdin.take().unwrap().write_all(b"all").unwrap();
    assert_eq!(read_to_end(cat.stdout.take().unwrap()), b"all");
    assert_eq!((own.poll(), named.poll()), (None, None));
}

#[test]
fn a_dropped_start_that_hangs_is_killed_and_reaped_when_it_ends() {
    let name = "a_dropped_start_that_hangs_is_killed_and_reaped_when_it_ends";
    let Some(directory) = hanging_directory(name) else {
        return;
    };
    let mut hanging = spec(&["true"]);
    hanging.cwd = Some(directory.join("below"));
    for user in [hanging.user.clone(), User::Named("nobody".into())] {
        hanging.user = user;
        let starting = start(&hanging).unwrap();
        let proc = PathBuf::from(format!("/proc/{}", starting.pid()));
        drop(starting);
        eventually("it is reaped", || {
            reap_orphans();
            !proc.exists()
        });
    }
}

#[test]
fn a_child_that_is_killed_before_its_session_exists_is_reaped() {
    for _ in 0..50 {
        let starting = start(&spec(&["sleep", "600"])).unwrap();
        let proc = PathBuf::from(format!("/proc/{}", starting.pid()));
        drop(starting);
        eventually("it is reaped", || {
            reap_orphans();
            !proc.exists()
        });
    }
}

#[test]
fn a_home_that_cannot_be_entered_is_reported_and_the_program_runs_in_the_root_directory() {
    let account = Account {
        home: "/no/such/home".into(),
        ..Account::current()
    };
    let mut spec = spec(&["pwd"]);
    spec.user = User::Own(account);
    let mut starting = start(&spec).unwrap();
    let started = loop {
        match starting.poll() {
            Some(outcome) => break outcome.unwrap(),
            None => wait_readable(starting.report()),
        }
    };
    assert_eq!(started.home, Some(rustix::io::Errno::NOENT.raw_os_error()));
    let stdout = starting.process_mut().stdout.take().unwrap();
    assert_eq!(read_to_end(stdout), b"/\n");

    // A directory that was asked for is an error, and a relative one is below the home directory.
    spec.cwd = Some("tmp".into());
    assert_eq!(spawn(&spec).unwrap_err().stage, Stage::Directory);
    spec.user = User::Own(Account {
        home: "/".into(),
        ..Account::current()
    });
    assert_eq!(run(&spec).0, b"/tmp\n");
}

#[test]
fn the_outcome_of_a_start_does_not_change() {
    let mut starting = start(&spec(&["/no/such/program"])).unwrap();
    wait_readable(starting.pidfd());
    let first = starting.poll().unwrap();
    assert_eq!(first.unwrap_err().errno(), libc::ENOENT);
    assert_eq!(starting.poll(), Some(first));
    let mut process = starting.into_process();
    assert_eq!(process.reap().unwrap(), Some(Exit::Code(127)));
}
