//! `udpctl kill`: a signal for a job.

use anyhow::{Result, bail};
use clap::Args;

use super::job::{JobArgs, JobHost};
use super::reply::{unexpected, words};
use crate::message::signal::signal_number;
use crate::message::{Reply, Request};

const EXAMPLES: &str = "\
Examples:
  udpctl kill web1
  udpctl kill --signal HUP web1 3f2a
  udpctl kill --all web1 3f2a";

/// `udpctl kill`
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct KillArgs {
    /// The job.
    #[command(flatten)]
    pub job: JobArgs,
    /// Send SIGNAL, a name or a number; TERM and KILL end everything that the command started
    #[arg(short, long, value_name = "SIGNAL", value_parser = signal, default_value = "TERM")]
    pub signal: i32,
}

/// Parses a signal.
fn signal(text: &str) -> Result<i32, &'static str> {
    signal_number(text).ok_or("write the name of a signal, such as TERM, or a number from 1 to 64")
}

/// Sends the signal.
pub fn run(args: &KillArgs) -> Result<u8> {
    let job_host = JobHost::find(&args.job)?;
    let (id, key) = job_host.job(&args.job)?;
    let label = job_host.host.label.clone();
    let request = Request::Signal {
        id,
        signal: args.signal,
        key,
    };
    match job_host.ask(request, &args.job, args.job.timeout.contact_timeout)? {
        Reply::Done {} => {}
        Reply::Exit { outcome, .. } => {
            bail!("{label}: the command has ended already: {outcome}; request {id}")
        }
        reply => bail!("{label}: {}; request {id}", words(&unexpected(&reply))),
    }
    job_host.client.close();
    Ok(0)
}
