//! `udpagent check`: the configuration and the rights of each key, in words.
//!
//! Decides nothing: the answers come from the agent's own policy. Anything that depends on the moment, such as
//! the number of running commands, is left out.

mod copies;
mod files;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::net::{IpAddr, SocketAddr};

use anyhow::{Result, bail};
use clap::Args;
use clap_complete::engine::ArgValueCompleter;

use self::files::{refused_audit, refused_identity};
use super::files::{ConfigFile, Files};
use super::host_accounts::HostAccounts;
use super::serve::{audit, host_name, probe};
use crate::agent::access::{Denied, Member, Origin, Policy, SAME_USER, Sources, look_alike};
use crate::agent::audit::{self, Demand};
use crate::agent::config::{self, Config, Sandbox, Switch, limit_name};
use crate::agent::daemon::unix_now;
use crate::agent::limits::jobs_per_key;
use crate::agent::sandbox;
use crate::agent::supervisor::possible_jobs;
use crate::cli::agent::candidates;
use crate::cli::output::{note, print};
use crate::message::{Exec, OsText, RequestId};
use crate::net::Bind;
use crate::peer_addr::PeerAddr;
use crate::process::{Account, CgroupController, CgroupParent, CgroupsReport};
use crate::session::limits::SESSIONS_PER_KEY;

const EXAMPLES: &str = "\
Examples:
  udpagent check
  udpagent check monitor
  udpagent check monitor --from 192.0.2.9 -- df -h";

/// `udpagent check`
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct CheckArgs {
    /// Key to show, given as the key itself or by its name
    #[arg(value_name = "KEY", add = ArgValueCompleter::new(candidates::key))]
    pub key: Option<String>,
    /// Command to check; the exit status is 0 if the key may run it and 1 if not
    #[arg(value_name = "ARGV", last = true, requires = "key")]
    pub argv: Vec<OsString>,
    /// Check the command as the user NAME, as with udpctl exec --user
    #[arg(long, value_name = "NAME", requires = "argv", add = ArgValueCompleter::new(candidates::user))]
    pub user: Option<String>,
    /// Check for a session from ADDRESS
    #[arg(long, value_name = "ADDRESS", requires = "key")]
    pub from: Option<IpAddr>,
    /// The configuration file.
    #[command(flatten)]
    pub config: ConfigFile,
}

