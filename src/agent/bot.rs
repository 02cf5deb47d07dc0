//! The bot of the agent: a process that runs its command, and the side of the front, which may start nothing.
//!
//! The supervisor starts the process together with each front and connects the two by a socket. Each message is a line on it,
//! and each outcome too, in turn. Invariants: what is run is fixed by the arguments that the supervisor gives, and the
//! front gives only the message; the process ends with its front, and the command with it.

use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{self, Stdio};
use std::time::Duration;

use rustix::process::setsid;

use crate::bot::{Bot, Command, Outcome, Words, limits, run};
use crate::message::status::{INTERNAL, SUCCESS};

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

/// Starts the process of a bot, with its end of the socket.
///
/// # Errors
/// The program cannot be executed, or the system has no process left.
pub fn launch(program: &Path, command: &Command, socket: OwnedFd) -> io::Result<process::Child> {
    let mut process = process::Command::new(program);
    for name in SERVICE_VARIABLES {
        process.env_remove(name);
    }
    process
        .arg0(NAME)
        .arg(command.timeout.as_millis().to_string())
        .args(command.words.all())
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
        let Some(outcome) = run(command, &message, socket.as_fd()) else {
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

/// Returns the bot of a front, at the other end of the socket. `wake` is called when it has an event.
///
/// # Errors
/// The thread cannot be started.
pub fn connect(socket: OwnedFd, wake: impl Fn() + Send + 'static) -> io::Result<Bot> {
    let mut outcomes = BufReader::new(UnixStream::from(socket));
    let ask = move |message: &[u8]| -> Option<Outcome> {
        outcomes.get_mut().write_all(message).ok()?;
        let mut line = Vec::new();
        outcomes.read_until(b'\n', &mut line).ok()?;
        serde_json::from_slice(&line).ok()
    };
    Bot::start(ask, wake)
}
