//! Every outcome, reached through the real programs: its exit status, its line on stderr, and its object in
//! JSON.

use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};
use udpagent::message::outcome::ALL;

use crate::harness::{Agent, Child, User, eventually};

/// Options that select the format of the result.
const FORMATS: [&[&str]; 2] = [&[], &["--json"]];

/// Output and status of one run of udpctl.
struct Printed {
    target: String,
    stdout: Vec<u8>,
    stderr: String,
    status: Option<i32>,
}

/// A user with an agent, and the format of results.
struct Setup {
    user: User,
    agent: Agent,
    target: String,
    format: &'static [&'static str],
}

impl Setup {
    fn new(format: &'static [&'static str]) -> Self {
        let user = User::new();
        let agent = user.agent();
        Self::of(user, agent, format)
    }

    fn of(user: User, agent: Agent, format: &'static [&'static str]) -> Self {
        let target = agent.target();
        Self {
            user,
            agent,
            target,
            format,
        }
    }

    fn command(&self, args: &[&str], argv: &[&str]) -> Command {
        let mut command = self.user.command("udpctl");
        command.args(["exec", &self.target]).args(self.format);
        command.args(args).arg("--").args(argv);
        command
    }

    fn run(&self, args: &[&str], argv: &[&str]) -> Printed {
        let outcome = crate::harness::Test::new(self.command(args, argv)).outcome();
        Printed {
            target: self.target.clone(),
            stdout: outcome.stdout,
            stderr: outcome.stderr,
            status: Some(outcome.status),
        }
    }

    /// Runs a command that only `happens` ends.
    fn run_while(&mut self, args: &[&str], happens: impl FnOnce(&mut Self, &mut Child)) -> Printed {
        let mut udpctl = Child::start(self.command(args, &["sleep", "600"]));
        // The command itself: a helper of the agent has the name of the agent before it has its own.
        eventually("it runs", || {
            let jobs = self.agent.jobs().left();
            jobs.iter().any(|process| process.name == "sleep")
        });
        happens(self, &mut udpctl);
        let (status, stderr) = udpctl.wait();
        Printed {
            target: self.target.clone(),
            stdout: udpctl.stdout_seen().join("\n").into(),
            stderr: stderr + "\n",
            status: crate::harness::shell_status(status),
        }
    }
}

type Reach = fn(&'static [&'static str]) -> Printed;

/// Name, exit status, text on stderr, JSON object, and the run that reaches the outcome.
type Row = (&'static str, i32, &'static str, Value, Reach);

fn rows() -> Vec<Row> {
    [ended(), stopped(), refused(), lost()].concat()
}

/// Outcomes of commands that ended by themselves or did not start.
fn ended() -> Vec<Row> {
    vec![
        ("exited", 3, "", json!({"code": 3}), |format| {
            Setup::new(format).run(&[], &["sh", "-c", "exit 3"])
        }),
        (
            "signaled",
            134,
            "ended by signal 6 (ABRT)",
            json!({"signal": 6, "core": false}),
            |format| Setup::new(format).run(&[], &["sh", "-c", "ulimit -c 0; kill -ABRT $$"]),
        ),
        (
            "spawn_failed",
            127,
            "could not be started: No such file or directory: /no/such/program",
            json!({"errno": 2, "step": "program"}),
            |format| Setup::new(format).run(&[], &["/no/such/program"]),
        ),
        (
            "spawn_failed",
            126,
            "could not be started: Permission denied: /etc/passwd",
            json!({"errno": 13, "step": "program"}),
            |format| Setup::new(format).run(&[], &["/etc/passwd"]),
        ),
        (
            "spawn_failed",
            126,
            "could not be started in its working directory: No such file or directory: /no/such",
            json!({"errno": 2, "step": "directory"}),
            |format| Setup::new(format).run(&["--cwd", "/no/such"], &["true"]),
        ),
    ]
}

