//! The prompt of the agent's user: a line editor in a thread of its own, with the lines of the chat above it.
//!
//! Not the effects of what is typed. Invariants: the terminal has its former mode when the prompt is dropped; the thread
//! reads a line only after the one before was processed, so that none is read once the user has left.

mod unsent;

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use nix::unistd::tcgetpgrp;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::stdio::{stdin, stdout};
use rustix::termios::{OptionalActions, QueueSelector, tcflush, tcgetattr};
use rustyline::ExternalPrinter;
use signal_hook::consts::{SIGCONT, SIGINT, SIGURG};
use signal_hook::iterator::Signals;

use super::above_prompt::AbovePrompt;
use super::interruption::Interruption;
use super::limits::{INTERRUPT_AGAIN, LATE_ANSWER};
use crate::agent::config::LogFormat;
use crate::agent::ipc::Setup;
use crate::agent::jobs::JobId;
use crate::agent::limits;
use crate::agent::switch::Switch;
use crate::prompt::activity::{Activity, Question};
use crate::prompt::command::Typed;
use crate::prompt::completion::Members;
use crate::prompt::editing_mode::{EditingMode, SuspendKey};
use crate::prompt::editor::{LineEditor, PROMPT, PromptOptions, is_possible, open_editor};
use crate::prompt::input_relay::{Gate, InputRelay};
use crate::prompt::limits::{BACKGROUND, HISTORY_LINES};
use crate::prompt::line_history::EarlierLines;
use crate::prompt::paste::{Decision, Paste};
use crate::prompt::style::Style;
use crate::prompt::unsent::Unsent;
use crate::saved_mode;

/// Line editor that is open, before the front is restricted and the terminal changed.
pub struct Prepared {
    relay: InputRelay,
    editor: LineEditor,
    printer: Box<dyn ExternalPrinter + Send>,
    activity: Activity,
    members: Members,
    style: Style,
    kept: Receiver<String>,
    /// Input of the prompt of an earlier front.
    unsent: Unsent,
    continued: Arc<AtomicBool>,
    overwritten: Arc<AtomicBool>,
    signals: Signals,
}

/// Lines typed at earlier fronts, and a channel for those of this one.
struct TypedLines {
    earlier: Vec<String>,
    kept: Sender<String>,
}

impl EarlierLines for TypedLines {
    fn load(&self) -> Vec<String> {
        self.earlier.clone()
    }

    /// The supervisor logs what it cannot write.
    fn add(&mut self, line: &str) -> Result<(), String> {
        // Of more at once, the first ones are kept.
        let _ = self.kept.try_send(line.to_owned());
        Ok(())
    }
}

impl Prepared {
    /// Opens a line editor, unless the agent has no terminal that the editor can use, belongs to another session than the
    /// terminal, or prints JSON.
    pub fn new(setup: &Setup) -> Option<Self> {
        if setup.typed.is_draft_lost && !saved_mode::is_in_background() {
            // The rest of that line, or the answer, typed meanwhile, is no line. Also where there is no prompt.
            let _ = tcflush(stdin(), QueueSelector::IFlush);
        }
        let is_wanted = setup.prompt == Switch::On && setup.chat.format == LogFormat::Text;
        if !is_wanted || !is_possible() || tcgetpgrp(stdin()).is_err() {
            return None;
        }
        // The supervisor handles Ctrl-C. Between two lines nothing else catches it here.
        signal_hook::flag::register(SIGINT, Arc::new(AtomicBool::new(false))).ok()?;
        let continued = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(SIGCONT, Arc::clone(&continued)).ok()?;
        let overwritten = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(SIGURG, Arc::clone(&overwritten)).ok()?;
        // After the flags: it wakes the loop that looks at them.
        let signals = Signals::new([SIGCONT, SIGURG]).ok()?;
        let (activity, members) = (Activity::default(), Members::default());
        let (sender, kept) = bounded(HISTORY_LINES);
        let options = PromptOptions {
            prompt: PROMPT,
            members: members.clone(),
            history: Box::new(TypedLines {
                earlier: setup.typed.lines.clone(),
                kept: sender,
            }),
        };
        let unsent = &setup.typed.unsent;
        let ((before, behind), keys, aside) = match &unsent.answer {
            Some(answer) => {
                activity.set_parked(unsent.draft.clone());
                (&answer.line, &answer.keys[..], &unsent.keys[..])
            }
            None => (&unsent.draft, &unsent.keys[..], &[][..]),
        };
        activity.set_line(before, behind);
        let relay = InputRelay::open(activity.clone(), keys, aside).ok()?;
        let (editor, printer) = open_editor(options, activity.clone(), relay.gate()).ok()?;
        Some(Self {
            relay,
            editor,
            printer: Box::new(printer),
            activity,
            members,
            style: Style::of_terminal(setup.chat.is_timed),
            kept,
            unsent: setup.typed.unsent.clone(),
            continued,
            overwritten,
            signals,
        })
    }

