//! The programs that run ssh, with `udpctl-ssh` in its place; those that are not installed are passed over.

use std::path::Path;
use std::process::Command;

use super::{Ssh, bytes};

/// Returns true if a program is installed.
fn has(program: &str) -> bool {
    let found = Command::new("sh")
        .args(["-c", "command -v \"$0\"", program])
        .output();
    let is_there = found.is_ok_and(|output| output.status.success());
    if !is_there {
        eprintln!("SKIPPED: {program} is not installed");
    }
    is_there
}

/// Returns true if a server for sftp is where `udpctl ssh` looks for it.
fn has_sftp_server() -> bool {
    let folders = ["openssh", "ssh", "misc"].map(|name| format!("/usr/lib/{name}"));
    let others = ["/usr/libexec", "/usr/libexec/openssh"].map(str::to_owned);
    let mut folders = folders.into_iter().chain(others);
    let is_there = folders.any(|folder| Path::new(&folder).join("sftp-server").exists());
    if !is_there {
        eprintln!("SKIPPED: sftp-server is not installed");
    }
    is_there
}

/// An agent, and files with bytes of all values below `tree`.
fn with_tree() -> Ssh {
    let ssh = Ssh::new();
    let bytes = bytes();
    for (index, piece) in bytes.chunks(1 << 20).enumerate() {
        let folder = ssh.user.path(format!("tree/{index} of them"));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("file"), piece).unwrap();
    }
    ssh
}

/// Runs a line in the home of the user, where `$PWD` is absolute.
fn runs(ssh: &Ssh, line: &str) {
    let outcome = ssh.bash(&format!("set -e; {line}")).outcome();
    assert_eq!((outcome.status, &*outcome.stderr), (0, ""), "{line}");
}

#[test]
fn rsync_copies_a_tree_there_and_back() {
    if !has("rsync") {
        return;
    }
    let ssh = with_tree();
    let udpctl = env!("CARGO_BIN_EXE_udpctl");
    runs(
        &ssh,
        &format!(
            "rsync -a -e '{udpctl} ssh -p '$PORT tree/ 127.0.0.1:$PWD/there/; diff -r tree there;
             rsync -az -e \"udpctl-ssh -p $PORT\" 127.0.0.1:$PWD/there/ back/; diff -r tree back"
        ),
    );
}

#[test]
fn scp_copies_by_either_protocol() {
    if !has("scp") || !has_sftp_server() {
        return;
    }
    let ssh = with_tree();
    for protocol in ["-q", "-q -O"] {
        runs(
            &ssh,
            &format!(
                "scp {protocol} -r -S $PWD/bin/udpctl-ssh -P $PORT tree 127.0.0.1:$PWD/there; diff -r tree there;
                 scp {protocol} -r -S $PWD/bin/udpctl-ssh -P $PORT 127.0.0.1:$PWD/there back; diff -r tree back;
                 rm -r there back"
            ),
        );
    }
}

#[test]
fn sftp_puts_gets_and_lists() {
    if !has("sftp") || !has_sftp_server() {
        return;
    }
    let ssh = with_tree();
    runs(
        &ssh,
        "printf '%s\\n' \"put -R tree $PWD/there\" \"get -R $PWD/there back\" \"ls $PWD\" |
             sftp -q -S $PWD/bin/udpctl-ssh -P $PORT -b - 127.0.0.1 > log;
         diff -r tree there; diff -r tree back; grep -q back log",
    );
}

#[test]
fn git_clones_pushes_and_fetches() {
    if !has("git") {
        return;
    }
    let ssh = with_tree();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_udpctl"), ssh.user.path("bin/udpctl")).unwrap();
    // The program of an unknown name is asked with -G whether it takes the options of ssh.
    runs(
        &ssh,
        "export GIT_SSH=udpctl-ssh GIT_CONFIG_NOSYSTEM=1 URL=ssh://127.0.0.1:$PORT$PWD/site.git;
         git config --global user.name ann; git config --global user.email ann@example.com;
         git init -q --bare site.git;
         git clone -q $URL one 2>&1 | grep -v 'empty repository' || true;
         cp -r tree one; cd one; git add .; git commit -q -m first; git push -q origin HEAD; cd ..;
         GIT_SSH_COMMAND='udpctl ssh' git clone -q $URL two; diff -r tree two/tree;
         cd one; git rm -q -r tree; git commit -q -m second; git push -q origin HEAD; cd ../two;
         git pull -q; test ! -e tree",
    );
}

#[test]
fn parallel_runs_jobs_on_the_host() {
    if !has("parallel") {
        return;
    }
    let ssh = Ssh::new();
    let line = "parallel --will-cite -k --ssh \"udpctl-ssh -p $PORT\" -S 127.0.0.1 'echo {}; exit {}' ::: 0 3 0 </dev/null";
    let outcome = ssh.bash(line).outcome();
    assert_eq!(outcome.status, 1, "one job has failed: {}", outcome.stderr);
    assert_eq!(
        String::from_utf8_lossy(&outcome.stdout),
        "0\n3\n0\n",
        "{}",
        outcome.stderr
    );
}

#[test]
fn clush_and_pdsh_run_their_ssh_workers() {
    let ssh = Ssh::new();
    let command = "'echo hi; exit 4'";
    if has("clush") {
        let line = format!("clush -S -o \"-p $PORT\" -w 127.0.0.1 {command}");
        ssh.bash(&line)
            .stdout("127.0.0.1: hi\n")
            .stderr("clush: 127.0.0.1: exited with exit code 4\n")
            .status(4)
            .run();
    }
    if has("pdsh") {
        let line =
            format!("PDSH_SSH_ARGS_APPEND=\"-p $PORT\" pdsh -S -R ssh -w 127.0.0.1 {command}");
        let outcome = ssh.bash(&line).outcome();
        assert_eq!(
            (outcome.stdout, outcome.status),
            (b"127.0.0.1: hi\n".to_vec(), 4)
        );
    }
}

#[test]
fn ansible_pings_copies_and_runs_commands() {
    if !has("ansible") {
        return;
    }
    let ssh = with_tree();
    let common = "ANSIBLE_SSH_TRANSFER_METHOD=piped ansible all -i 127.0.0.1, -e ansible_port=$PORT \
         -e ansible_ssh_executable=udpctl-ssh";
    let lines = [
        "-m ping 2>&1 | grep -q pong",
        "-m copy -a \"src=$PWD/tree/ dest=$PWD/there\" >log 2>&1; diff -r tree there",
        "-m command -a 'echo hi there' 2>&1 | grep -q 'hi there'",
        "-b --become-method su -m command -a 'echo hi $HOME' 2>&1 | grep -q '^hi '",
    ];
    // Without root, su would ask for a password.
    let count = if rustix::process::geteuid().is_root() {
        4
    } else {
        3
    };
    for line in &lines[..count] {
        runs(&ssh, &format!("set -o pipefail; {common} {line}"));
    }
}

#[test]
fn tar_through_a_pipe_keeps_every_byte() {
    let ssh = with_tree();
    runs(
        &ssh,
        "mkdir there back; tar c -C tree . | udpctl-ssh -p $PORT 127.0.0.1 tar x -C $PWD/there; diff -r tree there;
         ssh -p $PORT 127.0.0.1 tar c -C $PWD/there . | tar x -C back; diff -r tree back",
    );
}
