//! `udpctl ssh`: commands, streams, statuses and options by the command line of ssh, as a user sees them.

mod forward;
mod forward_ends;
mod options;
mod programs;
mod regress;

use std::os::unix::fs::symlink;
use std::process::Command;

use crate::harness::{Agent, Test, User};

/// An agent, and a user who calls `udpctl-ssh`.
struct Ssh {
    user: User,
    agent: Agent,
}

impl Ssh {
    fn new() -> Self {
        let user = User::new();
        let bin = user.path("bin");
        std::fs::create_dir(&bin).unwrap();
        for name in ["ssh", "udpctl-ssh"] {
            symlink(env!("CARGO_BIN_EXE_udpctl"), bin.join(name)).unwrap();
        }
        let agent = user.agent();
        Self { user, agent }
    }

    fn port(&self) -> String {
        let target = self.agent.target();
        target.rsplit_once(':').unwrap().1.to_owned()
    }

    /// Another program of this user, which finds `ssh` and `udpctl-ssh`. GNU parallel removes the variables for directories.
    fn command(&self, program: &str) -> Command {
        let mut command = self.user.command(program);
        let path = format!(
            "{}:/usr/local/bin:/usr/bin:/bin",
            self.user.path("bin").display()
        );
        command
            .env("PATH", path)
            .env("UDPCTL_CONFIG_DIR", self.user.path("config/udpctl"))
            .env("UDPCTL_STATE_DIR", self.user.path("state/udpctl"));
        command
    }

    /// A line for `bash`, with the port as `$PORT`.
    fn bash(&self, line: &str) -> Test {
        let mut command = self.command("bash");
        command.env("PORT", self.port()).args(["-c", line]);
        Test::new(command)
    }

    /// `udpctl ssh -p PORT WORDS`
    fn run(&self, words: &[&str]) -> Test {
        let port = self.port();
        self.user
            .udpctl([&["ssh", "-p", &port][..], words].concat())
    }
}

/// Bytes of all values, and more than a window of them.
fn bytes() -> Vec<u8> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..3 << 20).map(|_| next()).collect()
}

#[test]
fn the_words_of_the_command_are_joined_by_spaces_for_the_login_shell() {
    let ssh = Ssh::new();
    ssh.run(&["127.0.0.1", "echo", "a  b", "$((1 + 1))", "'c  d'"])
        .stdout("a b 2 c  d\n")
        .run();
    let shell = ssh.run(&["127.0.0.1", "echo $0 $SHELL"]).outcome().stdout;
    let shell = String::from_utf8(shell).unwrap();
    let (name, of_account) = shell.trim().split_once(' ').unwrap();
    assert_eq!(
        name, of_account,
        "the shell of the account runs the command"
    );
}

#[test]
fn status_and_stderr_of_ssh_are_those_of_the_command_and_255_is_ours() {
    let ssh = Ssh::new();
    let target = ssh.agent.target();
    for status in [0, 1, 4, 5, 44] {
        let exit = format!("exit {status}");
        ssh.run(&["127.0.0.1", &exit]).status(status).run();
    }
    ssh.run(&["127.0.0.1", "echo out; echo err >&2; exit 7"])
        .stdout("out\n")
        .stderr("err\n")
        .status(7)
        .run();
    ssh.run(&["127.0.0.1", "kill -9 $$"])
        .stderr(format!(
            "udpctl: {target}: ended by signal 9 (KILL); request ID\n"
        ))
        .status(137)
        .run();
    ssh.run(&["-q", "127.0.0.1", "kill -9 $$"])
        .status(137)
        .run();
    ssh.run(&["no-such-user@127.0.0.1", "true"])
        .stderr(format!("udpctl: {target}: denied: this key may not run commands as that user (--user); request ID\n"))
        .status(255)
        .run();
    ssh.run(&["-q", "-l", "no-such-user", "127.0.0.1", "true"])
        .status(255)
        .run();
}

