//! Spawning: the attributes of the new process, and the errors of a failed spawn.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use rustix::io::Errno;
use rustix::process::{WaitId, WaitIdOptions, waitid};

use super::child::Plan;
use super::image::Image;
use super::*;

#[test]
fn the_own_file_is_executed_with_the_standard_streams_only() {
    let spec = Spec {
        executable: Executable::Own,
        ..spec(&["another name", "--list", "no test has this name"])
    };
    // The file of this program is that of the tests.
    let (stdout, stderr, exit) = run(&spec);
    assert_eq!((exit, &*stderr), (Exit::Code(0), &b""[..]));
    assert_eq!(stdout, b"0 tests, 0 benchmarks\n");
}

#[test]
fn arguments_arrive_byte_for_byte() {
    let strange: [&[u8]; 9] = [
        b"",
        b"a b",
        b"$HOME `id` \"'\\",
        b"line\nbreak\r",
        b"\xff\xfe\x80",
        b"*",
        b"-n",
        b"%s",
        b"",
    ];
    let mut spec = shell(r#"for a; do printf '%s\0' "$a"; done"#);
    spec.argv.push("sh".into());
    let strange = strange.map(|bytes| OsStr::from_bytes(bytes).to_owned());
    spec.argv.extend(strange.iter().cloned());

    let (stdout, stderr, exit) = run(&spec);

    let mut expected = Vec::new();
    for argument in strange {
        expected.extend(argument.into_vec());
        expected.push(0);
    }
    assert_eq!((stdout, stderr, exit), (expected, vec![], Exit::Code(0)));
}

#[test]
fn the_environment_is_the_clean_one_with_the_requested_variables_and_the_marker() {
    let account = Account {
        name: "ann".into(),
        home: "/tmp".into(),
        shell: "/bin/zsh".into(),
        ..Account::current()
    };
    let mut spec = spec(&["/usr/bin/env", "-0"]);
    spec.user = User::Own(account);
    spec.variables = vec![
        ("A".into(), "1\n2".into()),
        ("LANG".into(), "C".into()),
        (
            OsStr::from_bytes(b"\xff").into(),
            OsStr::from_bytes(b"=\xfe").into(),
        ),
        ("EMPTY".into(), "".into()),
    ];
    spec.marker = "job 7".to_owned();
    let (stdout, ..) = run(&spec);
    let clean = format!("PATH={PATH}\0HOME=/tmp\0USER=ann\0LOGNAME=ann\0SHELL=/bin/zsh\0LANG=C\0");
    let requested = b"A=1\n2\0\xff==\xfe\0EMPTY=\0UDPAGENT_JOB=job 7\0";
    assert_eq!(stdout, [clean.as_bytes(), requested].concat());
}

#[test]
fn a_process_leads_its_own_session_and_group() {
    let (stdout, ..) = run(&spec(&["cat", "/proc/self/stat"]));
    let stat = String::from_utf8(stdout).unwrap();
    let fields: Vec<&str> = stat.split(' ').collect();
    let [pid, group, session] = [fields[0], fields[4], fields[5]];
    assert_eq!([group, session], [pid, pid]);
}

#[test]
fn a_process_starts_with_no_signal_ignored_or_blocked() {
    let (stdout, ..) = run(&spec(&["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"]));
    let status = String::from_utf8(stdout).unwrap();
    // Rust's runtime ignores SIGPIPE and `spawn` blocks all signals. Both would be inherited.
    assert_eq!(status.lines().count(), 2, "{status}");
    assert!(
        status
            .lines()
            .all(|line| line.ends_with("0000000000000000")),
        "{status}"
    );
}

#[test]
fn a_kernel_that_resets_no_signals_makes_the_same_child() {
    let spec = spec(&["grep", "^SigIgn", "/proc/self/status"]);
    // One that it does not know, and none.
    for flag in [1 << 63, 0] {
        let (streams, _report, ends) = streams::open(&spec).unwrap();
        let image = Box::new(Image::new(&spec, &Account::current(), None).unwrap());
        // As `start` does, so that other tests do not reap it.
        let guard = orphans::StartGuard::begin();
        let made = child::launch_with(Plan::Ready(image), &ends, flag).unwrap();
        orphans::leaders().insert(made.pid);
        drop((guard, ends));
        let stdout = read_to_end(streams.stdout.unwrap());
        assert_eq!(stdout, b"SigIgn:\t0000000000000000\n", "{flag:x}");
        waitid(WaitId::Pid(made.pid), WaitIdOptions::EXITED).unwrap();
        orphans::leaders().remove(made.pid);
        made.memory.unwrap().free();
    }
}

#[test]
fn spawn_restores_the_callers_signal_mask() {
    let mask = || {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("SigBlk"));
        line.unwrap().to_owned()
    };
    let before = mask();
    run(&spec(&["true"]));
    assert_eq!(mask(), before);
}

#[test]
fn a_descriptor_without_cloexec_is_not_inherited() {
    // `dup` returns a descriptor without close-on-exec.
    let left_open = rustix::io::dup(std::fs::File::open("/etc/passwd").unwrap()).unwrap();
    let (stdout, ..) = run(&spec(&["ls", "/proc/self/fd"]));
    drop(left_open);
    // Descriptor 3 is the directory that `ls` reads.
    assert_eq!(String::from_utf8(stdout).unwrap(), "0\n1\n2\n3\n");
}

