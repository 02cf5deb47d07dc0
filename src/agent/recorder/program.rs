//! The recorder: the program that writes log lines and audit records.
//!
//! One thread writes the log lines of all producers to standard error, a line of each in turn; another writes the
//! audit records, so that a log that nobody reads does not hold up an audit file. Both block as long as they have
//! to. Invariant: the recorder ends when all producers have, after it has written what they sent; a signal does
//! not end it before.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, recv, recvmsg, send,
};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use tracing_subscriber::filter::LevelFilter;

use super::frame::{Answer, Assembler, PACKET, Wanted};
use super::limits::{LAST_LINES, LINE, RECORD};
use super::log_format::Lines;
use super::log_sender::LogSender;
use super::settings::Settings;
use super::socket::{ENDS, pair};
use crate::agent::audit::{self, Event, Record};
use crate::escape;
use crate::process::unblock_signals;

/// Name of the process in lists; the system cuts it to 15 bytes.
const COMM: &std::ffi::CStr = c"udpagent-record";

/// Runs the recorder. `args` are the arguments after the name of the program; standard input is the socket over which
/// the others are passed.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let Some(settings) = Settings::parse(args) else {
        eprintln!("udpagent: the recorder is started by the agent");
        return ExitCode::from(crate::message::status::USAGE);
    };
    match run(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("udpagent: the recorder cannot start: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(settings: Settings) -> io::Result<()> {
    ignore_signals()?;
    // For lists of processes only.
    let _ = rustix::thread::set_name(COMM);
    let control = io::stdin().as_fd().try_clone_to_owned()?;
    let mut logs = receive_descriptors(&control)?;
    if logs.len() != ENDS {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let progress = Progress::new(logs.remove(ENDS - 1).into())?;
    let records = logs.remove(0);
    // The recorder reports its own errors as one more producer: its thread for records must not block on the log.
    let (own, reported) = pair()?;
    logs.push(reported);
    let own = LogSender::new(own, settings.format);
    let writer = own.clone();
    let _ = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::INFO)
        .log_internal_errors(false)
        .event_format(Lines(settings.format))
        .with_writer(move || writer.clone())
        .try_init();
    let log = settings.audit.map(audit::Log::open).transpose();
    let start = Answer {
        number: 0,
        written: log.is_ok(),
        reason: log
            .as_ref()
            .err()
            .map(ToString::to_string)
            .unwrap_or_default(),
    };
    send(&control, &start.to_packet(), SendFlags::NOSIGNAL)?;
    // The producer reports the reason.
    let Ok(log) = log else { return Ok(()) };
    std::thread::Builder::new()
        .name("audit".into())
        .spawn(move || {
            write_records(&records, log, progress);
            own.flush(LAST_LINES);
            own.end();
        })?;
    write_lines(logs);
    Ok(())
}

/// Registers handlers without effect, which programs that are executed do not inherit.
fn ignore_signals() -> io::Result<()> {
    for signal in [SIGINT, SIGTERM, SIGHUP, SIGQUIT] {
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))?;
    }
    unblock_signals();
    Ok(())
}

/// Receives the sockets of records and log lines, and the file of the progress.
fn receive_descriptors(socket: &OwnedFd) -> io::Result<Vec<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(ENDS))];
    let mut rights = RecvAncillaryBuffer::new(&mut space);
    let mut packet = [0];
    recvmsg(
        socket,
        &mut [IoSliceMut::new(&mut packet)],
        &mut rights,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let mut sockets = Vec::new();
    for message in rights.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            sockets.extend(received);
        }
    }
    Ok(sockets)
}

/// Receives a packet. Returns `None` at the end.
fn receive(socket: &OwnedFd, packet: &mut [u8], flags: RecvFlags) -> Option<usize> {
    loop {
        match recv(socket, &mut *packet, flags) {
            Ok((0, _)) => return None,
            Ok((length, _)) => return Some(length),
            // A producer that ended with unread answers; what it sent is still to be read.
            Err(Errno::INTR | Errno::CONNRESET) => {}
            Err(Errno::AGAIN) => return Some(0),
            Err(_) => return None,
        }
    }
}

/// Number of the last record that was written, in a file that outlives this process.
struct Progress {
    file: File,
    last: u64,
}

impl Progress {
    fn new(file: File) -> io::Result<Self> {
        let mut number = [0; 8];
        // The file is empty at first.
        let length = file.read_at(&mut number, 0)?;
        let last = if length == number.len() {
            u64::from_le_bytes(number)
        } else {
            0
        };
        Ok(Self { file, last })
    }

    /// Returns the number of records between the last one and this one. They were taken by a recorder that has died.
    const fn missing(&self, number: u64) -> u64 {
        number.saturating_sub(self.last).saturating_sub(1)
    }

    fn written(&mut self, number: u64) {
        self.last = number;
        // A later recorder counts a record twice then.
        let _ = self.file.write_all_at(&number.to_le_bytes(), 0);
    }
}

/// Writes the records and answers, until the producer has ended.
fn write_records(socket: &OwnedFd, mut log: Option<audit::Log>, mut progress: Progress) {
    let mut assembler = Assembler::new(RECORD);
    // One byte more shows that a packet was cut off.
    let mut packet = vec![0; PACKET + 1];
    while let Some(length) = receive(socket, &mut packet, RecvFlags::empty()) {
        let Some(message) = assembler.push(&packet[..length]) else {
            continue;
        };
        let missing = progress.missing(message.number);
        if missing > 0 {
            let record = Record::of_agent(Event::Dropped { records: missing });
            // An error is reported by the log itself.
            let _ = log
                .as_mut()
                .map(|log| log.append_line(&record.to_line_now()));
        }
        let result = log.as_mut().map(|log| log.append_line(&message.bytes));
        progress.written(message.number);
        if message.wanted == Wanted::Answer {
            let answer = Answer {
                number: message.number,
                written: result.is_none_or(|result| result.is_ok()),
                reason: String::new(),
            };
            // A producer that has ended needs no answer.
            let _ = send(socket, &answer.to_packet(), SendFlags::NOSIGNAL);
        }
    }
}

/// Writes the lines of all producers, one of each in turn, until all have ended.
fn write_lines(logs: Vec<OwnedFd>) {
    let mut producers: Vec<_> = logs
        .into_iter()
        .map(|socket| (socket, Assembler::new(LINE)))
        .collect();
    let mut packet = vec![0; PACKET + 1];
    while !producers.is_empty() {
        let mut ready: Vec<_> = producers
            .iter()
            .map(|(socket, _)| PollFd::new(socket, PollFlags::IN))
            .collect();
        if poll(&mut ready, None).is_err() {
            continue;
        }
        let ready: Vec<bool> = ready.iter().map(|fd| !fd.revents().is_empty()).collect();
        let mut ready = ready.into_iter();
        producers.retain_mut(|(socket, assembler)| {
            if ready.next() != Some(true) {
                return true;
            }
            let Some(length) = receive(socket, &mut packet, RecvFlags::DONTWAIT) else {
                return false;
            };
            if let Some(message) = assembler.push(&packet[..length]) {
                // Without standard error there is nothing to report this to.
                let _ = audit::write_stderr(printable(&message.bytes).as_bytes());
            }
            true
        });
    }
}

/// Returns a line that cannot act on a terminal or appear as two, also if a producer is hostile.
fn printable(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    format!("{}\n", escape::line(line, LINE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_log_line_stays_one_harmless_line() {
        assert_eq!(printable(b"ok\n"), "ok\n");
        assert_eq!(printable(b"a\nb\x1b[2J\xff\n"), "a\\nb\\u{1b}[2J\\xff\n");
    }
}