#[test]
fn standard_input_of_ssh_arrives_whole_and_ends() {
    let ssh = Ssh::new();
    let bytes = bytes();
    let copy = ssh.user.path("copy");
    let line = format!("cat > {}", copy.display());
    ssh.run(&["127.0.0.1", &line]).stdin(bytes.clone()).run();
    assert!(std::fs::read(&copy).unwrap() == bytes, "the copy differs");
    ssh.run(&["127.0.0.1", "cat"])
        .stdin(bytes.clone())
        .stdout(bytes)
        .run();
    ssh.run(&["127.0.0.1", "cat; echo end"])
        .stdout("end\n")
        .run();
    ssh.run(&["-n", "127.0.0.1", "cat; echo end"])
        .stdin("unread")
        .stdout("end\n")
        .run();
    ssh.run(&["127.0.0.1", "-o", "StdinNull=yes", "cat"])
        .stdin("unread")
        .run();
}

#[test]
fn ssh_without_a_command_is_a_login_shell_that_reads_standard_input() {
    let ssh = Ssh::new();
    let note = "udpctl: the command has no terminal, because standard input is not one; -tt gives it one\n";
    let script = "echo $0; exit 3\n";
    let shell = ssh.run(&["127.0.0.1", "echo $SHELL"]).outcome().stdout;
    ssh.run(&["127.0.0.1"])
        .stdin(script)
        .stdout(shell.clone())
        .stderr(note)
        .status(3)
        .run();
    for quiet in ["-q", "-T", "-oLogLevel=ERROR"] {
        ssh.run(&[quiet, "127.0.0.1", ""])
            .stdin(script)
            .stdout(shell.clone())
            .status(3)
            .run();
    }
    // Only a login shell reads the profile of its user.
    let profile = ssh
        .run(&["-T", "127.0.0.1"])
        .stdin("shopt -q login_shell || echo none\n");
    if shell.ends_with(b"/bash\n") {
        profile.run();
    } else {
        eprintln!("SKIPPED: the login shell is not bash");
    }
}

#[test]
fn a_producer_and_a_reader_that_leave_end_ssh() {
    let ssh = Ssh::new();
    let statuses = "; echo ${PIPESTATUS[@]}";
    ssh.bash(&format!(
        "yes | udpctl-ssh -p $PORT 127.0.0.1 head -n 2{statuses}"
    ))
    .stdout("y\ny\n141 0\n")
    .run();
    ssh.bash(&format!(
        "udpctl-ssh -p $PORT 127.0.0.1 yes | head -n 2{statuses}"
    ))
    .stdout("y\ny\n141 0\n")
    .run();
    // The reader comes late, as in OpenSSH's yes-head.
    let lines = "sh -c 'while true; do echo yes; done | head -n 2000'";
    ssh.bash(&format!(
        "ssh -p $PORT 127.0.0.1 \"{lines}\" | (sleep 0.3; wc -l){statuses}"
    ))
    .stdout("2000\n0 0\n")
    .run();
    // It reads nothing, as in OpenSSH's broken-pipe: no message, and no status but that of the reader.
    ssh.bash("for i in 1 2 3 4; do ssh -p $PORT 127.0.0.1 echo $i | true || echo failed; done")
        .run();
}

/// As OpenSSH's exit-status, stderr-data and stderr-after-eof.
#[test]
fn standard_error_and_status_come_whole_after_the_end_of_standard_output() {
    let ssh = Ssh::new();
    let bytes = bytes();
    std::fs::write(ssh.user.path("data"), &bytes).unwrap();
    for options in ["", "-n"] {
        for begin in ["", "echo a; "] {
            let line = format!("{begin}exec >/dev/null; sleep 0.1; cat $PWD/data >&2");
            ssh.bash(&format!(
                "ssh {options} -p $PORT 127.0.0.1 exec sh -c \\'\"{line}\"\\' 2>&1 >/dev/null </dev/null"
            ))
            .stdout(bytes.clone())
            .run();
        }
    }
    ssh.bash(
        "ssh -n -p $PORT 127.0.0.1 exec sh -c \\''exec >/dev/null 2>&1; sleep 0.1; exit 44'\\'",
    )
    .status(44)
    .run();
}

/// As OpenSSH's transfer.
#[test]
fn input_of_any_block_size_arrives_whole() {
    let ssh = Ssh::new();
    std::fs::write(ssh.user.path("data"), &bytes()[..1 << 20]).unwrap();
    ssh.bash(
        "set -e; ssh -n -q -p $PORT 127.0.0.1 cat $PWD/data | cmp - data
         for size in 100 1k 32k 64k 128k 256k; do
             dd if=data obs=$size 2>/dev/null | ssh -q -p $PORT 127.0.0.1 \"cat > $PWD/copy\"
             cmp data copy
             rm copy
         done",
    )
    .run();
}
