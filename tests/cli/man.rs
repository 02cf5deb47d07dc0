//! `udpctl man`: pages on a pipe, in a directory and on a terminal.

use std::fs;
use std::path::{Path, PathBuf};

use super::harness::{Terminal, Test, User};

const PAGES: [(&str, &str); 4] = [
    ("udpctl", "1"),
    ("udpagent", "8"),
    ("udpagent.toml", "5"),
    ("udpagent-protocol", "7"),
];

fn source(name: &str, section: &str) -> Vec<u8> {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("man");
    fs::read(pages.join(format!("{name}.{section}"))).unwrap()
}

#[test]
fn a_page_is_printed_to_a_pipe() {
    let user = User::new();
    user.udpctl(["man"]).stdout(source("udpctl", "1")).run();
    for (name, section) in PAGES {
        let text = source(name, section);
        user.udpctl(["man", name]).stdout(text.clone()).run();
        user.udpctl(["man", &format!("{name}.{section}")])
            .stdout(text)
            .run();
    }
}

#[test]
fn the_pages_are_listed_with_their_purposes() {
    User::new()
        .udpctl(["man", "--list"])
        .stdout(
            "udpctl(1) - run commands on other machines over UDP\n\
             udpagent(8) - run commands for authorised controllers over UDP and host a chat\n\
             udpagent.toml(5) - configuration of udpagent\n\
             udpagent-protocol(7) - protocol between udpctl and udpagent, version 1\n",
        )
        .run();
}

#[test]
fn the_pages_are_installed_into_a_directory_or_the_users_own() {
    let user = User::new();
    let written = |directory: &PathBuf| {
        let path = |(name, section)| directory.join(format!("man{section}/{name}.{section}"));
        PAGES.map(path)
    };
    let lines = |paths: &[PathBuf]| -> String {
        let lines: Vec<String> = paths
            .iter()
            .map(|path| {
                format!(
                    "{}
",
                    path.display()
                )
            })
            .collect();
        lines.concat()
    };
    let own = user.path(".local/share/man");
    // man(1) looks beside ~/.local/bin if that is in PATH.
    let mut command = user.command("udpctl");
    command
        .args(["man", "--install"])
        .env("PATH", user.path(".local/bin"));
    Test::new(command).stdout(lines(&written(&own))).run();
    for (path, (name, section)) in std::iter::zip(written(&own), PAGES) {
        assert_eq!(
            fs::read(&path).unwrap(),
            source(name, section),
            "{}",
            path.display()
        );
    }
    let other = user.path("pages");
    fs::create_dir(&other).unwrap();
    for _ in 0..2 {
        user.udpctl(["man", "--install", "pages"])
            .stdout(lines(&written(&"pages".into())))
            .stderr(format!(
                "udpctl: man may not look there; to make it: export MANPATH={}:\n",
                other.display()
            ))
            .run();
    }
    let mut folder = fs::read_dir(other.join("man1")).unwrap();
    assert_eq!(folder.next().unwrap().unwrap().file_name(), "udpctl.1");
    assert!(folder.next().is_none());
    fs::write(user.path("file"), "").unwrap();
    user.udpctl(["man", "--install", "file"])
        .stderr("udpctl: file/man1/udpctl.1: Not a directory (os error 20)\n")
        .status(1)
        .run();
}

#[test]
fn what_was_installed_is_removed_and_other_pages_stay() {
    let user = User::new();
    let pages = user.path("pages");
    user.udpctl(["man", "--install", "pages"]).outcome();
    fs::write(pages.join("man1/other.1"), "").unwrap();
    let lines = PAGES.map(|(name, section)| format!("pages/man{section}/{name}.{section}\n"));
    user.udpctl(["man", "--uninstall", "pages"])
        .stdout(lines.concat())
        .run();
    let left = fs::read_dir(&pages).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["man1"]);
    assert!(pages.join("man1/other.1").exists());
    user.udpctl(["man", "--uninstall", "pages"])
        .stderr("udpctl: no page is below pages\n")
        .run();
    // The default is that of --install.
    let own = user.path(".local/share/man/man8/udpagent.8");
    user.udpctl(["man", "--install"]).outcome();
    assert!(own.exists());
    assert_eq!(user.udpctl(["man", "--uninstall"]).outcome().status, 0);
    assert!(!own.exists());
}

#[test]
#[ignore = "needs tmux and man"]
fn a_page_is_shown_on_a_terminal() {
    let terminal = Terminal::new();
    terminal.line("MANPAGER=head udpctl man udpagent.toml");
    terminal.is("the heading", |screen| {
        screen.contains("NAME") && screen.contains("udpagent.toml")
    });
    terminal.prompt();
    let rest = "udpctl man udpagent";
    terminal.line(&format!(
        "clear; u=$(command -v udpctl); PATH=/none $u{}",
        &rest[6..]
    ));
    terminal.is("the advice", |screen| {
        screen
            .replace('\n', " ")
            .contains("man is not installed; \"udpctl man udpagent >udpagent.8\"")
    });
}
