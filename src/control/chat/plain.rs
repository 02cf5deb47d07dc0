//! `udpctl chat --plain` and `send --plain`: datagrams of plain text, to netcat, a script, or an agent.
//!
//! Without encryption, authentication and receipts. Invariant: every line that was received is marked as unverified.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use crossbeam_channel::{Receiver, after, never, select};
use signal_hook::consts::SIGTSTP;

use super::screen::{Screen, Typed};
use super::{DELIVERED, FAILED};
use crate::control::client::Client;
use crate::control::limits;
use crate::net::limits::PLAIN;
use crate::net::{self, Event, PlainSink};
use crate::peer_addr::PeerAddr;
use crate::session::Path;
use crate::time;

/// Admits plain text from these addresses only.
#[derive(Clone, Debug)]
pub struct PlainSource(Vec<PeerAddr>);

impl PlainSource {
    /// Creates a filter for the datagrams of these peers.
    #[must_use]
    pub fn new(addresses: &[SocketAddr]) -> Self {
        Self(addresses.iter().copied().map(PeerAddr::from).collect())
    }
}

impl PlainSink for PlainSource {
    fn admit(&mut self, _now: time::Instant, path: &Path, _text: &[u8]) -> bool {
        self.0.contains(&path.remote)
    }
}

/// Sends each line to `path` in a datagram of its own and shows the answers until the user leaves. Returns the exit
/// status.
///
/// # Errors
/// If the terminal cannot be set up.
pub fn chat_plain(client: &Client, path: Path, signals: &Receiver<i32>) -> io::Result<u8> {
    let mut screen = Screen::open("(unverified) > ")?;
    let shown = path.remote;
    if screen.is_terminal() {
        screen.note(&format!(
            "plain text to {shown}: anybody may read, change or forge it, and nothing tells whether \
             it arrives"
        ));
    }
    let (status, deadline) = run(client, path, signals, &mut screen);
    screen.finish(signals, deadline);
    Ok(status)
}

/// Runs the chat. Returns the exit status and, after a signal, the deadline for output that is not shown yet.
fn run(
    client: &Client,
    path: Path,
    signals: &Receiver<i32>,
    screen: &mut Screen,
) -> (u8, Option<Instant>) {
    let mut status = DELIVERED;
    let mut typed = screen.typed.clone();
    let mut over = never();
    let nothing = never();
    loop {
        let events = if screen.is_full() {
            &nothing
        } else {
            client.events()
        };
        select! {
            recv(events) -> event => match event {
                Ok(event) => {
                    client.taken();
                    if show(screen, event).is_err() {
                        return (status, None);
                    }
                }
                Err(_) => return (FAILED, None),
            },
            recv(typed) -> next => match next.unwrap_or(Typed::Leave) {
                Typed::Line(text) => {
                    if let Err(error) = send_plain(client, &[path], &text) {
                        screen.note(&format!("not sent: {error}"));
                        status = FAILED;
                    }
                }
                Typed::Unknown(command) => screen.unknown(&command),
                Typed::Failed(error) => {
                    screen.note(&format!("cannot read what is typed: {error}"));
                    return (FAILED, None);
                }
                Typed::Interrupted => return (status, None),
                Typed::Leave if screen.is_terminal() => return (status, None),
                // Answers to piped lines may still arrive.
                Typed::Leave => {
                    typed = never();
                    over = after(limits::PLAIN_LINGER);
                }
            },
            recv(over) -> _ => return (status, None),
            recv(signals) -> signal => match signal {
                Ok(SIGTSTP) => screen.suspend(),
                Ok(_) | Err(_) => return (status, Some(Instant::now() + limits::CHAT_LEAVE)),
            },
            recv(screen.shown) -> more => if more.is_err() || screen.flush().is_err() {
                return (status, None);
            },
        }
    }
}

/// Sends `text` once to each of `paths`.
///
/// # Errors
/// If it is longer than a datagram of plain text may be.
pub fn send_plain(client: &Client, paths: &[Path], text: &str) -> Result<(), TooLong> {
    if text.len() >= PLAIN {
        return Err(TooLong);
    }
    let datagram = Bytes::from(format!("{text}\n"));
    for &path in paths {
        client.send_plain(path, datagram.clone());
    }
    Ok(())
}

/// Error of a text that is longer than a datagram of plain text may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooLong;

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "plain text has at most {} bytes", PLAIN - 1)
    }
}

impl std::error::Error for TooLong {}

fn show(screen: &mut Screen, event: Event) -> io::Result<()> {
    match event {
        Event::Plain { path, text, length } => {
            let from = path.remote;
            let line = net::PlainText {
                text: &text,
                length,
            };
            screen.show(&format!("{from} (unverified): {line}"))
        }
        Event::Suppressed { .. }
        | Event::Session(_)
        | Event::Refused(_)
        | Event::Counted { .. } => Ok(()),
        Event::Failed { address, error } => {
            screen.note(&format!("{address}: {error}"));
            Ok(())
        }
    }
}
