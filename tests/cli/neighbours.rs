//! Effects of one key on another, of which there are none: starts that hang, many commands, many results.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::fs::{CWD, Mode, mkfifoat};
use rustix::process::{Pid, Signal};

use crate::harness::{Agent, Child, DEADLINE, Test, User, eventually, helper, resident};

/// Mounts a file system that does not answer on the directory `$0`, and executes the other arguments.
const MOUNT: &str = r#"exec 9<>/dev/fuse && mount -i -t fuse \
    -o fd=9,rootmode=40000,user_id=0,group_id=0,allow_other none "$0" && exec "$@""#;

/// Mounts such a file system on `$0`, which has the kind `$1`.
const MOUNT_HERE: &str = r#"exec 9<>/dev/fuse && mount -i -t fuse \
    -o fd=9,rootmode="$1",user_id=0,group_id=0,allow_other none "$0""#;

/// Number of large terminals of one key.
const TERMINALS: usize = 120;

/// Returns the line of a controller's key in authorized_keys.
fn line(user: &User, name: &str, options: &str) -> String {
    let key = user.udpctl(["id"]).outcome().stdout;
    let key = String::from_utf8(key).unwrap();
    format!("{} {name} {options}\n", key.trim())
}

/// Lists keys in the file of an agent's user.
fn list(user: &User, lines: &[String]) {
    let folder = user.path("config/udpagent");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("authorized_keys"), lines.concat()).unwrap();
}

/// Lets a controller trust an agent.
fn trust(user: &User, agent: &Agent) {
    user.udpctl(["trust", &agent.target(), agent.key()])
        .outcome();
}

/// True if a file system that does not answer can be mounted here.
fn can_mount() -> bool {
    let unshared = || Command::new("unshare").args(["--mount", "true"]).status();
    let can = Path::new("/dev/fuse").exists() && unshared().is_ok_and(|status| status.success());
    if !can {
        eprintln!("SKIPPED: no file system can be mounted");
    }
    can
}

#[test]
fn starts_in_a_directory_that_does_not_answer_delay_nobody_and_not_the_end() {
    if !can_mount() {
        return;
    }
    let user = User::new();
    user.authorize("user=nobody,root");
    let directory = user.path("hanging");
    std::fs::create_dir(&directory).unwrap();
    let directory = directory.to_str().unwrap();
    let mut command = user.command("unshare");
    command.args(["--mount", "sh", "-c", MOUNT, directory]);
    command.args([env!("CARGO_BIN_EXE_udpagent"), "--bind", "127.0.0.1:0"]);
    let mut agent = Agent::from(command);
    let target = agent.target();
    let program = format!("{directory}/program");
    let exec = |options: &[&str], argv: &[&str]| {
        let mut command = user.command("udpctl");
        command.args([&["exec", &target][..], options, &["--"], argv].concat());
        Child::start(command)
    };
    let below = format!("{directory}/below");
    let mut hanging = Vec::new();
    for _ in 0..3 {
        hanging.push(exec(&["--user", "nobody", "--cwd", &below], &["true"]));
        hanging.push(exec(&["--user", "root", "--cwd", &below], &["true"]));
        hanging.push(exec(&["--user", "root"], &[&program]));
    }
    let mut timed = exec(
        &["--user", "root", "--cwd", &below, "--timeout", "300ms"],
        &["true"],
    );
    for number in 0..20 {
        user.udpctl([
            "exec",
            &target,
            "--user",
            "root",
            "--",
            "echo",
            &number.to_string(),
        ])
        .stdout(format!("{number}\n"))
        .run();
        assert_eq!(user.udpctl(["ping", &target]).outcome().status, 0);
    }
    let (status, errors) = timed.wait();
    assert_eq!(status.code(), Some(124), "{errors}");
    // The others hang still.
    assert!(hanging.iter_mut().all(Child::is_running));
    agent.child.signal(Signal::TERM);
    assert!(agent.child.ends_within(DEADLINE));
    for mut command in hanging {
        let (status, errors) = command.wait();
        assert_eq!(status.code(), Some(255), "{errors}");
    }
}

/// Mounts a file system that does not answer on a directory or a file, in the mount namespace of a process, until it is killed.
fn hang(user: &User, process: Pid, place: &Path) -> Child {
    let mut command = user.command("nsenter");
    let script = format!("{MOUNT_HERE} && echo mounted && exec sleep 600");
    command.args(["--mount", "--target", &process.as_raw_pid().to_string()]);
    let kind = if place.is_dir() { "40000" } else { "100000" };
    command.args(["sh", "-c", &script, place.to_str().unwrap(), kind]);
    let mut holder = Child::start(command);
    holder.stdout_line(|line| line == "mounted");
    holder
}

