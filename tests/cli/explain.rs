//! `udpctl explain`: exit statuses, outcomes and classes of hosts.

use crate::harness::User;

#[test]
fn explain_prints_the_table_of_outcomes_and_statuses() {
    let user = User::new();
    user.udpctl(["explain", "lost"])
        .stdout(
            "lost: accepted, but its result is not known\n  \
             The agent had accepted the command and then did not answer, or it ended and left the command \
             running, or was killed and does not know how the command has ended, or another controller has attached \
             to the command. If the line says \"sent\" instead of \"accepted\", the session has ended before the agent \
             accepted the command. The command may have run.\n  \
             exit status: 255\n  \
             {\"lost\":{}}\n",
        )
        .run();
    let outcome = user.udpctl(["explain", "130"]).outcome();
    let text = String::from_utf8(outcome.stdout).unwrap();
    for part in [
        "signal 2 (INT)",
        "exited with status 130",
        "130 with several targets:",
    ] {
        assert!(text.contains(part), "{text}");
    }
    let outcome = user.udpctl(["explain", "70"]).outcome();
    let text = String::from_utf8(outcome.stdout).unwrap();
    for part in ["output written later", "70 of udpagent:\n  A thread"] {
        assert!(text.contains(part), "{text}");
    }
    let outcome = user.udpctl(["explain", "cancelled"]).outcome();
    assert!(outcome.stdout.starts_with(b"canceled\n"));
    user.udpctl(["explain", "skipped"])
        .stdout(
            "skipped: class of hosts of a run on several targets\n  \
             The run was stopped before it came to the host.\n  exit status if it is the gravest: 130\n",
        )
        .run();
    let outcome = user.udpctl(["explain", "fine"]).outcome();
    assert_eq!(outcome.status, 2);
    assert!(outcome.stderr.contains("timed_out"), "{}", outcome.stderr);
}

#[test]
fn explain_names_the_signal_of_a_status_above_128() {
    let user = User::new();
    user.udpctl(["explain", "143"])
        .stdout(
            "143 is 128+15, as udpctl and shells report an end by SIGTERM\n\
             143 with one target:\n  \
             signaled: ended by signal 15 (TERM)\n    \
             The command ran and a signal ended it.\n    \
             {\"signaled\":{\"signal\":15,\"core\":false}}\n  \
             exited with status 143\n    \
             The command ran and returned this status. If a process that it left behind still holds its output open, \
             a line on standard error says so, and output written later is not shown.\n    \
             {\"exited\":{\"code\":143}}\n  \
             Interrupted: the command was canceled or left after SIGTERM.\n\
             143 with several targets:\n  \
             Interrupted by SIGTERM.\n",
        )
        .run();
    for (status, first, end) in [
        ("129", "129 is 128+1, ", "SIGHUP"),
        ("139", "139 is 128+11, ", "SIGSEGV"),
        ("141", "141 is 128+13, ", "SIGPIPE"),
        ("128", "128 with one target:", ""),
        ("255", "255 with one target:", ""),
    ] {
        let outcome = user.udpctl(["explain", status]).outcome();
        let text = String::from_utf8(outcome.stdout).unwrap();
        let line = text.lines().next().unwrap();
        assert!(line.starts_with(first) && line.ends_with(end), "{line}");
    }
}
