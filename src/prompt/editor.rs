//! Prompt of a chat: the line editor and its history.
//!
//! Not what is shown above it. Invariant: a line is passed on in the order in which it was typed, each once.

use std::env;
use std::io::{self, Write as _};
use std::time::Instant;

use rustix::termios::isatty;
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{ColorMode, CompletionType, Config, Editor, ExternalPrinter};

use super::activity::{Activity, Question};
use super::behind;
use super::command::{self, Typed};
use super::completion::{Members, PromptHelper};
use super::input_relay::Gate;
use super::limits;
use super::line_history::EarlierLines;
use super::paste;
use super::rows::Rows;
use crate::escape;

/// Text before the line in a chat.
pub const PROMPT: &str = "> ";

/// Settings of a prompt.
pub struct PromptOptions {
    /// Text before the line.
    pub prompt: &'static str,
    /// Names that are completed.
    pub members: Members,
    /// Lines typed before.
    pub history: Box<dyn EarlierLines>,
}

/// Values of `TERM` for terminals on which the line editor cannot move the cursor.
const WITHOUT_EDITOR: [&str; 3] = ["dumb", "cons25", "emacs"];

/// Returns true if there is a terminal that the line editor can use.
pub fn is_possible() -> bool {
    let term = env::var_os("TERM").unwrap_or_default();
    let is_simple = |name: &&str| term.eq_ignore_ascii_case(name);
    isatty(io::stdin()) && isatty(io::stdout()) && !WITHOUT_EDITOR.iter().any(is_simple)
}

/// Line editor with its history.
pub struct LineEditor {
    editor: Editor<PromptHelper, MemHistory>,
    history: Box<dyn EarlierLines>,
    prompt: &'static str,
    keys: Gate,
    /// True if the line before was an answer to the question about lines that arrived at once.
    has_answered: bool,
    /// True if the user was told that lines are not kept.
    has_failed: bool,
}

/// Opens a line editor of standard input, to which `keys` lets pass what is typed, and the printer that writes above it.
///
/// # Errors
/// If the terminal cannot be used.
pub fn open_editor(
    options: PromptOptions,
    activity: Activity,
    keys: Gate,
) -> io::Result<(LineEditor, impl ExternalPrinter + Send)> {
    let config = Config::builder()
        // Each line of a pasted text is a message.
        .bracketed_paste(false)
        .completion_type(CompletionType::List)
        // The helper hears of each move of the cursor, and colours nothing.
        .color_mode(ColorMode::Forced)
        .max_history_size(limits::HISTORY_LINES)
        .map_err(to_io)?
        // Until a key follows Esc, the editor handles no signal.
        .keyseq_timeout(Some(limits::KEY_SEQUENCE))
        // Ctrl-C and Ctrl-Z are signals, so that they work while no line is read.
        .enable_signals(true)
        .build();
    let memory = MemHistory::with_config(&config);
    let mut editor = Editor::with_history(config, memory).map_err(to_io)?;
    editor.set_helper(Some(PromptHelper {
        members: options.members,
        activity,
        rows: Rows::default(),
    }));
    for line in options.history.load() {
        editor.add_history_entry(line).map_err(to_io)?;
    }
    let printer = editor.create_external_printer().map_err(to_io)?;
    let editor = LineEditor {
        editor,
        history: options.history,
        prompt: options.prompt,
        keys,
        has_answered: false,
        has_failed: false,
    };
    Ok((editor, printer))
}

/// Reads lines until the end of input, an interruption or an error, or until `send` returns false.
pub fn read_prompt(
    editor: &mut LineEditor,
    activity: &Activity,
    mut send: impl FnMut(Typed) -> bool,
) {
    loop {
        let mut read = editor.read(activity).0.into_iter();
        while let Some(next) = read.next() {
            let last = !matches!(
                next,
                Typed::Line(_)
                    | Typed::Command(_)
                    | Typed::Unknown(_)
                    | Typed::Discarded
                    | Typed::Refused
            );
            if next == Typed::Leave {
                let behind = read.len() + behind::count(&editor.keys.take_behind());
                if let Some(words) = behind::words(behind) {
                    note(&words);
                }
            }
            if !send(next) || last {
                return;
            }
        }
    }
}

