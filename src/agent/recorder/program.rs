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

use super::beside_prompt;
use super::frame::{Answer, Assembler, PACKET, Wanted};
use super::limits::{LAST_LINES, LINE, RECORD};
use super::log_format::Lines;
use super::log_sender::LogSender;
use super::settings::Settings;
use super::socket::{ENDS, pair};
use crate::agent::audit::{self, Event, Record, Unwritten};
use crate::escape;
use crate::process::unblock_signals;
use crate::saved_mode;

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
    saved_mode::go_on_in_background();
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
            write_records(&records, &control, log, progress);
            own.flush(LAST_LINES);
            own.end();
        })?;
    write_lines(logs);
    Ok(())
}

/// Registers handlers without effect, which programs that are executed do not inherit.
///
/// # Errors
/// Those of `sigaction(2)`.
pub fn ignore_signals() -> io::Result<()> {
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

/// Progress of the records, in a file that outlives this process.
struct Progress {
    file: File,
    /// Number of the last record that was taken.
    last: u64,
    /// Records before the next one that are missing, and of which no record says so.
    missing: u64,
}

impl Progress {
    fn new(file: File) -> io::Result<Self> {
        let mut numbers = [[0; 8]; 2];
        // The file is empty at first.
        let length = file.read_at(numbers.as_flattened_mut(), 0)?;
        if length != numbers.as_flattened().len() {
            numbers = [[0; 8]; 2];
        }
        let [last, missing] = numbers.map(u64::from_le_bytes);
        Ok(Self {
            file,
            last,
            missing,
        })
    }

    /// Enters a record that was sent. Those between the last one and this one were taken by a recorder that has died.
    const fn take(&mut self, number: u64) {
        let lost = number.saturating_sub(self.last).saturating_sub(1);
        self.last = number;
        self.missing = self.missing.saturating_add(lost);
    }

    fn save(&mut self) {
        let numbers = [self.last, self.missing].map(u64::to_le_bytes);
        // If it cannot be written, a later recorder counts a record twice.
        let _ = self.file.write_all_at(numbers.as_flattened(), 0);
    }
}

/// The audit log, the progress of its records, and the numbers of those that are missing.
struct Writer<'a> {
    control: &'a OwnedFd,
    log: Option<audit::Log>,
    progress: Progress,
    /// Records that could not be written, and that the supervisor was not told of.
    unreported: u64,
}

impl Writer<'_> {
    /// Writes a record, after the number of those that are missing before it.
    fn write(&mut self, number: u64, line: &[u8]) -> Result<(), Unwritten> {
        self.progress.take(number);
        let written = self.write_missing().and_then(|()| self.append(line));
        if written.is_err() {
            self.progress.missing = self.progress.missing.saturating_add(1);
            self.unreported = self.unreported.saturating_add(1);
        } else if let Some(log) = &mut self.log {
            log.on_written();
        }
        self.progress.save();
        self.report();
        written
    }

    /// Writes the number of missing records, if there are any.
    fn write_missing(&mut self) -> Result<(), Unwritten> {
        let records = self.progress.missing;
        if records > 0 {
            let record = Record::of_agent(Event::Dropped { records });
            self.append(&record.to_line_now())?;
            self.progress.missing = 0;
        }
        Ok(())
    }

    fn append(&mut self, line: &[u8]) -> Result<(), Unwritten> {
        match &mut self.log {
            Some(log) => log.append_line(line),
            None => Ok(()),
        }
    }

    /// Tells the supervisor of records that could not be written, if it takes that now.
    fn report(&mut self) {
        if self.unreported > 0 {
            let answer = Answer::unwritten(self.unreported);
            let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
            if send(self.control, &answer.to_packet(), flags).is_ok() {
                self.unreported = 0;
            }
        }
    }
}

/// Writes the records and answers, until the producer has ended.
fn write_records(socket: &OwnedFd, control: &OwnedFd, log: Option<audit::Log>, progress: Progress) {
    let mut writer = Writer {
        control,
        log,
        progress,
        unreported: 0,
    };
    let mut assembler = Assembler::new(RECORD);
    // One byte more shows that a packet was cut off.
    let mut packet = vec![0; PACKET + 1];
    while let Some(length) = receive(socket, &mut packet, RecvFlags::empty()) {
        let Some(message) = assembler.push(&packet[..length]) else {
            continue;
        };
        let result = writer.write(message.number, &message.bytes);
        if message.wanted == Wanted::Answer {
            let answer = Answer {
                number: message.number,
                written: result.is_ok(),
                reason: String::new(),
            };
            // A producer that has ended needs no answer.
            let _ = send(socket, &answer.to_packet(), SendFlags::NOSIGNAL);
        }
    }
    if writer.write_missing().is_err() {
        let records = writer.progress.missing;
        tracing::error!("{records} audit records are missing at the end and could not be written");
    }
    writer.progress.save();
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
                let _ = beside_prompt::write(&printable(&message.bytes));
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
