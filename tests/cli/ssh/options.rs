//! Options of ssh: terminals, the background, variables, users, hosts, and what is refused.

use super::Ssh;
use crate::harness::{Child, DEADLINE, Pty, Test, User, eventually};

#[test]
fn terminals_are_given_as_ssh_gives_them() {
    let ssh = Ssh::new();
    let tty = "test -t 0 && echo yes || echo no";
    let note = "udpctl: the command has no terminal, because standard input is not one; -tt gives it one\n";
    for (options, stdout, stderr) in [
        (&[][..], "no\n", ""),
        (&["-t"], "no\n", note),
        (&["-oRequestTTY=yes"], "no\n", note),
        (&["-tt"], "yes\r\n", ""),
        (&["-oRequestTTY=force"], "yes\r\n", ""),
        (&["-tt", "-T"], "no\n", ""),
    ] {
        let words = [options, &["127.0.0.1", tty]].concat();
        ssh.run(&words).stdout(stdout).stderr(stderr).run();
    }
    ssh.run(&["-tt", "-e", "none", "127.0.0.1", tty])
        .stdout("yes\r\n")
        .run();
}

#[test]
fn the_background_begins_when_the_command_was_accepted() {
    let ssh = Ssh::new();
    // Opening a named pipe waits for the other end.
    let go = ssh.user.path("go");
    rustix::fs::mkfifoat(rustix::fs::CWD, &go, rustix::fs::Mode::RWXU).unwrap();
    let out = ssh.user.path("out");
    let line = format!("cat; cat {}; echo end >&2; exit 3", go.display());
    let redirected = format!(
        "exec udpctl-ssh -f -p $PORT 127.0.0.1 '{line}' >{0} 2>&1",
        out.display()
    );
    let mut command = ssh.command("bash");
    command.env("PORT", ssh.port()).args(["-c", &redirected]);
    let mut front = Child::start(command);
    assert!(front.ends_within(DEADLINE), "it stays in front");
    assert!(front.wait().0.success());
    assert_eq!(std::fs::read(&out).unwrap(), b"");
    std::fs::write(&go, "go\n").unwrap();
    // One stream may come before the other.
    eventually("the output is written", || {
        let written = std::fs::read(&out).unwrap();
        written == b"go\nend\n" || written == b"end\ngo\n"
    });
}

#[test]
fn a_failure_before_the_background_is_the_status() {
    let ssh = Ssh::new();
    let target = ssh.agent.target();
    ssh.run(&["-f", "no-such-user@127.0.0.1", "true"])
        .stderr(format!("udpctl: {target}: denied: this key may not run commands as that user (--user); request ID\n"))
        .status(255)
        .run();
    ssh.run(&["-f", "127.0.0.1"])
        .stderr("udpctl: -f: there is no command to run in the background\n")
        .status(255)
        .run();
}

#[test]
fn variables_are_set_and_sent_but_not_those_of_the_account() {
    let ssh = Ssh::new();
    let mut command = ssh.command("udpctl-ssh");
    command
        .env("LC_TEST", "sent")
        .env("LC_OTHER", "kept")
        .env("LD_PRELOAD_TEST", "unsafe")
        .args(["-p", &ssh.port(), "-o", "SendEnv=LC_T* LD_* HOME", "-o"])
        .arg("SetEnv=A=\"x  y\" SHELL=/bin/false HOME=/nowhere")
        .args([
            "127.0.0.1",
            "echo \"$A,$LC_TEST,$LC_OTHER,$LD_PRELOAD_TEST\"; cd",
        ]);
    Test::new(command).stdout("x  y,sent,,\n").run();
    ssh.run(&["-o", "RemoteCommand=echo %n %p %%", "127.0.0.1"])
        .stdout(format!("127.0.0.1 {} %\n", ssh.port()))
        .run();
}

