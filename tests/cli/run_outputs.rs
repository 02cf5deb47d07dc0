//! `udpctl exec` on many hosts: the forms and the places of their outputs.

use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::symlink;

use super::runs::{exec, fleet};

#[test]
fn equal_outputs_are_gathered_under_the_folded_names() {
    let (user, agent, set, targets) = fleet(4);
    let port = agent.addresses()[0].port();
    let rule = "---------------";
    exec(&user, &["-b", &set, "--", "echo", "hi"])
        .stdout(format!("{rule}\n{set} (4)\n{rule}\nhi\n"))
        .stderr("4 ok of 4 in TIME\n")
        .run();
    let script = "test %n = 2 && { echo other; exit 3; }; echo hi; echo %n >&2";
    let others = format!("127.0.0.[1-2,4]:{port}");
    let outcome = exec(&user, &["-b", "--subst", &set, "--", "sh", "-c", script]).outcome();
    assert_eq!(
        String::from_utf8_lossy(&outcome.stdout),
        format!(
            "{rule}\n{others} (3)\n{rule}\nhi\n{rule}\n{}\n{rule}\nother\n",
            targets[2]
        )
    );
    for (rank, target) in targets.iter().enumerate().filter(|(rank, _)| *rank != 2) {
        let line = format!("{target}: {rank}\n");
        assert!(outcome.stderr.contains(&line), "stderr comes as it is");
    }
    assert!(
        outcome.stderr.contains(&format!(
            "udpctl: {}: exited with status 3\n3 ok, 1 failed of 4 in ",
            targets[2]
        )),
        "{}",
        outcome.stderr
    );
    assert_eq!(outcome.status, 5);
    exec(
        &user,
        &["-B", &set, "--", "sh", "-c", "echo out; echo err >&2"],
    )
    .stdout(format!("{rule}\n{set} (4)\n{rule}\nout\nerr\n"))
    .stderr("4 ok of 4 in TIME\n")
    .run();
    exec(
        &user,
        &[
            "--diff",
            "--subst",
            &set,
            "--",
            "sh",
            "-c",
            "echo a; test %n = 2 || echo b",
        ],
    )
    .stdout(format!(
        "{rule}\n{others} (3)\n{rule}\na\nb\n{rule}\n{0}\n{rule}\n\
             --- {others} (3)\n+++ {0}\n@@ -1,2 +1 @@\n a\n-b\n",
        targets[2]
    ))
    .stderr("4 ok of 4 in TIME\n")
    .run();
}

#[test]
fn output_without_names_and_in_files() {
    let (user, _agent, set, targets) = fleet(3);
    exec(&user, &["-N", &set, "--", "echo", "hi"])
        .stdout("hi\nhi\nhi\n")
        .stderr("3 ok of 3 in TIME\n")
        .run();
    let directory = |name: &str| user.path(name).display().to_string();
    let (out, err, log) = (directory("out"), directory("err"), directory("log"));
    let jobs = directory("jobs");
    let script = "echo %n; echo e >&2; test %n != 1";
    exec(
        &user,
        &[
            "-o",
            &out,
            "-e",
            &err,
            "--log-dir",
            &log,
            "--joblog",
            &jobs,
            "--subst",
            &set,
            "--",
            "sh",
            "-c",
            script,
        ],
    )
    .stderr(format!(
        "udpctl: {0}: exited with status 1\n2 ok, 1 failed of 3 in TIME\nfailed: {0}\n",
        targets[1]
    ))
    .status(5)
    .run();
    for (rank, target) in targets.iter().enumerate() {
        let read = |path: String| fs::read_to_string(path).unwrap();
        assert_eq!(read(format!("{out}/{target}")), format!("{rank}\n"));
        assert_eq!(read(format!("{log}/{target}.stdout")), format!("{rank}\n"));
        assert_eq!(read(format!("{err}/{target}")), "e\n");
        assert_eq!(read(format!("{log}/{target}.stderr")), "e\n");
    }
    let list = |class: &str| fs::read_to_string(format!("{log}/hosts.{class}")).unwrap();
    assert_eq!(list("ok"), format!("{}\n{}\n", targets[0], targets[2]));
    assert_eq!(list("failed"), format!("{}\n", targets[1]));
    assert_eq!(
        (list("unreachable"), list("skipped")),
        (String::new(), String::new())
    );
    let jobs = fs::read_to_string(jobs).unwrap();
    let mut lines = jobs.lines();
    assert_eq!(
        lines.next().unwrap(),
        "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand"
    );
    let mut rows: Vec<Vec<&str>> = lines.map(|line| line.split('\t').collect()).collect();
    rows.sort();
    assert_eq!(rows.len(), 3);
    assert_eq!([rows[1][0], rows[1][1]], ["2", &targets[1]]);
    assert_eq!(
        rows[1][4..],
        [
            "0",
            "4",
            "1",
            "0",
            "sh -c 'echo 1; echo e >&2; test 1 != 1'"
        ]
    );
}

