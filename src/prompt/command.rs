//! Input of a person in a chat: commands, and the lines that are none.
//!
//! Not their effects. Invariant: the list of `/help`, completion and the parser use the same table.

use serde::{Deserialize, Serialize};

/// Command of a person in a chat.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Command {
    /// List the members.
    Who,
    /// Say what the user does; empty if nothing follows.
    Me(String),
    /// Send a private message; the name or the text is empty if it is missing.
    Msg {
        /// Name of the receiver.
        to: String,
        /// The message.
        text: String,
    },
    /// Run a command line on the agent.
    Exec(String),
    /// Cancel the command that runs.
    Cancel,
    /// List the commands.
    Help,
}

/// Input of the user.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Typed {
    /// Line to send. A piped one may be longer than a message.
    Line(String),
    /// Command.
    Command(Command),
    /// Command that does not exist, or that takes no arguments and has some.
    Unknown(String),
    /// `quit`, or the end of input at the prompt.
    Leave,
    /// End of piped input.
    End,
    /// Ctrl-C at the prompt, where the line editor takes the signal.
    Interrupted,
    /// Ctrl-C at a prompt that was not empty, whose line is discarded.
    Discarded,
    /// Ctrl-C or Ctrl-D in the place of an answer to the question about lines that arrived at once.
    Refused,
    /// The input cannot be read.
    Failed(String),
}

impl Typed {
    /// Returns true for a line, and false for a key or the end of input.
    #[must_use]
    pub const fn is_line(&self) -> bool {
        match self {
            Self::Line(_) | Self::Command(_) | Self::Unknown(_) | Self::Leave => true,
            Self::End | Self::Interrupted | Self::Discarded | Self::Refused | Self::Failed(_) => {
                false
            }
        }
    }

    /// Returns the number of bytes of its text.
    #[must_use]
    pub const fn size(&self) -> usize {
        match self {
            Self::Line(text)
            | Self::Unknown(text)
            | Self::Failed(text)
            | Self::Command(Command::Me(text) | Command::Exec(text)) => text.len(),
            Self::Command(Command::Msg { to, text }) => to.len() + text.len(),
            Self::Command(Command::Who | Command::Cancel | Command::Help)
            | Self::Leave
            | Self::End
            | Self::Interrupted
            | Self::Discarded
            | Self::Refused => 0,
        }
    }

    /// Returns it with `change` applied to its text.
    #[must_use]
    pub fn map_text(self, change: impl Fn(&str) -> String) -> Self {
        match self {
            Self::Line(text) => Self::Line(change(&text)),
            Self::Unknown(text) => Self::Unknown(change(&text)),
            Self::Failed(text) => Self::Failed(change(&text)),
            Self::Command(Command::Me(text)) => Self::Command(Command::Me(change(&text))),
            Self::Command(Command::Exec(text)) => Self::Command(Command::Exec(change(&text))),
            Self::Command(Command::Msg { to, text }) => Self::Command(Command::Msg {
                to: change(&to),
                text: change(&text),
            }),
            Self::Command(Command::Who | Command::Cancel | Command::Help)
            | Self::Leave
            | Self::End
            | Self::Interrupted
            | Self::Discarded
            | Self::Refused => self,
        }
    }
}

/// Commands with their descriptions, in the order of `/help`.
const COMMANDS: &[(&str, &str)] = &[
    ("/who", "list the members"),
    ("/me TEXT", "say what you do, as in /me waves"),
    ("/msg NAME TEXT", "send a message to NAME only"),
    (
        "/exec ARGV",
        "run a command on the agent; only you see its output",
    ),
    ("/cancel", "cancel the command of /exec"),
    ("/help", "list the commands"),
    ("/quit", "quit, as Ctrl-D does"),
];

/// Parses a line. `None` if it is blank.
pub fn parse(line: &str) -> Option<Typed> {
    let trimmed = line.trim();
    let (word, rest) = trimmed
        .split_once(char::is_whitespace)
        .unwrap_or((trimmed, ""));
    let command = match word {
        "/exec" => Some(Command::Exec(rest.to_owned())),
        "/me" => Some(Command::Me(rest.trim_start().to_owned())),
        "/msg" => {
            let rest = rest.trim_start();
            let (to, text) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            Some(Command::Msg {
                to: to.to_owned(),
                text: text.trim_start().to_owned(),
            })
        }
        _ => None,
    };
    if let Some(command) = command {
        return Some(Typed::Command(command));
    }
    Some(match trimmed {
        "" => return None,
        "quit" | "/quit" => Typed::Leave,
        "/who" => Typed::Command(Command::Who),
        "/cancel" => Typed::Command(Command::Cancel),
        "/help" => Typed::Command(Command::Help),
        escaped if escaped.starts_with("//") => Typed::Line(line.replacen("//", "/", 1)),
        command if command.starts_with('/') => Typed::Unknown(command.to_owned()),
        _ => Typed::Line(line.to_owned()),
    })
}

