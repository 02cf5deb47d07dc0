//! The death of the agent's processes: commands outlive the front, and none outlives the supervisor unfollowed.

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Agent, Child, User, eventually, helper};

/// Number of times that the front is killed while commands run.
const KILLS: usize = 5;

/// Bytes of a file that commands write or read.
const BYTES: usize = 2_000_000;

fn front(agent: &Agent) -> Option<Pid> {
    helper(agent.child.pid(), "udpagent-front")
}

/// Kills the front and waits until another one serves.
fn kill_front(user: &User, agent: &Agent) {
    let killed = front(agent).expect("a front runs");
    kill_process(killed, Signal::KILL).unwrap();
    eventually("another front", || {
        front(agent).is_some_and(|pid| pid != killed)
    });
    user.udpctl(["ping", &agent.target()]).outcome();
}

fn data() -> Vec<u8> {
    let byte = |index: usize| u8::try_from(index * 7 % 251).unwrap();
    (0..BYTES).map(byte).collect()
}

#[test]
fn running_commands_survive_the_death_of_the_front_to_the_last_byte() {
    let user = User::new();
    let agent = user.agent();
    let (target, data) = (agent.target(), data());
    let file = user.path("data");
    std::fs::write(&file, &data).unwrap();
    let file = file.display();
    let count = user.path("count");
    let write = format!(
        "echo x >>{}; for i in $(seq 100); do head -c 20000 {file}; sleep 0.03; done; exit 7",
        count.display()
    );
    let lines = "for i in $(seq 100); do echo line $i; sleep 0.03; done; exit 11";
    let read = "sleep 1; cat; exit 9";
    std::thread::scope(|scope| {
        let run = |args: Vec<String>, stdin: Vec<u8>| {
            let user = &user;
            let target = &target;
            scope.spawn(move || {
                let mut words = vec!["exec".to_owned()];
                words.extend(args);
                let at = words.iter().position(|word| word == "sh").unwrap() - 1;
                words.insert(at, target.clone());
                user.udpctl(words).stdin(stdin).outcome()
            })
        };
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        let writers: Vec<_> = (0..4)
            .map(|_| run(words(&["--", "sh", "-c", &write]), Vec::new()))
            .collect();
        let readers: Vec<_> = (0..4)
            .map(|_| run(words(&["-i", "--", "sh", "-c", read]), data.clone()))
            .collect();
        let terminals: Vec<_> = (0..2)
            .map(|_| run(words(&["-t", "--", "sh", "-c", lines]), Vec::new()))
            .collect();
        for _ in 0..KILLS {
            kill_front(&user, &agent);
        }
        for writer in writers {
            let outcome = writer.join().unwrap();
            assert_eq!(outcome.status, 7, "{}", outcome.stderr);
            assert!(outcome.stdout == data[..20_000].repeat(100));
        }
        for reader in readers {
            let outcome = reader.join().unwrap();
            assert_eq!(outcome.status, 9, "{}", outcome.stderr);
            assert!(outcome.stdout == data, "{} bytes", outcome.stdout.len());
        }
        for terminal in terminals {
            let outcome = terminal.join().unwrap();
            assert_eq!(outcome.status, 11, "{}", outcome.stderr);
            let text = String::from_utf8(outcome.stdout).unwrap();
            let lines = (1..=100).map(|line| format!("line {line}\r\n"));
            let expected = lines.collect::<Vec<_>>().concat();
            assert_eq!(text, expected);
        }
    });
    let starts = std::fs::read_to_string(count).unwrap();
    assert_eq!(starts.lines().count(), 4, "each command starts once");
}

#[test]
fn a_detached_command_is_listed_and_its_result_collected_after_the_death_of_the_front() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    let id = "000000000000000000000000000000ab";
    let go = user.path("go");
    let script = format!(
        "echo begun; while [ ! -e {} ]; do sleep 0.05; done; echo done; exit 5",
        go.display()
    );
    let detach = ["exec", "--detach", "--id", id, &target, "--shell", &script];
    assert_eq!(user.udpctl(detach).outcome().status, 0);
    kill_front(&user, &agent);
    let listed = user.udpctl(["jobs", &target]).outcome();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(
        listed.contains(id) && listed.contains("running"),
        "{listed}"
    );
    std::fs::write(&go, "").unwrap();
    kill_front(&user, &agent);
    let result = user.udpctl(["attach", &target, id]).outcome();
    assert_eq!(
        (result.status, &result.stdout[..]),
        (5, &b"begun\ndone\n"[..])
    );
}

#[test]
fn a_killed_supervisor_leaves_no_command_behind() {
    let user = User::new();
    let mut agent = user.agent();
    let mut command = user.command("udpctl");
    let script = "echo $$; trap '' TERM; (setsid sleep 600 &) ; exec sleep 600";
    command.args(["exec", &agent.target(), "--shell", script]);
    let mut udpctl = Child::start(command);
    udpctl.stdout_line(|_| true);
    let jobs = agent.jobs();
    eventually("both run", || {
        jobs.left().len() >= 2 || agent.jobs().left().len() >= 2
    });
    let jobs = agent.jobs();
    agent.child.kill();
    eventually("nothing is left", || jobs.left().is_empty());
    udpctl.kill();
}
