//! `udpctl send --plain`: one datagram of plain text to each of several hosts, and perhaps one answer from each.
//!
//! Not the chat with a plain-text peer, which is in [`chat`](super::chat). Each datagram has a connected socket of its own,
//! so that the system reports a closed port and passes on nothing from other sources. Invariant: a host whose every address
//! is refused, or that was to answer and did not, never counts as reached.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};

use super::limits;
use crate::net::limits::PLAIN;

/// Size of the largest datagram.
const DATAGRAM: usize = 1 << 16;

/// Host of a transmission.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlainHost {
    /// Name of the host in messages.
    pub label: String,
    /// Addresses of the host, best first; not empty.
    pub addresses: Vec<SocketAddr>,
}

/// Answer of a host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlainAnswer {
    /// Text of the answer, cut to [`PLAIN`]; not escaped.
    pub text: Vec<u8>,
    /// Length of the datagram in bytes.
    pub length: usize,
}

/// Reason why a host was not reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PlainFailure {
    /// Every address was refused; each with its reason.
    Refused(Vec<(SocketAddr, String)>),
    /// No answer came within this time.
    NoAnswer(Duration),
}

impl fmt::Display for PlainFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(addresses) => {
                f.write_str("not delivered: ")?;
                for (index, (address, reason)) in addresses.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{address}: {reason}")?;
                }
                Ok(())
            }
            Self::NoAnswer(time) => write!(f, "no answer within {time:?}"),
        }
    }
}

/// Result for one host: an answer if one was waited for.
pub type PlainResult = Result<Option<PlainAnswer>, PlainFailure>;

/// Sends `datagram` to all hosts, [`limits::PLAIN_HOSTS`] at a time, and passes each result to `on_result`, with the index of
/// its host. With `reply_wait`, waits for that time for the first datagram of each host.
///
/// The next address of a host is tried if one is refused. With `reply_wait`, it is also tried if one has been silent for its
/// share of the time.
///
/// # Errors
/// If the system cannot wait for several sockets.
pub fn send_plain(
    hosts: &[PlainHost],
    datagram: &[u8],
    reply_wait: Option<Duration>,
    mut on_result: impl FnMut(usize, PlainResult),
) -> io::Result<()> {
    let mut waiting = hosts.iter().enumerate();
    let mut pending: Vec<Exchange> = Vec::new();
    loop {
        while pending.len() < limits::PLAIN_HOSTS
            && let Some((index, host)) = waiting.next()
        {
            pending.push(Exchange::begin(index, host, datagram, reply_wait));
        }
        pending.retain_mut(|exchange| match exchange.result(Instant::now(), datagram) {
            Some(result) => {
                on_result(exchange.index, result);
                false
            }
            None => true,
        });
        if pending.len() < limits::PLAIN_HOSTS && waiting.len() > 0 {
            continue;
        }
        let Some(due) = pending.iter().map(|exchange| exchange.due).min() else {
            return Ok(());
        };
        wait(&mut pending, due)?;
    }
}

