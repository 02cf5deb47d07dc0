//! `udpctl exec` on one host: output, exit status, outcome.

use std::os::unix::ffi::OsStrExt as _;

use crate::harness::{User, eventually};

fn exec<'a>(target: &'a str, command: &[&'a str]) -> Vec<&'a str> {
    [&["exec", target, "--"], command].concat()
}

#[test]
fn stdout_stderr_and_exit_status_are_those_of_the_command() {
    let user = User::new();
    let agent = user.agent();
    let script = "echo out; echo err >&2; exit 7";
    user.udpctl(exec(&agent.target(), &["sh", "-c", script]))
        .stdout("out\n")
        .stderr("err\n")
        .status(7)
        .run();
    user.udpctl(exec(&agent.target(), &["true"])).run();
}

#[test]
fn arguments_arrive_byte_for_byte() {
    let user = User::new();
    let agent = user.agent();
    let odd: [&[u8]; 9] = [
        b"",
        b" ",
        b"a b",
        b"'single' \"double\"",
        b"$HOME `id` \\",
        b"line\nbreak",
        b"--",
        b"-x",
        b"\xff\xfe not utf-8",
    ];
    let target = agent.target();
    let mut args: Vec<&std::ffi::OsStr> = ["exec", &target, "--", "printf", "[%s]"]
        .map(AsRef::as_ref)
        .to_vec();
    args.extend(odd.iter().map(|bytes| std::ffi::OsStr::from_bytes(bytes)));
    let mut wanted = Vec::new();
    for bytes in odd {
        wanted.push(b'[');
        wanted.extend_from_slice(bytes);
        wanted.push(b']');
    }
    user.udpctl(args).stdout(wanted).run();
}

#[test]
fn an_outcome_other_than_an_exit_status_is_named_on_stderr() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    let missing = "/no/such/program";
    user.udpctl(exec(&target, &[missing]))
        .stderr(format!(
            "udpctl: {target}: could not be started: No such file or directory: {missing}; request ID\n"
        ))
        .status(127)
        .run();
    user.udpctl(exec(&target, &["/etc/passwd"]))
        .stderr(format!(
            "udpctl: {target}: could not be started: Permission denied: /etc/passwd; request ID\n"
        ))
        .status(126)
        .run();
    user.udpctl(exec(&target, &["sh", "-c", "kill -9 $$"]))
        .stderr(format!(
            "udpctl: {target}: ended by signal 9 (KILL); request ID\n"
        ))
        .status(137)
        .run();
    user.udpctl(["exec", &target, "--timeout", "200ms", "--", "sleep", "600"])
        .stderr(format!("udpctl: {target}: timed out; request ID\n"))
        .status(124)
        .run();
}

#[test]
fn a_silent_host_is_unreachable_and_never_success() {
    let user = User::new();
    // A bound socket that never answers.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = silent.local_addr().unwrap().to_string();
    let agent = user.agent();
    user.udpctl(["trust", &target, agent.key()])
        .stdout(format!("{target} is trusted now\n"))
        .run();
    user.udpctl(["exec", &target, "--contact-timeout", "300ms", "--", "true"])
        .stderr(format!("udpctl: {target}: no answer (is udpagent running there, and does it know this controller's key?); request ID\n"))
        .status(255)
        .run();
}

#[test]
fn standard_input_is_read_only_when_asked_for() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    user.udpctl(["exec", &target, "-i", "--", "cat"])
        .stdin("read\n")
        .stdout("read\n")
        .run();
    // A shell loop that reads the same input keeps it.
    let loops = format!(
        "while read line; do {} exec {target} -- echo $line; done",
        env!("CARGO_BIN_EXE_udpctl")
    );
    let mut shell = user.command("sh");
    shell.args(["-c", &loops]);
    crate::harness::Test::new(shell)
        .stdin("1\n2\n3\n")
        .stdout("1\n2\n3\n")
        .run();
}

