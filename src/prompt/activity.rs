//! Activity of the user at the prompt, shared by the line editor and the threads beside it.
//!
//! Not the editing. Invariant: it is up to date once the editor has handled a key.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use nix::sys::pthread::{Pthread, pthread_kill, pthread_self};
use nix::sys::signal::Signal;
use rustix::stdio::stdout;

use super::limits::PASTE_LATE;

/// Question in the place of the prompt. Two with the same text differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Question {
    pub text: &'static str,
    number: u64,
}

/// The line that is edited.
#[derive(Clone, Copy, Debug)]
struct Editing {
    thread: Pthread,
    /// Question that was open when the line began, and is shown in front of it.
    shown: Option<Question>,
}

/// Activity at a prompt.
#[derive(Clone, Default, Debug)]
pub struct Activity(Arc<Inner>);

#[derive(Default, Debug)]
struct Inner {
    /// Line that is edited while the editor has the terminal.
    editing: Mutex<Option<Editing>>,
    /// Number of times that the editor has written rows which stay on the screen.
    rows: AtomicU64,
    last_key: Mutex<Option<Instant>>,
    /// Line as it was after its last change, before and behind the cursor.
    line: Mutex<(String, String)>,
    /// Line that was put aside for a question.
    parked: Mutex<(String, String)>,
    /// Time at which it was put aside.
    parked_at: Mutex<Option<Instant>>,
    /// True while nothing is typed.
    is_empty: AtomicBool,
    /// True while the user is asked whether to send lines that arrived at once.
    is_paste_asked: AtomicBool,
    /// True if another program may have changed the mode of the terminal.
    is_lost: AtomicBool,
    /// Number of lines that were dropped with the last Ctrl-C that may leave.
    dropped: AtomicUsize,
    /// Line that was finished last.
    finished: Mutex<String>,
    question: Mutex<Option<Question>>,
    /// Question in front of the next line, which may be withdrawn before.
    begun: Mutex<Option<Question>>,
    /// Number of questions so far.
    questions: AtomicU64,
    /// Rows of the line above that of the cursor, and above the last one.
    extent: Mutex<(usize, usize)>,
}

impl Activity {
    /// Notes a change of the line.
    pub fn on_key(&self, line: &str) {
        self.0.is_empty.store(line.is_empty(), Ordering::SeqCst);
        *self.last_key_slot() = Some(Instant::now());
    }

    /// Notes the line, before and behind the cursor: the next one begins with it, unless it is taken.
    pub fn set_line(&self, before: &str, behind: &str) {
        *self.line_slot() = (before.to_owned(), behind.to_owned());
    }

    /// Takes the line, before and behind the cursor.
    pub fn take_line(&self) -> (String, String) {
        std::mem::take(&mut self.line_slot())
    }

    /// Puts a line aside, before and behind the cursor, until a question is answered. It follows one that was put aside before.
    pub fn set_parked(&self, (before, behind): (String, String)) {
        let mut parked = self.parked_slot();
        let (first, rest) = std::mem::take(&mut *parked);
        *parked = (first + &rest + &before, behind);
        *self.parked_at_slot() = Some(Instant::now());
    }

    /// Returns a finished line with what was put aside in front of it, if that was so short a time before that the line is the
    /// rest of it: a paste may arrive in parts, as over a slow link.
    pub fn with_parked(&self, now: Instant, line: String) -> String {
        let at = *self.parked_at_slot();
        if at.is_none_or(|at| at + PASTE_LATE <= now) {
            return line;
        }
        let (before, behind) = self.take_parked();
        before + &behind + &line
    }

    /// Takes the line that was put aside, before and behind the cursor.
    pub fn take_parked(&self) -> (String, String) {
        std::mem::take(&mut self.parked_slot())
    }