#[test]
fn files_that_cannot_be_read_admit_nobody_and_delay_neither_what_runs_nor_the_end() {
    if !can_mount() {
        return;
    }
    let user = User::new();
    user.authorize("");
    let mut command = user.command("unshare");
    command.args(["--mount", env!("CARGO_BIN_EXE_udpagent")]);
    command.args(["--bind", "127.0.0.1:0"]);
    let mut agent = Agent::from(command);
    let target = agent.target();
    let mut command = user.command("udpctl");
    command.args(["exec", "-i", &target, "--", "cat"]);
    let mut cat = Child::start(command);
    let mut echo = |word: &str| {
        cat.type_in(&format!("{word}\n"));
        cat.stdout_line(|line| line == word);
    };
    echo("before");
    let ping = || user.udpctl(["ping", &target]).outcome().status;
    let exec = |timeout: &str| {
        let args = ["exec", &target, "--contact-timeout", timeout, "--", "true"];
        user.udpctl(args).outcome().status
    };
    let mut holder = hang(&user, agent.child.pid(), &user.path("config/udpagent"));
    // The files are to be read again, and the program is to be tried, which reads them too.
    agent.child.signal(Signal::HUP);
    echo("while they are read");
    assert_eq!((exec("10s"), ping()), (0, 0));
    agent
        .child
        .stderr_line(|line| line.contains("the file system does not answer"));
    echo("while nobody is admitted");
    assert_eq!(exec("1s"), 255);
    agent
        .child
        .stderr_line(|line| line.contains("the program is not replaced"));
    echo("after the trial");
    // Without the file system, the files are there again.
    holder.kill();
    let mut command = user.command("nsenter");
    let process = agent.child.pid().as_raw_pid().to_string();
    command.args(["--mount", "--target", &process, "umount", "-l"]);
    command.arg(user.path("config/udpagent"));
    assert_eq!(Test::new(command).outcome().status, 0);
    eventually("the key is admitted again", || exec("1s") == 0);
    echo("with the files");
    let _holder = hang(&user, agent.child.pid(), &user.path("config/udpagent"));
    agent.child.signal(Signal::HUP);
    assert_eq!(exec("10s"), 0);
    agent.child.signal(Signal::TERM);
    assert!(agent.child.ends_within(DEADLINE));
    let (status, errors) = cat.wait();
    assert_eq!(status.code(), Some(255), "{errors}");
}