#[test]
fn stdin_has_back_pressure_and_a_half_close() {
    let user = User::new();
    let agent = user.agent();
    let input: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    user.udpctl(["exec", &agent.target(), "-i", "--", "cat"])
        .stdin(input.clone())
        .stdout(input)
        .run();
}

#[test]
fn a_command_that_stops_reading_stdin_still_ends() {
    let user = User::new();
    let agent = user.agent();
    user.udpctl(["exec", &agent.target(), "-i", "--", "head", "-c", "3"])
        .stdin(vec![b'x'; 8 << 20])
        .stdout("xxx")
        .run();
}

#[test]
fn output_is_complete_whatever_its_size() {
    let user = User::new();
    let agent = user.agent();
    let outcome = user
        .udpctl(exec(
            &agent.target(),
            &["sh", "-c", "head -c 10485760 /dev/zero; exit 7"],
        ))
        .outcome();
    assert_eq!(outcome.status, 7, "{}", outcome.stderr);
    assert_eq!(outcome.stdout.len(), 10_485_760);
    assert!(outcome.stdout.iter().all(|&byte| byte == 0));
}

/// The shell writes each line on its own.
#[test]
fn output_in_small_pieces_is_complete_and_in_order() {
    let user = User::new();
    let agent = user.agent();
    let lines = "i=0; while [ $i -lt 200000 ]; do i=$((i + 1)); echo $i; done";
    let numbers: Vec<String> = (1..=200_000).map(|number| format!("{number}\n")).collect();
    user.udpctl(exec(&agent.target(), &["sh", "-c", lines]))
        .stdout(numbers.concat())
        .run();
}

fn held_open(target: &str) -> String {
    format!(
        "udpctl: {target}: a process that the command left behind still holds its output open; \
         output written later is not shown\n"
    )
}

#[test]
fn output_that_is_written_after_the_result_is_named_on_stderr() {
    let user = User::new();
    let mut agent = user.agent();
    agent.leaves_something_behind();
    let target = agent.target();
    let script = "(while ! test -e \"$0\"; do sleep 0.1; done; echo late) & echo early";
    let gate = user.path("gate");
    let argv = ["sh", "-c", script, gate.to_str().unwrap()];
    user.udpctl(exec(&target, &argv))
        .stdout("early\n")
        .stderr(held_open(&target))
        .run();
    let outcome = user
        .udpctl([&["exec", &target, "--json", "--"][..], &argv].concat())
        .stderr(held_open(&target))
        .outcome();
    let object: serde_json::Value = serde_json::from_slice(&outcome.stdout).unwrap();
    assert_eq!(object["streams_open"], true);
    // A child that has closed its output leaves nothing out.
    user.udpctl(exec(
        &target,
        &["sh", "-c", "sleep 5 >/dev/null 2>&1 & echo hi"],
    ))
    .stdout("hi\n")
    .run();
    std::fs::write(gate, "").unwrap();
}

#[test]
fn a_background_child_does_not_delay_the_result() {
    let user = User::new();
    let mut agent = user.agent();
    agent.leaves_something_behind();
    user.udpctl(exec(&agent.target(), &["sh", "-c", "sleep 600 & echo hi"]))
        .stdout("hi\n")
        .stderr(held_open(&agent.target()))
        .run();
    let left = agent.jobs().left();
    assert_eq!(left.len(), 1, "what was left behind on purpose stays");
}

#[test]
fn closing_stdout_of_udpctl_ends_the_command() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    let line = format!(
        "{} exec {target} -- sh -c 'echo $$ >{}; exec yes' | head -n 1",
        env!("CARGO_BIN_EXE_udpctl"),
        user.path("pid").display()
    );
    let mut shell = user.command("bash");
    shell.args(["-c", &format!("{line}; echo ${{PIPESTATUS[0]}}")]);
    crate::harness::Test::new(shell).stdout("y\n141\n").run();
    let pid = std::fs::read_to_string(user.path("pid")).unwrap();
    let process = std::path::PathBuf::from(format!("/proc/{}", pid.trim()));
    eventually("yes has ended", || !process.exists());
}

