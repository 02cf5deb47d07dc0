//! `udpagent` without a subcommand: runs the agent until a signal or its terminal ends it.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

use super::files::Files;
use super::serve_args::ServeArgs;
use crate::agent::audit::{self, Demand};
use crate::agent::config::{self, Config, LogFormat, Sandbox, Switch};
use crate::agent::daemon::listening::Listening;
use crate::agent::daemon::{self, Plain, Trust};
use crate::agent::jobs::{self, OnShutdown};
use crate::agent::owner::OwnerSocket;
use crate::agent::recorder::limits::LAST_LINES;
use crate::agent::recorder::{AuditSender, LogSender, Recorder, RecorderProcess};
use crate::agent::service_manager::{Passed, ServiceManager, passed};
use crate::agent::supervisor::Store;
use crate::agent::supervisor::guard::Guard;
use crate::agent::supervisor::handover::{Inherited, Program, report_trial};
use crate::agent::{log, sandbox};
use crate::bot;
use crate::cli::output::note;
use crate::control::signals::not_ignored;
use crate::crypto::{SecretKey, key_file};
use crate::escape;
use crate::message::limits::NAME;
use crate::message::status::{INTERNAL, SUCCESS};
use crate::net::{self, Bind};
use crate::process::{Account, CgroupsReport};

/// Runs the agent until it is told to end.
pub fn run(args: &ServeArgs) -> Result<u8> {
    // First, so that no program that is executed later gets the descriptors.
    let inherited = Inherited::from_environment().context("cannot take over the jobs")?;
    let service = Service {
        passed: match inherited {
            // Its descriptors are among the inherited ones.
            Some(_) => Passed::default(),
            None => passed()?,
        },
        inherited,
        manager: ServiceManager::from_environment().context("NOTIFY_SOCKET")?,
        program: Program::current().context("cannot find this program")?,
    };
    let files = Files::locate()?;
    let file = files.read_config(&args.config)?;
    let config = Config::resolve([args.layer(), file]);
    let format = config.log_format;
    let audit = audit(&config);
    let demand = audit.as_ref().map(|audit| audit.demand);
    // First of all, because the recorder must inherit no descriptor of the agent.
    let Recorder {
        process,
        records,
        logs,
    } = Recorder::start(format, audit)?;
    let recorder = process.pid();
    let guard = Guard::start()
        .inspect_err(|error| {
            let words = "after a crash of the agent its jobs go on";
            note(&format!("udpagent: {error}; {words}"));
        })
        .ok();
    let [own, fronts] = logs;
    let sender = LogSender::new(own, format);
    log::start(format, args.verbose, sender.clone());
    let verbose = args.verbose;
    let lines = daemon::Log {
        sender: sender.clone(),
        fronts,
        format,
        verbose,
        chat: daemon::ChatOutput {
            format: if args.json {
                LogFormat::Json
            } else {
                LogFormat::Text
            },
            is_timed: !args.no_time,
        },
        typed: files.agent.state_dir().join("prompt_history"),
    };
    let audit = demand.map(|demand| AuditSender::new(records, demand, 1));

    let result = serve(config, files, audit, lines, (process, guard), service);
    let status = match (result, format) {
        (Ok(()), _) => Ok(SUCCESS),
        (Err(error), LogFormat::Text) => Err(error),
        (Err(error), LogFormat::Json) => {
            tracing::error!(event = "failed", "{error:#}");
            Ok(INTERNAL)
        }
    };
    sender.flush(LAST_LINES);
    sender.end();
    recorder.wait(LAST_LINES);
    status
}

/// Surroundings of the agent.
struct Service {
    /// Descriptors of a service manager.
    passed: Passed,
    /// State of the program that was executed before in this process.
    inherited: Option<Inherited>,
    /// Connection for notifications of the service manager.
    manager: ServiceManager,
    /// The program, as it is executed anew.
    program: Program,
}