    /// Returns true while nothing is typed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty.load(Ordering::SeqCst)
    }

    /// Notes that another program may have changed the mode of the terminal, or that it is that of the prompt.
    pub fn set_lost(&self, is_lost: bool) {
        self.0.is_lost.store(is_lost, Ordering::SeqCst);
    }

    /// Returns true if another program may have changed the mode of the terminal.
    pub fn is_lost(&self) -> bool {
        self.0.is_lost.load(Ordering::SeqCst)
    }

    /// Notes that the user is asked whether to send lines that arrived at once, or is not any more.
    pub fn set_paste_asked(&self, is_asked: bool) {
        self.0.is_paste_asked.store(is_asked, Ordering::SeqCst);
    }

    /// Returns true while the user is asked whether to send lines that arrived at once.
    pub fn is_paste_asked(&self) -> bool {
        self.0.is_paste_asked.load(Ordering::SeqCst)
    }

    /// Notes the number of lines that are dropped with a Ctrl-C that may leave.
    pub fn set_dropped(&self, lines: usize) {
        self.0.dropped.store(lines, Ordering::SeqCst);
    }

    /// Takes that number.
    pub fn take_dropped(&self) -> usize {
        self.0.dropped.swap(0, Ordering::SeqCst)
    }

    /// Notes a finished line, which stays above the next prompt.
    pub fn on_line(&self, line: &str) {
        line.clone_into(&mut self.finished_slot());
    }

    /// Returns true if a line is the one that was finished last.
    pub fn is_last_line(&self, line: &str) -> bool {
        *self.finished_slot() == line
    }

    /// Notes that the editor leaves rows on the screen, such as a finished line.
    pub fn on_rows(&self) {
        self.0.rows.fetch_add(1, Ordering::SeqCst);
    }

    /// Notes that the editor takes the terminal, with what is left of the line before. The editor calls it in its thread. Returns
    /// the question that is open, for the place of the prompt.
    pub fn begin_editing(&self, line: &str) -> Option<Question> {
        let mut editing = self.editing_slot();
        self.0.is_empty.store(line.is_empty(), Ordering::SeqCst);
        let shown = self.begun_slot().take().or_else(|| self.question());
        let thread = pthread_self();
        *editing = Some(Editing { thread, shown });
        shown
    }

    /// Notes that the editor returns the terminal.
    pub fn end_editing(&self) {
        *self.editing_slot() = None;
    }

    /// Returns true while a line is edited that has begun before the question was opened or withdrawn.
    pub fn is_outdated(&self) -> bool {
        let editing = self.editing_slot();
        editing.is_some_and(|editing| editing.shown != self.question())
    }

    /// Returns true while the line editor has the terminal.
    pub fn is_editing(&self) -> bool {
        self.editing_slot().is_some()
    }

    /// Interrupts a read of the line editor: one that has begun while another program had the terminal waits for a key and
    /// takes no line to show.
    pub fn wake(&self) {
        // While it is locked, the thread is in the editor.
        if let Some(editing) = &*self.editing_slot() {
            let _ = pthread_kill(editing.thread, Signal::SIGWINCH);
        }
    }

    /// Notes the rows that the line takes: those above that of the cursor, and those above the last one.
    pub fn set_extent(&self, extent: (usize, usize)) {
        *self.extent_slot() = extent;
    }

    /// Returns what moves the cursor, if another process has written in the place of the line, so far down that the line
    /// editor clears nothing that it has not drawn.
    pub fn room(&self) -> String {
        let (cursor, end) = *self.extent_slot();
        match end.saturating_sub(cursor) {
            0 => "\n".repeat(end),
            up => format!("{}\x1b[{up}A", "\n".repeat(end)),
        }
    }

    /// Erases the line that the editor has left above the cursor.
    pub fn erase(&self) {
        let (_, end) = *self.extent_slot();
        let text = format!("\x1b[{}A\r\x1b[J", end + 1);
        // A terminal that is gone shows nothing.
        let _ = rustix::io::write(stdout(), text.as_bytes());
    }

    /// Opens a question, whose text takes the place of the prompt from the next line on, or withdraws it.
    pub fn set_question(&self, text: Option<&'static str>) {
        let number = self.0.questions.fetch_add(1, Ordering::SeqCst);
        *self.question_slot() = text.map(|text| Question { text, number });
    }

    /// Notes that the next line was begun as an answer to the question that is open.
    pub fn begin_answer(&self) {
        *self.begun_slot() = self.question();
    }

    /// Returns the question that is open.
    pub fn question(&self) -> Option<Question> {
        *self.question_slot()
    }

    /// Returns a number that differs when the editor has left rows on the screen.
    pub fn rows(&self) -> u64 {
        self.0.rows.load(Ordering::SeqCst)
    }

    /// Returns the time of the last change of a line.
    pub fn last_key(&self) -> Option<Instant> {
        *self.last_key_slot()
    }

    fn line_slot(&self) -> std::sync::MutexGuard<'_, (String, String)> {
        self.0.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn parked_slot(&self) -> std::sync::MutexGuard<'_, (String, String)> {
        self.0.parked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn parked_at_slot(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.0
            .parked_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn finished_slot(&self) -> std::sync::MutexGuard<'_, String> {
        self.0
            .finished
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn editing_slot(&self) -> std::sync::MutexGuard<'_, Option<Editing>> {
        self.0
            .editing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn extent_slot(&self) -> std::sync::MutexGuard<'_, (usize, usize)> {
        self.0.extent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn question_slot(&self) -> std::sync::MutexGuard<'_, Option<Question>> {
        self.0
            .question
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn begun_slot(&self) -> std::sync::MutexGuard<'_, Option<Question>> {
        self.0.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn last_key_slot(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.0
            .last_key
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_shows_the_question_that_was_open_when_it_began() {
        let activity = Activity::default();
        assert_eq!(activity.begin_editing(""), None);
        assert!(!activity.is_outdated());
        activity.set_question(Some("stay?"));
        assert!(activity.is_outdated());
        activity.end_editing();
        assert!(!activity.is_outdated());
        let first = activity.begin_editing("");
        assert_eq!(first.unwrap().text, "stay?");
        assert!(!activity.is_outdated());
        activity.set_question(None);
        assert!(activity.is_outdated());
        // Another question with the same text is not the one that was answered.
        activity.set_question(Some("stay?"));
        assert!(activity.is_outdated());
        assert_ne!(activity.question(), first);
    }

    #[test]
    fn a_line_that_was_begun_as_an_answer_shows_the_question_also_after_its_withdrawal() {
        let activity = Activity::default();
        activity.set_question(Some("stay?"));
        activity.begin_answer();
        let asked = activity.question();
        activity.set_question(None);
        assert_eq!(activity.begin_editing("st"), asked);
        assert!(activity.is_outdated());
        activity.end_editing();
        assert_eq!(activity.begin_editing(""), None);
    }

    #[test]
    fn the_rest_of_a_line_that_was_put_aside_follows_it_for_a_short_time() {
        let activity = Activity::default();
        let now = Instant::now();
        assert_eq!(activity.with_parked(now, "line".into()), "line");
        activity.set_parked(("a".into(), String::new()));
        let late = Instant::now() + PASTE_LATE;
        assert_eq!(activity.with_parked(late, "y".into()), "y", "an answer");
        assert_eq!(activity.with_parked(Instant::now(), "bc".into()), "abc");
        assert_eq!(activity.take_parked(), Default::default());
        // Nothing of what is put aside gets lost.
        activity.set_parked(("a".into(), "b".into()));
        activity.set_parked(("c".into(), "d".into()));
        assert_eq!(activity.take_parked(), ("abc".into(), "d".into()));
    }
}