    /// Returns the jobs that the prompt of an earlier front has asked about: none if it has withdrawn the question and an answer
    /// was begun. `None` if it has asked nothing.
    pub fn asked(&self) -> Option<BTreeSet<JobId>> {
        let answer = self.unsent.answer.as_ref()?;
        let about = answer.about.iter().filter(|_| answer.is_open);
        Some(about.copied().map(JobId).collect())
    }

    /// Takes the terminal and starts the thread. `wake` is called after each input. `asked` are the question of an earlier
    /// front and the jobs that it is about. Returns also the writer above the prompt, and the style of lines there.
    ///
    /// # Errors
    /// The terminal is gone, or the thread cannot be started.
    pub fn open(
        self,
        asked: Option<(&'static str, BTreeSet<JobId>)>,
        wake: impl Fn() + Send + Clone + 'static,
    ) -> io::Result<(Prompt, AbovePrompt, Style)> {
        let (sender, typed) = bounded(1);
        let (proceed, processed) = bounded(1);
        let mut prompt = Prompt {
            keys: self.relay.gate(),
            activity: self.activity.clone(),
            members: self.members,
            paste: Paste::new(Some(self.activity.clone())),
            kept: self.kept,
            mode: EditingMode::new(self.activity.clone(), SuspendKey::Nothing)?,
            next_check: None,
            next_interrupt: None,
            interruption: Interruption::default(),
            asked: BTreeSet::new(),
            withdrawn: None,
            continued: self.continued,
            overwritten: self.overwritten,
            typed,
            is_reading: true,
            proceed,
            has_left: false,
            handed_over: Vec::new(),
        };
        for typed in self.unsent.typed() {
            let decision = prompt.paste.push(Instant::now(), typed);
            prompt.handed_over.push(decision);
        }
        prompt.handed_over.retain(|one| *one != Decision::None);
        // What is typed next may be the answer to the question of the prompt before.
        prompt.paste.ask_about_many();
        if let Some((question, about)) = asked {
            prompt.ask(question, about);
            self.activity.begin_answer();
        } else if prompt.paste.question().is_some() {
            self.activity.set_parked(self.activity.take_line());
        }
        let above = AbovePrompt::new(self.printer, self.activity.clone());
        self.relay.start()?;
        let (mut signals, on_signal) = (self.signals, wake.clone());
        std::thread::Builder::new()
            .name("signals".into())
            .spawn(move || signals.forever().for_each(|_| on_signal()))?;
        let (mut editor, activity) = (self.editor, self.activity);
        std::thread::Builder::new()
            .name("input".into())
            .spawn(move || read(&mut editor, &activity, &sender, &processed, &wake))?;
        Ok((prompt, above, self.style))
    }
}

/// Input of one line.
pub struct Input {
    pub typed: Vec<Typed>,
    /// Question that was shown in front of it. It may be withdrawn meanwhile.
    pub shown: Option<Question>,
}

/// Reads lines until the prompt is dropped, or nothing more can be read.
fn read(
    editor: &mut LineEditor,
    activity: &Activity,
    sender: &Sender<Input>,
    processed: &Receiver<()>,
    wake: &impl Fn(),
) {
    loop {
        let (mut typed, shown) = editor.read(activity);
        // A terminal that was closed has the end of input for ever; SIGHUP decides whether the agent ends.
        if typed == [Typed::Leave] && tcgetattr(stdin()).is_err() {
            typed = vec![Typed::Failed("the terminal was closed".into())];
        }
        let is_last = matches!(typed[..], [Typed::Failed(_)]);
        if sender.send(Input { typed, shown }).is_err() {
            return;
        }
        wake();
        if is_last || processed.recv().is_err() {
            return;
        }
    }
}

/// A prompt on the terminal.
pub struct Prompt {
    keys: Gate,
    activity: Activity,
    /// Names that are completed.
    pub members: Members,
    /// Lines that arrive at once.
    pub paste: Paste,
    kept: Receiver<String>,
    /// Mode of the terminal while there is a prompt.
    mode: EditingMode,
    /// Time at which the foreground is checked again, after SIGCONT in the background.
    next_check: Option<Instant>,
    /// Time at which a line that shows another question than the open one is interrupted again.
    next_interrupt: Option<Instant>,
    /// Ctrl-C that the line editor or the supervisor alone has heard of.
    pub interruption: Interruption,
    /// Jobs that the open question is about.
    asked: BTreeSet<JobId>,
    /// Time at which a question was withdrawn.
    withdrawn: Option<Instant>,
    /// Set by SIGCONT: another program may have had the terminal.
    continued: Arc<AtomicBool>,
    /// Set by SIGURG: a line of the log was written in the place of the prompt.
    overwritten: Arc<AtomicBool>,
    typed: Receiver<Input>,
    /// True until the input of the line is taken that the thread reads.
    is_reading: bool,
    /// Lets the thread read the next line.
    proceed: Sender<()>,
    /// True once the user has ended the agent at this prompt: nothing more is read or sent.
    pub has_left: bool,
    /// Decisions about lines of the prompt before that are not sent.
    pub handed_over: Vec<Decision>,
}

impl Prompt {
    /// Puts the line that is edited aside, if there is one, until the question about lines that arrived at once is answered.
    pub fn park(&self) {
        if !self.activity.is_empty() {
            self.keys.park();
        }
    }