impl LineEditor {
    /// Reads the next line, or several that a terminal has passed as one text; none if it is blank, or goes on after a signal.
    /// Waits for the foreground before. Returns also the question that was shown in the place of the prompt.
    pub fn read(&mut self, activity: &Activity) -> (Vec<Typed>, Option<Question>) {
        self.keys.open();
        let (before, behind) = self.initial(activity);
        let shown = activity.begin_editing(&format!("{before}{behind}"));
        activity.set_line(&before, &behind);
        let prompt = shown.map_or(self.prompt, |question| question.text);
        if let Some(helper) = self.editor.helper() {
            helper.rows.begin(prompt);
        }
        let line = self
            .editor
            .readline_with_initial(prompt, (&before, &behind));
        self.keys.close();
        activity.end_editing();
        activity.on_rows();
        let typed = match line {
            Ok(_) if self.keys.take_parked() => {
                activity.set_parked(activity.take_line());
                Vec::new()
            }
            Ok(text) => {
                activity.take_line();
                activity.on_line(&text);
                let may_answer = paste::answer_of(&text).is_some();
                let text = if shown.is_none() && activity.is_paste_asked() && !may_answer {
                    activity.with_parked(Instant::now(), text)
                } else {
                    text
                };
                // An answer is not typed again.
                let is_asked = shown.or_else(|| activity.question()).is_some();
                let is_answer = activity.is_paste_asked() && paste::answer_of(&text).is_some();
                self.has_answered = is_answer;
                if !is_asked && !is_answer {
                    self.remember(&text);
                }
                parse(&text)
            }
            // A signal in place of the key that Ctrl-V takes literally: only the Ctrl-V is dropped.
            Err(ReadlineError::Signal(_)) => Vec::new(),
            Err(ReadlineError::Eof) if shown.is_none() && activity.is_paste_asked() => {
                self.has_answered = true;
                vec![Typed::Refused]
            }
            Err(ReadlineError::Eof) => vec![Typed::Leave],
            // What was typed is for the prompt that takes the place of this one.
            Err(ReadlineError::Interrupted) if self.keys.is_ended() => vec![Typed::Interrupted],
            Err(ReadlineError::Interrupted) => {
                let (before, behind) = activity.take_line();
                let is_question = shown.is_some() || activity.question().is_some();
                if is_question {
                    // The question was opened while the line was typed, which goes on after the answer.
                    if shown.is_none() {
                        activity.set_parked((before, behind));
                        self.keys.put_aside();
                    }
                    return (vec![Typed::Interrupted], shown);
                }
                let keys = self.keys.discard();
                if activity.is_paste_asked() {
                    self.has_answered = true;
                    vec![Typed::Refused, Typed::Discarded]
                } else if before.is_empty() && behind.is_empty() {
                    activity.set_dropped(behind::count(&keys));
                    vec![Typed::Interrupted]
                } else {
                    self.discard(&before, &behind);
                    vec![Typed::Discarded]
                }
            }
            Err(error) => vec![Typed::Failed(error.to_string())],
        };
        (typed, shown)
    }

    /// Discards a line, as a shell does. Until the end of the chat it is among the lines typed before, and it is not kept for
    /// the next one.
    fn discard(&mut self, before: &str, behind: &str) {
        if let Some(helper) = self.editor.helper() {
            helper.rows.mark_discarded(before, behind);
        }
        // A line that cannot be added is discarded all the same.
        let _ = self.editor.add_history_entry(format!("{before}{behind}"));
    }

    /// Returns what the next line begins with, before and behind the cursor: the line that goes on after a signal, or the one
    /// that was put aside for a question.
    fn initial(&mut self, activity: &Activity) -> (String, String) {
        let line = activity.take_line();
        let is_over = std::mem::take(&mut self.has_answered) || !activity.is_paste_asked();
        let is_over = is_over && activity.question().is_none();
        if is_over && line == Default::default() {
            self.keys.restore();
            return activity.take_parked();
        }
        line
    }

    /// Adds what was typed to the history, line by line.
    fn remember(&mut self, text: &str) {
        for line in text.split(['\n', '\r']) {
            // False for a blank line and a repeated one.
            let is_new = self.editor.add_history_entry(line).unwrap_or(false);
            if is_new
                && !line.trim().is_empty()
                && let Err(reason) = self.history.add(line)
                && !std::mem::replace(&mut self.has_failed, true)
            {
                note(&format!(
                    "what you type is not kept for the next chat: {reason}"
                ));
            }
        }
    }
}

/// Writes a note that belongs to the line above, before the next line is edited. Without a terminal, nobody misses it.
pub fn note(words: &str) {
    let words = escape::line(words.as_bytes(), limits::NOTE);
    let _ = writeln!(io::stderr(), "* {words}");
}

/// Parses input at the prompt, line by line: a terminal that marks pasted text passes it to the editor as one text with
/// line breaks.
fn parse(text: &str) -> Vec<Typed> {
    let lines = text.split(['\n', '\r']);
    lines.filter_map(command::parse).collect()
}

pub fn to_io(error: ReadlineError) -> io::Error {
    match error {
        ReadlineError::Io(error) => error,
        error => io::Error::other(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_of_a_marked_paste_is_a_message() {
        let line = |text: &str| Typed::Line(text.into());
        assert_eq!(
            parse("one\ntwo\n\nthree"),
            [line("one"), line("two"), line("three")]
        );
    }
}