#[test]
fn user_and_host_are_those_of_the_line() {
    let ssh = Ssh::new();
    let own = ssh.run(&["127.0.0.1", "id", "-un"]).outcome().stdout;
    let name = String::from_utf8(own.clone()).unwrap();
    let at = format!("{}@127.0.0.1", name.trim());
    ssh.run(&[&at, "id -un"]).stdout(own.clone()).run();
    let option = format!("user={}", name.trim());
    ssh.run(&["-o", &option, "-oHostName=127.0.0.1", "web1", "id -un"])
        .stdout(own)
        .run();
    let target = ssh.agent.target();
    ssh.user
        .udpctl(["ssh", &target, "echo hi"])
        .stdout("hi\n")
        .run();
    ssh.run(&["-4", "127.0.0.1", "echo hi"])
        .stdout("hi\n")
        .run();
    ssh.run(&["-6", "127.0.0.1", "echo hi"])
        .stderr(format!(
            "udpctl: {target}: cannot resolve \"127.0.0.1\": it has no IPv6 address\n"
        ))
        .status(255)
        .run();
    ssh.run(&[&target, "true"])
        .stderr(format!(
            "udpctl: {target}: the port is in the host and in an option\n"
        ))
        .status(255)
        .run();
    ssh.run(&["web[1-2]", "true"])
        .stderr("udpctl: web[1-2]: \"[\" cannot be part of a host\n")
        .status(255)
        .run();
}

#[test]
fn the_connect_timeout_bounds_the_wait_for_an_answer() {
    let user = User::new();
    // A bound socket that never answers.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port().to_string();
    user.udpctl(["trust", &format!("127.0.0.1:{port}"), user.agent().key()])
        .outcome();
    let mut command = user.command("udpctl");
    // Without the option, the test would not end.
    command.env("UDPCTL_CONTACT_TIMEOUT", "1h").args([
        "ssh",
        "-oConnectTimeout=1",
        "-p",
        &port,
        "127.0.0.1",
        "true",
    ]);
    Test::new(command)
        .stderr(format!(
            "udpctl: 127.0.0.1:{port}: no answer (is udpagent running there, and does it know this controller's key?); request ID\n"
        ))
        .status(255)
        .run();
}

#[test]
fn refused_options_contact_nobody() {
    let user = User::new();
    for (words, message) in [
        (
            &["-A", "h", "true"][..],
            "-A: an authentication agent is not forwarded",
        ),
        (
            &["-R", "1:h:1", "h"],
            "-R: only -L and -W forward connections",
        ),
        (
            &["-o", "Foo=1", "h"],
            "command-line: line 0: Bad configuration option: Foo",
        ),
        (&["-s", "h", "netconf"], "-s: the only subsystem is sftp"),
    ] {
        let words = [&["ssh"], words].concat();
        user.udpctl(words)
            .stderr(format!("udpctl: {message}\n"))
            .status(255)
            .run();
    }
    assert!(!user.path("config").exists(), "nothing was created");
    let outcome = user.udpctl(["ssh"]).outcome();
    assert_eq!(outcome.status, 255);
    assert!(
        outcome.stderr.contains("\nusage: udpctl ssh ["),
        "{}",
        outcome.stderr
    );
}

#[test]
fn g_prints_what_is_in_force_with_the_hosts_file() {
    let user = User::new();
    user.udpctl(["ssh", "-G", "-p", "7001", "ann@h"])
        .stdout("host h\nuser ann\nhostname h\nport 7001\n")
        .run();
    assert!(!user.path("config").exists(), "nothing was created");
    let directory = user.path("config/udpctl");
    std::fs::create_dir_all(&directory).unwrap();
    let hosts = "[hosts.web1]\naddress = \"192.0.2.1\"\nport = 7002\nuser = \"deploy\"\n";
    std::fs::write(directory.join("hosts.toml"), hosts).unwrap();
    for (words, text) in [
        (
            &["web1"][..],
            "host web1\nuser deploy\nhostname 192.0.2.1\nport 7002\n",
        ),
        (
            &["-p", "7003", "ann@web1", "ls"],
            "host web1\nuser ann\nhostname 192.0.2.1\nport 7003\n",
        ),
        (
            &["-oHostName=web1", "other"],
            "host other\nuser deploy\nhostname 192.0.2.1\nport 7002\n",
        ),
        (&["[::1]"], "host [::1]\nhostname ::1\nport 7000\n"),
    ] {
        user.udpctl([&["ssh", "-G"], words].concat())
            .stdout(text)
            .run();
    }
}

