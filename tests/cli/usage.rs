//! Command lines that are refused, with status 2 and a hint; help, completions and explanations; output to a
//! closed pipe.

use crate::harness::{Test, User};

#[test]
fn an_invalid_command_line_is_refused_with_status_2_and_creates_nothing() {
    let user = User::new();
    for args in [
        &["exec"][..],
        &["exec", "host"],
        &["exec", "host:notaport", "--", "true"],
        &["exec", "host:0", "--", "true"],
        &["exec", "host", "--timeout", "soon", "--", "true"],
        &["exec", "host", "--id", "12", "--", "true"],
        &["exec", "host", "--env", "X", "--", "true"],
        &["exec", "host", "--detach", "-i", "--", "true"],
        &["trust", "host", "notakey"],
        &["ping"],
        &["nonsense"],
        &[],
    ] {
        let outcome = user.udpctl(args).outcome();
        assert_eq!(outcome.status, 2, "{args:?}: {}", outcome.stderr);
        assert!(outcome.stdout.is_empty() && !outcome.stderr.is_empty());
    }
    assert!(!user.path("config").exists(), "nothing was created");
}

/// Command lines of `udpctl` that end with status 2, and their one line on stderr behind the program's name.
fn assert_hints(lines: &[(&[&str], &str)]) {
    let user = User::new();
    for (line, hint) in lines {
        user.udpctl(*line)
            .stderr(format!("udpctl: {hint}\n"))
            .status(2)
            .run();
    }
    assert!(!user.path("config").exists(), "nothing was created");
}

#[test]
fn a_command_without_dashes_gets_the_line_with_them() {
    let line = |line: &str| format!("put \"--\" before the command: udpctl exec {line}");
    assert_hints(&[
        (&["exec", "web1", "uname", "-a"], &line("web1 -- uname -a")),
        (&["exec", "web1", "uptime"], &line("web1 -- uptime")),
        (&["exec", "web1", "ls", "/tmp"], &line("web1 -- ls /tmp")),
        (&["exec", "web1", "df", "-h"], &line("web1 -- df -h")),
        (&["exec", "web1", "ls", "-v"], &line("web1 -- ls -v")),
        (
            &["exec", "web1", "web2", "db:7001", "uptime"],
            &line("web1 web2 db:7001 -- uptime"),
        ),
        (
            &[
                "exec",
                "-i",
                "--timeout",
                "5s",
                "web1",
                "tar",
                "x",
                "-C",
                "/a b",
            ],
            &line("-i --timeout 5s web1 -- tar x -C '/a b'"),
        ),
        (
            &["exec", "web1", "systemctl", "restart", "nginx"],
            &line("web1 -- systemctl restart nginx"),
        ),
    ]);
}

#[test]
fn a_message_without_dashes_gets_the_line_with_them() {
    let line = |line: &str| format!("put \"--\" before the message: udpctl send {line}");
    assert_hints(&[
        (&["send", "web1", "hello"], &line("web1 -- hello")),
        (
            &["send", "web1", "hello", "from", "chat"],
            &line("web1 -- hello from chat"),
        ),
        (
            &["send", "web[1-3]", "db:7001", "maintenance at noon"],
            &line("'web[1-3]' db:7001 -- 'maintenance at noon'"),
        ),
        (&["send", "web1", "-"], &line("web1 -- -")),
        (
            &["send", "web1", "all", "is", "-fine", "now", "--plain"],
            &line("web1 -- all is -fine now --plain"),
        ),
        (
            &["send", "-g", "web", "hello", "--contact-timeout", "1s"],
            &line("-g web --contact-timeout 1s -- hello"),
        ),
    ]);
    let missing = "the message is missing: udpctl send web1 -- TEXT";
    assert_hints(&[
        (&["send", "web1"], missing),
        (&["send", "web1", "--"], missing),
        (
            &["send", "root@web1", "--", "hello"],
            "root@web1 is not a target; write the host alone: udpctl send web1 -- hello",
        ),
    ]);
}

#[test]
fn a_target_without_a_command_gets_a_line_with_one() {
    let hint = "the command is missing: udpctl exec web1 -- COMMAND";
    assert_hints(&[(&["exec", "web1"], hint), (&["exec", "web1", "--"], hint)]);
}

