//! Thousands of commands on one agent leak no descriptor, process or memory.
//!
//! `UDPAGENT_JOBS` sets another number; the gate runs ten thousand.

use std::path::PathBuf;

use crate::harness::{Agent, User, cgroups, children, eventually, is_tidy, resident};

/// Default number of commands: as many again as it takes until the tables have their final size.
const JOBS: usize = 4_000;

/// Number of commands from which on more results wait than are kept.
const FORGOTTEN: usize = 10_000;

/// Number of commands in one run of udpctl.
const RUN: usize = 250;

/// Growth that a command may cost. Each remembered id costs 60 bytes, each uncollected result a few hundred, of 2048 at
/// most. The rest is the allocator's.
const GROWTH_BYTES: u64 = 3 << 10;

fn of(agent: &Agent, what: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{}/{what}", agent.child.pid().as_raw_pid()))
}

/// Number of open descriptors; 0 without root, because /proc hides those of a process that is not dumpable.
fn descriptors(agent: &Agent) -> usize {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: only root sees the agent's descriptors");
        return 0;
    }
    std::fs::read_dir(of(agent, "fd")).unwrap().count()
}

/// The kinds of commands, one after the other.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Plain,
    NotStarted,
    DeafToStdin,
    LeftToItself,
}

impl Kind {
    const ALL: [Self; 4] = [
        Self::Plain,
        Self::NotStarted,
        Self::DeafToStdin,
        Self::LeftToItself,
    ];

    fn run(self, user: &User, targets: &[String]) {
        let (options, argv, status): (&[&str], &[&str], i32) = match self {
            Self::Plain => (&[], &["true"], 0),
            Self::NotStarted => (&[], &["/no/such/program"], 5),
            Self::DeafToStdin => (&["-i"], &["sh", "-c", "exec <&-"], 0),
            Self::LeftToItself => (&["--detach"], &["true"], 0),
        };
        let mut args = vec!["exec"];
        args.extend(targets.iter().map(String::as_str));
        args.extend(options);
        args.push("--");
        args.extend(argv);
        let input = vec![b'x'; 100_000];
        let outcome = user.udpctl(args).stdin(input).outcome();
        assert_eq!(outcome.status, status, "{self:?}: {}", outcome.stderr);
    }
}

#[test]
fn thousands_of_commands_leave_neither_descriptors_nor_zombies_nor_memory() {
    let jobs = std::env::var("UDPAGENT_JOBS").map_or(JOBS, |text| text.parse().unwrap());
    let user = User::new();
    let config = user.path("config/udpagent");
    std::fs::create_dir_all(&config).unwrap();
    // As many as one run of udpctl has in flight, and those that end meanwhile.
    std::fs::write(config.join("udpagent.toml"), "[limits]\njobs = 1000\n").unwrap();
    let agent = Agent::start(&user, &["--bind", "0.0.0.0:0"]);
    let (target, targets) = (agent.target(), agent.targets(RUN));
    let first = "00000000000000000000000000000001";
    let detached = ["exec", &target, "--detach", "--id", first, "--", "true"];
    assert_eq!(user.udpctl(detached).outcome().status, 0);
    user.udpctl(["wait", &target, first]).run();
    let before = descriptors(&agent);
    let mut before_growth = None;
    for (run, kind) in (0..jobs.div_ceil(RUN)).zip(Kind::ALL.into_iter().cycle()) {
        kind.run(&user, &targets);
        // After one command of each kind the tables have their final size.
        if run + 1 == 2 * Kind::ALL.len() {
            before_growth = Some(resident(agent.child.pid()));
        }
    }
    eventually("no zombie, and no process", || {
        children(agent.child.pid()).is_empty()
    });
    if let Some(directory) = cgroups(&agent) {
        eventually("no cgroup of a job", || is_tidy(&directory));
    }
    eventually("descriptors are what they were", || {
        descriptors(&agent) == before
    });
    let grown = resident(agent.child.pid()).saturating_sub(before_growth.unwrap_or(u64::MAX));
    let measured = jobs.saturating_sub(2 * Kind::ALL.len() * RUN) as u64;
    let at_most = measured * GROWTH_BYTES;
    assert!(grown < at_most, "{grown} bytes more");
    if jobs >= FORGOTTEN {
        // More results wait than are kept, so that the first one is forgotten, and its command is never
        // started again.
        let again = user.udpctl(detached);
        again
            .stderr(format!(
                "udpctl: {target}: already collected, or older than the agent remembers; request ID\n"
            ))
            .status(255)
            .run();
    }
}
