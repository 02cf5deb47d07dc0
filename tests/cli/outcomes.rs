//! Every outcome there is, reached through the real programs: its exit status, its line on stderr, and its
//! object in JSON.

use std::process::Command;

use rustix::process::Signal;
use serde_json::{Value, json};
use udpagent::message::outcome::ALL;

use crate::harness::{Agent, Child, User, eventually};

/// How the result is asked for.
const LOOKS: [&[&str]; 2] = [&[], &["--json"]];

/// What udpctl said.
struct Told {
    target: String,
    stdout: Vec<u8>,
    stderr: String,
    status: Option<i32>,
}

/// A user with an agent, and how they want it told.
struct Scene {
    user: User,
    agent: Agent,
    target: String,
    look: &'static [&'static str],
}

impl Scene {
    fn new(look: &'static [&'static str]) -> Self {
        let user = User::new();
        let agent = user.agent();
        Self::of(user, agent, look)
    }

    fn of(user: User, agent: Agent, look: &'static [&'static str]) -> Self {
        let target = agent.target();
        Self {
            user,
            agent,
            target,
            look,
        }
    }

    fn command(&self, args: &[&str], argv: &[&str]) -> Command {
        let mut command = self.user.command("udpctl");
        command.args(["exec", &self.target]).args(self.look);
        command.args(args).arg("--").args(argv);
        command
    }

    fn run(&self, args: &[&str], argv: &[&str]) -> Told {
        let outcome = crate::harness::Test::new(self.command(args, argv)).outcome();
        Told {
            target: self.target.clone(),
            stdout: outcome.stdout,
            stderr: outcome.stderr,
            status: Some(outcome.status),
        }
    }

    /// The same of a command that runs until something happens to it.
    fn run_while(&mut self, args: &[&str], happens: impl FnOnce(&mut Self, &mut Child)) -> Told {
        let mut udpctl = Child::start(self.command(args, &["sleep", "600"]));
        eventually("it runs", || !self.agent.jobs().left().is_empty());
        happens(self, &mut udpctl);
        let (status, stderr) = udpctl.wait();
        Told {
            target: self.target.clone(),
            stdout: udpctl.stdout_seen().join("\n").into(),
            stderr: stderr + "\n",
            status: status.code(),
        }
    }
}

type Way = fn(&'static [&'static str]) -> Told;

/// Name, status, what is said, what the object says, and the way there.
type Row = (&'static str, i32, &'static str, Value, Way);

