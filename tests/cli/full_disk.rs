//! Prompts of both programs whose file of typed lines is on a full disk.

use std::os::unix::fs::symlink;

use crate::harness::{Terminal, eventually, port_to_keep};

/// Puts a file without room in the place of a file of the user.
fn fill(here: &Terminal, file: &str) {
    let file = here.user.path(file);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    symlink("/dev/full", file).unwrap();
}

#[test]
#[ignore = "needs tmux"]
fn a_chat_on_a_full_disk_says_once_that_typed_lines_are_not_kept() {
    let here = Terminal::new();
    let mut agent = here.user.agent();
    fill(&here, "state/udpctl/chat_history");
    here.line(&format!(
        "clear; udpctl chat {} --no-time --name ann",
        agent.target()
    ));
    here.at(">");
    for line in ["one", "two"] {
        here.line(line);
        let said = format!("ann(owner): {line}");
        agent.child.stdout_line(|line| *line == said);
    }
    here.at(">");
    let screen = here.screen();
    let note = "* what you type is not kept for the next chat: ";
    assert_eq!(screen.matches(note).count(), 1, "{screen}");
    here.keys(&["C-d"]);
    here.prompt();
}

#[test]
#[ignore = "needs tmux"]
fn an_agent_on_a_full_disk_logs_that_typed_lines_are_not_kept() {
    let here = Terminal::new();
    let target = format!("127.0.0.1:{}", port_to_keep());
    fill(&here, "state/udpagent/prompt_history");
    here.line(&format!(
        "clear; udpagent --name hall --bind {target} 2>log"
    ));
    here.at(">");
    here.line("one");
    here.line("quit");
    here.prompt();
    let log = here.user.path("log");
    let warning = "; lines typed at the prompt may not survive a restart";
    eventually("the warning", || {
        let log = std::fs::read_to_string(&log).unwrap();
        log.contains("prompt_history: No space left on device") && log.contains(warning)
    });
}
