//! SIGINT at each stage of a run over several hosts: the first one ends the run with the summary and status 130 and leaves
//! no command behind, the second one leaves at once and names what may still run.
//!
//! Not the signals to a command on one host, which are in `signals`, nor those to questions, which are in `fleet_jobs`, nor
//! those to a batch, which are in `batch`.
//! Invariant: a stage is reached by an event that the test has seen, and no test waits for a time to pass.

mod beginnings;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::runs::fleet;
use crate::harness::{Agent, Child, DEADLINE, Terminal, User, eventually};

/// Time for a controller to leave: much longer than it waits, and shorter than its lease.
const BOUND: Duration = Duration::from_secs(20);

/// Number of commands that begin together.
const STARTS: usize = 100;

/// Agent at three targets, and the user.
struct Fleet {
    user: User,
    agent: Agent,
    set: String,
}

impl Fleet {
    fn new() -> Self {
        let (user, agent, set, _) = fleet(3);
        Self { user, agent, set }
    }

    /// Returns some of the targets as a set: `[1-2]` is the first two.
    fn some(&self, numbers: &str) -> String {
        let port = self.agent.addresses()[0].port();
        format!("127.0.0.{numbers}:{port}")
    }

    /// Starts `udpctl exec OPTIONS` with a shell's script, in which UP is a file that says that a command runs.
    fn exec(&self, options: &[&str], script: &str) -> Child {
        let mut command = self.user.command("udpctl");
        self.arguments(&mut command, options, script);
        Child::start(command)
    }

    fn arguments(&self, command: &mut Command, options: &[&str], script: &str) {
        let up = self.user.path("up").display().to_string();
        let script = script.replace("UP", &up);
        command.arg("exec").args(options);
        command.args(["--subst", &self.set, "--", "sh", "-c", &script]);
    }

    /// Waits until the command of a host runs.
    fn runs(&self, rank: usize) {
        let up = self.user.path(format!("up{rank}"));
        eventually("the command runs", || up.exists());
    }

    /// Waits until no command is left.
    fn is_tidy(&self) {
        eventually("no command is left", || self.agent.jobs().left().is_empty());
    }
}

/// Sends SIGINT to a controller that has a line for it, and returns the line.
fn first(udpctl: &mut Child) -> String {
    udpctl.signal(Signal::INT);
    udpctl.stderr_line(|line| {
        line.ends_with("press Ctrl-C again to leave at once")
            || line.contains("leave at once; pending: ")
    })
}

/// Sends the second SIGINT, and returns the status and stderr.
fn second(udpctl: &mut Child) -> (ExitStatus, String) {
    udpctl.signal(Signal::INT);
    assert!(udpctl.ends_within(BOUND), "it does not leave");
    udpctl.wait()
}

/// Checks the status, and the summary at the end of stderr, without its time.
#[track_caller]
fn assert_end((status, stderr): (ExitStatus, String), counts: &str, names: &[String]) {
    assert_eq!(crate::harness::shell_status(status), Some(130), "{stderr}");
    let lines: Vec<&str> = stderr.lines().collect();
    let (summary, got) = lines.split_at(lines.len() - names.len());
    let end = summary.last().and_then(|line| line.rsplit_once(" in "));
    let (got_counts, _) = end.unwrap_or_else(|| panic!("no summary: {stderr:?}"));
    assert_eq!(
        (got_counts, got),
        (
            counts,
            &names.iter().map(String::as_str).collect::<Vec<_>>()[..]
        )
    );
}

fn fifo(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status();
    assert!(made.unwrap().success());
}

/// Stage in which commands run.
struct Stage {
    options: &'static [&'static str],
    script: &'static str,
    /// Ranks of the hosts whose commands run.
    runs: &'static [usize],
    /// The same as a summary writes them.
    pending: &'static str,
    /// Number of the others, which have ended.
    ok: usize,
    /// Gathered outputs after the first signal, and after the second one.
    gathered: [&'static [&'static str]; 2],
}

const STAGES: [Stage; 3] = [
    // All commands run.
    Stage {
        options: &[],
        script: ": >UP%n; exec sleep 600",
        runs: &[0, 1, 2],
        pending: "[1-3]",
        ok: 0,
        gathered: [&[], &[]],
    },
    // All but one have ended.
    Stage {
        options: &["-f", "1"],
        script: "test %n = 2 || exit 0; : >UP%n; exec sleep 600",
        runs: &[2],
        pending: "3",
        ok: 2,
        gathered: [&[], &[]],
    },
    // Outputs are gathered.
    Stage {
        options: &["-f", "1", "-b"],
        script: "echo hi; test %n = 2 || exit 0; : >UP%n; exec sleep 600",
        runs: &[2],
        pending: "3",
        ok: 2,
        gathered: [&["[1-2]", "3"], &["[1-2]"]],
    },
];