#[test]
fn standard_input_is_empty_unless_a_pipe_is_requested() {
    assert_eq!(run(&spec(&["cat"])), (vec![], vec![], Exit::Code(0)));

    let mut spec = spec(&["cat"]);
    spec.stdin = Stdin::Pipe;
    let mut process = spawn(&spec).unwrap();
    let mut stdin = process.stdin.take().unwrap();
    stdin.write_all(b"hello").unwrap();
    drop(stdin);
    assert_eq!(read_to_end(process.stdout.take().unwrap()), b"hello");
    wait_readable(process.pidfd());
    assert_eq!(process.reap().unwrap(), Some(Exit::Code(0)));
}

#[test]
fn a_full_or_empty_pipe_does_not_block() {
    let mut spec = spec(&["sleep", "600"]);
    spec.stdin = Stdin::Pipe;
    let mut process = spawn(&spec).unwrap();
    let would_block = |error: std::io::Error| error.kind() == std::io::ErrorKind::WouldBlock;
    let stdin = process.stdin.as_mut().unwrap();
    let full = loop {
        if let Err(error) = stdin.write(&[0; 4096]) {
            break error;
        }
    };
    assert!(would_block(full));
    let empty = process.stdout.as_mut().unwrap().read(&mut [0]);
    assert!(would_block(empty.unwrap_err()));
}

#[test]
fn a_process_starts_in_its_working_directory() {
    let mut spec = spec(&["pwd"]);
    spec.cwd = Some("/usr/bin".into());
    assert_eq!(run(&spec).0, b"/usr/bin\n");
    spec.argv = vec!["./pwd".into()];
    assert_eq!(run(&spec).0, b"/usr/bin\n");
}

#[test]
fn exit_codes_and_signals_are_distinguished() {
    assert_eq!(run(&shell("exit 7")).2, Exit::Code(7));
    assert_eq!(run(&shell("exit 255")).2, Exit::Code(255));
    let killed = |signal| Exit::Signal {
        signal,
        core: false,
    };
    assert_eq!(run(&shell("kill -KILL $$")).2, killed(9));
    assert_eq!(run(&shell("kill -PIPE $$")).2, killed(13));
}

#[test]
fn a_failed_spawn_reports_its_stage_and_errno() {
    let directory = tempfile::tempdir().unwrap();
    // A child creates the files. If this process had them open for writing, a child forked by another thread
    // at that moment would keep them busy (ETXTBSY).
    let script =
        "echo 'echo gotcha' > text; chmod 755 text; touch closed; mkdir dir; ln -s loop loop";
    let in_directory = |mut spec: Spec| {
        spec.cwd = Some(directory.path().into());
        spec
    };
    assert_eq!(run(&in_directory(shell(script))).2, Exit::Code(0));

    let refused = |spec: Spec| {
        let error = spawn(&in_directory(spec)).unwrap_err();
        (error.stage, Errno::from_raw_os_error(error.errno()))
    };
    let long = "x".repeat(3 << 20);
    for (program, errno) in [
        ("no-such-program", Errno::NOENT),
        ("./no-such-program", Errno::NOENT),
        ("", Errno::NOENT),
        ("./text/below", Errno::NOENT),
        ("./closed", Errno::ACCESS),
        ("./dir", Errno::ACCESS),
        // execvp would pass it to a shell.
        ("./text", Errno::NOEXEC),
        ("./loop", Errno::LOOP),
        ("a\0b", Errno::INVAL),
    ] {
        assert_eq!(
            refused(spec(&[program])),
            (Stage::Execute, errno),
            "{program}"
        );
    }
    assert_eq!(refused(spec(&[])), (Stage::Execute, Errno::INVAL));
    let too_big = spec(&["true", &long]);
    assert_eq!(refused(too_big), (Stage::Execute, Errno::TOOBIG));

    let nowhere = Spec {
        cwd: Some("/no/such/place".into()),
        ..spec(&["true"])
    };
    let error = spawn(&nowhere).unwrap_err();
    assert_eq!(error.stage, Stage::Directory);
    assert_eq!(error.errno(), Errno::NOENT.raw_os_error());
    assert_eq!(
        error.to_string(),
        "cannot enter the working directory: No such file or directory (os error 2)"
    );
}

#[test]
fn the_program_is_looked_up_in_the_specs_path_and_not_in_the_environments() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path().as_os_str();
    let mut make =
        shell("mkdir a b; touch a/tool; printf '#!/bin/sh\necho b' > b/tool; chmod 755 b/tool");
    make.cwd = Some(directory.path().into());
    assert_eq!(run(&make).2, Exit::Code(0));
    let join = |names: &[&str]| {
        let paths = names.iter().map(|name| Path::new(here).join(name));
        std::env::join_paths(paths).unwrap()
    };

    let mut tool = spec(&["tool"]);
    tool.variables = vec![("PATH".into(), join(&["b"]))];
    assert_eq!(
        spawn(&tool).unwrap_err().errno(),
        Errno::NOENT.raw_os_error()
    );
    // The first is not executable: it is skipped, and its error is reported if no other is found.
    tool.path = join(&["nowhere", "a", "b"]);
    assert_eq!(run(&tool).0, b"b\n");
    tool.path = join(&["a", "nowhere"]);
    assert_eq!(
        spawn(&tool).unwrap_err().errno(),
        Errno::ACCESS.raw_os_error()
    );
    // An empty element does not stand for the current directory.
    tool.path = "::".into();
    tool.cwd = Some(directory.path().join("b"));
    assert_eq!(
        spawn(&tool).unwrap_err().errno(),
        Errno::NOENT.raw_os_error()
    );
}
