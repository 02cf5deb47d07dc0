//! `udpctl kill`: a signal for a job on one host or many.
//!
//! A signal may be written as kill(1) takes it, `-9` or `-KILL`. clap knows no such options, so they become `--signal`
//! before it reads the line. Invariant: no other word of the line is changed.

use std::ffi::OsString;

use anyhow::Result;
use clap::Args;
use clap_complete::engine::ArgValueCompleter;

use super::candidates;
use super::context::note;
use super::fleet::{Fleet, Round};
use super::job_set::{HostJob, JobSetArgs};
use super::reply::{unexpected, words};
use crate::control::exec::summary::Fate;
use crate::escape;
use crate::message::signal::signal_number;
use crate::message::status::{INTERNAL, USAGE};
use crate::message::{Outcome, Reply, Request, RequestId};

const EXAMPLES: &str = "\
Examples:
  udpctl kill web1
  udpctl kill -9 web1 3f2a
  udpctl kill --signal HUP web1 web2
  udpctl kill --all web1 3f2a
  udpctl kill 'web[01-40]'
  udpctl kill -g web -x web13";

/// `udpctl kill`
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, override_usage = "udpctl kill [OPTIONS] [TARGET]... [JOB]")]
pub struct KillArgs {
    /// The jobs.
    #[command(flatten)]
    pub jobs: JobSetArgs,
    /// Send SIGNAL, a name or a number, also written as -9 or -KILL. Once TERM or KILL has ended the command, all that it
    /// started ends; an interactive shell ignores TERM: use HUP
    #[arg(short, long, value_name = "SIGNAL", value_parser = signal, default_value = "TERM", add = ArgValueCompleter::new(candidates::signal))]
    pub signal: i32,
}

/// Returns the command line of `udpctl` with `-9` and `-KILL` of `udpctl kill` written as `--signal`. No short option is
/// an upper-case letter or a digit.
pub fn with_signal_option(mut words: Vec<OsString>) -> Vec<OsString> {
    if words.get(1).is_none_or(|subcommand| subcommand != "kill") {
        return words;
    }
    let options = words
        .iter_mut()
        .skip(2)
        .take_while(|word| word.as_os_str() != "--");
    for word in options {
        let signal = word.to_str().and_then(|word| word.strip_prefix('-'));
        let is_signal =
            |text: &&str| text.starts_with(|c: char| c.is_ascii_uppercase() || c.is_ascii_digit());
        if let Some(signal) = signal.filter(is_signal) {
            *word = format!("--signal={signal}").into();
        }
    }
    words
}

/// Parses a signal.
fn signal(text: &str) -> Result<i32, &'static str> {
    signal_number(text).ok_or("write the name of a signal, such as TERM, or a number from 1 to 64")
}

/// Sends the signal to the job of each host.
pub fn run(args: &KillArgs) -> Result<u8> {
    if let Some(hint) = misplaced_signal(args) {
        note(&format!("udpctl: {hint}"));
        return Ok(USAGE);
    }
    args.jobs.run("kill", |fleet, jobs| kill(args, fleet, jobs))
}

/// Returns the hint for a last word that is the name of a signal, in capitals as no host is typed.
fn misplaced_signal(args: &KillArgs) -> Option<String> {
    let words = args.jobs.words.iter().map(|word| word.text.as_str());
    let words: Vec<&str> = words.collect();
    let (&last, others) = words.split_last()?;
    let is_signal = last
        .bytes()
        .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        && last.starts_with(|c: char| c.is_ascii_uppercase())
        && signal_number(last).is_some();
    let is_meant = is_signal && !others.is_empty();
    is_meant.then(|| {
        let words: Vec<_> = others.iter().map(|word| escape::shell_word(word)).collect();
        format!(
            "{last} is taken for a host; a signal is an option: udpctl kill -s {last} {}",
            words.join(" ")
        )
    })
}

fn kill(args: &KillArgs, mut fleet: Fleet, jobs: Vec<HostJob>) -> u8 {
    let ids: Vec<RequestId> = jobs.iter().map(|job| job.id).collect();
    let questions = jobs.into_iter().map(|job| {
        let request = Request::Signal {
            id: job.id,
            signal: args.signal,
            key: job.key,
        };
        args.jobs
            .question(job.host, request, args.jobs.timeout.contact_timeout)
    });
    let round = Round::new(questions.collect());
    fleet.ask(round, |count, index, label, answer| {
        let id = ids[index];
        match answer.reply {
            Ok(Reply::Done {}) => count.add(Fate::Ok, label),
            Ok(Reply::Exit { outcome, .. }) => {
                let (why, fate) = ended(outcome);
                count.fail(fate, label, &format!("{why}; request {id}"));
            }
            Ok(reply) => {
                let error = unexpected(&reply);
                let why = format!("{}; request {id}", words(&error));
                count.fail(Fate::of(Some(error.outcome)), label, &why);
            }
            Err(error) => count.no_reply(label, &error),
        }
    });
    fleet.conclude(INTERNAL)
}

/// Returns the words for a command that does not run any more, and its class.
fn ended(outcome: Outcome) -> (String, Fate) {
    if outcome == (Outcome::Expired {}) {
        return (outcome.to_string(), Fate::of(Some(outcome)));
    }
    let why = format!("the command has ended already: {outcome}");
    (why, Fate::Failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_as_of_kill_1_becomes_an_option_and_other_words_stay() {
        for (line, expected) in [
            ("udpctl kill -9 h", "udpctl kill --signal=9 h"),
            ("udpctl kill h -KILL 3f", "udpctl kill h --signal=KILL 3f"),
            ("udpctl kill -SIGHUP h", "udpctl kill --signal=SIGHUP h"),
            ("udpctl kill -s 9 -w h -", "udpctl kill -s 9 -w h -"),
            ("udpctl kill -- -9", "udpctl kill -- -9"),
            ("udpctl exec -9 h", "udpctl exec -9 h"),
            ("udpctl", "udpctl"),
        ] {
            let words = line.split(' ').map(OsString::from).collect();
            let changed = with_signal_option(words);
            assert_eq!(changed.join(" ".as_ref()), *expected);
        }
    }
}