/// Outcomes of commands that were ended.
fn stopped() -> Vec<Row> {
    vec![
        ("timed_out", 124, "timed out", json!({}), |format| {
            Setup::new(format).run(&["--timeout", "100ms"], &["sleep", "600"])
        }),
        ("canceled", 130, "canceled", json!({}), |format| {
            Setup::new(format).run_while(&[], |_, udpctl| udpctl.signal(Signal::INT))
        }),
        (
            "canceled",
            255,
            "canceled: the agent was shut down",
            json!({}),
            |format| {
                Setup::new(format).run_while(&[], |setup, _| setup.agent.child.signal(Signal::TERM))
            },
        ),
    ]
}

/// Outcomes of requests that the agent refused.
fn refused() -> Vec<Row> {
    vec![
        ("denied", 255, "denied", json!({}), |format| {
            let user = User::new();
            let agent = Agent::start(&user, &["--bind", "127.0.0.1:0", "--no-exec"]);
            Setup::of(user, agent, format).run(&[], &["true"])
        }),
        ("busy", 255, "busy", json!({}), busy),
        (
            "conflict",
            255,
            "the request id is in use for another request",
            json!({}),
            |format| {
                let setup = Setup::new(format);
                let detached = setup.user.udpctl([
                    "exec",
                    &setup.target,
                    "--detach",
                    "--id",
                    ID,
                    "--",
                    "sleep",
                    "600",
                ]);
                assert_eq!(detached.outcome().status, 0);
                setup.run(&["--id", ID], &["sleep", "601"])
            },
        ),
        (
            "expired",
            255,
            "already collected, or older than the agent remembers",
            json!({}),
            |format| {
                // After its result was collected, only the id is remembered.
                let setup = Setup::new(format);
                let first = ["exec", &setup.target, "--json", "--", "true"];
                let first = setup.user.udpctl(first).outcome().stdout;
                let first: serde_json::Value = serde_json::from_slice(&first).unwrap();
                let id = first["id"].as_str().unwrap();
                setup.run(&["--id", id], &["true"])
            },
        ),
    ]
}

const NO_ANSWER: &str =
    "no answer (is udpagent running there, and does it know this controller's key?)";

/// Outcomes without an answer, or without a known result.
fn lost() -> Vec<Row> {
    vec![
        (
            "lost",
            255,
            "lost: accepted, but its result is not known: the agent does not answer",
            json!({}),
            |format| {
                let mut setup = Setup::new(format);
                let short = ["--lease", "1s", "--contact-timeout", "300ms"];
                let printed = setup.run_while(&short, |setup, _| {
                    setup.agent.stop();
                });
                setup.agent.resume();
                printed
            },
        ),
        ("unreachable", 255, NO_ANSWER, json!({}), |format| {
            let mut setup = Setup::new(format);
            // A bound socket that never answers.
            let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            setup.target = silent.local_addr().unwrap().to_string();
            let trust = ["trust", &setup.target, setup.agent.key()];
            assert_eq!(setup.user.udpctl(trust).outcome().status, 0);
            setup.run(&["--contact-timeout", "300ms"], &["true"])
        }),
        (
            "unknown",
            255,
            "the agent does not know the request",
            json!({}),
            |format| {
                let user = User::new();
                let agent = Agent::on_a_port_to_keep(&user, &[]);
                Setup::of(user, agent, format).run_while(
                    &["--contact-timeout", "1s"],
                    |setup, _| {
                        setup.agent.kill();
                        setup.agent = Agent::start(&setup.user, &["--bind", &setup.target]);
                    },
                )
            },
        ),
    ]
}

const ID: &str = "00000000000000000000000000000001";

fn busy(format: &'static [&'static str]) -> Printed {
    let user = User::new();
    let config = user.path("config/udpagent");
    std::fs::create_dir_all(&config).unwrap();
    std::fs::write(config.join("udpagent.toml"), "[limits]\njobs = 1\n").unwrap();
    let agent = user.agent();
    let mut setup = Setup::of(user, agent, format);
    let mut other = None;
    let printed = setup.run_while(&[], |setup, udpctl| {
        other = Some(setup.run(&[], &["true"]));
        udpctl.signal(Signal::INT);
    });
    assert_eq!(printed.status, Some(130), "{}", printed.stderr);
    other.expect("it was run")
}

