//! `udpctl exec`: from what was typed to a run, and from its end to an exit status.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::args::ExecArgs;
use super::context::{Controller, note};
use super::local::{LABEL, Local};
use crate::control::exec::{
    Escaping, Finish, Goal, Interruption, JobRequest, Settings, Style, Task, TerminalMode,
    Verbosity, run, summary,
};
use crate::control::journal::{History, Journal, Keeping, Known, Live, Offsets, Plan, Request};
use crate::control::{console, limits, signals};
use crate::message::limits::{LINE, SCRIPT};
use crate::message::status::UDPCTL_FAILURE;
use crate::message::{Exec, OsText, Outcome, RequestId, Terminal, status};
use crate::rng::Rng;

/// Runs the command and returns the exit status.
pub fn exec(args: &ExecArgs) -> Result<u8> {
    let mut controller = Controller::new()?;
    let script = args.script.as_deref().map(read_script).transpose()?;
    let signals = signals::catch(&args.forward)?;
    if args.contact.local {
        let local = Local::start(&mut controller.rng)?;
        let task = Task {
            label: LABEL.into(),
            host: Ok(local.host.clone()),
            request: job_request(args, script.as_ref(), &mut controller.rng),
        };
        let finish = run(
            &local.client,
            None,
            None,
            vec![task],
            settings(args, 1),
            &signals,
        );
        local.stop();
        return Ok(conclude(&finish, 1));
    }
    let client = controller.link()?;
    let resolver = controller.resolver()?;
    let found = resolver.find(&args.targets, &client);
    let mut tasks: Vec<Task> = std::iter::zip(&args.targets, found)
        .map(|(target, host)| Task {
            label: target.label().to_owned(),
            host,
            request: job_request(args, script.as_ref(), &mut controller.rng),
        })
        .collect();
    let hosts = tasks.len();
    if args.terminal && hosts > 1 {
        bail!("one terminal cannot be that of {hosts} hosts");
    }
    if args.stdin && hosts > limits::WINDOW {
        bail!(
            "standard input can go to {} hosts at most, these are {hosts}",
            limits::WINDOW
        );
    }
    let settings = settings(args, hosts);
    let journal = write_down(args, &controller.journal(), &mut tasks)?;
    let finish = run(&client, Some(&resolver), journal, tasks, settings, &signals);
    client.close();
    Ok(conclude(&finish, hosts))
}

/// Writes the requests down, and tells the agents how old they are.
///
/// A journal that cannot be written is no reason not to run a command, unless its id was given: that it is
/// run once, whatever happens in between, is then what was asked for, and takes memory.
fn write_down(args: &ExecArgs, journal: &Journal, tasks: &mut [Task]) -> Result<Option<Live>> {
    let known = if args.id.is_some() {
        Known::Before
    } else {
        Known::New
    };
    let history = (known == Known::Before).then(|| journal.history());
    if let Some(history) = &history {
        for task in &mut *tasks {
            if let (Ok(host), JobRequest::Exec(exec)) = (&task.host, &mut task.request) {
                exec.age_ms = history.age(exec.id, &host.agent).map_or(0, millis);
            }
        }
    }
    let begun = journal.begin(Plan {
        argv: argv(args),
        keeping: match known {
            Known::New => Keeping::UntilSettled,
            Known::Before => Keeping::UntilOld,
        },
        requests: tasks
            .iter()
            .map(|task| request(history.as_ref(), task))
            .collect(),
        known,
    });
    match begun {
        Ok(live) => Ok(Some(live)),
        Err(error) if known == Known::Before => Err(error).context(
            "the request cannot be written down, so --id could not keep it from being run again",
        ),
        Err(error) => {
            note(&format!("udpctl: the request is not written down: {error}"));
            Ok(None)
        }
    }
}

/// What the journal is told of a task; `None`: all of them are new.
fn request(history: Option<&History>, task: &Task) -> Option<Request> {
    let host = task.host.as_ref().ok()?;
    let id = task.request.id();
    Some(Request {
        id,
        host: task.label.clone(),
        agent: host.agent,
        offsets: history.map_or_else(Default::default, |history| {
            history
                .find(id, &host.agent)
                .map_or([Offsets::UNKNOWN; 2], |before| before.offsets)
        }),
    })
}

