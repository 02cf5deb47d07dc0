//! Hosts that do not answer, and what the user reads about them while the contact lasts.

use crate::harness::{Agent, Child, Terminal, User, port_to_keep};

const REFUSED: &str = "nothing listens there (port unreachable)";

/// A user who trusts an agent at an address where nothing listens.
fn refused_target() -> (User, String) {
    let user = User::new();
    let target = format!("127.0.0.1:{}", port_to_keep());
    let agent = user.agent();
    assert_eq!(
        user.udpctl(["trust", &target, agent.key()])
            .outcome()
            .status,
        0
    );
    (user, target)
}

#[test]
fn a_refused_contact_is_told_and_explained_by_every_subcommand() {
    let (user, target) = refused_target();
    let id = "0123456789abcdef0123456789abcdef";
    let told = format!("{target}: {REFUSED}; still trying, for 300ms in all\n");
    let ended = format!("no answer: {REFUSED}");
    for (args, note, end, status) in [
        (&["ping"][..], "udpctl:", ended.clone(), 1),
        (&["jobs"], "udpctl:", ended.clone(), 1),
        (&["kill", id], "udpctl:", ended.clone(), 1),
        (&["wait", id], "udpctl:", ended.clone(), 255),
        (&["attach"], "udpctl:", ended.clone(), 255),
        (
            &["attach", id],
            "udpctl:",
            format!("{ended}; request ID"),
            255,
        ),
        (
            &["exec", "true"],
            "udpctl:",
            format!("{ended}; request ID"),
            255,
        ),
        (
            &["send", "hi"],
            "udpctl:",
            format!("not delivered: {ended}"),
            255,
        ),
        (&["chat"], "*", ended.clone(), 255),
    ] {
        let (subcommand, rest) = args.split_first().unwrap();
        let mut line = vec![*subcommand, &target, "--contact-timeout", "300ms"];
        if matches!(*subcommand, "exec" | "send") {
            line.push("--");
        }
        line.extend(rest);
        let outcome = user.udpctl(&line).outcome();
        let wanted = format!("{note} {told}udpctl: {target}: {end}\n");
        let stderr = crate::harness::masked(&outcome.stderr);
        assert_eq!((stderr, outcome.status), (wanted, status), "{line:?}");
    }
}

#[test]
fn the_end_of_a_host_among_several_names_the_refusal_of_its_port() {
    let user = User::new();
    let agent = user.agent();
    let port = port_to_keep();
    let refused = [2, 3].map(|number| format!("127.0.0.{number}:{port}"));
    // Two agents at one address: the report does not tell which of them it is about.
    let unclear = [0, 1].map(|_| format!("127.0.0.4:{}", port_to_keep()));
    for target in refused.iter().chain(&unclear) {
        let trusted = user.udpctl(["trust", target, agent.key()]).outcome();
        assert_eq!(trusted.status, 0);
    }
    for (begin, end, why) in [
        (&["exec"][..], &["--", "true"][..], ""),
        (&["ping"], &[], ""),
        (&["jobs"], &[], ""),
        (&["send"], &["--", "hi"], "not delivered: "),
    ] {
        let line = [
            begin,
            &["--contact-timeout", "1s"],
            &[&*refused[0], &*refused[1], &*unclear[0], &*unclear[1]],
            &[&*agent.target()],
            end,
        ];
        let outcome = user.udpctl(line.concat()).outcome();
        let mut lines: Vec<&str> = outcome.stderr.lines().collect();
        lines.truncate(4);
        lines.sort_unstable();
        let silent = "no answer";
        let mut wanted: Vec<String> = refused
            .iter()
            .map(|target| format!("udpctl: {target}: {why}no answer: {REFUSED}"))
            .chain(
                unclear
                    .iter()
                    .map(|target| format!("udpctl: {target}: {why}{silent}")),
            )
            .collect();
        wanted.sort_unstable();
        assert_eq!(
            (lines, outcome.status),
            (wanted.iter().map(|line| &**line).collect(), 4)
        );
    }
}

#[test]
fn a_refusal_is_told_before_the_contact_timeout_and_ends_nothing() {
    let (user, target) = refused_target();
    user.authorize("");
    let mut command = user.command("udpctl");
    command.args(["exec", &target, "--", "echo", "hello"]);
    let mut exec = Child::start(command);
    exec.stderr_line(|line| line.contains(REFUSED));
    let _agent = Agent::start(&user, &["--bind", &target]);
    let (status, stderr) = exec.wait();
    assert!(status.success(), "{stderr}");
    assert_eq!(exec.stdout_seen(), ["hello"]);
    assert_eq!(
        stderr,
        format!("udpctl: {target}: {REFUSED}; still trying, for 10s in all")
    );
}

#[test]
fn a_refusal_is_told_once_although_the_host_is_tried_again() {
    let (user, target) = refused_target();
    let args = ["exec", &target, "--retries", "1"];
    user.udpctl([&args[..], &["--contact-timeout", "300ms", "--", "true"]].concat())
        .stderr(format!(
            "udpctl: {target}: {REFUSED}; still trying, for 300ms in all\n\
             udpctl: {target}: no answer: {REFUSED}; request ID\n"
        ))
        .status(255)
        .run();
}

