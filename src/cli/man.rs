//! Manual pages: options from the clap definitions, outcomes from their table, the rest by hand.
//!
//! The pages are checked in under `man/`, and a test compares. `UDPAGENT_BLESS=1 cargo test man` writes
//! them anew.

use std::fmt::Write as _;

use clap::{Command, CommandFactory as _};
use clap_mangen::Man;

use crate::message::{outcome, status};

/// udpctl(1).
#[must_use]
pub fn udpctl() -> String {
    let mut command = super::ctl::Ctl::command();
    command.build();
    let mut page = head(
        "UDPCTL",
        "1",
        "udpctl \\- run commands on other machines over UDP",
    );
    page.push_str(".SH SYNOPSIS\n");
    let lines: Vec<String> = subcommands(&command).map(synopsis).collect();
    page.push_str(&lines.join(".br\n"));
    page.push_str(include_str!("man/udpctl-description.roff"));
    page.push_str(".SH COMMANDS\n");
    for subcommand in subcommands(&command) {
        section(subcommand, &mut page);
    }
    page.push_str(".SH OUTCOMES\n");
    page.push_str(include_str!("man/udpctl-outcomes.roff"));
    for row in outcome::ALL.map(outcome::Outcome::row) {
        let _ = write!(
            page,
            ".TP\n\\fB{}\\fR (exit status: {})\n{}\n",
            escape(row.name),
            escape(row.status),
            escape(&row.explanation())
        );
    }
    page.push_str(".SH \"EXIT STATUS\"\n");
    page.push_str(include_str!("man/udpctl-status.roff"));
    statuses(status::Scope::One, &mut page);
    page.push_str(".PP\nWith several targets, the gravest of these:\n");
    statuses(status::Scope::Several, &mut page);
    page.push_str(include_str!("man/udpctl-rest.roff"));
    wrap(&page)
}

/// udpagent(8).
#[must_use]
pub fn udpagent() -> String {
    let mut command = super::agent::AgentLine::command();
    command.build();
    let mut page = head(
        "UDPAGENT",
        "8",
        "udpagent \\- run commands and host a chat for authorised controllers",
    );
    page.push_str(".SH SYNOPSIS\n");
    let mut lines = vec!["udpagent [OPTIONS]\n".to_owned()];
    lines.extend(subcommands(&command).map(synopsis));
    page.push_str(&lines.join(".br\n"));
    page.push_str(include_str!("man/udpagent-description.roff"));
    page.push_str(".SH OPTIONS\n");
    page.push_str(&options(&command));
    page.push_str(".SH COMMANDS\n");
    for subcommand in subcommands(&command) {
        section(subcommand, &mut page);
    }
    page.push_str(include_str!("man/udpagent-rest.roff"));
    wrap(&page)
}

/// A paragraph for each status that is not an outcome's.
fn statuses(scope: status::Scope, page: &mut String) {
    for status in status::STATUSES {
        if status.scope == scope {
            let number = status.number;
            let _ = write!(page, ".TP\n{number}\n{}\n", escape(status.meaning));
        }
    }
}

/// A command's heading, purpose and options.
fn section(command: &Command, page: &mut String) {
    let _ = writeln!(page, ".SS {}", display_name(command));
    if let Some(about) = command.get_about() {
        let _ = writeln!(page, "{}.", escape(&about.to_string()));
    }
    page.push_str(&options(command));
}

/// The format wants one: that of the version, as the pages change with it.
const DATE: &str = "2026-01-01";

fn head(title: &str, section: &str, name: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(".TH {title} {section} {DATE} \"udpagent {version}\" \"udpagent\"\n.SH NAME\n{name}\n")
}

fn subcommands(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|sub| !sub.is_hide_set())
}

fn display_name(command: &Command) -> String {
    command
        .get_bin_name()
        .unwrap_or(command.get_name())
        .to_owned()
}

/// `udpctl exec [OPTIONS] [TARGET]... [-- <ARGV>...]`, as `--help` has it.
fn synopsis(command: &Command) -> String {
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").replace('\n', " ");
    format!("{}\n", escape(&usage))
}

/// The options of a command, as paragraphs.
fn options(command: &Command) -> String {
    let mut rendered = Vec::new();
    Man::new(command.clone())
        .render_options_section(&mut rendered)
        .expect("a vector takes everything");
    String::from_utf8(rendered)
        .expect("clap's texts are UTF-8")
        .lines()
        // Definitions for the page, breaks, and a heading that stands above already.
        .filter(|line| {
            !line.is_empty()
                && [".SH", ".ie", ".el", ".br"]
                    .iter()
                    .all(|macro_| !line.starts_with(macro_))
        })
        .map(|line| match line {
            "\\fIPossible values:\\fR" => ".IP\nPossible values:\n".to_owned(),
            line => line.replace(r"\*(Aq", r"\(aq") + "\n",
        })
        .collect()
}

/// Folds text lines; longer ones are bad style to roff.
fn wrap(page: &str) -> String {
    let mut wrapped = String::new();
    for line in page.lines() {
        if line.starts_with('.') || line.len() <= LINE {
            wrapped += line;
        } else {
            let mut length = 0;
            for word in line.split(' ') {
                let control = word.starts_with(['.', '\'']);
                if length > 0 && !control && length + 1 + word.len() > LINE {
                    wrapped.push('\n');
                    length = 0;
                } else if length > 0 {
                    wrapped.push(' ');
                    length += 1;
                }
                wrapped += word;
                length += word.len();
            }
        }
        wrapped.push('\n');
    }
    wrapped
}

/// As long as mandoc likes a line of input.
const LINE: usize = 79;

/// Text as roff takes it literally.
fn escape(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) {
        format!("\\&{text}")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    fn check(file: &str, page: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("man").join(file);
        if std::env::var_os("UDPAGENT_BLESS").is_some() {
            std::fs::write(&path, page).unwrap();
        }
        let checked_in = std::fs::read_to_string(&path).unwrap_or_default();
        let differs = std::iter::zip(page.lines(), checked_in.lines())
            .enumerate()
            .find(|(_, (new, old))| new != old);
        if let Some((index, (new, old))) = differs {
            panic!(
                "man/{file}:{}: is\n  {old}\nand should be\n  {new}\nUDPAGENT_BLESS=1 writes it anew",
                index + 1
            );
        }
        assert_eq!(page, checked_in, "UDPAGENT_BLESS=1 writes it anew");
    }

    #[test]
    fn udpctl_is_checked_in() {
        check("udpctl.1", &super::udpctl());
    }

    #[test]
    fn udpagent_is_checked_in() {
        check("udpagent.8", &super::udpagent());
    }
}
