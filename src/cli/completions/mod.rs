//! Shell completions: the function that `completions SHELL` prints, and the candidates that it asks the program for.
//!
//! The function runs the program with a variable set and the words of the command line. Candidates come from the clap
//! definitions, and from files of this machine by the completers of the arguments. Invariants: nothing is sent, and no other
//! program is started; a request prints candidates or nothing, never an error.

mod line;

use std::ffi::OsString;
use std::io::{self, Write as _};

use anyhow::Result;
use clap::{Command, CommandFactory, ValueEnum};
use clap_complete::CompletionCandidate;
use clap_complete::engine::complete;

use self::line::Line;
use crate::escape;

/// Status of a request at a place for the words of another command: the shell offers names of files.
const FILES: u8 = 3;

/// The local user database.
const PASSWD: &str = "/etc/passwd";

/// Bytes displayed of a description.
const DESCRIPTION: usize = 160;

/// Shell with completions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Shell {
    /// GNU Bash 4.4 or later.
    Bash,
    /// Z shell.
    Zsh,
    /// Fish 3.1 or later.
    Fish,
}

/// Program whose command line is completed.
#[derive(Debug)]
pub struct Program {
    /// Its name.
    pub name: &'static str,
    /// Its other names, with a space before each.
    pub aliases: &'static str,
    /// Variable that makes it print candidates.
    pub variable: &'static str,
    /// Candidates of what clap does not parse, by the words before the cursor and the one at it.
    pub special: fn(&[String], &str) -> Option<Answer>,
}

/// Answer to a request.
#[derive(Debug)]
pub enum Answer {
    /// These words.
    Words(Vec<CompletionCandidate>),
    /// Names of files.
    Files,
}

/// Prints the completion function of a program for a shell. A reader that exits early is no error.
///
/// # Errors
/// Fails if stdout cannot be written.
pub fn print(program: &Program, shell: Shell) -> Result<u8> {
    let template = match shell {
        Shell::Bash => include_str!("function.bash"),
        Shell::Zsh => include_str!("function.zsh"),
        Shell::Fish => include_str!("function.fish"),
    };
    let script = template
        .replace("ALIASES", program.aliases)
        .replace("PROGRAM", program.name)
        .replace("VARIABLE", program.variable);
    match io::stdout().lock().write_all(script.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(anyhow::Error::new(error).context("standard output"))
        }
        Ok(()) | Err(_) => Ok(0),
    }
}

/// Prints the candidates if this process is asked for them, and returns its exit status.
#[must_use]
pub fn answer<P: CommandFactory>(program: &Program) -> Option<u8> {
    let shell = std::env::var(program.variable).ok()?;
    let shell = Shell::from_str(&shell, false).ok()?;
    let mut args = std::env::args_os().skip(1);
    if args.next()? != "--" {
        return None;
    }
    let args: Option<Vec<String>> = args.map(|word| word.into_string().ok()).collect();
    // Words that are not UTF-8 have no candidates.
    let Some((line, typed)) = args.and_then(|args| read(shell, args)) else {
        return Some(0);
    };
    let words = match candidates(program, P::command(), &line) {
        Answer::Words(words) => words,
        Answer::Files => return Some(FILES),
    };
    let mut text = String::new();
    for word in words {
        let value = word.get_value().to_string_lossy();
        // A control character would end the line that has the candidate.
        if !escape::is_clean(&value) {
            continue;
        }
        if shell == Shell::Bash {
            text.extend(line.insertion(&value, &typed));
        } else {
            text.push_str(&value);
            text.extend(word.get_help().map(|help| description(&help.to_string())));
        }
        text.push('\n');
    }
    // A shell that does not read any more needs no answer.
    let _ = io::stdout().lock().write_all(text.as_bytes());
    Some(0)
}

/// Returns the users of this machine's own database; others are not looked up, which may take long.
pub fn accounts() -> Vec<String> {
    let passwd = std::fs::read_to_string(PASSWD).unwrap_or_default();
    let names = passwd.lines().filter_map(|line| line.split(':').next());
    let is_name = |name: &&str| !name.is_empty() && !name.starts_with(['+', '-', '#']);
    names.filter(is_name).map(str::to_owned).collect()
}

/// Returns a description behind the tab that separates it from its candidate.
fn description(help: &str) -> String {
    let first = help.lines().next().unwrap_or_default();
    format!("\t{}", escape::line(first.as_bytes(), DESCRIPTION))
}

/// Returns the command line up to the cursor, and the text there that the shell replaces by a candidate.
fn read(shell: Shell, mut args: Vec<String>) -> Option<(Line, String)> {
    let last = args.pop()?;
    match shell {
        Shell::Bash => Some((Line::parse(&args.pop()?), last)),
        // The words were split and dequoted by the shell.
        Shell::Zsh => Some((Line::of_words(args, last), String::new())),
        Shell::Fish => {
            let current = Line::parse(&last).current;
            Some((Line::of_words(args, current), String::new()))
        }
    }
}

fn candidates(program: &Program, command: Command, line: &Line) -> Answer {
    if let Some(answer) = (program.special)(&line.words, &line.current) {
        return answer;
    }
    if line.words.iter().skip(1).any(|word| word == "--") {
        return Answer::Files;
    }
    let mut words: Vec<OsString> = line.words.iter().map(OsString::from).collect();
    let at = words.len();
    words.push((&line.current).into());
    let mut command = command;
    let here = std::env::current_dir().ok();
    let mut found = complete(&mut command, words, at, here.as_deref()).unwrap_or_default();
    // The options are offered where nothing else can follow, or behind a dash.
    let is_word = |candidate: &CompletionCandidate| {
        !candidate.get_value().as_encoded_bytes().starts_with(b"-")
    };
    if line.current.is_empty() && found.iter().any(is_word) {
        found.retain(is_word);
    }
    Answer::Words(found)
}