/// The causes that a terminal shows for a target which has never answered.
const CAUSES: [&str; 5] = [
    "  wrong address or port: \"udpagent status\" there names those in use",
    "  udpagent is not running: \"systemctl status udpagent\" there",
    "  a firewall drops UDP to that port",
    "  this key is not admitted: add that of \"udpctl id\" to authorized_keys there,",
    "  the agent's key has changed: \"udpagent key\" there prints it,",
];

#[test]
#[ignore = "needs tmux"]
fn a_terminal_shows_the_likely_causes_of_no_answer_by_what_is_known() {
    let here = Terminal::new();
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = silent.local_addr().unwrap().to_string();
    let mut agent = here.user.agent();
    let trusted = ["trust", &target, agent.key()];
    assert_eq!(here.user.udpctl(trusted).outcome().status, 0);
    let short = "--contact-timeout 300ms";
    for line in [
        format!("udpctl ping {target} {short}"),
        format!("udpctl attach {target} {short}"),
        format!("udpctl chat {target} {short}"),
        format!("udpctl send {target} {short} -- hi"),
        format!("udpctl exec {target} {short} -- true"),
    ] {
        here.line(&format!("clear; {line}"));
        here.is("all causes, in order, and the prompt", |screen| {
            let lines: Vec<&str> = screen.trim_end().lines().collect();
            let begin = lines.iter().position(|line| *line == "Likely causes:");
            let mut causes = CAUSES.iter();
            begin.is_some_and(|begin| {
                let is_cause = |line: &&&str| CAUSES.contains(line);
                lines[begin..]
                    .iter()
                    .filter(is_cause)
                    .all(|line| Some(line) == causes.next())
                    && causes.next().is_none()
            }) && lines.last() == Some(&"here>")
        });
    }
    // Of an agent that has answered before and is refused now, its end is the likeliest cause.
    let target = agent.target();
    here.line(&format!("clear; udpctl ping {target}; echo pinged"));
    here.shows("pinged");
    agent.kill();
    for line in [
        format!("udpctl ping {target} {short}"),
        format!("udpctl attach {target} {short}"),
        format!("udpctl chat {target} {short}"),
        format!("udpctl send {target} {short} -- hi"),
        format!("udpctl exec {target} {short} -- true"),
    ] {
        here.line(&format!("clear; {line}"));
        here.is("two causes", |screen| {
            let causes = format!("Likely causes:\n{}\n{}\n", CAUSES[1], CAUSES[0]);
            let next = format!("\"udpctl doctor {target}\" checks them\nhere>");
            screen.trim_end().ends_with(&(causes + &next))
        });
    }
}

#[test]
#[ignore = "needs tmux"]
fn a_terminal_is_told_after_a_second_that_there_is_no_answer_yet() {
    let here = Terminal::new();
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let target = format!("127.0.0.1:{port}");
    let agent = here.user.agent();
    let trusted = ["trust", &target, agent.key()];
    assert_eq!(here.user.udpctl(trusted).outcome().status, 0);
    let long = "--contact-timeout 30s";
    let waiting = format!("{target}: no answer yet; still trying, for 30s in all");
    let id = "0123456789abcdef0123456789abcdef";
    let ssh = format!("ssh -o ConnectTimeout=30 -p {port} 127.0.0.1");
    for (line, note) in [
        (format!("ping {target} {long}"), "udpctl:"),
        (format!("jobs {target} {long}"), "udpctl:"),
        (format!("kill {target} {id} {long}"), "udpctl:"),
        (format!("wait {target} {id} {long}"), "udpctl:"),
        (format!("attach {target} {long}"), "udpctl:"),
        (format!("send {target} {long} -- hi"), "udpctl:"),
        (format!("exec {target} {long} -- true"), "udpctl:"),
        (format!("{ssh} true"), "udpctl:"),
        (format!("chat {target} {long}"), "*"),
    ] {
        // The shell goes on only if the program does not die of SIGINT.
        here.line("clear");
        here.is("an empty screen", |screen| screen.trim_end() == "here>");
        here.line(&format!("udpctl {line}; echo went on"));
        here.shows(&format!("{note} {waiting}"));
        here.keys(&["C-c"]);
        here.prompt();
        assert!(
            !here.screen().lines().any(|line| line == "went on"),
            "{line}"
        );
    }
    // Nothing of the kind if the answer comes, or for a program.
    let answers = agent.target();
    for line in [
        format!("exec {answers} -- sleep 1.5"),
        format!("jobs --json {target} --contact-timeout 1500ms"),
        format!("attach --json {target} --contact-timeout 1500ms"),
        format!("exec --jsonl {target} --contact-timeout 1500ms -- true"),
        format!("exec {target} --contact-timeout 1500ms -- true 2>&1 | cat"),
        format!(
            "{} true",
            ssh.replace("-o ConnectTimeout=30", "-q -o ConnectTimeout=2")
        ),
    ] {
        here.line("clear");
        here.is("an empty screen", |screen| screen.trim_end() == "here>");
        here.line(&format!("udpctl {line}; echo ended"));
        here.shows("ended");
        assert!(!here.screen().contains("no answer yet"), "{line}");
    }
}