/// Returns the lines of `/help`.
pub fn help() -> impl Iterator<Item = String> {
    let escape = ("//TEXT", "send /TEXT");
    let keys = ("Ctrl-C", "discard the line; leave if there is none");
    let lines = COMMANDS.iter().copied().chain([escape, keys]);
    lines.map(|(usage, description)| format!("{usage:<14} {description}"))
}

/// Returns the names of the commands that begin with `prefix`.
pub fn names(prefix: &str) -> impl Iterator<Item = &'static str> {
    let names = COMMANDS
        .iter()
        .filter_map(|(usage, _)| usage.split(' ').next());
    names.filter(move |name| name.starts_with(prefix))
}

/// Returns the hint to an unknown command.
pub fn hint(command: &str) -> String {
    let word = command.split_whitespace().next().unwrap_or(command);
    if names(word).any(|name| name == word) {
        return format!("{word} takes nothing behind it; /help lists the commands");
    }
    // The command that shares the most leading characters, two of them at least: the slash and a letter.
    let shared = |name: &&str| {
        let pairs = name.chars().zip(word.chars());
        pairs.take_while(|(a, b)| a == b).count()
    };
    let is_path = word.rfind('/') > Some(0);
    let nearest = names("").max_by_key(shared);
    match nearest.filter(|name| !is_path && shared(name) > 1) {
        Some(name) => format!("did you mean {name}? /help lists the commands"),
        None => {
            "/help lists the commands, and a line that begins with // is sent with one /".into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_begins_a_command_unless_it_is_doubled() {
        let line = |text: &str| Some(Typed::Line(text.into()));
        assert_eq!(parse("  "), None);
        assert_eq!(parse(" quit "), Some(Typed::Leave));
        assert_eq!(parse("/quit"), Some(Typed::Leave));
        assert_eq!(parse("quit it"), line("quit it"));
        assert_eq!(parse("//etc is a path"), line("/etc is a path"));
        assert_eq!(parse("/who "), Some(Typed::Command(Command::Who)));
        let unknown = |text: &str| Some(Typed::Unknown(text.into()));
        let exec = |text: &str| Some(Typed::Command(Command::Exec(text.into())));
        assert_eq!(parse("/exec  ls 'a  b' "), exec(" ls 'a  b'"));
        assert_eq!(parse("/exec"), exec(""));
        let me = |text: &str| Some(Typed::Command(Command::Me(text.into())));
        assert_eq!(parse("/me  waves  twice "), me("waves  twice"));
        assert_eq!(parse("/me"), me(""));
        assert_eq!(parse("/men"), unknown("/men"));
        let msg = |to: &str, text: &str| {
            let (to, text) = (to.into(), text.into());
            Some(Typed::Command(Command::Msg { to, text }))
        };
        assert_eq!(
            parse("/msg  ännchen(ann)#2  so  what "),
            msg("ännchen(ann)#2", "so  what")
        );
        assert_eq!(parse("/msg ann"), msg("ann", ""));
        assert_eq!(parse("/msg "), msg("", ""));
        assert_eq!(parse("/msg\u{3000}ann\thi"), msg("ann", "hi"));
        assert_eq!(parse("/who me"), unknown("/who me"));
        assert_eq!(parse("/hlep"), unknown("/hlep"));
    }

    #[test]
    fn every_command_of_the_list_is_parsed() {
        for name in names("") {
            assert!(
                !matches!(parse(name), Some(Typed::Line(_) | Typed::Unknown(_)) | None),
                "{name}"
            );
        }
        assert_eq!(help().count(), COMMANDS.len() + 2);
    }

    #[test]
    fn a_hint_names_the_command_that_was_meant() {
        assert_eq!(
            hint("/hlep me"),
            "did you mean /help? /help lists the commands"
        );
        assert_eq!(
            hint("/who me"),
            "/who takes nothing behind it; /help lists the commands"
        );
        assert!(hint("/etc/passwd").contains("begins with //"));
    }
}
