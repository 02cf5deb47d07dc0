//! Completions in the shells: bash as it calls the function, and bash, zsh and fish as a user presses Tab.
//!
//! Not the parts of a command line, which the unit tests of the completions have.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::harness::{Outcome, Terminal, Test, User};

/// Calls the completion function as bash does: with the line up to the cursor, and the text that bash would replace.
const CALL: &str = r#"
compopt() { printf '<%s>\n' "$*"; }
source <("$1" completions bash)
COMP_LINE=$2 COMP_POINT=${#2}
"_$1_complete" "$1" "$3"
printf '%s\n' "${COMPREPLY[@]}"
"#;

/// A user with agents, groups and hosts in files.
fn user() -> User {
    let user = User::new();
    let key = user.udpctl(["id"]).outcome().stdout;
    let key = String::from_utf8(key).unwrap();
    let key = key.trim();
    user.write("config/udpctl/known_agents", &format!(
        "web1:7000 {key}\nweb2:7000 {key}\ndb1:7001 {key}\nweb-*.example.org {key}\n[::1]:7002 {key}\nr[1-2]n1:7000 {key}\n"
    ));
    user.write(
        "config/udpctl/hosts.toml",
        "[groups]\nwest = \"web[8-9]\"\n[hosts.web5]\nuser = \"deploy\"\n",
    );
    user
}

/// Runs the completion function of a program.
fn tab(user: &User, program: &str, line: &str, replaced: &str) -> Outcome {
    let mut bash = with_programs(user.command("bash"));
    bash.args(["-c", CALL, "bash", program, line, replaced]);
    Test::new(bash).outcome()
}

/// Puts the programs into the path of a command.
fn with_programs(mut command: Command) -> Command {
    let programs = Path::new(env!("CARGO_BIN_EXE_udpctl")).parent().unwrap();
    command.env("PATH", format!("{}:/usr/bin:/bin", programs.display()));
    command
}

#[track_caller]
fn offers(user: &User, line: &str, replaced: &str, candidates: &[&str]) {
    let is_agent = line.starts_with("udpagent");
    let program = if is_agent { "udpagent" } else { "udpctl" };
    let outcome = tab(user, program, line, replaced);
    let stdout = String::from_utf8(outcome.stdout).unwrap();
    let found: Vec<&str> = stdout.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(
        (&found[..], &outcome.stderr[..]),
        (candidates, ""),
        "{line}"
    );
}

#[test]
fn bash_completes_hosts_groups_and_parts_of_sets() {
    let user = user();
    let web = ["web5", "web8", "web9", "web1", "web2"];
    offers(&user, "udpctl exec we", "we", &web);
    offers(&user, "udpctl ping web1 web", "web", &web);
    offers(&user, "udpctl exec db1:", "", &["7001"]);
    offers(&user, "udpctl exec @", "@", &["@west"]);
    offers(&user, "udpctl exec db1:7001,@w", "@w", &["@west"]);
    offers(&user, "udpctl exec -g w", "w", &["west"]);
    offers(&user, "udpctl exec --hosts=r", "r", &["r1n1", "r2n1"]);
    offers(&user, "udpctl trust [", "[", &[r"\[::1\]:7002"]);
    offers(&user, "udpctl chat \"[", "[", &["[::1]:7002"]);
    offers(&user, "udpctl exec 'web[1,", "web[1,", &[]);
    offers(&user, "udpctl ssh -p 7 ann@web1", "@web1", &["@web1"]);
    offers(&user, "udpctl-ssh web8", "web8", &["web8"]);
}

#[test]
fn bash_completes_places_to_copy_and_hosts_to_install_on() {
    let user = user();
    for file in ["data/dbase", "data/x y"] {
        user.write(file, "");
    }
    user.write("dblog", "");
    let places = ["db1:7001:", "dblog"];
    offers(&user, "udpctl cp db", "db", &places);
    offers(&user, "udpctl cp data/db", "data/db", &["data/dbase"]);
    offers(&user, "udpctl cp data/x", "data/x", &[r"data/x\ y"]);
    // What is on the host is not known.
    offers(&user, "udpctl cp web1:/e", "/e", &[]);
    // A place that goes on gets no space.
    for (line, replaced, place) in [
        ("udpctl cp -r dblog ann@db", "ann@db", "ann@db1:7001:"),
        ("udpctl cp a db1:70", "70", "7001:"),
        ("udpctl cp web1", "web1", "web1:"),
        ("udpctl cp dat", "dat", "data/"),
    ] {
        offers(&user, line, replaced, &["<-o nospace>", place]);
    }
    offers(&user, "udpctl bootstrap db", "db", &["db1"]);
    offers(
        &user,
        "udpctl bootstrap ann@web",
        "ann@web",
        &["ann@web5", "ann@web8", "ann@web9", "ann@web1", "ann@web2"],
    );
}

#[test]
fn bash_completes_signals_users_outcomes_and_options() {
    let user = user();
    offers(&user, "udpctl kill --signal US", "US", &["USR1", "USR2"]);
    offers(
        &user,
        "udpctl exec --forward=HUP,SIGT",
        "SIGT",
        &["SIGTRAP", "SIGTERM", "SIGTSTP", "SIGTTIN", "SIGTTOU"],
    );
    offers(&user, "udpctl exec --user dep", "dep", &["deploy"]);
    offers(&user, "udpctl ssh -l roo", "roo", &["root"]);
    offers(&user, "udpctl explain lo", "lo", &["lost"]);
    offers(&user, "udpctl ex", "ex", &["exec", "explain"]);
    offers(&user, "udpctl jobs --m", "--m", &["--mine"]);
    offers(
        &user,
        "udpctl jobs --mine --forget un",
        "un",
        &["unanswered"],
    );
    offers(&user, "udpctl completions z", "z", &["zsh"]);
    // What belongs to the command is completed as names of files.
    offers(&user, "udpctl exec web1 -- ls ", "", &["<-o default>"]);
    offers(&user, "udpctl ssh web1 ls ", "", &["<-o default>"]);
    user.write_line(&user.udpctl(["id"]).outcome().stdout, "chat-only");
    offers(&user, "udpagent revoke ", "", &["me"]);
    offers(&user, "udpagent invite chat", "chat", &["chat-only"]);
    offers(&user, "udpagent st", "st", &["status"]);
}

#[test]
fn bash_completes_jobs_from_the_journal() {
    let user = User::new();
    let agent = user.agent();
    let detached = user.udpctl(["exec", "--detach", &agent.target(), "--", "sleep", "60"]);
    let id = String::from_utf8(detached.outcome().stdout).unwrap();
    let id = id.split_whitespace().last().unwrap();
    let line = format!("udpctl attach {} {}", agent.target(), &id[..3]);
    offers(&user, &line, &id[..3], &[id]);
    let line = format!("udpctl kill --job {}", &id[..3]);
    offers(&user, &line, &id[..3], &[id]);
    let line = format!("udpctl wait {} {id}", agent.target());
    offers(&user, &line, id, &[id]);
    user.udpctl(["kill", &agent.target(), id]).outcome();
}

#[test]
fn ten_thousand_agents_are_offered_as_sets_and_never_as_one_set_alone() {
    let user = User::new();
    let key = user.udpctl(["id"]).outcome().stdout;
    let key = String::from_utf8(key).unwrap();
    let lines: Vec<String> = (1..=10_000)
        .map(|number| format!("node{number}.example.org {key}"))
        .collect();
    user.write("config/udpctl/known_agents", &lines.concat());
    let set = r"node\[1-10000\].example.org";
    offers(&user, "udpctl exec n", "n", &["node1.example.org", set]);
    offers(
        &user,
        "udpctl exec node123.",
        "node123.",
        &["node123.example.org"],
    );
}

#[test]
fn completion_prints_no_errors() {
    let user = user();
    user.write("config/udpctl/hosts.toml", "no toml");
    offers(&user, "udpctl exec web", "web", &["web1", "web2"]);
    user.write("config/udpctl/known_agents", "web1\nweb2 \u{1b}[31m\n\0\n");
    offers(&user, "udpctl exec w", "w", &[]);
    offers(&user, "udpctl no-such-command x", "x", &[]);
    offers(&user, "udpctl exec --no-such-option=", "", &[]);
    offers(&user, "udpctl exec \u{fffd}\\", "", &[]);
    for (shell, words) in [
        ("bash", &["udpctl "][..]),
        ("bash", &[]),
        ("zsh", &[]),
        ("tcsh", &[""]),
    ] {
        let mut command = user.command("udpctl");
        command.env("UDPCTL_COMPLETE", shell).arg("--").args(words);
        let outcome = Test::new(command).outcome();
        let is_shell = shell != "tcsh";
        assert_eq!(
            (outcome.stdout.is_empty(), outcome.stderr.is_empty()),
            (true, is_shell),
            "{shell}"
        );
    }
}

#[test]
#[ignore = "needs tmux"]
fn a_real_bash_completes_at_tab() {
    let terminal = Terminal::of(user());
    terminal.line("exec bash --norc");
    terminal.line("PS1='here> '; source <(udpctl completions bash)");
    terminal.line("clear");
    terminal.shows("here>");
    for (typed, shown) in [
        ("udpctl exec db1:", "udpctl exec db1:7001"),
        ("udpctl exec @", "udpctl exec @west"),
        ("udpctl exec web1,@w", "udpctl exec web1,@west"),
        ("udpctl trust [", r"udpctl trust \[::1\]:7002"),
        ("udpctl ssh ann@d", "udpctl ssh ann@db1:7001"),
        ("udpctl kill -s HU", "udpctl kill -s HUP"),
        (
            "udpctl cp config/udpctl/known_agents we",
            "udpctl cp config/udpctl/known_agents web",
        ),
        ("udpctl cp conf", "udpctl cp config/"),
        ("udpctl cp x ann@d", "udpctl cp x ann@db1:7001:"),
        ("udpctl bootstrap ann@d", "udpctl bootstrap ann@db1"),
        ("udpctl exec we", "udpctl exec web"),
        (
            "udpctl exec db1:7001 -- cat config/udpctl/kn",
            "udpctl exec db1:7001 -- cat config/udpctl/known_agents",
        ),
    ] {
        terminal.tmux(&["send-keys", "-l", typed]);
        terminal.keys(&["Tab"]);
        terminal.shows(&format!("here> {shown}"));
        terminal.keys(&["C-u"]);
    }
    assert!(!terminal.screen().contains("rror"));
}

#[test]
#[ignore = "needs tmux and zsh"]
fn a_real_zsh_completes_at_tab() {
    if !is_installed("zsh") {
        return;
    }
    let terminal = Terminal::of(user());
    terminal.line("exec zsh -f");
    terminal
        .line("PS1='here> '; autoload -U compinit; compinit -u; source <(udpctl completions zsh)");
    terminal.line("clear");
    terminal.shows("here>");
    for (typed, shown) in [
        ("udpctl exec db1:", "udpctl exec db1:7001"),
        ("udpctl exec @", "udpctl exec @west"),
        ("udpctl trust \"[", "udpctl trust \"[::1]:7002\""),
        ("udpctl explain los", "udpctl explain lost"),
        ("udpctl cp conf", "udpctl cp config/"),
        ("udpctl cp x ann@d", "udpctl cp x ann@db1:7001:"),
        ("udpctl bootstrap ann@d", "udpctl bootstrap ann@db1"),
    ] {
        terminal.tmux(&["send-keys", "-l", typed]);
        terminal.keys(&["Tab"]);
        terminal.shows(&format!("here> {shown}"));
        terminal.keys(&["C-u"]);
    }
}

#[test]
#[ignore = "needs fish"]
fn a_real_fish_completes() {
    if !is_installed("fish") {
        return;
    }
    let user = user();
    for (line, candidates) in [
        ("udpctl exec db1:", "db1:7001\n"),
        ("udpctl exec @", "@west\n"),
        ("udpctl trust \\[", "[::1]:7002\n"),
        ("udpctl cp db", "db1:7001:\n"),
        ("udpctl cp x ann@d", "ann@db1:7001:\n"),
        ("udpctl cp conf", "config/\n"),
        ("udpctl bootstrap ann@d", "ann@db1\n"),
        (
            "udpctl ex",
            "exec\tRun a command on one or more hosts\nexplain\tExplain an exit status or the name of an outcome\n",
        ),
        (
            "udpctl exec web1 -- cat config/udpctl/know",
            "config/udpctl/known_agents\n",
        ),
    ] {
        let mut fish = with_programs(user.command("fish"));
        let script = "udpctl completions fish | source; complete --do-complete $argv[1]";
        fish.args(["--no-config", "-c", script, line]);
        Test::new(fish).stdout(candidates).run();
    }
}

/// True if a shell is installed; says so if not.
fn is_installed(shell: &str) -> bool {
    let found = fs::exists(format!("/usr/bin/{shell}")).unwrap();
    if !found {
        eprintln!("SKIPPED: {shell} is not installed");
    }
    found
}
