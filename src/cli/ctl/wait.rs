//! `udpctl wait`: the result of a job on one host or many, without its output.

use anyhow::Result;
use clap::Args;

use super::context::note;
use super::fleet::{Count, Fleet, Round};
use super::job_set::{HostJob, JobSetArgs};
use super::reply::unexpected;
use crate::control::exec::summary::Fate;
use crate::control::exec::{Report, summary};
use crate::control::limits;
use crate::message::status::UDPCTL_FAILURE;
use crate::message::{Reply, Request, RequestId};

const EXAMPLES: &str = "\
Examples:
  udpctl wait web1
  udpctl wait web1 3f2a && echo done
  udpctl wait 'web[01-40]'
  udpctl wait -g web -x web13";

/// `udpctl wait`
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, override_usage = "udpctl wait [OPTIONS] [TARGET]... [JOB]")]
pub struct WaitArgs {
    /// The jobs.
    #[command(flatten)]
    pub jobs: JobSetArgs,
}

/// Waits for the job of each host. Returns the status of the only one, or that of all.
pub fn run(args: &WaitArgs) -> Result<u8> {
    args.jobs.run("wait", |fleet, jobs| wait(args, fleet, jobs))
}

fn wait(args: &WaitArgs, mut fleet: Fleet, jobs: Vec<HostJob>) -> u8 {
    let ids: Vec<RequestId> = jobs.iter().map(|job| job.id).collect();
    let questions = jobs.into_iter().map(|job| {
        let request = Request::Wait {
            id: job.id,
            key: job.key,
        };
        args.jobs.question(job.host, request, limits::RETRY_FOR)
    });
    let several = fleet.is_several();
    let mut round = Round::new(questions.collect());
    round.window = limits::WAITS;
    let mut status = UDPCTL_FAILURE;
    fleet.ask(round, |count, index, label, answer| {
        let report = match answer.reply {
            Ok(reply) => report(ids[index], reply),
            Err(error) => return count.no_reply(label, &error),
        };
        match report {
            Ok(report) => {
                status = summary::exit_status(&report);
                show(count, several, label, &report);
            }
            Err(reply) => count.no_reply(label, &unexpected(&reply)),
        }
    });
    fleet.conclude(status)
}

/// Counts a host and prints the line about its result: of several hosts, each whose command did not return 0 has one.
fn show(count: &mut Count, several: bool, label: &str, report: &Report) {
    let fate = Fate::of(report.outcome);
    count.add(fate, label);
    let result = (summary::is_worth_a_line(report) || several && fate != Fate::Ok)
        .then(|| summary::line(label, report));
    for line in summary::notices(label, report).into_iter().chain(result) {
        note(&format!("udpctl: {line}"));
    }
}

/// Returns the report that a reply amounts to, or the reply if it has no result.
fn report(id: RequestId, reply: Reply) -> Result<Report, Reply> {
    match reply {
        Reply::Exit {
            outcome,
            stdout,
            stderr,
            streams_open,
            cause,
            still_running,
        } => Ok(Report {
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
            is_refused: false,
        }),
        reply => Err(reply),
    }
}