fn serve(
    config: Config,
    files: Files,
    audit: Option<AuditSender>,
    log: daemon::Log,
    (recorder, guard): (RecorderProcess, Option<Guard>),
    service: Service,
) -> Result<()> {
    let Service {
        mut passed,
        inherited,
        manager,
        program,
    } = service;
    let mut rng = net::rng().context("cannot get random numbers from the system")?;
    let identity = key_file::load_or_create(&files.agent.identity(), &mut rng)?;
    if let Some(control) = &files.control {
        // The same user may always connect, so the key must exist before its controller is first run.
        if let Err(error) = key_file::load_or_create(&control.identity(), &mut rng) {
            tracing::warn!("{error}; this user's own controller cannot connect");
        }
    }
    let sandbox = restriction(config.sandbox)?;
    let name = config.name.clone().unwrap_or_else(host_name);
    let binds: Vec<String> = config.bind.iter().map(Bind::to_string).collect();
    let (path, socket) = (files.agent.listening(), files.agent.socket());
    let store = Store::from_environment(&passed, inherited.as_ref());
    let mut store = store.context("NOTIFY_SOCKET")?;
    let epoch = rng.u64().max(1);
    let inherited = inherited.or_else(|| store.as_mut()?.take(&mut passed, epoch));
    let setup = daemon::Config {
        binds: addresses_or_none(&config.bind, inherited.is_some())?,
        audit,
        log: Some(log),
        recorder: Some(recorder),
        guard,
        ..setup(config, files, identity, name.clone())
    };
    let taken = inherited.as_ref().map(Inherited::running);
    let mut agent = match inherited {
        Some(inherited) => daemon::take_over(setup, inherited)?,
        None if passed.sockets.is_empty() => {
            daemon::bind(setup).with_context(|| binds.join(", "))?
        }
        None => daemon::adopt(setup, passed.sockets)?,
    };
    agent.set_store(store);
    for (address, error) in &agent.unbound {
        tracing::warn!("{address}: {error}; continuing without this address");
    }
    let published = Listening::publish(&path, &agent.addresses);
    if let Err(error) = &published {
        tracing::warn!(
            "{}: {error}; give \"udpagent invite\" the port with --host HOST:PORT",
            path.display()
        );
    }
    let opened = OwnerSocket::listen(&socket).and_then(|socket| agent.open_owner(socket));
    if let Err(error) = opened {
        tracing::warn!(
            "{}: {error}; \"udpagent status\" and \"udpagent keys\" cannot ask this agent",
            socket.display()
        );
    }
    let stops: Vec<i32> = not_ignored([SIGINT, SIGQUIT, SIGTERM]).collect();
    let reloads: Vec<i32> = not_ignored([SIGHUP]).collect();
    agent.handle_signals(&stops, &reloads)?;
    let addresses = agent.addresses.iter().map(SocketAddr::to_string);
    let addresses: Vec<String> = addresses.collect();
    let name = escape::line(name.as_bytes(), NAME);
    announce(
        taken,
        &format!("{name} {} listens on {}", agent.key, addresses.join(", ")),
    );
    agent
        .serve(own_program()?, program, sandbox, manager)
        .context("cannot start")?;
    drop(published);
    Ok(())
}

/// Writes the first line of the agent, or of a program that has taken over with a number of running commands.
fn announce(taken: Option<usize>, listens: &str) {
    match taken {
        None => tracing::info!(event = "agent_started", "{listens}"),
        Some(running) => tracing::info!(
            event = "agent_replaced",
            "version {} has taken over, with {running} running {}; {listens}",
            env!("CARGO_PKG_VERSION"),
            if running == 1 { "command" } else { "commands" }
        ),
    }
}

/// Returns the addresses to bind. A program that `takes_over` sockets goes on with them if a name does not resolve.
fn addresses_or_none(binds: &[Bind], takes_over: bool) -> Result<Vec<SocketAddr>> {
    match addresses(binds) {
        Err(error) if takes_over => {
            tracing::warn!("{error:#}");
            Ok(Vec::new())
        }
        result => result,
    }
}