#[test]
fn closing_stdout_of_udpctl_ends_a_command_that_writes_nothing_more() {
    let user = User::new();
    let agent = user.agent();
    let script = "trap \"\" PIPE; while echo y; do :; done 2>/dev/null; exec sleep 600";
    let line = format!(
        "{} exec {} -- sh -c '{script}' | head -n 1; echo ${{PIPESTATUS[0]}}",
        env!("CARGO_BIN_EXE_udpctl"),
        agent.target(),
    );
    let mut shell = user.command("bash");
    shell.args(["-c", &line]);
    crate::harness::Test::new(shell).stdout("y\n141\n").run();
    let jobs = agent.jobs();
    eventually("the command has ended", || jobs.left().is_empty());
}

#[test]
fn env_cwd_and_shell_options_take_effect() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    user.udpctl([
        "exec",
        &target,
        "--env",
        "A=1=2",
        "--env",
        "B=",
        "--cwd",
        "/usr",
        "--shell",
        "echo \"$A,$B,$PWD,$1\" | tr 12 34",
        "--",
        "x y",
    ])
    .stdout("3=4,,/usr,x y\n")
    .run();
}

#[test]
fn json_reports_one_complete_object() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    let script = "echo hi; printf '\\377' >&2; exit 3";
    let outcome = user
        .udpctl(["exec", &target, "--json", "--", "sh", "-c", script])
        .outcome();
    assert_eq!(outcome.status, 3);
    let object: serde_json::Value = serde_json::from_slice(&outcome.stdout).unwrap();
    assert_eq!(object["host"], *target);
    assert_eq!(
        object["outcome"],
        serde_json::json!({"exited": {"code": 3}})
    );
    assert_eq!(
        object["stdout"],
        serde_json::json!({"bytes": 3, "text": "hi\n"})
    );
    assert_eq!(
        object["stderr"],
        serde_json::json!({"bytes": 1, "b64": "/w=="})
    );
}

#[test]
fn the_first_interrupt_ends_the_command_and_waits_for_it() {
    let user = User::new();
    let agent = user.agent();
    let mut command = user.command("udpctl");
    command.args(exec(
        &agent.target(),
        &["sh", "-c", "echo $$; exec sleep 600"],
    ));
    let mut udpctl = crate::harness::Child::start(command);
    let pid = udpctl.stdout_line(|_| true);
    udpctl.signal(rustix::process::Signal::INT);
    let (status, stderr) = udpctl.wait();
    assert_eq!(crate::harness::shell_status(status), Some(130), "{stderr}");
    assert!(stderr.contains("canceled; request "), "{stderr}");
    let process = std::path::PathBuf::from(format!("/proc/{pid}"));
    eventually("what is said to have ended is gone", || !process.exists());
}

#[test]
fn the_second_interrupt_exits_and_names_the_request() {
    let user = User::new();
    let agent = user.agent();
    let mut command = user.command("udpctl");
    command.args(exec(
        &agent.target(),
        &[
            "sh",
            "-c",
            "trap '' TERM; echo $$; while :; do sleep 600; done",
        ],
    ));
    let mut udpctl = crate::harness::Child::start(command);
    udpctl.stdout_line(|_| true);
    udpctl.signal(rustix::process::Signal::INT);
    udpctl.stderr_line(|line| line.contains("again to leave at once"));
    udpctl.signal(rustix::process::Signal::INT);
    let (status, stderr) = udpctl.wait();
    assert_eq!(crate::harness::shell_status(status), Some(130), "{stderr}");
    assert!(
        stderr.contains(": left, and it may still run; request "),
        "{stderr}"
    );
}
