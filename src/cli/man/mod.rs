//! Manual pages: options and examples from the clap definitions, outcomes and statuses from their tables, the
//! rest from the `.roff` files beside this one.
//!
//! The pages are checked in under `man/`, and a test compares them with what is generated here.
//! `UDPAGENT_BLESS=1 cargo test --lib cli::man` updates them.

use std::fmt::Write as _;

use clap::{Command, CommandFactory as _};
use clap_mangen::Man;

use crate::message::{outcome, status};

/// Returns udpctl(1).
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
    page.push_str(include_str!("udpctl-description.roff"));
    commands(&command, &mut page);
    page.push_str(".SH OUTCOMES\n");
    page.push_str(include_str!("udpctl-outcomes.roff"));
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
    page.push_str(include_str!("udpctl-status.roff"));
    statuses(status::Scope::One, &mut page);
    page.push_str(".PP\nWith several targets, the most severe of these:\n");
    statuses(status::Scope::Several, &mut page);
    page.push_str(include_str!("udpctl-rest.roff"));
    wrap(&page)
}

/// Returns udpagent(8).
#[must_use]
pub fn udpagent() -> String {
    let mut command = super::agent::AgentLine::command();
    command.build();
    let mut page = head(
        "UDPAGENT",
        "8",
        "udpagent \\- run commands for authorised controllers over UDP and host a chat",
    );
    page.push_str(".SH SYNOPSIS\n");
    let mut lines = vec!["udpagent [OPTIONS]\n".to_owned()];
    lines.extend(subcommands(&command).map(synopsis));
    page.push_str(&lines.join(".br\n"));
    page.push_str(include_str!("udpagent-description.roff"));
    page.push_str(".SH OPTIONS\n");
    page.push_str(&options(&command));
    commands(&command, &mut page);
    page.push_str(include_str!("udpagent-files.roff"));
    page.push_str(include_str!("udpagent-operation.roff"));
    page.push_str(".SH \"EXIT STATUS\"\n");
    statuses(status::Scope::Agent, &mut page);
    page.push_str(include_str!("udpagent-rest.roff"));
    wrap(&page)
}

/// Appends a paragraph for each status that is not an outcome's.
fn statuses(scope: status::Scope, page: &mut String) {
    for status in status::STATUSES {
        if status.scope == scope {
            let number = status.number;
            let _ = write!(page, ".TP\n{number}\n{}\n", escape(status.meaning));
        }
    }
}

/// Appends a section for each subcommand.
fn commands(command: &Command, page: &mut String) {
    page.push_str(".SH COMMANDS\nEvery command prints its options with\n.BR \\-h .\n");
    for subcommand in subcommands(command) {
        section(subcommand, page);
    }
}

/// Appends a command's heading, purpose, options and examples.
fn section(command: &Command, page: &mut String) {
    let _ = writeln!(page, ".SS {}", display_name(command));
    if let Some(about) = command.get_about() {
        let _ = writeln!(page, "{}.", escape(&about.to_string()));
    }
    let command = command.clone().mut_arg("help", |help| help.hide(true));
    page.push_str(&options(&command));
    examples(&command, page);
}

/// Appends the examples that end a command's help.
fn examples(command: &Command, page: &mut String) {
    let Some(text) = command.get_after_help() else {
        return;
    };
    page.push_str(".PP\nExamples:\n.PP\n.RS 4\n.nf\n");
    for line in text.to_string().lines().skip(1) {
        let line = escape(line.trim_start()).replace('\'', "\\(aq");
        let _ = writeln!(page, "{}", line.replace('~', "\\(ti"));
    }
    page.push_str(".fi\n.RE\n");
}

/// Returns the head of a page and its NAME section. It names the version, and no date: that of a page would be the date of
/// the last change to any of its sources.
fn head(title: &str, section: &str, name: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(".TH {title} {section} \"\" \"udpagent {version}\" \"udpagent\"\n.SH NAME\n{name}\n")
}

fn subcommands(command: &Command) -> impl Iterator<Item = &Command> {
    let is_listed = |sub: &&Command| !sub.is_hide_set() && sub.get_name() != "help";
    command.get_subcommands().filter(is_listed)
}

fn display_name(command: &Command) -> String {
    command
        .get_bin_name()
        .unwrap_or(command.get_name())
        .to_owned()
}

/// Returns the usage line of `--help`: `udpctl exec [OPTIONS] [TARGET]... [-- <ARGV>...]`.
fn synopsis(command: &Command) -> String {
    let usage = command.clone().render_usage().to_string();
    let words: Vec<&str> = usage
        .trim_start_matches("Usage: ")
        .split_whitespace()
        .collect();
    format!("{}\n", escape(&words.join(" ")))
}

/// Returns the options of a command, as paragraphs.
fn options(command: &Command) -> String {
    let mut rendered = Vec::new();
    Man::new(command.clone())
        .render_options_section(&mut rendered)
        .expect("a vector takes everything");
    String::from_utf8(rendered)
        .expect("clap's texts are UTF-8")
        .lines()
        // Without the macros for whole pages, breaks, and the heading, which the page has already.
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

/// Folds text lines that mandoc finds too long, except those that are printed as they are.
fn wrap(page: &str) -> String {
    let mut wrapped = String::new();
    let mut is_literal = false;
    for line in page.lines() {
        is_literal = line == ".nf" || is_literal && line != ".fi";
        if is_literal || line.starts_with('.') || line.len() <= LINE {
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

/// Longest line of input that mandoc accepts without a warning.
const LINE: usize = 79;

/// Escapes text so that roff prints it literally.
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
                "man/{file}:{}: is\n  {old}\nand should be\n  {new}\nUDPAGENT_BLESS=1 updates it",
                index + 1
            );
        }
        assert_eq!(page, checked_in, "UDPAGENT_BLESS=1 updates it");
    }

    #[test]
    fn the_man_page_of_udpctl_is_up_to_date() {
        check("udpctl.1", &super::udpctl());
    }

    #[test]
    fn the_man_page_of_udpagent_is_up_to_date() {
        check("udpagent.8", &super::udpagent());
    }
}