    /// Returns what was typed as the last line, if there is a new one. Call [`proceed`](Self::proceed) when it is processed.
    pub fn take(&mut self) -> Option<Input> {
        let input = self.typed.try_recv().ok();
        self.is_reading &= input.is_none();
        input
    }

    /// Returns true if something was typed that was not taken.
    pub fn has_more(&self) -> bool {
        !self.typed.is_empty() || self.keys.has_more()
    }

    /// Takes the number of lines that were dropped with the Ctrl-C that leaves.
    pub fn take_dropped(&self) -> usize {
        self.activity.take_dropped()
    }

    /// Takes what was typed and not read. Call it after [`take_unsent`](Self::take_unsent).
    pub fn take_behind(&self) -> Vec<u8> {
        self.keys.take_behind()
    }

    /// Returns the question about running commands, if the user has not answered.
    pub fn question(&self) -> Option<Question> {
        self.activity.question()
    }

    /// Returns true if the user was asked about running commands and has not answered.
    pub fn is_asked(&self) -> bool {
        self.question().is_some()
    }

    /// Jobs that the open question is about.
    pub const fn asked(&self) -> &BTreeSet<JobId> {
        &self.asked
    }

    /// Asks about jobs in the place of the prompt.
    pub fn ask(&mut self, question: &'static str, about: BTreeSet<JobId>) {
        self.asked = about;
        // The user stays for now.
        self.activity.take_dropped();
        self.activity.set_question(Some(question));
    }

    /// Closes the question.
    pub fn close_question(&mut self) {
        self.asked.clear();
        self.activity.set_question(None);
    }

    /// Closes the question, which nobody has answered.
    pub fn withdraw_question(&mut self) {
        self.close_question();
        self.withdrawn = Some(Instant::now());
    }

    /// Returns true if nothing more is sent: the user has left, or Ctrl-C may turn out to leave.
    pub fn is_leaving(&self) -> bool {
        self.has_left || self.interruption.pending_until(Instant::now()).is_some()
    }