#[test]
fn a_chat_history_whose_file_does_not_answer_delays_no_command_and_not_the_end() {
    if !can_mount() {
        return;
    }
    let user = User::new();
    user.authorize("");
    user.write("state/udpagent/chat", "");
    let mut command = user.command("unshare");
    command.args(["--mount", env!("CARGO_BIN_EXE_udpagent")]);
    command.args(["--bind", "127.0.0.1:0"]);
    let mut agent = Agent::from(command);
    let target = agent.target();
    let mut command = user.command("udpctl");
    command.args(["chat", &target, "--json"]);
    let mut member = Child::start(command);
    agent.child.stdout_line(|line| line == "* me came");
    let _holder = hang(&user, agent.child.pid(), &user.path("state/udpagent/chat"));
    // More than the file may hold, and than a socket takes.
    let line = "\u{1}".repeat(4000) + "\n";
    agent.child.type_in(&(line.repeat(200) + "last\n"));
    member.stdout_line(|line| line.contains(r#""text":"last""#));
    for _ in 0..3 {
        user.udpctl(["exec", &target, "--", "echo", "on"])
            .stdout("on\n")
            .run();
    }
    agent.child.signal(Signal::TERM);
    agent.child.stderr_line(|line| {
        line.contains("the file system does not answer; the history of the chat may not survive")
    });
    assert!(agent.child.ends_within(DEADLINE));
}

#[test]
fn a_start_that_does_not_come_about_is_spawn_failed_in_bounded_time() {
    if !Path::new("/dev/fuse").exists() {
        eprintln!("SKIPPED: there is no /dev/fuse");
        return;
    }
    let user = User::new();
    let directory = user.path("hanging");
    std::fs::create_dir(&directory).unwrap();
    let directory = directory.to_str().unwrap();
    let mut command = user.command("unshare");
    command.args(["--mount", "sh", "-c", MOUNT, directory]);
    command.args([env!("CARGO_BIN_EXE_udpagent"), "--bind", "127.0.0.1:0"]);
    let agent = Agent::from(command);
    let target = agent.target();
    let below = format!("{directory}/below");
    user.udpctl(["exec", &target, "--cwd", &below, "--", "true"])
        .stderr(format!(
            "udpctl: {target}: could not be started: Connection timed out: true; request ID\n"
        ))
        .status(126)
        .run();
}

#[test]
fn the_results_of_one_key_do_not_displace_those_of_another() {
    let (owner, greedy) = (User::new(), User::new());
    list(
        &owner,
        &[line(&owner, "owner", ""), line(&greedy, "greedy", "")],
    );
    owner.write_config("[limits]\njobs = 2000\n");
    let agent = Agent::start(&owner, &["--bind", "0.0.0.0:0"]);
    let target = agent.target();
    agent.is_trusted_by(&greedy, 100);
    let id = "0000000000000000000000000000cafe";
    let detached = [
        "exec", "--detach", "--id", id, &target, "--", "echo", "kept",
    ];
    assert_eq!(owner.udpctl(detached).outcome().status, 0);
    owner.udpctl(["wait", &target, id]).outcome();
    let run = |times: usize, argv: &[&str]| {
        let mut args = vec!["exec", "--detach"];
        let targets = agent.targets(times);
        args.extend(targets.iter().map(String::as_str));
        args.push("--");
        args.extend(argv);
        let outcome = greedy.udpctl(args).outcome();
        assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    };
    run(70, &["head", "-c", "1000000", "/dev/zero"]);
    for _ in 0..22 {
        run(100, &["true"]);
    }
    owner.udpctl(["attach", &target, id]).stdout("kept\n").run();
}

#[test]
fn the_commands_of_one_key_leave_room_for_those_of_another_unless_its_line_says_max_jobs() {
    let (owner, greedy) = (User::new(), User::new());
    let lines = |options| [line(&owner, "owner", ""), line(&greedy, "greedy", options)];
    list(&owner, &lines(""));
    owner.write_config("[limits]\njobs = 4\n");
    let agent = owner.agent();
    let target = agent.target();
    trust(&greedy, &agent);
    let sleep = || {
        let args = ["exec", &target, "--detach", "--", "sleep", "600"];
        greedy.udpctl(args).outcome()
    };
    for _ in 0..3 {
        assert_eq!(sleep().status, 0);
    }
    let busy = sleep();
    assert_eq!(busy.status, 255);
    assert!(busy.stderr.contains(": busy; "), "{}", busy.stderr);
    owner
        .udpctl(["exec", &target, "--", "echo", "served"])
        .stdout("served\n")
        .run();
    list(&owner, &lines("max-jobs=4"));
    eventually("the line holds", || sleep().status == 0);
    owner
        .udpctl(["exec", &target, "--", "true"])
        .stderr(format!("udpctl: {target}: busy; request ID\n"))
        .status(255)
        .run();
}

#[test]
fn more_commands_run_than_the_soft_limit_of_descriptors_allows_and_get_that_limit_back() {
    let user = User::new();
    let go = user.path("go");
    user.write_config("[limits]\njobs = 2000\n");
    let mut command = user.command("prlimit");
    command.args(["--nofile=1024:", env!("CARGO_BIN_EXE_udpagent")]);
    command.args(["--bind", "0.0.0.0:0"]);
    let agent = Agent::from(command);
    let (target, targets) = (agent.target(), agent.targets(800));
    // Each waits until the other end is opened, at no cost.
    mkfifoat(CWD, &go, Mode::RWXU).unwrap();
    let script = format!("ulimit -n; : <{}", go.display());
    let mut args = vec!["exec", "--detach"];
    args.extend(targets.iter().map(String::as_str));
    args.extend(["--shell", &script]);
    let outcome = user.udpctl(args).outcome();
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    let ids = String::from_utf8(outcome.stdout).unwrap();
    let ids: Vec<&str> = ids
        .split_whitespace()
        .filter(|word| word.len() == 32)
        .collect();
    assert_eq!(ids.len(), 800);
    let listed = user.udpctl(["jobs", &target]).outcome();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let running = |line: &&str| line.contains("running");
    assert_eq!(listed.lines().filter(running).count(), 800);
    let _other_end = std::fs::File::options()
        .read(true)
        .write(true)
        .open(&go)
        .unwrap();
    for id in [ids[0], ids[799]] {
        user.udpctl(["attach", &target, id]).stdout("1024\n").run();
    }
    eventually("all have ended", || agent.jobs().left().is_empty());
}

/// Memory of an agent's processes, in KiB.
fn resident_kib(agent: &Agent) -> u64 {
    let pid = agent.child.pid();
    let front = helper(pid, "udpagent-front").expect("a front runs");
    (resident(pid) + resident(front)) >> 10
}

/// Memory of the file with the outputs of an agent's commands, in MiB.
fn output_mib(agent: &Agent) -> u64 {
    let folder = format!("/proc/{}/fd", agent.child.pid().as_raw_pid());
    let mut descriptors = std::fs::read_dir(folder).unwrap().flatten();
    let is_file = |path: &Path| {
        let name = std::fs::read_link(path).unwrap_or_default();
        name.to_string_lossy().contains("udpagent-outputs")
    };
    let file = descriptors.find(|entry| is_file(&entry.path()));
    let file = file.expect("it is open").path();
    (std::fs::metadata(file).unwrap().blocks() * 512) >> 20
}

#[test]
fn output_that_nobody_fetches_takes_bounded_memory_and_is_complete_when_it_is_fetched() {
    // Each could hold four MiB.
    const COMMANDS: usize = 120;
    let (owner, greedy) = (User::new(), User::new());
    list(
        &owner,
        &[line(&owner, "owner", ""), line(&greedy, "greedy", "")],
    );
    let agent = Agent::start(&owner, &["--bind", "0.0.0.0:0"]);
    let (target, targets) = (agent.target(), agent.targets(COMMANDS));
    agent.is_trusted_by(&greedy, COMMANDS);
    let much = "head -c 3000000 /dev/zero >&2 & head -c 3000000 /dev/zero; wait; sleep 600";
    let mut args = vec!["exec", "--detach"];
    args.extend(targets.iter().map(String::as_str));
    args.extend(["--shell", much]);
    assert_eq!(greedy.udpctl(&args).outcome().status, 0);
    let mut before = 0;
    eventually("no more is read", || {
        std::thread::sleep(Duration::from_millis(300));
        let now = output_mib(&agent);
        std::mem::replace(&mut before, now) == now && now >= 250
    });
    assert!(before <= 256 + 30 + 10, "{before} MiB");
    let id = "0000000000000000000000000000cafe";
    let head = ["--", "head", "-c", "3000000", "/dev/zero"];
    let last = [&["exec", "--detach", "--id", id, &target][..], &head].concat();
    assert_eq!(greedy.udpctl(&last).outcome().status, 0);
    let other = [&["exec", &target][..], &head].concat();
    assert_eq!(owner.udpctl(&other).outcome().stdout.len(), 3_000_000);
    let fetched = greedy.udpctl(["attach", &target, id]).outcome();
    assert_eq!((fetched.status, fetched.stdout.len()), (0, 3_000_000));
    let jobs = agent.jobs();
    drop(agent);
    eventually("all have ended", || jobs.left().is_empty());
}

#[test]
fn many_large_terminals_of_one_key_take_bounded_memory() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    user.udpctl(["exec", &target, "--", "true"]).run();
    let before = resident_kib(&agent);
    let go = user.path("go");
    // Each writes half a screen in many colours. The output of all, which is held, is 16 MiB.
    let screen = format!(
        "i=0; while [ $i -lt 256 ]; do printf '\\033[3%dm%0512d' $((i % 8)) 1; i=$((i+1)); done; \
         while [ ! -e {} ]; do sleep 1; done",
        go.display()
    );
    let exec = user.path("exec");
    std::fs::write(
        &exec,
        format!(
            "stty rows 512 cols 512; for i in $(seq {TERMINALS}); do {} exec -t --detach {target} \
             --shell \"$1\" || exit 1; done",
            env!("CARGO_BIN_EXE_udpctl")
        ),
    )
    .unwrap();
    let mut command = user.command("script");
    let line = format!("sh {} \"$SCREEN\"", exec.display());
    command.args(["-qec", &line, "/dev/null"]);
    command.env("SCREEN", &screen);
    let outcome = Test::new(command).outcome();
    assert_eq!(
        outcome.status,
        0,
        "{}",
        String::from_utf8_lossy(&outcome.stdout)
    );
    let running = || {
        let listed = user.udpctl(["jobs", &target]).outcome();
        let listed = String::from_utf8(listed.stdout).unwrap();
        listed
            .lines()
            .filter(|line| line.contains("running"))
            .count()
    };
    assert_eq!(running(), TERMINALS);
    let grown = resident_kib(&agent).saturating_sub(before);
    assert!(grown < 32 << 10, "{grown} KiB more");
    std::fs::write(&go, "").unwrap();
    eventually("all have ended", || running() == 0);
}