#[test]
fn a_user_before_the_host_points_to_the_user_option() {
    assert_hints(&[
        (
            &["exec", "root@web1", "--", "id"],
            "root@web1 is not a target; to run as another user: udpctl exec --user root web1 -- id",
        ),
        (
            &["exec", "root@web1", "uname", "-a"],
            "root@web1 is not a target; to run as another user: udpctl exec --user root web1 -- uname -a",
        ),
        (
            &["exec", "ann@web1", "ann@web2", "--shell", "ls | wc"],
            "ann@web1 is not a target; to run as another user: udpctl exec --user ann web1 web2 --shell \
             'ls | wc'",
        ),
        (
            &["exec", "ann@web1", "bob@web2", "--", "id"],
            "ann@web1 is not a target; to run as another user: udpctl exec --user ann web1 -- COMMAND",
        ),
        (
            &["ping", "root@web1", "web2"],
            "root@web1 is not a target; write the host alone: udpctl ping web1 web2",
        ),
        (
            &["shell", "-v", "root@web1"],
            "root@web1 is not a target; to be another user: udpctl shell -v --user root web1",
        ),
    ]);
}

#[test]
fn a_word_in_the_place_of_a_subcommand_is_taken_for_a_host() {
    assert_hints(&[
        (
            &["web1", "uptime", "-p"],
            "there is no subcommand web1; to run a command on a host: udpctl exec web1 -- uptime -p",
        ),
        (
            &["web1", "--", "uptime"],
            "there is no subcommand web1; to run a command on a host: udpctl exec web1 -- uptime",
        ),
        (
            &["web1:7001"],
            "there is no subcommand web1:7001; a shell on a host is udpctl shell web1:7001, and \"udpctl --help\" lists \
             the subcommands",
        ),
        (
            &["exec web1 -- ls -l"],
            "the line is one word; write it without the quotes: udpctl exec web1 -- ls -l",
        ),
    ]);
}

#[test]
fn a_command_without_a_target_gets_a_line_with_one() {
    assert_hints(&[(
        &["exec", "--", "uname", "-a"],
        "the target is missing: udpctl exec TARGET -- uname -a",
    )]);
}

#[test]
fn a_command_behind_shell_and_a_message_behind_chat_get_the_lines_that_take_them() {
    let line = "a shell takes no command; to run one on a terminal: udpctl exec -t";
    assert_hints(&[
        (
            &["shell", "web1", "uptime"],
            &format!("{line} web1 -- uptime"),
        ),
        (
            &["shell", "--user", "ann", "web1", "df", "-k", "/a b"],
            &format!("{line} --user ann web1 -- df -k '/a b'"),
        ),
        (
            &["shell", "web1", "--", "ls", "-l"],
            &format!("{line} web1 -- ls -l"),
        ),
        (
            &["chat", "web1", "hello", "there"],
            "a chat takes no message; to send one: udpctl send web1 -- hello there",
        ),
    ]);
}

#[test]
fn a_signal_in_the_place_of_a_host_points_to_the_option() {
    let hint =
        |line| format!("HUP is taken for a host; a signal is an option: udpctl kill -s HUP {line}");
    assert_hints(&[
        (&["kill", "web1", "HUP"], &hint("web1")),
        (&["kill", "web[1-2]", "3f", "HUP"], &hint("'web[1-2]' 3f")),
    ]);
}

#[test]
fn an_option_that_there_is_not_is_named_without_the_advice_to_make_it_a_target() {
    let options =
        |of: &str, option: &str| format!("{of} has no option {option}; \"{of} --help\" lists them");
    assert_hints(&[
        (&["ping", "web1", "-c", "3"], &options("udpctl ping", "-c")),
        (&["jobs", "--wide"], &options("udpctl jobs", "--wide")),
        (&["id", "-q"], &options("udpctl id", "-q")),
        (&["-v"], &options("udpctl", "-v")),
    ]);
}

#[test]
fn a_host_that_does_not_answer_has_no_list_of_jobs() {
    let user = User::new();
    user.udpctl(["jobs", "nowhere.invalid"])
        .stderr(
            "udpctl: nowhere.invalid: cannot resolve \"nowhere.invalid\": failed to lookup address information: \
             Name or service not known\n",
        )
        .status(1)
        .run();
}

#[test]
fn clap_reports_a_mistake_that_no_hint_fits() {
    let user = User::new();
    for (args, words) in [
        (
            &["exec", "web1", "--tiemout", "5s", "--", "id"][..],
            "--timeout",
        ),
        (&["exec", "web1", "--tiemout", "5s", "id"], "--timeout"),
        (&["exec", "web1", "--timeout", "soon", "id"], "soon"),
    ] {
        let outcome = user.udpctl(args).outcome();
        assert_eq!(outcome.status, 2, "{args:?}: {}", outcome.stderr);
        assert!(outcome.stderr.starts_with("error: "), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(words), "{}", outcome.stderr);
    }
    let help = user.udpctl(["exec", "web1", "-h"]).outcome();
    assert_eq!((help.status, help.stderr.as_str()), (0, ""));
}

