//! `udpctl exec`: a command on one or more hosts.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "the comments on options are help texts, in which brackets belong to addresses"
)]

mod caller;
mod conclusion;
mod fleet_options;
mod misplaced;
mod needs_terminal;
mod output_options;
mod record;
mod request;
mod unread_input;

use std::ffi::{OsStr, OsString};
use std::io::{IsTerminal as _, stdin, stdout};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::builder::{OsStringValueParser, PathBufValueParser, TypedValueParser as _};
use clap::{Args, ValueEnum};
use clap_complete::engine::ArgValueCompleter;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};

use self::caller::Caller;
pub use self::caller::exec_args;
use self::conclusion::Conclusion;
pub use self::conclusion::{conclude, conclude_one, explain};
pub use self::fleet_options::terminals;
use self::fleet_options::{FleetOptions, Next};
use self::needs_terminal::note_needs_terminal;
use self::output_options::OutputOptions;
use self::record::record;
use self::unread_input::note_unread_input;
use super::args::{Contact, HostOptions};
use super::context::{Context, FleetNetwork, internal_if, note, streams};
use super::local::{LABEL, Local};
use crate::cli::ctl::candidates;
use crate::control::exec::{
    self, Goal, JobRequest, Settings, Surroundings, Task, TaskHost, TerminalMode, Verbosity,
};
use crate::control::fleet::{Class, LastRun};
use crate::control::targets::{Expression, TargetsError};
use crate::control::{console, limits, signals};
use crate::duration;
use crate::message::signal::signal_number;
use crate::message::{OnDisconnect, RequestId, status};
use crate::net::Target;

const EXAMPLES: &str = "\
Examples:
  udpctl exec --local -- uname -a
  udpctl exec web1 web2:7001 -- systemctl is-active nginx
  tar c . | udpctl exec -i web1 -- tar x -C /srv/site
  udpctl exec web1 --shell 'df -h | sort'
  udpctl exec -t web1 -- vim notes
  udpctl exec --detach --timeout 1h web1 -- make";

/// `udpctl exec`
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct ExecArgs {
    /// Hosts: HOST, HOST:PORT, [IPv6]:PORT or a set as web[01-40] or @GROUP; the default port is 7000
    #[arg(
        value_name = "TARGET", add = ArgValueCompleter::new(candidates::set),
        required_unless_present_any = ["local", "hosts", "group", "all_hosts", "hostfile", "rerun"],
        conflicts_with = "local"
    )]
    pub targets: Vec<Expression>,
    /// Program and arguments, each passed on unchanged
    #[arg(value_name = "ARGV", last = true, required_unless_present_any = ["shell", "script"])]
    pub argv: Vec<OsString>,
    /// Further hosts.
    #[command(flatten)]
    pub hosts: HostOptions,
    /// Location of the agents.
    #[command(flatten)]
    pub contact: Contact,
    /// Pass standard input to the command; without this option it is not read, and a note says so if it is a pipe or file
    /// with data for this process alone
    #[arg(short = 'i', long = "stdin")]
    pub stdin: bool,
    /// Give the command a terminal, for interactive programs; one host only
    #[arg(short, long, conflicts_with_all = ["json", "jsonl"])]
    pub terminal: bool,
    /// Run TEXT with /bin/sh; ARGV become its $1, $2 and so on
    #[arg(long, value_name = "TEXT")]
    pub shell: Option<OsString>,
    /// Run the script FILE of this machine without storing it on the host; ARGV become its arguments
    #[arg(long, value_name = "FILE", conflicts_with = "shell",
          value_parser = PathBufValueParser::new().try_map(script))]
    pub script: Option<PathBuf>,
    /// End the command after TIME [default: never]
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub timeout: Option<Duration>,
    /// Set an environment variable for the command; may be repeated
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = OsStringValueParser::new().try_map(variable))]
    pub env: Vec<(OsString, OsString)>,
    /// Run in the directory DIR [default: the home directory]
    #[arg(long, value_name = "DIR")]
    pub cwd: Option<OsString>,
    /// Run as the user NAME of the host, if the agent allows this key to
    #[arg(long, value_name = "NAME", add = ArgValueCompleter::new(candidates::user))]
    pub user: Option<String>,
    /// Pass SIGNAL to the command instead of canceling it: HUP, INT, QUIT, TERM, USR1 or USR2; may be repeated
    #[arg(long, value_name = "SIGNAL", value_delimiter = ',', value_parser = forwarded, add = ArgValueCompleter::new(candidates::signal))]
    pub forward: Vec<i32>,
    /// Set the request id, 32 hexadecimal digits; the same command with the same id runs once, and its
    /// result is kept for an hour for repeats [default: random]
    #[arg(long, value_name = "ID")]
    pub id: Option<RequestId>,
    /// Exit once the command runs; it keeps running, and its output is kept for "udpctl attach"
    #[arg(long, conflicts_with_all = ["stdin", "local"])]
    pub detach: bool,
    /// Choose what happens to the command when the controller disappears; with -t or --detach, the default is keep
    #[arg(
        long,
        value_name = "ACTION",
        default_value = "kill",
        default_value_ifs([("local", "true", "kill"), ("detach", "true", "keep"), ("terminal", "true", "keep")]),
        conflicts_with = "local"
    )]
    pub on_disconnect: Gone,
    /// Retry a silent agent for TIME; the agent treats a silent controller as gone after TIME
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "60s",
          env = "UDPCTL_LEASE", hide_env_values = true)]
    pub lease: Duration,
    /// Report the outcome on standard error even if the command succeeded, and which of several addresses answered
    #[arg(short, long)]
    pub verbose: bool,
    /// Order and number of several hosts.
    #[command(flatten)]
    pub fleet: FleetOptions,
    /// Output of several hosts.
    #[command(flatten)]
    pub output: OutputOptions,
    /// Choices without an option.
    #[arg(skip)]
    pub caller: Caller,
}