    /// Returns true if a question was withdrawn just now.
    pub fn is_just_withdrawn(&self) -> bool {
        self.withdrawn.is_some_and(|at| at.elapsed() <= LATE_ANSWER)
    }

    /// Interrupts the line if it shows another question than the open one, so that the next line shows that. Characters are
    /// put aside for a question, and kept after its withdrawal: without them, the rest of an answer would be a message. Call it
    /// in each turn: a signal that comes before the line editor has its handler has no effect, and one in the background would
    /// draw the prompt on the terminal of another program.
    pub fn show_question(&mut self) {
        let is_kept = !self.is_asked() && !self.activity.is_empty();
        if is_kept || !self.activity.is_outdated() {
            self.next_interrupt = None;
            return;
        }
        let now = Instant::now();
        if saved_mode::is_in_background() {
            self.next_interrupt = Some(now + BACKGROUND);
            return;
        }
        if self.next_interrupt.is_none_or(|at| at <= now) {
            self.interrupt();
            self.next_interrupt = Some(now + INTERRUPT_AGAIN);
        }
    }

    /// Lets the line editor end the line that is being edited: for it, a signal of this process is Ctrl-C. Returns false if it
    /// edits none.
    fn interrupt(&self) -> bool {
        self.activity.is_editing() && signal_hook::low_level::raise(SIGINT).is_ok()
    }

    /// Returns lines for the line editor of a later front.
    pub fn kept(&self) -> impl Iterator<Item = String> {
        self.kept.try_iter()
    }

    /// Takes the terminal back after SIGCONT, once the agent is in the foreground. Returns true if the prompt is to be drawn
    /// again.
    pub fn is_overwritten(&mut self) -> bool {
        if self.continued.swap(false, Ordering::SeqCst) {
            self.mode.on_continued();
        }
        let is_restored = self.mode.restore();
        let is_lost = self.mode.is_lost();
        self.next_check = is_lost.then(|| Instant::now() + BACKGROUND);
        let is_overwritten = self.overwritten.swap(false, Ordering::SeqCst);
        is_restored || is_overwritten && self.activity.is_editing()
    }

    /// Lets the next line be read.
    pub fn proceed(&mut self) {
        // It has ended if there is none to read.
        self.is_reading |= self.proceed.try_send(()).is_ok();
    }

    /// Returns the time at which lines that arrived at once are complete, the foreground is checked, or a line is interrupted
    /// again.
    pub fn deadline(&self) -> Option<Instant> {
        if self.has_left {
            return None;
        }
        // What is typed behind a Ctrl-C that may leave waits for its effect.
        let interrupted = self.interruption.pending_until(Instant::now());
        let deadlines = [
            interrupted.or(self.paste.deadline()),
            self.next_check,
            self.next_interrupt,
            self.interruption.deadline(),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// Lets the line editor give the terminal back, so that it reads and draws nothing afterwards. Waits for that for a bounded
    /// time, because the terminal may be stopped. Returns the input of the last line, if it is not taken.
    fn end_reading(&mut self) -> Option<Input> {
        self.keys.end();
        let until = Instant::now() + limits::LAST_LINES;
        while self.is_reading && !saved_mode::is_in_background() && Instant::now() < until {
            self.interrupt();
            let again = until.min(Instant::now() + INTERRUPT_AGAIN);
            match self.typed.recv_deadline(again) {
                Ok(input) => {
                    self.is_reading = false;
                    return Some(input);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        // Not another time.
        self.is_reading = false;
        self.typed.try_recv().ok()
    }
}

impl Drop for Prompt {
    fn drop(&mut self) {
        self.end_reading();
        // Without waiting for a terminal that is stopped.
        self.mode.set_before(OptionalActions::Now);
        saved_mode::set(None);
        let (out, now) = (stdout(), Timespec::default());
        let ready = poll(&mut [PollFd::new(&out, PollFlags::OUT)], Some(&now));
        if self.activity.is_editing() && ready.is_ok_and(|count| count > 0) {
            // The cursor is behind a line that was not finished.
            let _ = rustix::io::write(out, b"\n");
        }
    }
}