/// Prints the configuration with its faults, or the answer about one key.
pub fn run(args: &CheckArgs) -> Result<u8> {
    let files = Files::locate()?;
    let config = Config::resolve([files.read_config(&args.config)?]);
    let identity = refused_identity(&files.agent.identity());
    let sources = Sources {
        agent: files.agent,
        control: files.control,
    };
    let (policy, mut problems) = sources.load();
    let policy = policy
        .with_exec(config.exec)
        .with_cgroup_limits(config.cgroup_limits);
    problems.extend(policy.ineffective_lines(&HostAccounts(Account::current()), unix_now()));
    let links = copies::linked(&policy, origin);
    for problem in &links {
        note(&format!("udpagent: {problem}"));
    }
    for problem in &problems {
        note(&format!("udpagent: {problem}"));
    }
    let Some(who) = &args.key else {
        let (sandbox, incomplete) = sandbox(config.sandbox)?;
        if let Some(incomplete) = &incomplete {
            note(&format!("udpagent: {incomplete}"));
        }
        let unwritable = audit(&config).and_then(|audit| refused_audit(&audit));
        let identity = identity.map(|error| error.to_string());
        let refused: Vec<String> = identity.into_iter().chain(unwritable).collect();
        for line in &refused {
            note(&format!("udpagent: {line}"));
        }
        let cgroups = CgroupsLine::new(&config, &policy.cgroup_controllers());
        cgroups.report();
        let mut lines = settings(&config, sandbox, cgroups.line);
        let mut members: Vec<&Member> = policy.members().collect();
        members.sort_by(|a, b| (&a.name, a.key.0).cmp(&(&b.name, b.key.0)));
        let agent = config.name.clone().unwrap_or_else(host_name);
        let describe = |member: &Member| {
            let in_chats = if look_alike(&member.name, &agent) {
                format!(
                    "; is ({}) in chats, where {agent} is the agent",
                    member.name
                )
            } else {
                String::new()
            };
            describe(member, config.exec) + &in_chats
        };
        lines.extend(members.into_iter().map(describe));
        lines.push(format!("this user's own controller: {}", policy.own_user()));
        print(&(lines.join("\n") + "\n"))?;
        let is_refused = !refused.is_empty() || incomplete.is_some() || cgroups.is_fault;
        let is_faulty = is_refused || !links.is_empty() || !problems.is_empty();
        return Ok(u8::from(is_faulty));
    };
    let member = find(&policy, who)?;
    let answer = match member {
        None if who == SAME_USER => {
            let own = policy.own_user();
            print(&format!("no: this user's own controller is {own}\n"))?;
            return Ok(1);
        }
        None => Err(Denied::NotListed.to_string()),
        Some(member) if args.argv.is_empty() => policy
            .authorize_session(&member.key, from(args), None, unix_now())
            .map(|_| describe(member, config.exec))
            .map_err(|denied| denied.to_string()),
        Some(member) => authorize(&config, &policy, member, args),
    };
    let place = member.map_or_else(String::new, |member| format!(" ({})", origin(member)));
    match answer {
        Ok(yes) if args.argv.is_empty() => print(&format!("{yes}\n"))?,
        Ok(yes) => print(&format!("yes: {yes}{place}\n"))?,
        Err(no) => {
            print(&format!("no: {no}{place}\n"))?;
            return Ok(1);
        }
    }
    Ok(0)
}

/// Finds a member by its key, or by its name if only one has it.
fn find<'a>(policy: &'a Policy, who: &str) -> Result<Option<&'a Member>> {
    let is = |member: &&Member| member.key.to_string() == who || member.name == who;
    let mut found = policy.members().filter(is);
    let first = found.next();
    if found.next().is_some() {
        bail!("several keys have the name {who}; give the key itself");
    }
    Ok(first)
}

/// Returns the address to check for. Rules are about the IP address, not the port.
fn from(args: &CheckArgs) -> Option<PeerAddr> {
    args.from.map(|ip| SocketAddr::new(ip, 0).into())
}

/// Decides about a command as the agent would, and describes the grant.
fn authorize(
    config: &Config,
    policy: &Policy,
    member: &Member,
    args: &CheckArgs,
) -> Result<String, String> {
    let argv = args.argv.iter().cloned().map(OsText::from).collect();
    let mut exec = Exec::new(RequestId([0; 16]), argv);
    exec.user.clone_from(&args.user);
    let accounts = HostAccounts(Account::current());
    let grant = policy
        .authorize_exec(&member.key, from(args), &exec, &accounts, unix_now())
        .map_err(|denied| denied.to_string())?;
    let cgroups = CgroupsLine::new(config, &grant.cgroup_limits.controllers());
    if !cgroups.hindered.is_empty() && !grant.cgroup_limits.is_empty() {
        return Err(cgroups.hindered.join("; "));
    }
    cgroups.report();
    let reason = match grant.pattern {
        Some(pattern) => format!("by allow=\"{pattern}\""),
        None => "as it may run anything".into(),
    };
    let limits = match grant.cgroup_limits {
        limits if limits.is_empty() => String::new(),
        limits => format!(", with {limits} at most"),
    };
    Ok(format!(
        "{} runs it as {}, {reason}{limits}",
        grant.name, grant.user
    ))
}