#[test]
fn a_directory_that_cannot_be_written_is_named_and_ends_the_run() {
    let (user, _agent, set, _) = fleet(2);
    exec(&user, &["-o", "/proc", &set, "--", "echo", "hi"]).outcome();
    let outcome = exec(&user, &["-o", "/proc", &set, "--", "echo", "hi"]).outcome();
    assert_eq!(outcome.status, 1, "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("udpctl: /proc/127.0.0."),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_full_disk_ends_the_run_and_the_hosts_with_incomplete_files_are_named() {
    let (user, _agent, set, targets) = fleet(4);
    let directory = |name: &str| user.path(name).display().to_string();
    let (out, log) = (directory("out"), directory("log"));
    for path in [&out, &log] {
        fs::create_dir(path).unwrap();
    }
    symlink("/dev/full", format!("{out}/{}", targets[1])).unwrap();
    symlink("/dev/full", format!("{log}/hosts.ok")).unwrap();
    let outcome = exec(
        &user,
        &[
            "-f",
            "1",
            "-o",
            &out,
            "--log-dir",
            &log,
            &set,
            "--",
            "echo",
            "hi",
        ],
    )
    .outcome();
    let full = "No space left on device (os error 28)";
    let stderr = &outcome.stderr;
    let first = format!("udpctl: {out}/{}: {full}\n", targets[1]);
    assert!(stderr.starts_with(&first), "{stderr}");
    let lists = format!("udpctl: {log}/hosts.ok: {full}\n");
    assert_eq!(stderr.matches(&lists).count(), 1, "{stderr}");
    assert!(stderr.contains("2 skipped of 4 in "), "{stderr}");
    let last = format!("\nincomplete files: {}\n", targets[1]);
    assert!(stderr.ends_with(&last), "{stderr}");
    assert_eq!(outcome.status, 1, "{stderr}");
    assert_eq!(
        fs::read_to_string(format!("{out}/{}", targets[0])).unwrap(),
        "hi\n"
    );
    fs::remove_file(format!("{out}/{}", targets[1])).unwrap();
    exec(&user, &["-o", &out, "--log-dir", &log, &set, "--", "true"])
        .stderr(format!(
            "udpctl: {log}/hosts.ok: {full}\n4 ok of 4 in TIME\n"
        ))
        .status(1)
        .run();
}

#[test]
fn files_that_cannot_be_created_are_named_before_anything_is_sent() {
    let (user, _agent, set, targets) = fleet(2);
    for option in ["--joblog", "-o", "-e", "--log-dir"] {
        for (hosts, status) in [(&set, 1), (&targets[0], 255)] {
            exec(&user, &[option, "/proc/none/x", hosts, "--", "echo", "hi"])
                .stderr(format!(
                    "udpctl: {option} /proc/none/x: No such file or directory (os error 2)\n"
                ))
                .status(status)
                .run();
        }
    }
    let limited = ["--limit", "1", "--joblog", "/proc/none/x"];
    exec(&user, &[&limited[..], &[&set, "--", "true"]].concat())
        .stderr("udpctl: --joblog /proc/none/x: No such file or directory (os error 2)\n")
        .status(1)
        .run();
    let mine = user.udpctl(["jobs", "--mine"]).outcome();
    let mine = String::from_utf8(mine.stdout).unwrap();
    assert_eq!(mine.lines().count(), 1, "no request was made: {mine}");
}

#[test]
fn records_for_programs_are_lines_of_json_whatever_hosts_print() {
    let (user, _agent, set, targets) = fleet(3);
    let (_socket, dead) = silent();
    let script = r#"printf '\377\n"\n{}\nno end'; echo err >&2; exit 4"#;
    let outcome = exec(
        &user,
        &[
            "--jsonl",
            "--contact-timeout",
            "300ms",
            &set,
            &dead,
            "--",
            "sh",
            "-c",
            script,
        ],
    )
    .outcome();
    assert_eq!(outcome.status, 4, "{}", outcome.stderr);
    let text = String::from_utf8(outcome.stdout).unwrap();
    let records: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(records.iter().all(|record| record["v"] == 1));
    for target in &targets {
        let of: Vec<_> = records
            .iter()
            .filter(|record| record["host"] == **target)
            .collect();
        assert_eq!(of[0]["type"], "start");
        let mut stdout = Vec::new();
        for out in of.iter().filter(|record| record["stream"] == "stdout") {
            match out["text"].as_str() {
                Some(text) => stdout.extend_from_slice(text.as_bytes()),
                None => stdout.extend(decoded(out["b64"].as_str().unwrap())),
            }
        }
        assert_eq!(stdout, b"\xff\n\"\n{}\nno end");
        let last = of.last().unwrap();
        assert_eq!(
            (&last["type"], &last["class"]),
            (&"exit".into(), &"failed".into())
        );
        assert_eq!(last["outcome"]["exited"]["code"], 4);
        assert_eq!(last["stdout"]["bytes"], 13);
    }
    let of_dead: Vec<_> = records
        .iter()
        .filter(|record| record["host"] == *dead)
        .collect();
    assert_eq!(of_dead.len(), 1);
    assert_eq!(of_dead[0]["class"], "unreachable");
    let summary = records.last().unwrap();
    assert_eq!(summary["type"], "summary");
    assert_eq!(
        [
            &summary["hosts"],
            &summary["failed"],
            &summary["unreachable"],
            &summary["status"]
        ],
        [4, 3, 1, 4]
    );
}

/// Target of a socket that takes datagrams and answers none.
fn silent() -> (UdpSocket, String) {
    let socket = UdpSocket::bind("127.0.9.9:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    (socket, address)
}

fn decoded(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD
        .decode(text)
        .unwrap()
}

#[test]
fn records_that_cannot_be_written_end_the_run_and_are_named_once() {
    let (user, _agent, set, _) = fleet(2);
    let mut udpctl = user.command("udpctl");
    udpctl.args(["exec", "--jsonl", &set, "--", "echo", "hi"]);
    udpctl.stdout(fs::File::options().write(true).open("/dev/full").unwrap());
    let output = udpctl.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let words = "udpctl: standard output: No space left on device (os error 28)";
    assert_eq!(stderr.matches(words).count(), 1, "{stderr}");
    assert!(stderr.contains(" of 2 in "), "{stderr}");
    assert_eq!(output.status.code(), Some(1), "{stderr}");
}