/// Action on a command whose controller has disappeared.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Gone {
    /// End the command when the lease runs out
    Kill,
    /// Let the command run and keep its output
    Keep,
}

impl From<Gone> for OnDisconnect {
    fn from(gone: Gone) -> Self {
        match gone {
            Gone::Kill => Self::Kill,
            Gone::Keep => Self::Keep,
        }
    }
}

/// Parses the path of a script. Standard input is no place for one: it belongs to the command.
fn script(path: PathBuf) -> Result<PathBuf, &'static str> {
    if path.as_os_str() == "-" {
        return Err("to run a script from standard input, use \"-i -- sh -s\"");
    }
    Ok(path)
}

/// Signals that may be passed on.
const FORWARDED: [i32; 6] = [SIGHUP, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGINT];

/// Parses a signal to forward.
fn forwarded(text: &str) -> Result<i32, &'static str> {
    signal_number(text)
        .filter(|number| FORWARDED.contains(number))
        .ok_or("only HUP, INT, QUIT, TERM, USR1 and USR2 can be forwarded")
}

/// Parses a variable.
#[allow(
    clippy::needless_pass_by_value,
    reason = "clap hands over what it owns"
)]
fn variable(text: OsString) -> Result<(OsString, OsString), &'static str> {
    let bytes = text.as_bytes();
    match bytes.iter().position(|&byte| byte == b'=') {
        None | Some(0) => Err("write NAME=VALUE"),
        Some(end) => Ok((
            OsStr::from_bytes(&bytes[..end]).to_owned(),
            OsStr::from_bytes(&bytes[end + 1..]).to_owned(),
        )),
    }
}

/// Returns the fault of a line with more hosts than an option takes.
fn surplus(args: &ExecArgs, hosts: usize) -> Option<String> {
    let most = limits::STDIN_HOSTS;
    if args.terminal && hosts > 1 {
        return Some(format!("-t takes one host, not {hosts}"));
    }
    if args.stdin && args.hosts.reads_stdin() {
        return Some("-i and --hostfile - both read standard input".into());
    }
    if args.fleet.then == Some(Next::Ask) && (args.hosts.reads_stdin() || !stdin().is_terminal()) {
        return Some("--then ask needs a terminal as standard input".into());
    }
    (args.stdin && hosts > most).then(|| format!("-i takes at most {most} hosts, not {hosts}"))
}

/// Returns the targets of the command line, those of the last run included.
fn targets(args: &ExecArgs, context: &Context) -> Result<Vec<Target>> {
    if args.contact.local {
        return Ok(Vec::new());
    }
    let mut sets = args.targets.clone();
    if !args.fleet.rerun.is_empty() {
        sets.extend(rerun(&args.fleet.rerun, &context.home.last_run())?);
        if sets.is_empty() && !args.hosts.add_hosts() {
            return Err(TargetsError::Nothing.into());
        }
    }
    Ok(context.targets(&sets, &args.hosts)?)
}

