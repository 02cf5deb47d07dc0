//! Process trees, ended in every possible way: no process remains, and the outcome is as documented.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::{Agent, Child, Jobs, POLL, User, children, eventually};

/// Time that the manual allows for the end of a tree.
const END: Duration = Duration::from_secs(8);

/// Processes of a command, and the configured parent of its cgroup.
#[derive(Clone, Copy)]
struct Tree {
    script: &'static str,
    parent: &'static str,
}

/// A leader, a child, and a descendant in a session and group of its own.
const TREE: Tree = Tree {
    script: "sleep 600 & setsid sleep 600 & sleep 600",
    parent: "auto",
};

/// The same tree, ignoring SIGTERM.
const TREE_IGNORING_TERM: Tree = Tree {
    script: "trap '' TERM; sleep 600 & setsid sleep 600 & sleep 600",
    parent: "auto",
};

/// A running command with its agent and controller.
struct Trial {
    // Dropped in this order: the agent must not wait for its controller.
    udpctl: Child,
    jobs: Jobs,
    agent: Agent,
    target: String,
    user: User,
}

const ID: &str = "00000000000000000000000000000001";

impl Trial {
    fn new(tree: Tree, options: &[&str]) -> Self {
        let user = User::new();
        user.write_config(&format!("[cgroup]\nparent = '{}'", tree.parent));
        let agent = user.agent();
        let target = agent.target();
        let mut command = user.command("udpctl");
        command.args(["exec", &target, "--id", ID]).args(options);
        command.args(["--", "sh", "-c", tree.script]);
        let udpctl = Child::start(command);
        let sleeping = |jobs: &Jobs| {
            let left = jobs.left();
            left.iter()
                .filter(|process| process.name == "sleep")
                .count()
        };
        eventually("the tree runs", || sleeping(&agent.jobs()) == 3);
        Self {
            udpctl,
            jobs: agent.jobs(),
            agent,
            target,
            user,
        }
    }

    fn udpctl(&self, args: &[&str]) {
        let outcome = self.user.udpctl(args).outcome();
        assert_eq!(outcome.status, 0, "{args:?}: {}", outcome.stderr);
    }

    /// Checks that all processes end in time and no zombie is left.
    fn is_over(&self, since: Instant) {
        loop {
            let left = self.jobs.left();
            if left.is_empty() {
                break;
            }
            assert!(since.elapsed() < END, "after {END:?}: {left:#?}");
            std::thread::sleep(POLL);
        }
        eventually("no zombie", || {
            let children = children(self.agent.child.pid());
            children.iter().all(|child| child.state != 'Z')
        });
    }

    /// Checks the exit status and the outcome that udpctl prints.
    fn ends_with(&mut self, status: i32, words: &str) {
        let (ended, stderr) = self.udpctl.wait();
        assert_eq!(
            crate::harness::shell_status(ended),
            Some(status),
            "{stderr}"
        );
        let line = format!("udpctl: {}: {words}; request {ID}", self.target);
        assert!(stderr.lines().any(|written| written == line), "{stderr}");
    }
}

fn by_timeout(tree: Tree) {
    // The tree is seen to run before: each look reads all of /proc, and all trials look.
    let mut trial = Trial::new(tree, &["--timeout", "10s"]);
    let since = Instant::now() + Duration::from_secs(10);
    trial.ends_with(124, "timed out");
    trial.is_over(since);
}

fn by_interrupt(tree: Tree) {
    let mut trial = Trial::new(tree, &[]);
    let since = Instant::now();
    trial.udpctl.signal(Signal::INT);
    trial.ends_with(130, "canceled");
    trial.is_over(since);
}

fn by_kill(tree: Tree) {
    let mut trial = Trial::new(tree, &[]);
    let since = Instant::now();
    trial.udpctl(&["kill", &trial.target, ID]);
    // Its descendants are terminated after it. Until then a second line may say that they hold its output open.
    trial.ends_with(143, "ended by signal 15 (TERM)");
    trial.is_over(since);
}

fn by_force(tree: Tree) {
    let mut trial = Trial::new(tree, &[]);
    let since = Instant::now();
    trial.udpctl(&["kill", &trial.target, ID, "-s", "KILL"]);
    trial.ends_with(137, "ended by signal 9 (KILL)");
    trial.is_over(since);
}

fn by_lease(tree: Tree) {
    let mut trial = Trial::new(tree, &["--lease", "1s"]);
    trial.udpctl.kill();
    trial.is_over(Instant::now() + Duration::from_secs(1));
    let waited = trial.user.udpctl(["wait", &trial.target, ID]);
    waited
        .stderr(format!(
            "udpctl: {}: canceled: its controller was silent for longer than the lease; request ID\n",
            trial.target
        ))
        .status(255)
        .run();
}

fn by_shutdown(tree: Tree) {
    by_shutdown_with(tree, Signal::TERM);
}

fn by_shutdown_from_the_terminal(tree: Tree) {
    by_shutdown_with(tree, Signal::QUIT);
}

fn by_shutdown_with(tree: Tree, signal: Signal) {
    let mut trial = Trial::new(tree, &[]);
    let since = Instant::now();
    trial.agent.child.signal(signal);
    assert!(
        trial.agent.child.ends_within(END),
        "the agent does not end within {END:?}"
    );
    let left = trial.jobs.left();
    assert!(left.is_empty(), "{left:#?}");
    assert!(since.elapsed() < END);
    trial.ends_with(255, "canceled: the agent was shut down");
}

/// Runs each way with and without a cgroup, each with an agent of its own, all at the same time, because they mostly
/// wait.
fn all(tree: Tree, ways: &[fn(Tree)]) {
    let off = Tree {
        parent: "off",
        ..tree
    };
    std::thread::scope(|scope| {
        for way in ways {
            scope.spawn(|| way(tree));
            scope.spawn(|| way(off));
        }
    });
}

#[test]
fn no_process_of_a_tree_is_left_however_it_is_ended() {
    let ways = [
        by_timeout,
        by_interrupt,
        by_kill,
        by_force,
        by_lease,
        by_shutdown,
        by_shutdown_from_the_terminal,
    ];
    all(TREE, &ways);
}

#[test]
fn no_process_of_a_tree_that_ignores_sigterm_is_left() {
    let ways = [by_timeout, by_interrupt, by_force, by_lease, by_shutdown];
    all(TREE_IGNORING_TERM, &ways);
}

#[test]
fn kill_with_a_signal_ends_only_the_process_group() {
    let mut trial = Trial::new(TREE, &[]);
    trial.agent.leaves_something_behind();
    trial.udpctl(&["kill", &trial.target, ID, "-s", "HUP"]);
    trial.ends_with(129, "ended by signal 1 (HUP)");
    let left = trial.jobs.left();
    assert_eq!(left.len(), 1, "the one that left the group: {left:#?}");
    trial.jobs.kill();
}