/// Describes the sandbox that an agent started now would have, and what it lacks if it is required.
fn sandbox(demand: Sandbox) -> Result<(String, Option<io::Error>)> {
    if demand == Sandbox::Off {
        return Ok(("serves the network without a sandbox".into(), None));
    }
    let plan = sandbox::Plan::new(demand, &Account::current())?;
    let report = probe(&plan)?;
    let mut line = format!("serves the network in a sandbox: {}", report.in_force);
    if !report.possible.is_empty() {
        line = format!("{line}; it does not deny to {}", report.possible.join(", "));
    }
    let incomplete = match demand {
        Sandbox::Required => sandbox::check(&plan, &report.in_force).err(),
        Sandbox::Auto | Sandbox::Off => None,
    };
    Ok((line, incomplete))
}

/// Cgroups that the commands of an agent started now would have.
struct CgroupsLine {
    /// Their place, or why there are none.
    line: String,
    /// Obstacles to limits.
    hindered: Vec<String>,
    /// True if that holds wherever the agent is started.
    is_fault: bool,
}

impl CgroupsLine {
    fn new(config: &Config, wanted: &BTreeSet<CgroupController>) -> Self {
        let parent = &config.cgroup_parent;
        let (line, mut hindered) = match CgroupsReport::new(parent, wanted) {
            Ok(report) => {
                let place = report.place().display();
                let line = format!("runs each command in a cgroup below {place}");
                (line, report.lacks().collect())
            }
            Err(error) => {
                let mut hindered = Vec::new();
                if parent.is_chosen() {
                    hindered.push(format!("cgroup.parent: {error}"));
                }
                if !wanted.is_empty() {
                    let text = "commands have no cgroups, so those with limits are denied";
                    hindered.push(text.to_owned());
                }
                (format!("runs commands without cgroups: {error}"), hindered)
            }
        };
        let is_fault = *parent != CgroupParent::Auto && !hindered.is_empty();
        if !is_fault {
            for line in &mut hindered {
                line.push_str(" by an agent that is started here");
            }
        }
        Self {
            line,
            hindered,
            is_fault,
        }
    }

    fn report(&self) {
        for line in &self.hindered {
            note(&format!("udpagent: {line}"));
        }
    }
}

/// Describes what holds for all keys.
fn settings(config: &Config, sandbox: String, cgroups: String) -> Vec<String> {
    let binds: Vec<String> = config.bind.iter().map(Bind::to_string).collect();
    let mut lines = vec![format!("listens on {}", binds.join(", ")), sandbox];
    if config.sessions_per_key != SESSIONS_PER_KEY {
        lines.push(format!(
            "takes {} sessions of a key",
            config.sessions_per_key
        ));
    }
    if config.plain == Switch::Off {
        lines.push("ignores plain text".into());
    }
    if let Some(words) = &config.on_message {
        let timeout = config.on_message_timeout;
        lines.push(format!(
            "runs {words} for each message of the chat, for {timeout:?} at most"
        ));
    }
    if config.exec == Switch::Off {
        lines.push("runs no commands".into());
        return lines;
    }
    let jobs = config.max_jobs;
    let mut limits = vec![format!("runs {jobs} commands at a time")];
    let possible = possible_jobs(jobs);
    if possible < jobs {
        limits.push(format!(
            "only {possible} with the limit of open files of this process"
        ));
    }
    let share = jobs_per_key(jobs);
    if share < jobs {
        limits.push(format!("{share} of one key without max-jobs="));
    }
    if let Some(runtime) = config.max_runtime {
        limits.push(format!("each for {runtime:?} at most"));
    }
    if let Some(bytes) = config.max_output {
        limits.push(format!("each with {bytes} bytes of output at most"));
    }
    for limit in &config.resources {
        let (resource, at_most) = (limit.resource, limit.at_most);
        limits.push(format!("{} {at_most}", limit_name(resource)));
    }
    if !config.cgroup_limits.is_empty() {
        limits.push(format!("each with {} at most", config.cgroup_limits));
    }
    lines.push(limits.join(", "));
    lines.push(cgroups);
    if config.keep_jobs == Switch::On {
        lines.push("leaves commands alone when it ends".into());
    }
    // The agent decides by its own standard error, which is another than that of this program.
    let may_collect = config.audit == config::Audit::Auto && config.audit_file.is_none();
    let wanted = may_collect.then_some(audit::Config {
        file: None,
        demand: Demand::Wanted,
    });
    lines.push(match audit(config).or(wanted) {
        None => "keeps no record of what runs".into(),
        Some(audit) => {
            let place = match &audit.file {
                Some(path) => path.display().to_string(),
                None if config.audit == config::Audit::Auto => {
                    "standard error, unless that is a terminal".into()
                }
                None => "standard error".into(),
            };
            let demand = match audit.demand {
                Demand::Wanted => "",
                Demand::Required => ", and runs nothing that is not recorded",
            };
            format!("keeps a record of what runs in {place}{demand}")
        }
    });
    lines
}