impl Stage {
    fn reach(&self) -> (Fleet, Child) {
        let fleet = Fleet::new();
        let udpctl = fleet.exec(self.options, self.script);
        for &rank in self.runs {
            fleet.runs(rank);
        }
        (fleet, udpctl)
    }

    /// Checks what was gathered on stdout.
    fn assert_gathered(&self, fleet: &Fleet, udpctl: &Child, signal: usize) {
        let rule = "---------------".to_owned();
        let group = |numbers: &&str| {
            let count = if *numbers == "[1-2]" { " (2)" } else { "" };
            let header = format!("{}{count}", fleet.some(numbers));
            [rule.clone(), header, rule.clone(), "hi".into()]
        };
        let wanted: Vec<String> = self.gathered[signal].iter().flat_map(group).collect();
        assert_eq!(udpctl.stdout_seen(), wanted);
    }
}

#[test]
fn the_first_ctrl_c_cancels_what_runs_and_prints_what_was_gathered() {
    for stage in &STAGES {
        let (fleet, mut udpctl) = stage.reach();
        let pending = fleet.some(stage.pending);
        let line = first(&mut udpctl);
        let wanted = format!("canceling; press Ctrl-C again to leave at once; pending: {pending}");
        assert_eq!(line, format!("udpctl: {wanted}"));
        let counts = format!("{} ok, {} stopped of 3", stage.ok, stage.runs.len());
        assert_end(udpctl.wait(), &counts, &[format!("stopped: {pending}")]);
        stage.assert_gathered(&fleet, &udpctl, 0);
        fleet.is_tidy();
    }
}

#[test]
fn what_a_command_has_written_before_ctrl_c_is_shown_also_if_it_has_just_begun() {
    let (user, _agent, set, targets) = fleet(STARTS);
    let mut command = user.command("udpctl");
    // A command that has made its file has written its line before.
    let script = format!(
        "echo hi; : >{}%n; exec sleep 600",
        user.path("UP").display()
    );
    command.args(["exec", "--subst", &set, "--", "sh", "-c", &script]);
    let mut udpctl = Child::start(command);
    let has_begun = |rank: usize| user.path(format!("UP{rank}")).exists();
    eventually("some commands run", || {
        (0..STARTS).filter(|&rank| has_begun(rank)).count() > STARTS / 8
    });
    udpctl.signal(Signal::INT);
    let (status, stderr) = udpctl.wait();
    assert_eq!(crate::harness::shell_status(status), Some(130), "{stderr}");
    for (_, target) in targets
        .iter()
        .enumerate()
        .filter(|&(rank, _)| has_begun(rank))
    {
        let line = format!("{target}: hi");
        assert!(udpctl.stdout_seen().contains(&line), "{line}: {stderr}");
    }
}

#[test]
fn the_second_ctrl_c_leaves_what_may_still_run_and_prints_what_was_gathered() {
    for stage in &STAGES {
        let (fleet, mut udpctl) = stage.reach();
        let pending = fleet.some(stage.pending);
        fleet.agent.stop();
        first(&mut udpctl);
        let (status, stderr) = second(&mut udpctl);
        fleet.agent.resume();
        let left = format!(
            "udpctl: left, and may still run; \"udpctl attach --run last\" comes back to them: {pending}\n"
        );
        assert!(stderr.contains(&left), "{stderr}");
        let counts = format!("{} ok, {} lost (left) of 3", stage.ok, stage.runs.len());
        assert_end(
            (status, stderr),
            &counts,
            &[format!("lost (left): {pending}")],
        );
        stage.assert_gathered(&fleet, &udpctl, 1);
        if !stage.gathered[1].is_empty() {
            // What was held of a host that was left is not lost.
            let mut command = fleet.user.command("udpctl");
            command.args(["attach", "--run", "last"]);
            Child::start(command).stdout_line(|line| line == "hi");
        }
    }
}

#[test]
fn ctrl_c_ends_a_pause_between_batches_at_once() {
    let fleet = Fleet::new();
    let options = ["--batch", "1", "--batch-sleep", "1h", "-v"];
    let mut udpctl = fleet.exec(&options, "true");
    udpctl.stderr_line(|line| line.contains("exited with status 0"));
    let line = first(&mut udpctl);
    assert_eq!(
        line,
        "udpctl: no host is running, 2 not begun; press Ctrl-C again to leave at once"
    );
    let skipped = format!("skipped: {}", fleet.some("[2-3]"));
    assert_end(udpctl.wait(), "1 ok, 2 skipped of 3", &[skipped]);
}