#[test]
fn a_program_that_cannot_be_started_is_named_and_a_shell_line_points_to_the_shell_option() {
    let user = User::new();
    let agent = user.agent();
    let target = agent.target();
    for (program, named) in [
        ("/no/such", "/no/such"),
        (
            "ls | wc -l",
            "'ls | wc -l'; to have a shell run it, use --shell",
        ),
    ] {
        user.udpctl(["exec", &target, "--", program])
            .stderr(format!(
                "udpctl: {target}: could not be started: No such file or directory: {named}; request ID\n"
            ))
            .status(127)
            .run();
    }
}

#[test]
fn output_to_a_closed_pipe_is_no_error() {
    let user = User::new();
    for line in ["id", "completions bash", "--help"] {
        let mut shell = user.command("bash");
        let program = env!("CARGO_BIN_EXE_udpctl");
        shell.args(["-c", &format!("{program} {line} | true")]);
        let outcome = Test::new(shell).outcome();
        assert_eq!(outcome.stderr, "", "{line}");
    }
}

#[test]
fn the_help_of_every_subcommand_ends_with_examples() {
    let user = User::new();
    for (program, subcommands) in [
        (
            "udpctl",
            &[
                "exec",
                "jobs",
                "attach",
                "wait",
                "kill",
                "chat",
                "send",
                "ping",
                "accept",
                "trust",
                "id",
                "explain",
                "completions",
            ][..],
        ),
        ("udpagent", &["invite", "key", "check", "completions"]),
    ] {
        for subcommand in subcommands {
            let mut command = user.command(program);
            command.args([subcommand, "-h"]);
            let outcome = Test::new(command).outcome();
            let help = String::from_utf8(outcome.stdout).unwrap();
            let (_, examples) = help.split_once("\n\nExamples:\n").expect(subcommand);
            assert!(
                examples.contains(&format!("{program} {subcommand}")),
                "{help}"
            );
        }
    }
}

#[test]
fn help_and_a_subcommand_prints_the_help_of_the_subcommand() {
    let user = User::new();
    for subcommand in ["exec", "kill", "trust"] {
        let help = user.udpctl([subcommand, "--help"]).outcome();
        assert_eq!((help.status, &help.stderr[..]), (0, ""));
        user.udpctl(["help", subcommand]).stdout(help.stdout).run();
    }
}

#[test]
fn a_time_has_several_units_in_order() {
    let user = User::new();
    let taken = [
        "--timeout",
        "1m30s",
        "--lease",
        "1h2m",
        "--contact-timeout",
        "1s500ms",
    ];
    user.udpctl([&["exec", "--local"][..], &taken, &["--", "echo", "hi"]].concat())
        .stdout("hi\n")
        .run();
    for wrong in ["1m30", "30s1m", "1m 30s"] {
        user.udpctl(["exec", "h", "--timeout", wrong, "--", "true"])
            .stderr(format!(
                "error: invalid value '{wrong}' for '--timeout <TIME>': write a number with ms, s, m, h or d, or several \
                 such as 1m30s\n\nFor more information, try '--help'.\n"
            ))
            .status(2)
            .run();
    }
}

#[test]
fn an_ipv6_address_with_a_port_and_no_brackets_asks_for_the_brackets() {
    let user = User::new();
    let agent = user.agent();
    let unknown = "this is an IPv6 address without a port, and no key is known for it; did you mean [::1]:7000?";
    user.udpctl(["exec", "::1:7000", "--", "true"])
        .stderr(format!("udpctl: ::1:7000: {unknown}\n"))
        .status(255)
        .run();
    user.udpctl(["trust", "::1:7000", agent.key()])
        .stderr(
            "udpctl: ::1:7000 is an IPv6 address without a port; did you mean [::1]:7000? if not, write [::1:7000]\n",
        )
        .status(1)
        .run();
    user.udpctl(["trust", "[::1:7000]", agent.key()])
        .stdout("[::1:7000]:7000 is trusted now\n")
        .run();
    let meant = "an IPv6 address with a port is written in brackets; did you mean [::1]:17000?";
    user.udpctl(["exec", "::1:17000", "--", "true"])
        .stderr(format!("udpctl: {meant}\n"))
        .status(2)
        .run();
}
