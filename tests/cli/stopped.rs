//! Prompts of both programs that are stopped from outside, and brought back by the shell.

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::harness::{Terminal, eventually, helper, port_to_keep};

/// Shells that restore the mode of the terminal for themselves, and that leave it as it is; the key that ends a line in each.
const SHELLS: [(&str, &str); 2] = [("bash --norc", "Enter"), ("sh", "C-j")];

/// Lets the terminal be a shell of another name, and returns its process id.
fn becomes(here: &Terminal, name: &str) -> Pid {
    let shell = here.tmux(&["display-message", "-p", "#{pane_pid}"]);
    let shell = Pid::from_raw(shell.trim().parse().unwrap()).unwrap();
    here.line(&format!("exec {name}"));
    let comm = format!("/proc/{}/comm", shell.as_raw_pid());
    eventually("the shell", || {
        name.split(' ').next() == Some(std::fs::read_to_string(&comm).unwrap().trim())
    });
    here.prompt();
    shell
}

/// Waits until a process is not stopped.
fn runs(process: Pid) {
    let stat = format!("/proc/{}/stat", process.as_raw_pid());
    eventually("it runs", || {
        !std::fs::read_to_string(&stat).unwrap().contains(") T ")
    });
}

/// Runs udpctl beside the terminal, and returns its output.
fn udpctl(here: &Terminal, args: &[&str]) -> String {
    let output = here.user.command("udpctl").args(args).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// True if a prompt is on the screen.
fn has_prompt(screen: &str) -> bool {
    screen.lines().any(|line| line.starts_with('>'))
}

/// Starts a program with a prompt in a shell, stops its process group, lets it go on in the background, where it
/// shows a message, and waits until the line that is being typed is shown again in the foreground.
fn goes_on_in_the_background(here: &Terminal, program: &str, command: &str, target: &str) {
    for (name, enter) in SHELLS {
        let shell = becomes(here, name);
        here.line(&format!("clear; {command}"));
        here.at(">");
        here.tmux(&["send-keys", "-l", "half"]);
        here.at("> half");
        let process = helper(shell, program).unwrap();
        kill_process_group(process, Signal::STOP).unwrap();
        here.prompt();
        here.tmux(&["send-keys", "-l", "bg; stty sane tostop; clear"]);
        here.keys(&[enter]);
        here.is("a clear screen", |screen| {
            screen.trim_end().lines().collect::<Vec<_>>() == ["here>"]
        });
        runs(process);
        udpctl(here, &["send", target, "--", "hello there"]);
        here.is("the message", |screen| {
            screen.contains("owner: hello there")
        });
        assert_eq!(
            udpctl(here, &["exec", target, "--", "echo", "served"]),
            "served\n"
        );
        here.line("jobs");
        here.is("the job", |screen| screen.contains("Running"));
        assert!(!has_prompt(&here.screen()), "{}", here.screen());
        here.line("clear; stty -tostop; fg");
        here.at("> half");
        here.tmux(&["send-keys", "-l", " done"]);
        here.at("> half done");
        here.keys(&["Enter"]);
        here.at(">");
        here.keys(&["C-d"]);
        here.prompt();
        is_canonical(here);
    }
}

#[test]
#[ignore = "needs tmux"]
fn an_agent_that_was_stopped_serves_in_the_background_without_a_prompt() {
    let here = Terminal::new();
    let target = format!("127.0.0.1:{}", port_to_keep());
    let command = format!("udpagent --name hall --bind {target} 2>log");
    goes_on_in_the_background(&here, "udpagent", &command, &target);
}

#[test]
#[ignore = "needs tmux"]
fn a_chat_that_was_stopped_goes_on_in_the_background_without_a_prompt() {
    let here = Terminal::new();
    let mut agent = here.user.agent();
    let target = agent.target().clone();
    let command = format!("udpctl chat {target} --name ann --no-time");
    goes_on_in_the_background(&here, "udpctl", &command, &target);
    for _ in SHELLS {
        agent
            .child
            .stdout_line(|line| line == "ann(owner): half done");
    }
}

#[test]
#[ignore = "needs tmux"]
fn programs_that_are_started_in_the_background_show_their_prompts_in_the_foreground() {
    let here = Terminal::new();
    let target = format!("127.0.0.1:{}", port_to_keep());
    becomes(&here, "bash --norc");
    here.line(&format!("udpagent --name hall --bind {target} 2>log &"));
    eventually("it listens", || {
        std::fs::read_to_string(here.user.path("log")).is_ok_and(|log| log.contains("listens on"))
    });
    assert_eq!(
        udpctl(&here, &["exec", &target, "--", "echo", "served"]),
        "served\n"
    );
    here.line(&format!("udpctl chat {target} --name ann --no-time 2>&1 &"));
    here.is("the member", |screen| screen.contains("* ann(owner) came"));
    here.line("echo a shell");
    here.shows("a shell");
    assert!(!has_prompt(&here.screen()), "{}", here.screen());
    here.line("clear; fg %2");
    here.at(">");
    here.line("/who");
    here.is("the members", |screen| {
        screen.contains("* you are ann(owner); also here: hall")
    });
    here.keys(&["C-d"]);
    here.prompt();
    here.line("clear; fg %1");
    here.at(">");
    here.line("/who");
    here.is("the members", |screen| screen.contains("* you are hall"));
    here.keys(&["C-d"]);
    here.prompt();
    is_canonical(&here);
}

#[test]
#[ignore = "needs tmux"]
fn an_agent_that_is_reloaded_in_the_background_shows_its_prompt_in_the_foreground() {
    let here = Terminal::new();
    let target = format!("127.0.0.1:{}", port_to_keep());
    let shell = becomes(&here, "bash --norc");
    here.line(&format!("udpagent --name hall --bind {target} 2>log"));
    here.at(">");
    let process = helper(shell, "udpagent").unwrap();
    kill_process_group(process, Signal::STOP).unwrap();
    here.prompt();
    here.line("bg; clear");
    runs(process);
    let reload = here
        .user
        .command("udpagent")
        .arg("reload")
        .output()
        .unwrap();
    assert!(reload.status.success(), "{reload:?}");
    assert_eq!(
        udpctl(&here, &["exec", &target, "--", "echo", "served"]),
        "served\n"
    );
    assert!(!has_prompt(&here.screen()), "{}", here.screen());
    here.line("clear; fg");
    here.at(">");
    here.line("/who");
    here.is("the members", |screen| screen.contains("* you are hall"));
    here.keys(&["C-d"]);
    here.prompt();
    is_canonical(&here);
}

/// Checks that the shell has the terminal in its mode.
fn is_canonical(here: &Terminal) {
    here.line("echo \"mode: $(stty -a | grep -c -- ' icanon')\"");
    here.shows("mode: 1");
}

/// Starts a program with a prompt in a shell, stops it from outside, continues it from there or only by `fg`, and waits until
/// the line that is being typed is shown again without a key.
fn comes_back(here: &Terminal, program: &str, command: &str) {
    for (name, enter) in SHELLS {
        let shell = becomes(here, name);
        here.line(&format!("clear; {command}"));
        here.at(">");
        here.tmux(&["send-keys", "-l", "half"]);
        here.at("> half");
        for is_continued in [false, true] {
            let process = helper(shell, program).unwrap();
            kill_process(process, Signal::STOP).unwrap();
            here.prompt();
            if is_continued {
                kill_process(process, Signal::CONT).unwrap();
                runs(process);
            }
            here.keys(&["f", "g", enter]);
            here.at("> half");
        }
        here.tmux(&["send-keys", "-l", " done"]);
        here.at("> half done");
        here.keys(&["Enter"]);
        here.at(">");
        here.keys(&["C-d"]);
        here.prompt();
    }
}

#[test]
#[ignore = "needs tmux"]
fn an_agent_that_was_stopped_from_outside_draws_its_prompt_again() {
    let here = Terminal::new();
    let target = format!("127.0.0.1:{}", port_to_keep());
    let command = format!("udpagent --name hall --bind {target} 2>log");
    comes_back(&here, "udpagent", &command);
}

#[test]
#[ignore = "needs tmux"]
fn a_chat_that_was_stopped_from_outside_draws_its_prompt_again() {
    let here = Terminal::new();
    let agent = here.user.agent();
    let command = format!("udpctl chat {} --no-time", agent.target());
    comes_back(&here, "udpctl", &command);
}
