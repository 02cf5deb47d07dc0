//! `--local`: an agent in a child of this process, on a loopback port, with keys that are not stored.
//!
//! Not the agent itself, which is the program `udpagent`. Invariant: it ends with this process, and this process ends if it
//! ends first.

use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio, exit};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group};

use super::agent_program;
use super::context::{note, open_client};
use crate::cli::local_agent::{FAILED, NAME, RELEASE, Served, VERSION};
use crate::control::client::Client;
use crate::control::host_resolver::Host;
use crate::control::limits::CONTACT_TIMEOUT;
use crate::crypto::SecretKey;
use crate::rng::Rng;
use crate::{escape, saved_mode};

pub use crate::cli::local_agent::LABEL;

/// Time limit of the answer of a program that was started, that of a first contact by default.
const ANSWER_TIME: Duration = CONTACT_TIMEOUT;

/// Time that the agent has to end its commands and itself, before it is killed: more than a shutdown takes.
const STOP_TIME: Duration = Duration::from_secs(10);

/// Bytes of the answer: two lines, of which one may be an error message.
const ANSWER: usize = 1024;

/// Bytes displayed of a line of the answer.
const LINE: usize = 256;

/// An agent in a child of this process and a session to it.
pub struct Local {
    process: Process,
    /// The controller's network.
    pub client: Client,
    /// The agent, as a host to connect to.
    pub host: Host,
}

impl Local {
    /// Starts the agent and opens the network. If the agent ends before [`stop`](Self::stop), this process exits with
    /// `failed`.
    pub fn start(rng: &mut Rng, failed: u8) -> Result<Self> {
        let controller = SecretKey::generate(rng);
        let program = agent_program::find().context(
            "--local needs udpagent, which is neither beside udpctl nor in PATH; install both programs",
        )?;
        let started = Process::start(&program, &controller, failed);
        let (process, agent) = started.with_context(|| program.display().to_string())?;
        let client = open_client(controller)?;
        let host = Host {
            label: LABEL.into(),
            agent: agent.key,
            paths: client.paths(&[agent.address])?,
            ticket: None,
        };
        Ok(Self {
            process,
            client,
            host,
        })
    }

    /// Ends the agent and everything that it runs.
    pub fn stop(self) {
        self.client.close();
        self.process.stop();
    }
}

/// The child.
struct Process {
    /// The leader of a process group of its own.
    pid: Pid,
    /// Standard input of the child, which serves until it is closed.
    stdin: Option<ChildStdin>,
    /// True once the end of the child is no failure.
    stops: Arc<AtomicBool>,
    /// Disconnected when it has ended.
    end: Receiver<()>,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stops.store(true, Ordering::SeqCst);
    }
}

impl Process {
    fn start(program: &Path, controller: &SecretKey, failed: u8) -> Result<(Self, Served)> {
        let mut child = Command::new(program)
            .arg0(NAME)
            .args([VERSION, &controller.public().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C is for this process, which cancels the command.
            .process_group(0)
            .spawn()?;
        let pid = Pid::from_child(&child);
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().expect("it is piped");
        let served = read_answer(stdout).and_then(|answer| served(&answer));
        let served = match served {
            Ok(served) => served,
            Err(error) => {
                // It may have ended by itself, and left others.
                let _ = kill_process_group(pid, Signal::KILL);
                let _ = child.wait();
                return Err(error);
            }
        };
        let stops = Arc::new(AtomicBool::new(false));
        let expected = Arc::clone(&stops);
        let (ended, end) = bounded::<()>(0);
        let wait = move || {
            let status = child.wait();
            if !expected.load(Ordering::SeqCst) {
                saved_mode::restore();
                let status = status.map_or_else(|error| error.to_string(), |end| end.to_string());
                note(&format!(
                    "udpctl: the agent of --local ended: {status}; what it ran may go on"
                ));
                exit(failed.into());
            }
            drop(ended);
        };
        let this = Self {
            pid,
            stdin,
            stops,
            end,
        };
        std::thread::Builder::new()
            .name("local".into())
            .spawn(wait)?;
        Ok((this, served))
    }

    /// Lets it end, and kills it if it does not.
    fn stop(mut self) {
        self.stops.store(true, Ordering::SeqCst);
        self.stdin = None;
        if self.end.recv_timeout(STOP_TIME) == Err(RecvTimeoutError::Timeout) {
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
    }
}

/// Reads the two lines of the answer, or less if the program ends or its time is over.
fn read_answer(mut stdout: ChildStdout) -> Result<Vec<u8>> {
    let deadline = Instant::now() + ANSWER_TIME;
    let mut answer = Vec::new();
    let mut piece = [0; ANSWER];
    while answer.len() < ANSWER && answer.split(|&byte| byte == b'\n').nth(2).is_none() {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).context("time of the answer")?;
        match poll(&mut [PollFd::new(&stdout, PollFlags::IN)], Some(&left)) {
            Ok(0) => bail!("no answer within {} s", ANSWER_TIME.as_secs()),
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let count = stdout.read(&mut piece)?;
        if count == 0 {
            break;
        }
        answer.extend_from_slice(&piece[..count]);
    }
    Ok(answer)
}

/// Returns the agent that an answer describes.
fn served(answer: &[u8]) -> Result<Served> {
    let mut lines = answer.split(|&byte| byte == b'\n');
    let release = lines.next().unwrap_or_default();
    if release != RELEASE.as_bytes() {
        let version = env!("CARGO_PKG_VERSION");
        bail!(
            "not the udpagent of this udpctl {version}, as it answers \"{}\"; install both programs from one release",
            escape::line(release, LINE)
        );
    }
    let second = std::str::from_utf8(lines.next().unwrap_or_default()).unwrap_or_default();
    if let Some(reason) = second.strip_prefix(FAILED) {
        bail!(
            "the agent of --local: {}",
            escape::line(reason.as_bytes(), LINE)
        );
    }
    Served::parse(second).context("the agent of --local did not start")
}