/// Returns the hosts that were of some classes in the last run.
fn rerun(classes: &[Class], path: &Path) -> Result<Vec<Expression>> {
    let last = LastRun::load(path)?.context("--rerun: there was no run over several hosts yet")?;
    let hosts = classes.iter().flat_map(|&class| last.hosts(class));
    let sets = hosts.map(|host| host.parse().with_context(|| path.display().to_string()));
    sets.collect()
}

/// Runs the command and returns the exit status, also after a failure on this machine in a run over several hosts.
pub fn run(args: &ExecArgs) -> Result<u8> {
    if let Some(fault) = misplaced::misplaced(args) {
        return Ok(refuse(&fault));
    }
    let context = Context::new()?;
    let mut targets = targets(args, &context)?;
    let is_several = targets.len() > 1;
    let skipped = targets.split_off(args.fleet.taken(targets.len()));
    internal_if(is_several, run_on(args, context, &targets, &skipped))
}

/// Runs the command on targets; those beyond the limit are skipped.
fn run_on(
    args: &ExecArgs,
    mut context: Context,
    targets: &[Target],
    skipped: &[Target],
) -> Result<u8> {
    if let Some(fault) = surplus(args, targets.len()) {
        return Ok(refuse(&fault));
    }
    let script = args
        .script
        .as_deref()
        .map(request::read_script)
        .transpose()?;
    let template = request::job_request(args, script.as_ref(), &mut context.rng);
    if let Some(fault) = request::excess(&template) {
        return Ok(refuse(&fault));
    }
    let signals = if has_terminal(args) {
        signals::catch_with_terminal(&args.forward)?
    } else {
        signals::catch(&[&args.forward, args.caller.dismissal].concat())?
    };
    // Before the requests are in the journal: without these files, none is made.
    let (files, job_log) = (args.output.files()?, args.output.job_log()?);
    if args.contact.local {
        let local = Local::start(&mut context.rng, status::UDPCTL_FAILURE)?;
        let task = Task {
            label: LABEL.into(),
            host: TaskHost::Found(Ok(local.host.clone())),
            request: template,
        };
        let settings = settings(args, &[LABEL]);
        let surroundings = Surroundings {
            files,
            job_log,
            ..Surroundings::new(&local.client, streams()?, &signals)
        };
        let finish = exec::run(vec![task], settings, surroundings);
        local.stop();
        note_unread_input(args, &finish);
        note_needs_terminal(args, &finish);
        return Conclusion::new(args, &[LABEL.into()], &[]).of(&finish, None);
    }
    let FleetNetwork {
        client,
        resolver,
        hosts,
    } = context.fleet_network(targets, args.caller.family)?;
    let mut tasks = tasks(args, &mut context, targets, hosts, &template)?;
    if args.fleet.subst
        && let Some(fault) = tasks.iter().find_map(|task| request::excess(&task.request))
    {
        return Ok(refuse(&fault));
    }
    let labels: Vec<String> = tasks.iter().map(|task| task.label.clone()).collect();
    let settings = settings(args, &labels.iter().map(String::as_str).collect::<Vec<_>>());
    let surroundings = Surroundings {
        resolver: Some(&resolver),
        recorder: record(args, &context.journal(), &mut tasks)?,
        on_accepted: args.caller.on_accepted(),
        files,
        job_log,
        ..Surroundings::new(&client, streams()?, &signals)
    };
    let finish = exec::run(tasks, settings, surroundings);
    if labels.len() > 1
        && let Some(drops) = client.drops()
    {
        note(&format!("udpctl: {drops}"));
    }
    client.close();
    note_unread_input(args, &finish);
    note_needs_terminal(args, &finish);
    let skipped: Vec<String> = skipped
        .iter()
        .map(|target| target.label().to_owned())
        .collect();
    Conclusion::new(args, &labels, &skipped).of(&finish, Some(&context.home.last_run()))
}

/// Prints the fault of a line and returns the status.
fn refuse(fault: &str) -> u8 {
    note(&format!("udpctl: {fault}"));
    status::USAGE
}