#[test]
fn help_of_ssh_is_that_of_the_subcommand_under_each_name() {
    let ssh = Ssh::new();
    let help = ssh.user.udpctl(["help", "ssh"]).outcome().stdout;
    let text = String::from_utf8(help.clone()).unwrap();
    assert!(
        text.contains("\nUsage: udpctl ssh [-46aCfGgkMNnqsTtVvxy] "),
        "{text}"
    );
    for words in [&["-h"][..], &["--help"], &["-v", "--help"]] {
        ssh.user
            .udpctl([&["ssh"], words].concat())
            .stdout(help.clone())
            .run();
        for name in ["udpctl-ssh", "ssh"] {
            let mut command = ssh.command(name);
            command.args(words);
            Test::new(command).stdout(help.clone()).run();
        }
    }
    let usage = text.split_once("\nUsage: ").unwrap().1;
    let usage = usage.split_once("\n\n").unwrap().0;
    Test::new(ssh.command("udpctl-ssh"))
        .stderr(format!("udpctl: the host is missing\nusage: {usage}\n"))
        .status(255)
        .run();
}

/// Starts `udpctl ssh` on a terminal with a command that shows its input in octal.
fn shows_octal(ssh: &Ssh, words: &[&str]) -> Pty {
    let mut command = ssh.user.command("udpctl");
    let line = "stty raw -echo; echo ready; exec od -An -v -to1 -w1";
    command
        .args(["ssh", "-t", "-p", &ssh.port()])
        .args(words)
        .args(["127.0.0.1", line]);
    let mut pty = Pty::start(command);
    pty.shows("ready");
    pty
}

#[test]
fn the_escape_character_is_off_or_another_one_on_request() {
    let ssh = Ssh::new();
    for words in [&["-e", "none"][..], &["-oEscapeChar=none"]] {
        let mut pty = shows_octal(&ssh, words);
        pty.type_in("~.");
        pty.shows("176");
        pty.shows("056");
        pty.type_in("\r~?");
        pty.shows("015");
        pty.shows("176");
        pty.shows("077");
    }
    let mut pty = shows_octal(&ssh, &["-e", "%"]);
    pty.type_in("~.\r");
    pty.shows("176");
    pty.shows("056");
    pty.shows("015");
    pty.type_in("%?");
    pty.shows("udpctl: %. leaves, %^Z suspends, %% is itself, %? lists these\r\n");
    pty.type_in("%.");
    pty.shows(": left; \"udpctl attach ");
    assert_eq!(pty.wait(), Some(255));
}

/// OpenSSH's exit-status-signal.
#[test]
fn ssh_that_is_killed_fails_and_the_command_is_ended() {
    let ssh = Ssh::new();
    let mut command = ssh.command("udpctl-ssh");
    command.args(["-p", &ssh.port(), "127.0.0.1", "echo $$; exec sleep 444"]);
    let mut child = Child::start(command);
    let pid: i32 = child.stdout_line(|_| true).parse().unwrap();
    child.signal(rustix::process::Signal::TERM);
    assert!(child.ends_within(DEADLINE));
    let (status, stderr) = child.wait();
    assert_eq!(status.code(), Some(143), "{stderr}");
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    eventually("the command is gone", || {
        rustix::process::test_kill_process(pid).is_err()
    });
}
