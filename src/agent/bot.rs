//! The bot of the agent: a process that runs its command, and the side of the front, which may start nothing.
//!
//! The supervisor starts the process, anew if it has ended, and sends the front the other end of its socket on a channel.
//! Each message is a line on that socket, and each outcome too, in turn. A process runs one command at a time; the supervisor
//! starts further ones when the front needs them for several rooms. Invariants: what is run is fixed by the arguments
//! that the supervisor gives, and the front gives only the message; the process ends with its front, and with each command end
//! all processes that it has left.

use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{self, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::setsid;

use crate::agent::ipc::receive_descriptors;
use crate::bot::{Bot, Command, Failure, Outcome, Words, limits, run};
use crate::message::status::{INTERNAL, SUCCESS};
use crate::process::{KILL_TIME, MARKER, become_subreaper, end_children, unblock_signals};

/// Name under which this program is the process of the bot.
pub const NAME: &str = "udpagent-bot";

/// Variables by which a service manager speaks with the agent, and not with what the agent starts.
const SERVICE_VARIABLES: [&str; 7] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "FDSTORE",
];

/// Starts the process of a bot, with its end of the socket. `marker` is the value of [`MARKER`] in the environment of the
/// command and its descendants.
///
/// # Errors
/// The program cannot be executed, or the system has no process left.
pub fn launch(
    program: &Path,
    command: &Command,
    marker: &str,
    socket: OwnedFd,
) -> io::Result<process::Child> {
    let mut process = process::Command::new(program);
    for name in SERVICE_VARIABLES {
        process.env_remove(name);
    }
    process
        .arg0(NAME)
        .arg(command.timeout.as_millis().to_string())
        .args(command.words.all())
        .env(MARKER, marker)
        .stdin(Stdio::from(socket))
        // Lines of the chat are on that of the agent.
        .stdout(Stdio::null())
        .spawn()
}

/// Runs the process of a bot with its arguments, and returns its exit status. Only a supervisor can start it.
#[must_use]
pub fn main(args: impl Iterator<Item = OsString>) -> u8 {
    // For ps(1): the name of the file says nothing.
    let _ = rustix::thread::set_name(c"udpagent-bot");
    // In a session of its own, so that the supervisor reaps what it leaves as an orphan.
    let _ = setsid();
    // Its commands would inherit those that the supervisor has blocked.
    unblock_signals();
    match parse(args).map(|command| serve(&command)) {
        Some(Ok(())) => SUCCESS,
        Some(Err(error)) => {
            eprintln!("{NAME}: {error}; it is started by udpagent only");
            INTERNAL
        }
        None => {
            eprintln!("{NAME}: it is started by udpagent only");
            INTERNAL
        }
    }
}

fn parse(mut args: impl Iterator<Item = OsString>) -> Option<Command> {
    let millis = args.next()?.to_str()?.parse().ok()?;
    let words = args.map(|word| word.into_string().ok());
    Some(Command {
        words: Words::new(words.collect::<Option<_>>()?).ok()?,
        timeout: Duration::from_millis(millis),
    })
}

/// Answers messages until the front is gone.
fn serve(command: &Command) -> io::Result<()> {
    // What a command leaves becomes a child of this process, whatever session it has.
    become_subreaper()?;
    let socket = UnixStream::from(rustix::stdio::stdin().try_clone_to_owned()?);
    let mut messages = BufReader::new(socket.try_clone()?);
    let mut message = Vec::new();
    loop {
        message.clear();
        let most = limits::MESSAGE + 1;
        let length = messages
            .by_ref()
            .take(most)
            .read_until(b'\n', &mut message)?;
        if length == 0 {
            return Ok(());
        }
        if message.last() != Some(&b'\n') {
            return Err(io::Error::other("a message without an end"));
        }
        let outcome = run(command, &message, socket.as_fd());
        if !end_children(KILL_TIME) {
            eprintln!("{NAME}: a process of the command cannot be ended");
        }
        let Some(outcome) = outcome else {
            return Ok(());
        };
        let mut line = serde_json::to_vec(&outcome)?;
        line.push(b'\n');
        match (&socket).write_all(&line) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            result => result?,
        }
    }
}

/// Returns the bot of a front. `channel` receives the sockets of its processes; `wake` is called when it has an event.
///
/// While there is no process, messages wait.
///
/// # Errors
/// A thread cannot be started.
pub fn connect(channel: OwnedFd, wake: impl Fn() + Clone + Send + 'static) -> io::Result<Bot> {
    // A thread that waits for a process keeps only those waiting that have none either.
    let channel = Arc::new(Mutex::new(channel));
    let ask = |_| {
        let channel = Arc::clone(&channel);
        let mut process = None;
        move |message: &[u8]| -> Option<Outcome> {
            let mut socket = match process.take() {
                Some(socket) if !is_hung_up(&socket) => socket,
                _ => next_process(&channel.lock().unwrap_or_else(PoisonError::into_inner))?,
            };
            match exchange(&mut socket, message) {
                Ok(outcome) => {
                    process = Some(socket);
                    Some(outcome)
                }
                // The message is not repeated: it may be what has ended the process.
                Err(_) => Some(Outcome::Failed(Failure::of_process())),
            }
        }
    };
    Bot::start((0..limits::CONCURRENT).map(ask), wake)
}

/// Waits for a process. Returns its socket, or `None` if the supervisor starts none any more.
fn next_process(channel: &OwnedFd) -> Option<BufReader<UnixStream>> {
    loop {
        let received = receive_descriptors(channel).ok()?;
        let socket = BufReader::new(UnixStream::from(received.into_iter().next_back()?));
        // That of a process that has ended meanwhile is passed over.
        if !is_hung_up(&socket) {
            return Some(socket);
        }
    }
}

fn exchange(socket: &mut BufReader<UnixStream>, message: &[u8]) -> io::Result<Outcome> {
    socket.get_mut().write_all(message)?;
    let mut line = Vec::new();
    socket.read_until(b'\n', &mut line)?;
    Ok(serde_json::from_slice(&line)?)
}

/// True if the other end of a socket is closed.
fn is_hung_up(socket: &BufReader<UnixStream>) -> bool {
    let mut events = [PollFd::new(socket.get_ref(), PollFlags::empty())];
    let polled = poll(&mut events, Some(&Timespec::default()));
    polled.is_err() || events[0].revents().contains(PollFlags::HUP)
}
