//! `udpctl wait`: the result of a job, without its output.

use anyhow::{Result, bail};
use clap::Args;

use super::context::note;
use super::job::{JobArgs, JobHost};
use super::reply::{unexpected, words};
use crate::control::exec::{Report, summary};
use crate::control::limits;
use crate::message::{Reply, Request};

const EXAMPLES: &str = "\
Examples:
  udpctl wait web1
  udpctl wait web1 3f2a && echo done";

/// `udpctl wait`
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct WaitArgs {
    /// The job.
    #[command(flatten)]
    pub job: JobArgs,
}

/// Waits for the job and returns its status.
pub fn run(args: &WaitArgs) -> Result<u8> {
    let job_host = JobHost::find(&args.job)?;
    let (id, key) = job_host.job(&args.job)?;
    let label = job_host.host.label.clone();
    let report = match job_host.ask(Request::Wait { id, key }, &args.job, limits::RETRY_FOR)? {
        Reply::Exit {
            outcome,
            stdout,
            stderr,
            streams_open,
            cause,
            still_running,
        } => Report {
            id,
            outcome: Some(outcome),
            accepted: true,
            lengths: [stdout, stderr],
            missing: [0, 0],
            streams_open,
            cause,
            still_running,
            pid: None,
            home: None,
            note: None,
        },
        reply => bail!("{label}: {}", words(&unexpected(&reply))),
    };
    job_host.client.close();
    let result = summary::is_worth_a_line(&report).then(|| summary::line(&label, &report));
    for line in summary::notices(&label, &report).into_iter().chain(result) {
        note(&format!("udpctl: {line}"));
    }
    Ok(summary::exit_status(&report))
}
