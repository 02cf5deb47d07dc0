//! Completion at the prompt of a chat: of commands at the beginning of a line, and of the names of members.
//!
//! Not the list of members that a person sees. Invariant: only names without a character that has to be escaped are
//! completed, so that a completed line shows what is sent.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use rustyline::completion::Completer;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};

use super::activity::Activity;
use super::command;
use super::rows::Rows;
use crate::escape;

/// Names of the members, shared by the chat and its prompt.
#[derive(Clone, Default, Debug)]
pub struct Members(Arc<Mutex<BTreeSet<String>>>);

impl Members {
    /// Replaces all names.
    pub fn set(&self, names: &[String]) {
        *self.names() = names.iter().cloned().collect();
    }

    /// Adds a name.
    pub fn add(&self, name: &str) {
        self.names().insert(name.to_owned());
    }

    /// Removes a name.
    pub fn remove(&self, name: &str) {
        self.names().remove(name);
    }

    /// Returns the names in ascending order.
    pub fn list(&self) -> Vec<String> {
        self.names().iter().cloned().collect()
    }

    fn names(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the position of the word before the cursor and what may stand there.
    fn candidates(&self, line: &str, cursor: usize) -> (usize, Vec<String>) {
        let before = &line[..cursor];
        let start = before.rfind(char::is_whitespace).map_or(0, |at| {
            at + before[at..].chars().next().map_or(1, char::len_utf8)
        });
        let word = &before[start..];
        // Behind this command stands a name.
        let is_name = before[..start].split_whitespace().eq(["/msg"]);
        if word.is_empty() && !is_name {
            return (start, Vec::new());
        }
        if start == 0 && word.starts_with('/') {
            return (start, command::names(word).map(str::to_owned).collect());
        }
        let names = self.names();
        let names = names.range(word.to_owned()..);
        let names = names.take_while(|name| name.starts_with(word));
        let names = names.filter(|name| escape::is_clean(name));
        (start, names.cloned().collect())
    }
}

/// Connection of the line editor with a chat.
pub struct PromptHelper {
    /// Names that are completed.
    pub members: Members,
    /// Activity that the editor reports.
    pub activity: Activity,
    /// Rows that the line takes.
    pub rows: Rows,
}

impl Completer for PromptHelper {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _context: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        // Several candidates are listed below the line.
        self.activity.on_rows();
        let (start, mut candidates) = self.members.candidates(line, pos);
        if let [only] = &mut candidates[..]
            && !line[pos..].starts_with(char::is_whitespace)
        {
            only.push(' ');
        }
        Ok((start, candidates))
    }
}

/// Gives no hints; the editor asks after each change of the line or the window, before it draws.
impl Hinter for PromptHelper {
    type Hint = String;

    fn hint(&self, line: &str, pos: usize, _context: &Context<'_>) -> Option<String> {
        let (before, behind) = line.split_at(pos);
        self.rows.on_draw(before, behind);
        self.activity.set_extent(self.rows.extent(before, behind));
        self.activity.set_line(before, behind);
        self.activity.on_key(line);
        None
    }
}

/// Highlights nothing; the editor asks also when the cursor moves, and draws the whole line instead of a character where that
/// is wanted.
impl Highlighter for PromptHelper {
    fn highlight_char(&self, line: &str, pos: usize, kind: CmdKind) -> bool {
        let (before, behind) = line.split_at(pos);
        self.activity.set_extent(self.rows.extent(before, behind));
        // At the end of a line the editor moves the cursor behind it.
        if kind != CmdKind::ForcedRefresh {
            self.activity.set_line(before, behind);
        }
        kind == CmdKind::Other && self.rows.is_behind_break(before)
    }
}

impl Validator for PromptHelper {}
impl Helper for PromptHelper {}

#[cfg(test)]
mod tests {
    use rustyline::history::MemHistory;

    use super::*;

    #[test]
    fn commands_are_completed_first_and_names_anywhere() {
        let members = Members::default();
        members.set(&["ann(owner)".into(), "anna".into(), "bob".into()]);
        members.add("an\u{202e}x");
        members.add("ännchen");
        members.remove("bob");
        let candidates = |line: &str| members.candidates(line, line.len());
        let found = |start, names: &[&str]| (start, names.iter().map(|&n| n.to_owned()).collect());
        assert_eq!(candidates("/w"), found(0, &["/who"]));
        assert_eq!(candidates("a /w"), found(2, &[]));
        assert_eq!(candidates("an"), found(0, &["ann(owner)", "anna"]));
        assert_eq!(candidates("hi\u{3000}anna"), found(5, &["anna"]));
        assert_eq!(candidates("so ä"), found(3, &["ännchen"]));
        assert_eq!(candidates("b"), found(0, &[]));
        assert_eq!(candidates("hello "), found(6, &[]));
        assert_eq!(candidates("/m"), found(0, &["/me", "/msg"]));
        let all = ["ann(owner)", "anna", "ännchen"];
        assert_eq!(candidates("/msg "), found(5, &all));
        assert_eq!(candidates("/msg an"), found(5, &all[..2]));
        assert_eq!(candidates("/msg anna "), found(10, &[]));
        assert_eq!(candidates("/me "), found(4, &[]));
    }

    #[test]
    fn the_only_candidate_has_a_space_behind_it_unless_there_is_one() {
        let helper = PromptHelper {
            members: Members::default(),
            activity: Activity::default(),
            rows: Rows::default(),
        };
        helper.members.set(&["anna".into(), "anne".into()]);
        let history = MemHistory::new();
        let completed = |before: &str, behind: &str| {
            let line = format!("{before}{behind}");
            let context = Context::new(&history);
            helper.complete(&line, before.len(), &context).unwrap().1
        };
        assert_eq!(completed("/w", ""), ["/who "]);
        assert_eq!(completed("hello anna", "x"), ["anna "]);
        assert_eq!(completed("hello anna", " and bob"), ["anna"]);
        assert_eq!(completed("an", ""), ["anna", "anne"]);
    }
}
