//! Options of `udpctl exec` for several hosts: their order and number at a time, when to stop, and what to repeat.

use std::io::IsTerminal as _;
use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};

use crate::control::exec::{Fleet, Terminals};
use crate::control::fleet::{Batches, Canary, Class, Rules, Share, Then};
use crate::control::window::Places;
use crate::duration;

/// Options for several hosts.
#[derive(Args, Debug)]
#[command(next_help_heading = "Several hosts")]
pub struct FleetOptions {
    /// Run on at most N hosts at a time [default: 256, and up to 1024 where commands run for long]
    #[arg(short = 'f', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub fanout: Option<u32>,
    /// Begin N hosts, or N% of all, and the next ones when all of these have ended
    #[arg(long, value_name = "N|N%", conflicts_with = "stdin")]
    pub batch: Option<Share>,
    /// Wait TIME before the next batch
    #[arg(long, value_name = "TIME", value_parser = duration::parse, requires = "batch")]
    pub batch_sleep: Option<Duration>,
    /// Begin the first N hosts alone, and stop if one of them is not ok
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "stdin")]
    pub canary: Option<u32>,
    /// Choose what follows a canary that is ok [default: ask on a terminal, go otherwise]
    #[arg(long, value_name = "WHAT", requires = "canary")]
    pub then: Option<Next>,
    /// Begin no further host once N, or N% of all, were not ok
    #[arg(long, value_name = "N|N%")]
    pub max_errors: Option<Share>,
    /// Begin no further host once one was not ok, and cancel the commands on the others
    #[arg(long)]
    pub fail_fast: bool,
    /// Take the first N hosts, or N% of all, and skip the others
    #[arg(long, value_name = "N|N%")]
    pub limit: Option<Share>,
    /// Try N times more to reach a host that does not answer; the command never runs twice
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=100),
          conflicts_with = "stdin")]
    pub retries: u32,
    /// Add the hosts that were of CLASS in the last run over several hosts; may be repeated
    #[arg(long, value_name = "CLASS", value_delimiter = ',', value_parser = classes())]
    pub rerun: Vec<Class>,
    /// Replace %h in ARGV by the name of the host, %n by its place among the targets, from 0, and %% by %
    #[arg(long)]
    pub subst: bool,
    /// Cancel the command on a host that holds up the input of the others for TIME [default: wait for the slowest]
    #[arg(long, value_name = "TIME", value_parser = duration::parse, requires = "stdin")]
    pub stdin_drop: Option<Duration>,
    /// Exit with the largest status of all commands; a host without a result counts as 255
    #[arg(short = 'S', long)]
    pub max_status: bool,
}

/// Returns the standard streams that are terminals on which a line can be drawn again.
pub fn terminals() -> Terminals {
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    Terminals {
        stdout: !is_dumb && std::io::stdout().is_terminal(),
        stderr: !is_dumb && std::io::stderr().is_terminal(),
    }
}

/// Returns the parser of the classes of the last run.
fn classes() -> impl TypedValueParser<Value = Class> {
    let help = |class| match class {
        Class::Ok => "The command returned 0",
        Class::Failed => "The command failed, was ended or refused, or its result is not known",
        Class::Unreachable => "The host did not answer",
        Class::Skipped => "The command was not begun there",
    };
    let value = |class: Class| PossibleValue::new(class.name()).help(help(class));
    PossibleValuesParser::new(Class::ALL.map(value))
        .map(|name| Class::named(&name).expect("the parser takes the names of classes"))
}

/// Continuation after a canary.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Next {
    /// Ask on the terminal
    Ask,
    /// Go on with the other hosts
    Go,
}

impl FleetOptions {
    /// Returns the settings of a run over `hosts` hosts. `reads_keys` is true if the user's lines are not the input of
    /// something else.
    pub(super) fn settings(&self, hosts: usize, stdin: bool, reads_keys: bool) -> Fleet {
        let is_watched = reads_keys && std::io::stdin().is_terminal();
        let then = match self.then {
            Some(Next::Ask) => Then::Ask,
            None if is_watched => Then::Ask,
            Some(Next::Go) | None => Then::Go,
        };
        let as_usize = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let places = |hosts: u32| Places::fixed(as_usize(hosts));
        let places = self.fanout.map_or_else(Places::default, places);
        Fleet {
            // The input goes to all hosts at once, so all of them run.
            places: if stdin { Places::fixed(hosts) } else { places },
            rules: Rules {
                canary: self.canary.map(|hosts| Canary {
                    hosts: as_usize(hosts),
                    then,
                }),
                batches: self.batch.map(|size| Batches {
                    size,
                    pause: self.batch_sleep.unwrap_or_default(),
                }),
                max_errors: self.max_errors,
                fail_fast: self.fail_fast,
            },
            retries: self.retries,
            stdin_drop: self.stdin_drop,
            terminals: terminals(),
            keyboard: is_watched && hosts > 1,
        }
    }

    /// Returns the number of hosts that are taken of all.
    pub(super) fn taken(&self, hosts: usize) -> usize {
        self.limit.map_or(hosts, |limit| limit.of(hosts).min(hosts))
    }
}