/// Describes a key: `KEY NAME (PLACE): CLAUSES`.
fn describe(member: &Member, exec: Switch) -> String {
    let options = &member.options;
    let mut clauses = Vec::new();
    let runs = !options.chat_only && exec == Switch::On;
    clauses.push(if runs {
        format!("runs {} as {}", commands(member), users(member))
    } else {
        "chats, and runs no commands".to_owned()
    });
    if runs && !options.forward.is_empty() {
        let to: Vec<String> = options.forward.iter().map(ToString::to_string).collect();
        clauses.push(format!("forwards connections to {}", to.join(" or ")));
    }
    if exec == Switch::On && !options.copy.is_empty() {
        let rules: Vec<String> = options.copy.iter().map(ToString::to_string).collect();
        clauses.push(format!("copies files by copy={}", rules.join(" or copy=")));
    }
    if !options.from.is_empty() {
        let networks: Vec<String> = options.from.iter().map(ToString::to_string).collect();
        clauses.push(format!("from {}", networks.join(" or ")));
    }
    if let Some(jobs) = options.max_jobs.filter(|_| runs) {
        clauses.push(format!("{jobs} at a time"));
    }
    if runs && !options.cgroup_limits.is_empty() {
        clauses.push(format!("each with {} at most", options.cgroup_limits));
    }
    if options.admin {
        clauses.push("may list, attach to and end the commands of all keys".to_owned());
    }
    if let Some(expires) = options.expires {
        let time = i64::try_from(expires).map(jiff::Timestamp::from_second);
        let time = match time {
            Ok(Ok(time)) => time.to_string(),
            _ => expires.to_string(),
        };
        let expired = if options.is_expired(unix_now()) {
            ", which has passed"
        } else {
            ""
        };
        clauses.push(format!("until {time}{expired}"));
    }
    let place = origin(member);
    let clauses = clauses.join("; ");
    format!("{} {} ({place}): {clauses}", member.key, member.name)
}

/// Describes the commands that a key may run.
fn commands(member: &Member) -> String {
    let allow = &member.options.allow;
    if allow.is_empty() {
        return "any command".into();
    }
    let patterns: Vec<String> = allow
        .iter()
        .map(|pattern| format!("\"{pattern}\""))
        .collect();
    patterns.join(" or ")
}

/// Describes the users that a key's commands may run as.
fn users(member: &Member) -> String {
    let users = &member.options.users;
    let own = Account::current().name.to_string_lossy().into_owned();
    let (first, others) = match users.named().split_first() {
        Some((first, others)) => (first.clone(), others),
        None => (own, &[][..]),
    };
    if users.any() {
        return format!("{first}, or any other user if asked");
    }
    match others {
        [] => first,
        others => format!("{first}, or {} if asked", others.join(" or ")),
    }
}

/// Names the line or file that a key is from.
fn origin(member: &Member) -> String {
    match &member.origin {
        Origin::Line(path, line) => format!("{}:{line}", path.display()),
        Origin::SameUser(path) => format!("{}, this user's own controller", path.display()),
        Origin::Given => "this program".to_owned(),
    }
}
