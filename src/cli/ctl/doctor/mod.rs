//! `udpctl doctor`: the way to an agent, one check a line, with what to do next.
//!
//! Not the checks themselves, which are in `checks.rs`, nor their results in words, in `findings.rs`. Invariant: each check of a host has one line, also one that could not
//! be made.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "the comments on options are help texts, in which brackets belong to addresses"
)]

mod check;
mod checks;
mod findings;
mod mtu;
mod route;

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use serde_json::json;

use self::check::{Check, State};
use self::checks::Diagnosis;
use super::args::HostOptions;
use super::candidates;
use super::context::{Context, is_watched, print};
use crate::control::targets::Expression;
use crate::duration;
use crate::message::status::{INTERNAL, SUCCESS};

const EXAMPLES: &str = "\
Examples:
  udpctl doctor web3
  udpctl doctor --json web3:7001
  udpctl doctor -g web";

/// `udpctl doctor`
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct DoctorArgs {
    /// Agents: HOST, HOST:PORT, [IPv6]:PORT or a set as web[01-40] or @GROUP; the default port is 7000
    #[arg(
        value_name = "TARGET", add = ArgValueCompleter::new(candidates::set),
        required_unless_present_any = ["hosts", "group", "all_hosts", "hostfile"]
    )]
    pub targets: Vec<Expression>,
    /// Further agents.
    #[command(flatten)]
    pub hosts: HostOptions,
    /// Print one JSON object per check
    #[arg(long)]
    pub json: bool,
    /// Give up if the agent does not answer within TIME
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "3s")]
    pub contact_timeout: Duration,
}

/// Checks one target after the other, and prints each line as soon as it is known.
pub fn run(args: &DoctorArgs) -> Result<u8> {
    let mut context = Context::new()?;
    let targets = context.targets(&args.targets, &args.hosts)?;
    let mut status = SUCCESS;
    for target in &targets {
        let label = target.label();
        let mut printed = Ok(());
        let diagnosis = Diagnosis {
            target,
            contact_timeout: args.contact_timeout,
            is_watched: !args.json && is_watched(),
        };
        diagnosis.run(&mut context, &mut |check| {
            status = status_after(status, check.state);
            if printed.is_ok() {
                printed = print(&if args.json {
                    object(label, &check)
                } else {
                    line((targets.len() > 1).then_some(label), &check)
                });
            }
        })?;
        printed?;
    }
    Ok(status)
}

/// Returns the exit status after a further check.
const fn status_after(status: u8, state: State) -> u8 {
    match state {
        State::Fail => INTERNAL,
        State::Ok | State::Warn | State::Skip => status,
    }
}

/// Formats a check as a line, which begins with the host if there are several.
fn line(label: Option<&str>, check: &Check) -> String {
    let label = label.map(|label| format!("{label}: ")).unwrap_or_default();
    let next = check.next.as_ref().map(|next| format!("; {next}"));
    format!(
        "{label}{:<6}  {:<4}  {}{}\n",
        check.name,
        check.state.name(),
        check.found,
        next.unwrap_or_default()
    )
}

fn object(label: &str, check: &Check) -> String {
    let object = json!({
        "v": crate::message::VERSION,
        "host": label,
        "check": check.name,
        "state": check.state.name(),
        "found": check.found,
        "next": check.next,
    });
    format!("{object}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_failed_is_the_status_of_all_and_a_warning_is_none() {
        for (states, status) in [
            (&[State::Ok, State::Warn, State::Skip][..], SUCCESS),
            (&[State::Ok, State::Fail, State::Skip, State::Ok], INTERNAL),
        ] {
            let after = |status, state: &State| status_after(status, *state);
            assert_eq!(states.iter().fold(SUCCESS, after), status, "{states:?}");
        }
    }

    #[test]
    fn a_check_is_one_line_with_what_to_do_next() {
        let check = Check {
            name: "route",
            state: State::Fail,
            found: "no route".into(),
            next: Some("see ip route".into()),
        };
        assert_eq!(line(None, &check), "route   fail  no route; see ip route\n");
        let of_host = "web3: route   fail  no route; see ip route\n";
        assert_eq!(line(Some("web3"), &check), of_host);
        let json: serde_json::Value = serde_json::from_str(&object("web3", &check)).unwrap();
        assert_eq!(json["host"], "web3");
        assert_eq!(json["state"], "fail");
        assert_eq!(json["next"], "see ip route");
    }
}