/// Returns the tasks of the targets, each with a request of its own.
fn tasks(
    args: &ExecArgs,
    context: &mut Context,
    targets: &[Target],
    hosts: Vec<TaskHost>,
    template: &JobRequest,
) -> Result<Vec<Task>> {
    let mut tasks = Vec::new();
    for (rank, (target, host)) in std::iter::zip(targets, hosts).enumerate() {
        let mut request = request::for_host(template, args, target, rank, &mut context.rng);
        if let (JobRequest::Exec(exec), None) = (&mut request, &args.user) {
            exec.user = context.inventory(&[], |inventory| {
                Ok(inventory.user_of(target)?.map(str::to_owned))
            })?;
        }
        tasks.push(Task {
            label: target.label().to_owned(),
            host,
            request,
        });
    }
    Ok(tasks)
}

/// Returns true if the command gets the user's terminal.
fn has_terminal(args: &ExecArgs) -> bool {
    args.terminal && !args.detach && console::is_interactive()
}

/// Translates options into settings of the run.
fn settings(args: &ExecArgs, labels: &[&str]) -> Settings {
    let is_interactive = console::is_interactive();
    let reads_keys = !args.stdin && !args.terminal && !args.hosts.reads_stdin();
    Settings {
        goal: if args.detach {
            Goal::Detach
        } else {
            Goal::Result
        },
        contact_timeout: args.contact.timeout.contact_timeout,
        retry_for: args.lease,
        style: args.output.style(labels, stdout().is_terminal()),
        // The user's keys are not read here: they go to the command once it has the terminal.
        stdin: args.stdin || args.terminal && !args.detach && !is_interactive,
        terminal_mode: if has_terminal(args) {
            TerminalMode::Offered
        } else {
            TerminalMode::Apart
        },
        escape: args.caller.escape,
        way_back: args.caller.way_back,
        forward: args.forward.clone(),
        verbosity: match (args.caller.is_quiet, args.verbose) {
            (true, _) => Verbosity::Silent,
            (false, true) => Verbosity::Verbose,
            (false, false) => Verbosity::Quiet,
        },
        fleet: args.fleet.settings(labels.len(), args.stdin, reads_keys),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::ctl::{Command, Ctl};

    fn exec(line: &[&str]) -> Result<ExecArgs, clap::Error> {
        let ctl = Ctl::try_parse_from(["udpctl", "exec"].iter().chain(line))?;
        match ctl.command {
            Command::Exec(args) => Ok(*args),
            command => panic!("{command:?}"),
        }
    }

    #[test]
    fn words_behind_the_dashes_are_the_command() {
        let args = exec(&["web1", "[::1]:7001", "--", "ls", "-l", "--", "x"]).unwrap();
        assert_eq!(args.targets.len(), 2);
        assert_eq!(args.argv, ["ls", "-l", "--", "x"]);
        assert!(exec(&["web1"]).is_err());
        assert!(exec(&["--", "ls"]).is_err());
        assert!(exec(&["--local", "--", "ls"]).is_ok());
        assert!(exec(&["web1", "--shell", "ls | wc"]).is_ok());
    }

    #[test]
    fn detach_and_a_terminal_keep_the_command_by_default() {
        let args = exec(&["web1", "--detach", "--", "ls"]).unwrap();
        assert_eq!(args.on_disconnect, Gone::Keep);
        let args = exec(&["web1", "-t", "--", "ls"]).unwrap();
        assert_eq!(args.on_disconnect, Gone::Keep);
        let args = exec(&["web1", "-t", "--on-disconnect=kill", "--", "ls"]).unwrap();
        assert_eq!(args.on_disconnect, Gone::Kill);
        let args = exec(&["web1", "--", "ls"]).unwrap();
        assert_eq!(args.on_disconnect, Gone::Kill);
        let args = exec(&["--local", "-t", "--", "ls"]).unwrap();
        assert_eq!(args.on_disconnect, Gone::Kill);
        assert!(exec(&["--local", "--detach", "--", "ls"]).is_err());
    }

    #[test]
    fn an_env_variable_is_split_at_the_first_equals_sign() {
        let args = exec(&["web1", "--env", "A=b=c", "--env", "E=", "--", "env"]).unwrap();
        assert_eq!(
            args.env,
            [("A".into(), "b=c".into()), ("E".into(), "".into())]
        );
        assert!(exec(&["web1", "--env", "A", "--", "env"]).is_err());
        assert!(exec(&["web1", "--env", "=b", "--", "env"]).is_err());
    }
}
