//! Questions to the hosts of a command: a line for each host that fails, a summary of several, and the exit status.
//!
//! Not the questions and the meaning of their answers, which belong to the subcommands, nor `udpctl exec`. Invariant:
//! every target is counted once, also after a signal.

use std::collections::HashMap;
use std::time::Instant;

use anyhow::Result;
use crossbeam_channel::{Receiver, never};

use super::context::{Context, Network, is_watched, note, note_of};
use super::reply::{short_words, words};
use super::unanswered::Unanswered;
use crate::control::client::Client;
use crate::control::exec::summary::{Fate, Tally};
use crate::control::host_resolver::{Host, HostResolver};
use crate::control::queries::{Conditions, Interrupted, run_queries_until};
use crate::control::query::{Answer, NoReply, Question};
use crate::control::{limits, signals};
use crate::message::{Outcome, status};
use crate::net::Target;

/// Hosts of a command, and the network to them.
pub struct Fleet {
    client: Client,
    resolver: HostResolver,
    /// Hosts that can be contacted, in the order of the targets.
    hosts: Vec<Host>,
    count: Count,
    /// Signals that interrupt the command. One host is left to the default action.
    signals: Receiver<i32>,
    /// Signal that has interrupted the command.
    signal: Option<i32>,
    /// If a host has not answered: true if the network has reported that it is not reached.
    unanswered: Option<bool>,
}

/// Question to each of some hosts.
pub struct Round {
    /// The questions, in the order of the targets.
    pub questions: Vec<Question>,
    /// Number of them in progress at a time.
    pub window: usize,
    /// Class of a host that was asked and has not answered when a signal arrives.
    pub unanswered: Fate,
    /// True if a person waits at a terminal, who is told that the only host has not answered yet.
    pub is_watched: bool,
}

impl Round {
    /// Creates the round of a question that changes nothing.
    pub fn new(questions: Vec<Question>) -> Self {
        Self {
            questions,
            window: limits::WINDOW,
            unanswered: Fate::Left,
            is_watched: is_watched(),
        }
    }
}

impl Fleet {
    /// Resolves targets and opens the network to them. Targets that cannot be contacted are reported.
    pub fn open(context: &mut Context, targets: &[Target]) -> Result<Self> {
        let mut count = Count::new(targets.iter().map(Target::label));
        let Network {
            client,
            resolver,
            hosts: found,
        } = context.network(targets)?;
        let signals = if count.is_several() {
            signals::catch_end(&[])?
        } else {
            never()
        };
        let mut hosts = Vec::new();
        for (target, host) in std::iter::zip(targets, found) {
            match host {
                Ok(host) => hosts.push(host),
                Err(error) => count.fail(Fate::Unreachable, target.label(), &error.to_string()),
            }
        }
        Ok(Self {
            client,
            resolver,
            hosts,
            count,
            signals,
            signal: None,
            unanswered: None,
        })
    }

    /// Returns the hosts that can be contacted, in the order of the targets.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// Returns true if there are several targets.
    pub fn is_several(&self) -> bool {
        self.count.is_several()
    }

    /// Asks the questions of a round and passes each answer to `answered`, with the index of its question and the label of
    /// its host; `answered` counts the host, or leaves that to a later round. Asks nothing after a signal.
    pub fn ask(&mut self, round: Round, mut answered: impl FnMut(&mut Count, usize, &str, Answer)) {
        let (count, unanswered) = (&mut self.count, &mut self.unanswered);
        let labels: Vec<String> = round
            .questions
            .iter()
            .map(|question| question.host.label.clone())
            .collect();
        let mut is_answered = vec![false; labels.len()];
        let interrupted = if let Some(signal) = self.signal {
            Some(Interrupted { signal, begun: 0 })
        } else {
            let conditions = Conditions {
                resolver: Some(&self.resolver),
                signals: &self.signals,
                window: round.window,
                note: note_of,
                is_watched: round.is_watched && !count.is_several(),
                time_limit: None,
            };
            run_queries_until(
                &self.client,
                &conditions,
                round.questions,
                |index, answer| {
                    is_answered[index] = true;
                    if let Err(error) = &answer.reply
                        && error.outcome == (Outcome::Unreachable {})
                    {
                        *unanswered = Some(error.is_refused);
                    }
                    answered(count, index, &labels[index], answer);
                },
            )
        };
        self.signal = interrupted.map(|interrupted| interrupted.signal);
        for (index, label) in labels.iter().enumerate() {
            if is_answered[index] {
                continue;
            }
            match interrupted {
                Some(Interrupted { begun, .. }) if index < begun => {
                    self.count.add(round.unanswered, label);
                }
                Some(_) => self.count.add(Fate::Skipped, label),
                None => {
                    let words = "the network thread ended unexpectedly";
                    self.count.fail(Fate::Lost, label, words);
                }
            }
        }
    }

    /// Prints the summary of several hosts, or why the only one may not have answered, closes the network and returns the exit status; that of one host that has
    /// failed is `failure`.
    pub fn conclude(self, failure: u8) -> u8 {
        if self.is_several()
            && let Some(drops) = self.client.drops()
        {
            note(&format!("udpctl: {drops}"));
        }
        let status = self.count.conclude(self.signal, failure);
        if let (false, Some(is_refused), [host]) =
            (self.is_several(), self.unanswered, self.hosts.as_slice())
        {
            let (label, is_met) = (host.label.as_str(), host.ticket.is_some());
            let unanswered = Unanswered {
                label,
                is_met,
                is_refused,
            };
            unanswered.explain();
        }
        self.client.close();
        status
    }
}

/// Count of the hosts of a command.
pub struct Count {
    began: Instant,
    /// Indices of the targets, by label.
    ranks: HashMap<String, usize>,
    tally: Tally,
}

impl Count {
    /// Begins the count of a command with targets of these labels.
    pub fn new<'a>(labels: impl IntoIterator<Item = &'a str>) -> Self {
        let labels = labels.into_iter().map(str::to_owned);
        Self {
            began: Instant::now(),
            ranks: std::iter::zip(labels, 0..).collect(),
            tally: Tally::default(),
        }
    }

    fn is_several(&self) -> bool {
        self.ranks.len() > 1
    }

    /// Counts a host.
    pub fn add(&mut self, fate: Fate, label: &str) {
        let rank = self.ranks.get(label).copied().unwrap_or(usize::MAX);
        self.tally.add(fate, rank, label);
    }

    /// Counts a host that has failed, and says why.
    pub fn fail(&mut self, fate: Fate, label: &str, why: &str) {
        note(&format!("udpctl: {label}: {why}"));
        self.add(fate, label);
    }

    /// Counts a host without the reply that was expected, and says why: with the likely reasons if it is the only one.
    pub fn no_reply(&mut self, label: &str, error: &NoReply) {
        let why = if self.is_several() {
            short_words(error)
        } else {
            words(error)
        };
        self.fail(Fate::of(Some(error.outcome)), label, &why);
    }

    /// Returns the number of hosts of a class.
    pub fn of(&self, fate: Fate) -> usize {
        self.tally.count(fate)
    }

    /// Prints the summary of several hosts and returns the exit status; that of one host that has failed is `failure`.
    pub fn conclude(&self, signal: Option<i32>, failure: u8) -> u8 {
        let status = self.tally.exit_status();
        if !self.is_several() {
            return match (status, signal) {
                (_, Some(signal)) => status::interrupted(signal),
                (status::SUCCESS, None) => status,
                (_, None) => failure,
            };
        }
        for line in self.tally.lines(self.began.elapsed()) {
            note(&line);
        }
        signal.map_or(status, status::interrupted)
    }
}