/// Tries whether this program could take over with the state on standard input: reads all files as the agent does.
pub fn try_takeover(args: &ServeArgs) -> Result<u8> {
    let files = Files::locate()?;
    let file = files.read_config(&args.config)?;
    let config = Config::resolve([args.layer(), file]);
    restriction(config.sandbox)?;
    addresses(&config.bind)?;
    let mut rng = net::rng().context("cannot get random numbers from the system")?;
    key_file::load_or_create(&files.agent.identity(), &mut rng)?;
    if let Some(audit) = audit(&config) {
        let path = audit.file.clone().unwrap_or_default();
        audit::Log::open(audit).with_context(|| format!("audit-file: {}", path.display()))?;
    }
    if let Err(error) = CgroupsReport::new(&config.cgroup_parent, &BTreeSet::new())
        && config.cgroup_parent.is_chosen()
    {
        bail!("cgroup.parent: {error}");
    }
    report_trial().context("cannot read the state of the running agent")?;
    Ok(SUCCESS)
}

/// Returns the restriction of the front. If it is required, checks that it can be complete.
fn restriction(demand: Sandbox) -> Result<sandbox::Plan> {
    let plan = sandbox::Plan::new(demand, &Account::current())
        .context("cannot look up the user udpagent")?;
    if demand == Sandbox::Required {
        sandbox::check(&plan, &probe(&plan)?.in_force)?;
    }
    Ok(plan)
}

/// Tries a restriction in a process of its own.
pub fn probe(plan: &sandbox::Plan) -> Result<sandbox::Report> {
    // A probe reports what is missing, whatever is demanded.
    let demand = match plan.demand {
        Sandbox::Required => Sandbox::Auto,
        other => other,
    };
    let plan = sandbox::Plan { demand, ..*plan };
    sandbox::probe(&own_program()?, &plan).context("cannot try the sandbox")
}

/// Returns the path of this program, as it is executed again for the front.
fn own_program() -> Result<PathBuf> {
    // The very file that runs, also after another one was put in its place.
    let running = Path::new("/proc/self/exe");
    if running.exists() {
        return Ok(running.to_owned());
    }
    std::env::current_exe().context("cannot find this program")
}

/// Returns the configuration of the agent, without its addresses.
fn setup(config: Config, files: Files, identity: SecretKey, name: String) -> daemon::Config {
    let state = files.agent.state_dir();
    let (answered, chat) = (state.join("answered"), state.join("chat"));
    daemon::Config {
        identity,
        name,
        binds: Vec::new(),
        replay_log: Some(answered),
        trust: Trust::Files(files.sources()),
        exec: config.exec,
        jobs: jobs::Config {
            max_jobs: config.max_jobs,
            max_runtime: config.max_runtime,
            max_output: config.max_output,
            on_shutdown: match config.keep_jobs {
                Switch::On => OnShutdown::Detach,
                Switch::Off => OnShutdown::End,
            },
            ..jobs::Config::default()
        },
        sessions_per_key: config.sessions_per_key,
        plain: match config.plain {
            Switch::On => Plain::Shown(config.reply),
            Switch::Off => Plain::Off,
        },
        history: daemon::History {
            messages: config.history,
            file: Some(chat),
        },
        bot: config.on_message.map(|words| bot::Command {
            words,
            timeout: config.on_message_timeout,
        }),
        resources: config.resources,
        cgroup_limits: config.cgroup_limits,
        recorder: None,
        cgroup_parent: config.cgroup_parent,
        audit: None,
        log: None,
        guard: None,
    }
}

/// Returns the settings of the audit, or `None` if it is off.
pub fn audit(config: &Config) -> Option<audit::Config> {
    let collected = config.audit_file.is_some() || !io::stderr().is_terminal();
    let demand = match config.audit {
        config::Audit::Auto if collected => Demand::Wanted,
        config::Audit::Auto | config::Audit::Off => return None,
        config::Audit::On => Demand::Wanted,
        config::Audit::Required => Demand::Required,
    };
    let file = config.audit_file.clone();
    Some(audit::Config { file, demand })
}

/// Returns the host name.
pub fn host_name() -> String {
    let system = rustix::system::uname();
    system.nodename().to_string_lossy().into_owned()
}

/// Resolves the addresses to bind, each once.
fn addresses(binds: &[Bind]) -> Result<Vec<SocketAddr>> {
    let mut all = Vec::new();
    for bind in binds {
        for address in bind.resolve().with_context(|| format!("bind {bind}"))? {
            if !all.contains(&address) {
                all.push(address);
            }
        }
    }
    Ok(all)
}