/// Waits for a datagram, a report or the time `due`.
fn wait(pending: &mut [Exchange], due: Instant) -> io::Result<()> {
    let sockets = || pending.iter().flat_map(|exchange| &exchange.sockets);
    let mut ready: Vec<PollFd<'_>> = sockets()
        .map(|(_, socket)| PollFd::new(socket, PollFlags::IN))
        .collect();
    // A millisecond more, so that the time is over when the wait is.
    let left = due.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
    let left = left.try_into().map_err(io::Error::other)?;
    match poll(&mut ready, Some(&left)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    let mut ready = ready.iter().map(|entry| !entry.revents().is_empty());
    let ready: Vec<bool> = ready.by_ref().collect();
    let mut ready = ready.into_iter();
    for exchange in pending {
        let of_it: Vec<bool> = ready.by_ref().take(exchange.sockets.len()).collect();
        exchange.receive(&of_it);
    }
    Ok(())
}

/// Exchange with one host.
struct Exchange {
    index: usize,
    /// Addresses that were not tried.
    untried: VecDeque<SocketAddr>,
    /// Sockets whose addresses were not refused.
    sockets: Vec<(SocketAddr, UdpSocket)>,
    refused: Vec<(SocketAddr, String)>,
    answer: Option<PlainAnswer>,
    reply_wait: Option<Duration>,
    /// Time for which one address is tried alone.
    share: Duration,
    end: Instant,
    /// Time of the next step without a datagram or report.
    due: Instant,
}

impl Exchange {
    fn begin(
        index: usize,
        host: &PlainHost,
        datagram: &[u8],
        reply_wait: Option<Duration>,
    ) -> Self {
        let addresses = host.addresses.len().clamp(1, limits::PLAIN_ADDRESSES);
        let share = reply_wait.map_or(limits::PLAIN_REPORT, |wait| {
            wait / u32::try_from(addresses).expect("the bound fits")
        });
        let now = Instant::now();
        let mut exchange = Self {
            index,
            untried: host.addresses.iter().copied().take(addresses).collect(),
            sockets: Vec::new(),
            refused: Vec::new(),
            answer: None,
            reply_wait,
            share,
            end: now + reply_wait.unwrap_or(limits::PLAIN_REPORT),
            due: now,
        };
        exchange.send_next(datagram, now);
        exchange
    }

    /// Sends the datagram to the next address that the system does not refuse at once.
    fn send_next(&mut self, datagram: &[u8], now: Instant) {
        while let Some(address) = self.untried.pop_front() {
            match send_to(address, datagram) {
                Ok(socket) => {
                    self.sockets.push((address, socket));
                    self.due = now + self.share;
                    if self.reply_wait.is_none() {
                        self.end = self.due;
                    }
                    return;
                }
                Err(error) => self.refused.push((address, words(&error))),
            }
        }
        self.due = self.end;
    }

    /// Takes what the sockets have, of those that are ready.
    fn receive(&mut self, ready: &[bool]) {
        if !ready.contains(&true) {
            return;
        }
        let mut ready = ready.iter().copied();
        let mut buffer = vec![0; DATAGRAM];
        let (refused, answer) = (&mut self.refused, &mut self.answer);
        self.sockets.retain(|(address, socket)| {
            if !ready.next().unwrap_or(false) {
                return true;
            }
            match socket.recv(&mut buffer) {
                Ok(length) => {
                    answer.get_or_insert_with(|| PlainAnswer {
                        text: buffer[..length.min(PLAIN)].to_vec(),
                        length,
                    });
                    true
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => true,
                Err(error) => {
                    refused.push((*address, words(&error)));
                    false
                }
            }
        });
    }

    /// Returns the result, if there is one now.
    fn result(&mut self, now: Instant, datagram: &[u8]) -> Option<PlainResult> {
        if let Some(answer) = self.answer.take() {
            return Some(Ok(Some(answer).filter(|_| self.reply_wait.is_some())));
        }
        if self.sockets.is_empty() || now >= self.due && self.reply_wait.is_some() {
            self.send_next(datagram, now);
        }
        if self.sockets.is_empty() {
            let refused = std::mem::take(&mut self.refused);
            return Some(Err(PlainFailure::Refused(refused)));
        }
        if now < self.end {
            return None;
        }
        Some(match self.reply_wait {
            Some(time) => Err(PlainFailure::NoAnswer(time)),
            None => Ok(None),
        })
    }
}

/// Sends a datagram from a socket that is connected to the address.
fn send_to(address: SocketAddr, datagram: &[u8]) -> io::Result<UdpSocket> {
    let any: SocketAddr = if address.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (Ipv6Addr::UNSPECIFIED, 0).into()
    };
    let socket = UdpSocket::bind(any)?;
    socket.set_nonblocking(true)?;
    socket.connect(address)?;
    socket.send(datagram)?;
    Ok(socket)
}

/// Returns the words for an error of a socket.
fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "nothing listens there (port unreachable)".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(host: &str) -> (UdpSocket, SocketAddr) {
        let socket = UdpSocket::bind((host, 0)).unwrap();
        let address = socket.local_addr().unwrap();
        (socket, address)
    }

    /// Sends "hi" to one host of these addresses.
    fn send(addresses: &[SocketAddr], reply_wait: Option<Duration>) -> PlainResult {
        let label = "host".to_owned();
        let addresses = addresses.to_vec();
        let mut results = Vec::new();
        let host = PlainHost { label, addresses };
        send_plain(&[host], b"hi", reply_wait, |_, result| results.push(result)).unwrap();
        assert_eq!(results.len(), 1);
        results.remove(0)
    }

    #[test]
    fn the_next_address_gets_the_text_if_one_has_a_closed_port() {
        let (closed, first) = bound("127.0.0.1");
        drop(closed);
        let (open, second) = bound("127.0.0.1");
        assert_eq!(send(&[first, second], None), Ok(None));
        let mut buffer = [0; 10];
        assert_eq!(open.recv(&mut buffer).unwrap(), 2);
        drop(open);
        let failure = send(&[first, second], None).unwrap_err();
        let refused = "nothing listens there (port unreachable)";
        assert_eq!(
            failure.to_string(),
            format!("not delivered: {first}: {refused}, {second}: {refused}")
        );
    }

    #[test]
    fn the_next_address_is_tried_if_one_is_silent_for_its_share_of_the_time() {
        let (silent, first) = bound("127.0.0.1");
        let (open, second) = bound("127.0.0.1");
        let answers = std::thread::spawn(move || {
            let mut buffer = [0; 10];
            let (_, peer) = open.recv_from(&mut buffer).unwrap();
            open.send_to(b"hello", peer).unwrap();
        });
        let answer = send(&[first, second], Some(Duration::from_secs(6))).unwrap();
        answers.join().unwrap();
        assert_eq!(answer.unwrap().text, b"hello");
        let wait = Duration::from_millis(20);
        assert_eq!(
            send(&[first], Some(wait)),
            Err(PlainFailure::NoAnswer(wait))
        );
        drop(silent);
    }
}
