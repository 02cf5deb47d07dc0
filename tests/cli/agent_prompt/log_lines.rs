//! Lines of the log on the terminal of the agent's prompt, while a line of several rows is typed.

use crate::harness::{Terminal, port_to_keep};

#[test]
#[ignore = "needs tmux"]
fn a_line_of_the_log_stays_above_a_line_of_several_rows() {
    let here = Terminal::new();
    let target = format!("127.0.0.1:{}", port_to_keep());
    here.line(&format!("clear; udpagent -v --name hall --bind {target}"));
    here.is("the prompt", |screen| {
        screen.trim_end().lines().last() == Some(">") && screen.contains(" sandbox: ")
    });
    let draft: String = ('a'..='z').cycle().take(200).collect();
    let rows = format!("> {}\n{}\n{}", &draft[..78], &draft[78..158], &draft[158..]);
    for key in ["C-e", "C-a"] {
        here.line("/who");
        here.is("its answer", |screen| {
            let mut rows = screen.trim_end().lines().rev();
            let is_answer = |row: &str| row.starts_with("* you are hall");
            rows.next() == Some(">") && rows.next().is_some_and(is_answer)
        });
        here.tmux(&["send-keys", "-l", &draft]);
        here.is("the line", |screen| screen.trim_end().ends_with(&rows));
        here.keys(&[key]);
        let ping = here.user.udpctl(["ping", &target]).outcome();
        assert_eq!(ping.status, 0, "{}", ping.stderr);
        here.is("the log above the line", |screen| {
            let since = screen.rsplit("* you are hall").next().unwrap();
            since.contains("session ") && screen.trim_end().ends_with(&rows)
        });
        here.keys(&["C-e", "C-u"]);
    }
    here.line("quit");
    here.prompt();
}
