//! `udpctl batch`: commands of a file or a pipe, and a record for each one's end.

pub mod line;

use std::fs::File;
use std::io::{Read, stdin};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;

use self::line::Parser;
use super::args::ContactTimeout;
use super::context::{Context, note, open_client, streams, warn};
use crate::control::batch::{self, Finish, Lines, Settings, Surroundings};
use crate::control::exec::Interruption;
use crate::control::signals;
use crate::control::window::Places;
use crate::duration;
use crate::message::status;

const EXAMPLES: &str = "\
Examples:
  udpctl batch requests.jsonl > results.jsonl
  echo '{\"target\":\"web[01-40]\",\"argv\":[\"uptime\"],\"timeout\":\"5s\"}' | udpctl batch -
  jq -c '{target:.host,argv:[\"uname\",\"-r\"],tag:.id}' hosts.json | udpctl batch -";

/// `udpctl batch`
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct BatchArgs {
    /// Requests, a JSON object a line with target, argv and, if wanted, stdin, timeout, id, user, env, cwd and tag; "-" is
    /// standard input, of which each line is acted upon as soon as it is read
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Run at most N commands at a time [default: 256, and up to 1024 where commands run for long]
    #[arg(short = 'f', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub fanout: Option<u32>,
    /// Read FILE, an inventory of Ansible (INI, YAML or a program), beside hosts.toml; may be repeated
    #[arg(long, value_name = "FILE")]
    pub inventory: Vec<PathBuf>,
    /// The time limit.
    #[command(flatten)]
    pub timeout: ContactTimeout,
    /// Retry a silent agent for TIME; the agent treats a silent controller as gone after TIME
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "60s",
          env = "UDPCTL_LEASE", hide_env_values = true)]
    pub lease: Duration,
}

/// Acts on the lines, prints the summary and returns the exit status.
pub fn run(args: &BatchArgs) -> Result<u8> {
    let mut context = Context::new()?;
    let input: Box<dyn Read + Send> = if args.file.as_os_str() == "-" {
        Box::new(stdin())
    } else {
        let file = File::open(&args.file);
        Box::new(file.with_context(|| args.file.display().to_string())?)
    };
    // The first call decides which inventories are read.
    context.inventory(&args.inventory, |_| Ok(()))?;
    let (client, resolver) = (open_client(context.identity()?)?, context.resolver()?);
    let (journal, rng) = (context.journal(), context.rng.fork());
    let signals = signals::catch_end(&[])?;
    let mut parser = Parser {
        inventory: context.into_inventory(&args.inventory)?,
        rng,
        lease: args.lease,
    };
    let lines = Lines::start(input, move |number, bytes| {
        let line = parser.line(number, bytes);
        // The first name may have had the inventories read.
        warn(&mut parser.inventory);
        line
    })?;
    let settings = Settings {
        places: args.fanout.map_or_else(Places::default, |most| {
            Places::fixed(usize::try_from(most).unwrap_or(usize::MAX))
        }),
        contact_timeout: args.timeout.contact_timeout,
        retry_for: args.lease,
    };
    let surroundings = Surroundings {
        client: &client,
        resolver: &resolver,
        journal: &journal,
        streams: streams()?,
        signals: &signals,
    };
    let finish = batch::run(&lines, settings, surroundings);
    if let Some(drops) = client.drops() {
        note(&format!("udpctl: {drops}"));
    }
    client.close();
    if finish.interruption != Some(Interruption::BrokenPipe) {
        let mut summary = finish.tally.lines(finish.took);
        if finish.bad_lines > 0 {
            summary.push(format!("bad lines: {}", finish.bad_lines));
        }
        note(&summary.join("\n"));
    }
    Ok(exit_status(&finish))
}

/// Returns the status of several targets, in which a line that cannot be understood counts as one of the command line.
fn exit_status(finish: &Finish) -> u8 {
    match finish.interruption {
        Some(Interruption::Signal(signal)) => return status::interrupted(signal),
        Some(Interruption::BrokenPipe) => return status::BROKEN_PIPE,
        Some(Interruption::Left | Interruption::Failed) => return status::INTERNAL,
        None => {}
    }
    let bad = (finish.bad_lines > 0).then_some(status::USAGE);
    let all = bad.into_iter().chain([finish.tally.exit_status()]);
    all.max_by_key(|&number| status::severity(number))
        .unwrap_or(status::SUCCESS)
}