#[test]
fn ctrl_c_at_the_canarys_question_ends_the_run() {
    let terminal = Terminal::new();
    let agent = Agent::start(&terminal.user, &["--bind", "0.0.0.0:0"]);
    agent.is_trusted_by(&terminal.user, 3);
    let port = agent.addresses()[0].port();
    let set = format!("127.0.0.[1-3]:{port}");
    terminal.line(&format!(
        "udpctl exec --canary 1 --then ask '{set}' -- true; echo and goes on"
    ));
    terminal.is("the question", |screen| {
        screen.contains("go on with the other 2 hosts? [y/N]")
    });
    terminal.keys(&["C-c"]);
    terminal.is("the summary", |screen| {
        screen.contains("skipped: 127.0.0.[2-3]")
    });
    terminal.line("echo status $?");
    terminal.shows("status 130");
    let screen = terminal.screen();
    // udpctl has died of the signal, so that the shell does not run the rest of the line.
    assert!(!screen.contains("\nand goes on"), "{screen}");
    assert!(
        screen.contains("no host is running, 2 not begun"),
        "{screen}"
    );
    assert!(screen.contains("1 ok, 2 skipped of 3 in "), "{screen}");
}

/// Starts hosts that write without end to a reader that reads a line of each and then nothing, and waits until nothing more
/// fits.
fn unread() -> (Fleet, Child, BufReader<File>) {
    let fleet = Fleet::new();
    let pipe = fleet.user.path("pipe");
    fifo(&pipe);
    let mut command = fleet.user.command("sh");
    let program = env!("CARGO_BIN_EXE_udpctl");
    let script = format!("exec /usr/bin/env --default-signal=INT {program} \"$@\" >pipe");
    command.args(["-c", &script, "sh"]);
    fleet.arguments(&mut command, &[], "exec yes");
    let udpctl = Child::start(command);
    let mut reader = BufReader::new(File::open(pipe).unwrap());
    let (mut written, deadline) = (BTreeSet::new(), Instant::now() + DEADLINE);
    while written.len() < 3 {
        assert!(Instant::now() < deadline, "only {written:?}");
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        written.insert(line);
    }
    eventually("the pipe is full", || {
        rustix::io::ioctl_fionread(reader.get_ref()).unwrap() > 60 << 10
    });
    (fleet, udpctl, reader)
}

#[test]
fn ctrl_c_cancels_commands_whose_output_is_not_read_and_their_output_is_written_to_its_end() {
    let (fleet, mut udpctl, mut reader) = unread();
    let line = first(&mut udpctl);
    assert!(line.ends_with(&format!("pending: {}", fleet.set)), "{line}");
    fleet.is_tidy();
    let mut output = Vec::new();
    reader.read_to_end(&mut output).unwrap();
    assert!(output.ends_with(b": y\n"));
    assert_end(
        udpctl.wait(),
        "0 ok, 3 stopped of 3",
        &[format!("stopped: {}", fleet.set)],
    );
}

#[test]
fn a_second_ctrl_c_leaves_a_reader_that_does_not_read() {
    let (fleet, mut udpctl, reader) = unread();
    first(&mut udpctl);
    let end = second(&mut udpctl);
    assert_end(
        end,
        "0 ok, 3 lost (left) of 3",
        &[format!("lost (left): {}", fleet.set)],
    );
    drop(reader);
    fleet.is_tidy();
}

#[test]
fn ctrl_c_ends_the_collection_of_a_run_and_its_commands() {
    for signals in [1, 2] {
        let fleet = Fleet::new();
        let script = ": >UP%n; until test -e UP; do sleep 0.05; done; echo up; exec sleep 600";
        let mut udpctl = fleet.exec(&[], script);
        (0..3).for_each(|rank| fleet.runs(rank));
        udpctl.kill();
        let mut command = fleet.user.command("udpctl");
        command.args(["attach", "--run", "last"]);
        let mut attach = Child::start(command);
        fs::write(fleet.user.path("up"), "").unwrap();
        for _ in 0..3 {
            attach.stdout_line(|line| line.ends_with(": up"));
        }
        let class = if signals == 1 {
            "stopped"
        } else {
            fleet.agent.stop();
            "lost (left)"
        };
        let line = first(&mut attach);
        assert!(line.ends_with(&format!("pending: {}", fleet.set)), "{line}");
        let end = if signals == 1 {
            attach.wait()
        } else {
            second(&mut attach)
        };
        if signals == 2 {
            fleet.agent.resume();
        }
        assert_end(
            end,
            &format!("0 ok, 3 {class} of 3"),
            &[format!("{class}: {}", fleet.set)],
        );
        if signals == 1 {
            fleet.is_tidy();
        }
    }
}