/// Says what is to be said at the end, and with what status.
pub fn conclude(finish: &Finish, hosts: usize) -> u8 {
    if finish.interruption == Some(Interruption::BrokenPipe) {
        return status::BROKEN_PIPE;
    }
    if hosts > 1 {
        note(&finish.tally.line(finish.took));
        return match finish.interruption {
            Some(Interruption::Failed) => status::INTERNAL,
            Some(Interruption::Signal(signal)) => status::interrupted(signal),
            Some(_) => status::INTERRUPTED,
            None => finish.tally.exit_status(),
        };
    }
    match (finish.interruption, &finish.report) {
        // A command that ended in its own way tells how, also when it was asked to.
        (Some(Interruption::Signal(_)), Some(report))
            if report.outcome != Some(Outcome::Canceled {}) =>
        {
            summary::exit_status(report)
        }
        (Some(Interruption::Signal(signal)), _) => status::interrupted(signal),
        (None, Some(report)) => summary::exit_status(report),
        _ => UDPCTL_FAILURE,
    }
}

fn job_request(args: &ExecArgs, script: Option<&OsText>, rng: &mut Rng) -> JobRequest {
    let env = args.env.iter().cloned();
    JobRequest::Exec(Exec {
        id: args.id.unwrap_or_else(|| RequestId(rng.bytes())),
        argv: argv(args),
        env: env
            .map(|(name, value)| (OsText(name), OsText(value)))
            .collect(),
        cwd: args.cwd.clone().map(OsText),
        stdin: args.stdin,
        timeout_ms: args.timeout.map(millis),
        lease_ms: Some(millis(args.lease)),
        on_disconnect: args.on_disconnect.into(),
        age_ms: 0,
        script: script.cloned(),
        user: args.user.clone(),
        terminal: args.terminal.then(terminal),
    })
}

/// The text, if it fits a request.
fn read_script(file: &Path) -> Result<OsText> {
    let name = || file.display().to_string();
    let opened = File::open(file).with_context(name)?;
    let mut text = Vec::new();
    opened
        .take(SCRIPT as u64 + 1)
        .read_to_end(&mut text)
        .with_context(name)?;
    if text.len() > SCRIPT {
        bail!("{}: a script has at most {SCRIPT} bytes", name());
    }
    let text = OsText(OsString::from_vec(text));
    // Control characters take six bytes each on the way.
    let length = serde_json::to_string(&text).with_context(name)?.len();
    if length > LINE / 2 {
        bail!("{}: too many bytes of it are not text", name());
    }
    Ok(text)
}

fn argv(args: &ExecArgs) -> Vec<OsText> {
    let mut argv: Vec<OsString> = Vec::new();
    if let Some(text) = &args.shell {
        // The word after the text is $0; messages of the shell begin with it.
        argv.extend(["/bin/sh".into(), "-c".into(), text.clone(), "sh".into()]);
    }
    if let Some(file) = &args.script {
        // It has no place there, but a name.
        let name = file.file_name().unwrap_or(file.as_os_str());
        argv.push(name.to_owned());
    }
    argv.extend(args.argv.iter().cloned());
    argv.into_iter().map(OsText).collect()
}

fn settings(args: &ExecArgs, hosts: usize) -> Settings {
    let escaping = if args.raw {
        Escaping::Raw
    } else {
        Escaping::Escape
    };
    Settings {
        goal: if args.detach {
            Goal::Detach
        } else {
            Goal::Result
        },
        contact_timeout: args.contact.contact_timeout,
        retry_for: args.lease,
        style: match (args.json, hosts) {
            (true, 1) => Style::Json(limits::CAPTURE),
            (true, _) => Style::Json(limits::CAPTURE_FLEET),
            (false, 1) => Style::Plain,
            (false, _) => Style::Labelled(escaping),
        },
        // A person's typing waits until the command is there to be typed to.
        stdin: args.stdin || args.terminal && !args.detach && !console::is_there(),
        terminal_mode: if args.terminal && !args.detach && console::is_there() {
            TerminalMode::Offered
        } else {
            TerminalMode::Apart
        },
        forward: args.forward.clone(),
        verbosity: if args.verbose {
            Verbosity::Verbose
        } else {
            Verbosity::Quiet
        },
    }
}

/// Like the one that the user sits at.
fn terminal() -> Terminal {
    Terminal {
        term: std::env::var("TERM").unwrap_or_else(|_| "dumb".into()),
        window: console::window(),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
