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
fn an_error_of_the_other_rsync_is_shown_and_leaves_no_command_behind() {
    if !has("rsync") {
        return;
    }
    let ssh = with_tree();
    let udpctl = env!("CARGO_BIN_EXE_udpctl");
    // rsync ends its ssh as soon as it has read of the error.
    runs(
        &ssh,
        &format!(
            "for n in 1 2 3 4 5; do
               rsync -a -e '{udpctl} ssh -p '$PORT tree/ 127.0.0.1:$PWD/no/such/ >said 2>&1 && exit 1
               tries=0
               until grep -q 'mkdir .*/no/such.* failed' said; do
                 tries=$((tries + 1)); test $tries -lt 600 || exit 1; sleep 0.1
               done
               ! grep udpctl: said || exit 1
             done"
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
    // Its first call, which counts the processors of the host, has no other variables.
    let line = "directories=\"XDG_CONFIG_HOME=$XDG_CONFIG_HOME XDG_STATE_HOME=$XDG_STATE_HOME\"
         parallel --will-cite -k --ssh \"env $directories udpctl-ssh -p $PORT\" -S 127.0.0.1 \\
             'echo {}; exit {}' ::: 0 3 0 </dev/null";
    // One job has failed.
    ssh.bash(line).stdout("0\n3\n0\n").status(1).run();
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

/// Tasks of a play. The last two are for the root user or one who may become it without a password.
const PLAY: &str = "\
- hosts: all
  gather_facts: false
  tasks:
    - ping:
    - copy:
        src: '{{ here }}/tree/0 of them/'
        dest: '{{ here }}/there'
    - command: echo hi there
      register: said
    - assert:
        that: said.stdout == 'hi there'
    - command: id -un
      become: true
      when: method != ''
      register: user
    - assert:
        that: method == '' or user.stdout == 'root'
";

/// Returns the way to become another user without a password; none for a user who may not.
fn become_method() -> &'static str {
    let sudo = Command::new("sudo").args(["-n", "true"]).output();
    if sudo.is_ok_and(|output| output.status.success()) {
        return "sudo";
    }
    let is_root = rustix::process::geteuid().is_root();
    eprintln!("SKIPPED: sudo is not installed, or asks for a password");
    if is_root { "su" } else { "" }
}

#[test]
fn ansible_pings_copies_over_sftp_runs_commands_and_becomes_another_user() {
    if !has("ansible-playbook") || !has_sftp_server() {
        return;
    }
    let ssh = with_tree();
    std::fs::write(ssh.user.path("play.yml"), PLAY).unwrap();
    let method = become_method();
    runs(
        &ssh,
        &format!(
            "ansible-playbook -i 127.0.0.1, -e ansible_port=$PORT -e ansible_ssh_executable=udpctl-ssh \
                 -e \"ansible_sftp_extra_args='-S udpctl-ssh'\" --become-method '{method}' -e \"method='{method}'\" \
                 -e here=$PWD play.yml >log 2>&1 || {{ cat log >&2; exit 1; }}
             diff -r 'tree/0 of them' there
             if grep 'transfer mechanism failed' log >&2; then exit 1; fi"
        ),
    );
}

#[test]
fn ansible_copies_through_a_pipe_if_sftp_runs_another_ssh() {
    if !has("ansible") {
        return;
    }
    let ssh = Ssh::new();
    let line = "ansible all -i 127.0.0.1, -e ansible_port=$PORT -e ansible_ssh_executable=udpctl-ssh -m ping 2>/dev/null";
    let outcome = ssh.bash(line).outcome();
    let stdout = String::from_utf8_lossy(&outcome.stdout);
    assert!(
        outcome.status == 0 && stdout.contains("\"ping\": \"pong\""),
        "{stdout}"
    );
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
