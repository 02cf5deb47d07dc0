//! Prompts of both programs that are stopped from outside, and brought back by the shell.

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Terminal, eventually, helper, port_to_keep};

/// Shells that restore the mode of the terminal for themselves, and that leave it as it is; the key that ends a line in each.
const SHELLS: [(&str, &str); 2] = [("bash --norc", "Enter"), ("sh", "C-j")];

/// Starts a program with a prompt in a shell, stops it from outside, continues it from there or only by `fg`, and waits until
/// the line that is being typed is shown again without a key.
fn comes_back(here: &Terminal, program: &str, command: &str) {
    let shell = here.tmux(&["display-message", "-p", "#{pane_pid}"]);
    let shell = Pid::from_raw(shell.trim().parse().unwrap()).unwrap();
    for (name, enter) in SHELLS {
        here.line(&format!("exec {name}"));
        let comm = format!("/proc/{}/comm", shell.as_raw_pid());
        eventually("the shell", || {
            name.split(' ').next() == Some(std::fs::read_to_string(&comm).unwrap().trim())
        });
        here.prompt();
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
                let stat = format!("/proc/{}/stat", process.as_raw_pid());
                eventually("it runs", || {
                    !std::fs::read_to_string(&stat).unwrap().contains(") T ")
                });
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
