//! `udpctl kill`: a signal for a job on one host or many.

use anyhow::Result;
use clap::Args;

use super::fleet::Round;
use super::job_set::JobSetArgs;
use super::reply::{unexpected, words};
use crate::control::exec::summary::Fate;
use crate::message::signal::signal_number;
use crate::message::status::{INTERNAL, USAGE};
use crate::message::{Reply, Request, RequestId};

const EXAMPLES: &str = "\
Examples:
  udpctl kill web1
  udpctl kill --signal HUP web1 3f2a
  udpctl kill --all web1 3f2a
  udpctl kill 'web[01-40]' 3f2a
  udpctl kill -g web -x web13 --job 3f2a";

/// `udpctl kill`
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct KillArgs {
    /// The jobs.
    #[command(flatten)]
    pub jobs: JobSetArgs,
    /// Send SIGNAL, a name or a number; TERM and KILL end everything that the command started
    #[arg(short, long, value_name = "SIGNAL", value_parser = signal, default_value = "TERM")]
    pub signal: i32,
}

/// Parses a signal.
fn signal(text: &str) -> Result<i32, &'static str> {
    signal_number(text).ok_or("write the name of a signal, such as TERM, or a number from 1 to 64")
}

/// Sends the signal to the job of each host.
pub fn run(args: &KillArgs) -> Result<u8> {
    let Some((mut fleet, jobs)) = args.jobs.start("kill")? else {
        return Ok(USAGE);
    };
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
                let why = format!("the command has ended already: {outcome}; request {id}");
                count.fail(Fate::Failed, label, &why);
            }
            Ok(reply) => {
                let error = unexpected(&reply);
                let why = format!("{}; request {id}", words(&error));
                count.fail(Fate::of(Some(error.outcome)), label, &why);
            }
            Err(error) => count.no_reply(label, &error),
        }
    });
    Ok(fleet.conclude(INTERNAL))
}
