//! The death of the agent's processes: commands outlive the front, and none outlives the supervisor unfollowed.

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Agent, Child, User, disturbed_commands, eventually, helper, waiting};
use crate::runs::fleet;

/// Number of times that the front is killed while commands run.
const KILLS: usize = 5;

/// Number of sessions whose messages a supervisor does not take in one turn.
const SESSIONS: usize = 90;

fn front(agent: &Agent) -> Option<Pid> {
    helper(agent.child.pid(), "udpagent-front")
}

/// Waits until a front runs: an agent prints its addresses before.
fn running_front(agent: &Agent) -> Pid {
    let mut found = None;
    eventually("a front", || {
        found = front(agent);
        found.is_some()
    });
    found.expect("it was found")
}

/// Kills the front and waits until another one serves.
fn kill_front(user: &User, agent: &Agent) {
    let killed = running_front(agent);
    kill_process(killed, Signal::KILL).unwrap();
    eventually("another front", || {
        front(agent).is_some_and(|pid| pid != killed)
    });
    user.udpctl(["ping", &agent.target()]).outcome();
}

#[test]
fn running_commands_survive_the_death_of_the_front_to_the_last_byte() {
    let user = User::new();
    let agent = user.agent();
    disturbed_commands(&user, &agent.target(), || {
        for _ in 0..KILLS {
            kill_front(&user, &agent);
        }
    });
}

#[test]
fn a_command_that_a_front_has_accepted_before_its_death_runs() {
    let (user, agent, _, targets) = fleet(SESSIONS);
    let chatty = "while :; do echo x; sleep 0.01; done";
    let detach = ["exec", "--detach", &targets[0], "--shell", chatty];
    assert_eq!(user.udpctl(detach).outcome().status, 0);
    // The supervisor is behind by more messages than it takes in one turn when the command is accepted, and it has
    // something to report to the front that is gone.
    agent.child.signal(Signal::STOP);
    let ping = [
        &["ping"],
        &targets.iter().map(String::as_str).collect::<Vec<_>>()[..],
    ]
    .concat();
    assert_eq!(user.udpctl(ping).outcome().status, 0);
    let count = user.path("count");
    let script = format!("echo x >>{}; echo done", count.display());
    let id = "000000000000000000000000000000ef";
    let user = &user;
    std::thread::scope(|scope| {
        let exec = ["exec", "--id", id, &targets[0], "--shell", &script];
        let run = scope.spawn(move || user.udpctl(exec).outcome());
        eventually("the command is accepted", || {
            let jobs = user.udpctl(["jobs", &targets[0]]).outcome();
            String::from_utf8_lossy(&jobs.stdout).contains(id)
        });
        kill_process(running_front(&agent), Signal::KILL).unwrap();
        agent.child.signal(Signal::CONT);
        let outcome = run.join().unwrap();
        assert_eq!(
            (outcome.status, &outcome.stdout[..]),
            (0, &b"done\n"[..]),
            "{}",
            outcome.stderr
        );
    });
    assert_eq!(std::fs::read_to_string(count).unwrap(), "x\n");
}

#[test]
fn a_detached_command_is_listed_and_its_result_collected_after_the_death_of_the_front() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    let id = "000000000000000000000000000000ab";
    let go = user.path("go");
    let script = waiting(&go, 5);
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
fn a_result_under_a_chosen_id_is_kept_after_it_was_collected_and_through_the_death_of_the_front() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    let id = "000000000000000000000000000000cd";
    let count = user.path("count");
    let script = format!(
        "echo x >>{}; echo out; echo err >&2; exit 3",
        count.display()
    );
    let repeat = || {
        user.udpctl(["exec", &target, "--id", id, "--shell", &script])
            .stdout("out\n")
            .stderr("err\n")
            .status(3)
            .run();
    };
    let conflict = || {
        let other = ["exec", &target, "--id", id, "--shell", "echo other"];
        let outcome = user.udpctl(other).outcome();
        assert_eq!((outcome.status, outcome.stdout), (255, Vec::new()));
        let reason = ": the request id is in use for another request";
        assert!(outcome.stderr.contains(reason), "{}", outcome.stderr);
    };
    repeat();
    for _ in 0..2 {
        // Collected by the call before.
        repeat();
        conflict();
        user.udpctl(["attach", &target, id])
            .stdout("out\n")
            .stderr("err\n")
            .status(3)
            .run();
        repeat();
        kill_front(&user, &agent);
    }
    repeat();
    conflict();
    assert_eq!(
        std::fs::read_to_string(count).unwrap(),
        "x\n",
        "started once"
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

#[test]
fn a_front_ends_with_its_supervisor_even_if_it_is_stopped() {
    let user = User::new();
    let mut agent = user.agent();
    user.udpctl(["ping", &agent.target()]).outcome();
    let front = running_front(&agent);
    kill_process(front, Signal::STOP).unwrap();
    agent.child.kill();
    // It might answer a controller otherwise, and nobody would know of the session.
    let stat = format!("/proc/{}/stat", front.as_raw_pid());
    let has_ended = || std::fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "));
    let result = std::panic::catch_unwind(|| eventually("it has ended", has_ended));
    if result.is_err() {
        let _ = kill_process(front, Signal::KILL);
    }
    assert!(result.is_ok());
}
