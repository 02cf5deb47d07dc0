//! Commands of all kinds at the same time, while something happens to the agent.

use std::path::Path;

use super::User;

/// Bytes of a file that commands write or read.
const BYTES: usize = 2_000_000;

/// Returns a script that waits for a file between two lines, and then exits.
pub fn waiting(go: &Path, exit: u8) -> String {
    format!(
        "echo begun; while [ ! -e {} ]; do sleep 0.05; done; echo done; exit {exit}",
        go.display()
    )
}

fn data() -> Vec<u8> {
    let byte = |index: usize| u8::try_from(index * 7 % 251).unwrap();
    (0..BYTES).map(byte).collect()
}

/// Runs commands that write, read and use terminals, disturbs them meanwhile, and checks that each has run once and
/// that its result is true to the last byte.
pub fn disturbed_commands(user: &User, target: &str, disturb: impl FnOnce()) {
    let data = data();
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
            scope.spawn(move || {
                let mut words = vec!["exec".to_owned()];
                words.extend(args);
                let at = words.iter().position(|word| word == "sh").unwrap() - 1;
                words.insert(at, target.to_owned());
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
        disturb();
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