#[allow(clippy::too_many_lines, reason = "a table")]
fn rows() -> Vec<Row> {
    let core = |core: bool| json!({"signal": 6, "core": core});
    vec![
        ("exited", 3, "", json!({"code": 3}), |look| {
            Scene::new(look).run(&[], &["sh", "-c", "exit 3"])
        }),
        (
            "signaled",
            134,
            "ended by signal 6 (ABRT)",
            core(false),
            |look| Scene::new(look).run(&[], &["sh", "-c", "ulimit -c 0; kill -ABRT $$"]),
        ),
        (
            "spawn_failed",
            127,
            "could not be started: No such file or directory: /no/such/program",
            json!({"errno": 2}),
            |look| Scene::new(look).run(&[], &["/no/such/program"]),
        ),
        (
            "spawn_failed",
            126,
            "could not be started: Permission denied: /etc/passwd",
            json!({"errno": 13}),
            |look| Scene::new(look).run(&[], &["/etc/passwd"]),
        ),
        ("timed_out", 124, "timed out", json!({}), |look| {
            Scene::new(look).run(&["--timeout", "100ms"], &["sleep", "600"])
        }),
        ("canceled", 130, "canceled", json!({}), |look| {
            Scene::new(look).run_while(&[], |_, udpctl| udpctl.signal(Signal::INT))
        }),
        (
            "canceled",
            255,
            "canceled: the agent was shut down",
            json!({}),
            |look| {
                Scene::new(look).run_while(&[], |scene, _| scene.agent.child.signal(Signal::TERM))
            },
        ),
        ("denied", 255, "denied", json!({}), |look| {
            let user = User::new();
            let agent = Agent::start(&user, &["--bind", "127.0.0.1:0", "--no-exec"]);
            Scene::of(user, agent, look).run(&[], &["true"])
        }),
        ("busy", 255, "busy", json!({}), busy),
        (
            "conflict",
            255,
            "the request id is in use for another request",
            json!({}),
            |look| {
                let scene = Scene::new(look);
                let detached = scene.user.udpctl([
                    "exec",
                    &scene.target,
                    "--detach",
                    "--id",
                    ID,
                    "--",
                    "sleep",
                    "600",
                ]);
                assert_eq!(detached.outcome().status, 0);
                scene.run(&["--id", ID], &["sleep", "601"])
            },
        ),
        (
            "expired",
            255,
            "the request is older than the agent remembers",
            json!({}),
            |look| {
                // Once its result has been collected, no more than the id is remembered.
                let scene = Scene::new(look);
                assert_eq!(scene.run(&["--id", ID], &["true"]).status, Some(0));
                scene.run(&["--id", ID], &["true"])
            },
        ),
        (
            "lost",
            255,
            "lost: accepted, then no answer",
            json!({}),
            |look| {
                let mut scene = Scene::new(look);
                let short = ["--lease", "1s", "--contact-timeout", "300ms"];
                let told = scene.run_while(&short, |scene, _| {
                    scene.agent.child.signal(Signal::STOP);
                });
                scene.agent.child.signal(Signal::CONT);
                told
            },
        ),
        ("unreachable", 255, "no answer", json!({}), |look| {
            let mut scene = Scene::new(look);
            // Bound, so that nobody else takes it, and silent.
            let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            scene.target = silent.local_addr().unwrap().to_string();
            let trust = ["trust", &scene.target, scene.agent.key()];
            assert_eq!(scene.user.udpctl(trust).outcome().status, 0);
            scene.run(&["--contact-timeout", "300ms"], &["true"])
        }),
        (
            "unknown",
            255,
            "the agent does not know the request",
            json!({}),
            |look| {
                let user = User::new();
                let agent = Agent::on_a_port_to_keep(&user, &[]);
                Scene::of(user, agent, look).run_while(&["--contact-timeout", "1s"], |scene, _| {
                    scene.agent.kill();
                    scene.agent = Agent::start(&scene.user, &["--bind", &scene.target]);
                })
            },
        ),
    ]
}

const ID: &str = "00000000000000000000000000000001";

fn busy(look: &'static [&'static str]) -> Told {
    let user = User::new();
    let config = user.path("config/udpagent");
    std::fs::create_dir_all(&config).unwrap();
    std::fs::write(config.join("udpagent.toml"), "[limits]\njobs = 1\n").unwrap();
    let agent = user.agent();
    let mut scene = Scene::of(user, agent, look);
    let mut other = None;
    let told = scene.run_while(&[], |scene, udpctl| {
        other = Some(scene.run(&[], &["true"]));
        udpctl.signal(Signal::INT);
    });
    assert_eq!(told.status, Some(130), "{}", told.stderr);
    other.expect("it was run")
}

fn judge((name, status, words, object, way): &Row) {
    for look in LOOKS {
        let told = way(look);
        let what = format!("{name} {look:?}: {}", told.stderr);
        assert_eq!(told.status, Some(*status), "{what}");
        let begin = format!("udpctl: {}: {words}; request ", told.target);
        let lines = told.stderr.lines().filter(|line| line.starts_with(&begin));
        // A command that ended in its own way has nothing to explain.
        let wanted = usize::from(!words.is_empty());
        assert_eq!(lines.count(), wanted, "{what}");
        if look.is_empty() {
            assert_eq!(told.stdout, b"", "{what}");
        } else {
            let told: Value = serde_json::from_slice(&told.stdout).expect(&what);
            assert_eq!(told["outcome"], json!({ *name: object }), "{what}");
        }
    }
}

#[test]
fn every_outcome_is_reached_and_told_in_three_ways() {
    let rows = rows();
    for outcome in ALL {
        let name = outcome.row().name;
        assert!(rows.iter().any(|row| row.0 == name), "no way to {name}");
    }
    // All at once: most of them wait.
    std::thread::scope(|scope| {
        for row in &rows {
            scope.spawn(|| judge(row));
        }
    });
}

#[test]
fn a_core_dump_is_told_as_the_system_tells_it() {
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
    // Whether there is one is the system's business; where there is a file, it has been told.
    let files = std::fs::read_dir(user.path("")).unwrap().flatten();
    let files: Vec<_> = files.map(|file| file.file_name()).collect();
    let found = files
        .iter()
        .any(|name| name.to_string_lossy().starts_with("core"));
    assert!(core || !found, "{files:?}");
}
