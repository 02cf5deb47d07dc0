//! `udpagent` without a command: runs until a signal or its terminal ends it.

use std::io::{self, IsTerminal as _};
use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tracing::level_filters::LevelFilter;

use super::ServeArgs;
use super::files::{Files, read_config};
use crate::agent::access::Sources;
use crate::agent::audit::{self, Demand};
use crate::agent::config::{Audit, Config, LogFormat, Switch};
use crate::agent::daemon::{self, Plain, Stopper, Terminal, Trust};
use crate::agent::jobs::{self, AtEnd, Commands};
use crate::agent::listening::Listening;
use crate::control::signals::not_ignored;
use crate::crypto::key_file;
use crate::escape;
use crate::message::limits::NAME;
use crate::net::{self, Bind};

/// Runs an agent.
pub(super) fn serve(args: &ServeArgs) -> Result<u8> {
    let files = Files::locate()?;
    let file = read_config(&files, args.config.as_deref())?;
    let config = Config::resolve([args.layer(), file]);
    start_log(config.log_format, args.verbose);

    let mut rng = net::rng().context("the system has no random numbers to give")?;
    let identity = key_file::load_or_create(&files.agent.identity(), &mut rng)?;
    if let Some(control) = &files.control {
        // The same user is always let in, so the key must be there before its controller is first run.
        if let Err(error) = key_file::load_or_create(&control.identity(), &mut rng) {
            eprintln!("udpagent: {error}; this user's own controller cannot be let in");
        }
    }
    let audit = audit(&config);
    let name = config.name.unwrap_or_else(host_name);
    let setup = daemon::Config {
        identity,
        name: name.clone(),
        binds: addresses(&config.bind)?,
        trust: Trust::Files(Sources {
            agent: files.agent.clone(),
            control: files.control,
        }),
        jobs: jobs::Config {
            commands: match config.exec {
                Switch::On => Commands::Run,
                Switch::Off => Commands::Refuse,
            },
            max_jobs: config.max_jobs,
            max_runtime: config.max_runtime,
            max_output: config.max_output,
            at_end: match config.keep_jobs {
                Switch::On => AtEnd::Leave,
                Switch::Off => AtEnd::End,
            },
        },
        plain: match config.plain {
            Switch::On => Plain::Shown(config.reply),
            Switch::Off => Plain::Off,
        },
        terminal: Terminal::Standard,
        replay_log: Some(files.agent.state_dir().join("answered")),
        resources: config.resources,
        audit,
    };
    let binds: Vec<String> = config.bind.iter().map(Bind::to_string).collect();
    let agent = daemon::start(setup).with_context(|| binds.join(", "))?;
    catch_signals(agent.stopper()).context("cannot catch signals")?;

    for (address, error) in agent.unbound() {
        eprintln!("udpagent: {address}: {error}; goes on without this address");
    }
    let published = Listening::publish(&files.agent.listening(), agent.addresses());
    if let Err(error) = &published {
        let path = files.agent.listening();
        eprintln!(
            "udpagent: {}: {error}; give \"udpagent invite\" the port with --host HOST:PORT",
            path.display()
        );
    }
    let listening: Vec<String> = agent
        .addresses()
        .iter()
        .map(SocketAddr::to_string)
        .collect();
    eprintln!(
        "udpagent: {} {} listens on {}",
        escape::line(name.as_bytes(), NAME),
        agent.key(),
        listening.join(", ")
    );
    agent.join();
    drop(published);
    Ok(0)
}

/// How records are kept.
pub(super) fn audit(config: &Config) -> Option<audit::Config> {
    let collected = config.audit_file.is_some() || !io::stderr().is_terminal();
    let demand = match config.audit {
        Audit::Auto if collected => Demand::Wanted,
        Audit::Auto | Audit::Off => return None,
        Audit::On => Demand::Wanted,
        Audit::Required => Demand::Required,
    };
    let file = config.audit_file.clone();
    Some(audit::Config { file, demand })
}

/// What the system calls this host.
pub(super) fn host_name() -> String {
    let system = rustix::system::uname();
    system.nodename().to_string_lossy().into_owned()
}

fn addresses(binds: &[Bind]) -> Result<Vec<SocketAddr>> {
    let mut all = Vec::new();
    for bind in binds {
        for address in bind.resolve().with_context(|| format!("--bind {bind}"))? {
            if !all.contains(&address) {
                all.push(address);
            }
        }
    }
    Ok(all)
}

/// The first signal ends the agent; it takes at most eight seconds, so that there is no second way. One that
/// was ignored when the agent was started stays so.
fn catch_signals(stopper: Stopper) -> io::Result<()> {
    let mut signals = Signals::new(not_ignored([SIGINT, SIGTERM, SIGHUP]))?;
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            for _ in signals.forever() {
                stopper.stop();
            }
        })?;
    Ok(())
}

fn start_log(format: LogFormat, verbose: u8) {
    let level = match verbose {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let log = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_target(false)
        // Or it would complain on standard error, and panic, when that is closed.
        .log_internal_errors(false)
        .with_writer(io::stderr);
    // Only tests start two in a process, and any of them serves.
    let _ = match format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
}