fn check((name, status, words, object, reach): &Row) {
    for format in FORMATS {
        let printed = reach(format);
        let what = format!("{name} {format:?}: {}", printed.stderr);
        assert_eq!(printed.status, Some(*status), "{what}");
        let begin = format!("udpctl: {}: {words}; request ", printed.target);
        let lines = printed
            .stderr
            .lines()
            .filter(|line| line.starts_with(&begin));
        // A command that exits has no line on stderr.
        let wanted = usize::from(!words.is_empty());
        assert_eq!(lines.count(), wanted, "{what}");
        if format.is_empty() {
            assert_eq!(printed.stdout, b"", "{what}");
        } else {
            let printed: Value = serde_json::from_slice(&printed.stdout).expect(&what);
            assert_eq!(printed["outcome"], json!({ *name: object }), "{what}");
        }
    }
}

#[test]
fn every_outcome_has_its_exit_status_stderr_line_and_json_object() {
    let rows = rows();
    for outcome in ALL {
        let name = outcome.row().name;
        assert!(rows.iter().any(|row| row.0 == name), "no reach to {name}");
    }
    // All at once, because most of them wait.
    std::thread::scope(|scope| {
        for row in &rows {
            scope.spawn(|| check(row));
        }
    });
}

#[test]
fn a_core_dump_is_reported_as_the_system_reports_it() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    let script = "ulimit -c unlimited; kill -ABRT $$";
    let home = user.home();
    let args = [
        "exec", &target, "--json", "--cwd", &home, "--", "sh", "-c", script,
    ];
    let outcome = user.udpctl(args).outcome();
    let object: Value = serde_json::from_slice(&outcome.stdout).unwrap();
    let core = object["outcome"]["signaled"]["core"].as_bool().unwrap();
    let dumped = outcome
        .stderr
        .contains("ended by signal 6 (ABRT), core dumped; request ");
    assert_eq!(core, dumped, "{}", outcome.stderr);
    // The system decides about a core dump; if there is a file, the outcome must name it.
    let files = std::fs::read_dir(user.path("")).unwrap().flatten();
    let files: Vec<_> = files.map(|file| file.file_name()).collect();
    let found = files
        .iter()
        .any(|name| name.to_string_lossy().starts_with("core"));
    assert!(core || !found, "{files:?}");
}

#[test]
fn no_json_has_a_character_that_changes_the_display_of_others() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    let hostile = "a\u{9b}2J\u{202e}b";
    let is_clean = |stdout: &[u8]| {
        let text = std::str::from_utf8(stdout).unwrap();
        assert!(!text.contains(['\u{9b}', '\u{202e}']), "{text}");
        assert!(text.contains("a\\u009b2J\\u202eb"), "{text}");
    };
    for format in ["--json", "--jsonl"] {
        let line = ["exec", format, &target, "--", "echo", hostile];
        is_clean(&user.udpctl(line).outcome().stdout);
    }
    let mut command = user.command("udpctl");
    command.args(["batch", "-"]);
    let mut batch = Child::start(command);
    let request = serde_json::json!({"target": target, "argv": ["echo", hostile]});
    batch.type_in(&format!("{request}\n"));
    batch.close_stdin();
    let record = batch.stdout_line(|_| true);
    is_clean(record.as_bytes());
    let line = [
        "exec",
        "--detach",
        &target,
        "--",
        "sh",
        "-c",
        "exec sleep 600",
        hostile,
    ];
    user.udpctl(line).outcome();
    is_clean(&user.udpctl(["jobs", "--json", &target]).outcome().stdout);
    is_clean(
        &user
            .udpctl(["jobs", "--mine", "--json", &target])
            .outcome()
            .stdout,
    );
}
