//! Writing to a sink in batches, with a report on each.
//!
//! Writes that a descriptor takes without a wait are made at once, so that nobody has to be woken for them; all others
//! are made by the thread. The ledger's own writes, to a file, are made with either. Invariant: every tag comes back exactly once.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::batch_write::{Chunk, Ledger, Position, Target, write_all, write_ready};
use super::sink::Sink;
use super::slot::{Putter, slot};

/// Report on a batch.
#[derive(Debug)]
pub struct Written<T> {
    /// Tags of the chunks, in order.
    pub tags: Vec<T>,
    /// Error that stopped the batch. No later chunk is written either.
    pub error: Option<io::Error>,
}

/// Queue of one output, in front of its thread.
pub struct Writer<T> {
    sink: Sink,
    queue: VecDeque<Chunk<T>>,
    /// Memory of the queue in bytes.
    queued: usize,
    ledger: SharedLedger<T>,
    /// Slot for the batch of the thread, which is started with the first one.
    thread: Option<Putter<Batch<T>>>,
    /// False if the sink has to be left to the thread.
    is_ready_known: bool,
    busy: bool,
    broken: bool,
    reports: (Sender<Written<T>>, Receiver<Written<T>>),
}

/// The ledger, which is used for one batch at a time, here or on the thread.
type SharedLedger<T> = Option<Arc<Mutex<Box<dyn Ledger<T>>>>>;

/// Chunks for the thread, and the position of the first byte that is not written.
struct Batch<T> {
    chunks: Vec<Chunk<T>>,
    at: Position,
}

/// Returns the memory that a chunk takes in the queue.
const fn memory<T>(chunk: &Chunk<T>) -> usize {
    size_of::<Chunk<T>>() + chunk.data.len()
}

/// Chunks in a batch: as many as one `writev` takes (`IOV_MAX` is 1024).
const BATCH: usize = 1024;

impl<T: Send + 'static> Writer<T> {
    /// Creates a writer to a sink. No thread is started yet.
    #[must_use]
    pub fn new(sink: Sink, ledger: Option<Box<dyn Ledger<T>>>) -> Self {
        Self {
            is_ready_known: matches!(sink, Sink::Descriptor(_)),
            sink,
            queue: VecDeque::new(),
            queued: 0,
            ledger: ledger.map(|ledger| Arc::new(Mutex::new(ledger))),
            thread: None,
            busy: false,
            broken: false,
            reports: bounded(1),
        }
    }

    /// Queues a chunk.
    ///
    /// # Errors
    /// The tag of the chunk, which is dropped, if an earlier write has failed.
    pub fn push(&mut self, chunk: Chunk<T>) -> Result<(), T> {
        if self.broken {
            return Err(chunk.tag);
        }
        self.queued += memory(&chunk);
        self.queue.push_back(chunk);
        Ok(())
    }

    /// Writes bytes at once, past the queue, which may be held up by a stopped terminal.
    pub fn write_now(&self, bytes: &[u8]) {
        self.sink.write_now(bytes);
    }

    /// Writes the next batch, if the last one is reported. The thread writes what would have to wait.
    pub fn flush(&mut self) {
        if self.busy || self.broken || self.queue.is_empty() {
            return;
        }
        let most = self.queue.len().min(BATCH);
        let chunks: Vec<_> = self.queue.drain(..most).collect();
        self.queued -= chunks.iter().map(memory).sum::<usize>();
        let at = self.write_ready(&chunks);
        self.busy = if at.is_end(&chunks) {
            // There is room: the report before was received.
            self.reports.0.try_send(report(chunks, None)).is_ok()
        } else {
            let (sink, reports, ledger) = (&self.sink, &self.reports.0, &self.ledger);
            let thread = self
                .thread
                .get_or_insert_with(|| start(sink.clone(), ledger.clone(), reports.clone()));
            thread.put(Batch { chunks, at })
        };
    }

    fn write_ready(&mut self, chunks: &[Chunk<T>]) -> Position {
        let Sink::Descriptor(file) = &self.sink else {
            return Position::default();
        };
        if !self.is_ready_known {
            return Position::default();
        }
        let mut ledger = self.ledger.as_deref().map(lock);
        let ledger = ledger.as_mut().map(|ledger| &mut ***ledger);
        let (at, is_known) = write_ready(file, chunks, ledger);
        self.is_ready_known = is_known;
        at
    }

    /// Returns the channel of reports. Each one received must be passed to [`Writer::on_report`].
    #[must_use]
    pub const fn reports(&self) -> &Receiver<Written<T>> {
        &self.reports.1
    }

    /// Handles a report. After a failure it returns the tags of the chunks that were still queued.
    pub fn on_report(&mut self, report: &Written<T>) -> Vec<T> {
        self.busy = false;
        if report.error.is_none() {
            return Vec::new();
        }
        self.broken = true;
        self.queued = 0;
        self.queue.drain(..).map(|chunk| chunk.tag).collect()
    }

    /// Writes what is queued until `deadline`, and handles the reports. What is left then, or after a failure, stays.
    pub fn drain(&mut self, deadline: Instant) {
        loop {
            self.flush();
            if self.is_idle() || self.broken {
                return;
            }
            let Ok(report) = self.reports.1.recv_deadline(deadline) else {
                return;
            };
            self.on_report(&report);
        }
    }

    /// Returns the memory in bytes of what waits for the batch in progress.
    #[must_use]
    pub const fn queued(&self) -> usize {
        self.queued
    }

    /// Returns true if nothing is queued and every batch is reported.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        !self.busy && self.queue.is_empty()
    }
}

fn lock<L>(ledger: &Mutex<L>) -> std::sync::MutexGuard<'_, L> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

fn report<T>(chunks: Vec<Chunk<T>>, error: Option<io::Error>) -> Written<T> {
    let tags = chunks.into_iter().map(|chunk| chunk.tag).collect();
    Written { tags, error }
}

fn start<T: Send + 'static>(
    sink: Sink,
    ledger: SharedLedger<T>,
    reports: Sender<Written<T>>,
) -> Putter<Batch<T>> {
    let (putter, batches) = slot::<Batch<T>>();
    let thread = std::thread::Builder::new().name("output".into());
    let writing = thread.spawn(move || {
        for Batch { chunks, at } in batches {
            let mut ledger = ledger.as_deref().map(lock);
            let ledger = ledger.as_mut().map(|ledger| &mut ***ledger);
            let error = match &sink {
                Sink::Descriptor(file) => write_all(Target::Descriptor(file), &chunks, at, ledger),
                Sink::Writer(writer) => {
                    let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
                    write_all(Target::Writer(&mut *writer), &chunks, at, ledger)
                }
            }
            .err();
            if reports.send(report(chunks, error)).is_err() {
                return;
            }
        }
    });
    writing.expect("the system has another thread to give");
    putter
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read as _;
    use std::time::Duration;

    use super::*;
    use bytes::Bytes;

    const DEADLINE: Duration = Duration::from_secs(10);

    fn pipe() -> (File, Sink) {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        (reader.into(), writer.into())
    }

    #[test]
    fn written_pieces_are_reported_in_order() {
        let (mut reader, sink) = pipe();
        let mut writer = Writer::new(sink, None);
        for tag in 0..3 {
            let data = Bytes::from(vec![b'a' + tag; 2]);
            writer.push(Chunk { tag, data }).unwrap();
        }
        writer.flush();
        let report = writer.reports().recv_timeout(DEADLINE).unwrap();
        assert_eq!(report.tags, [0, 1, 2]);
        assert!(report.error.is_none() && writer.on_report(&report).is_empty());
        assert!(writer.is_idle());
        let mut got = [0; 6];
        reader.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"aabbcc");
    }

    #[test]
    fn what_is_queued_is_written_until_the_deadline() {
        let (mut reader, sink) = pipe();
        let mut writer = Writer::new(sink, None);
        let chunk = |length| Chunk {
            tag: (),
            data: Bytes::from(vec![b'x'; length]),
        };
        writer.push(chunk(10)).unwrap();
        writer.drain(Instant::now() + DEADLINE);
        assert!(writer.is_idle());
        // More than a pipe holds that nobody reads.
        writer.push(chunk(1 << 20)).unwrap();
        writer.drain(Instant::now());
        assert!(!writer.is_idle());
        let mut got = [0; 10];
        reader.read_exact(&mut got).unwrap();
        drop(reader);
        writer.drain(Instant::now() + DEADLINE);
        assert!(writer.push(chunk(1)).is_err(), "its reader is gone");
    }

    #[test]
    fn a_closed_pipe_is_reported_with_all_queued_pieces() {
        let (reader, sink) = pipe();
        drop(reader);
        let mut writer = Writer::new(sink, None);
        let chunk = |tag| Chunk {
            tag,
            data: Bytes::from_static(b"x"),
        };
        writer.push(chunk(1)).unwrap();
        writer.flush();
        writer.push(chunk(2)).unwrap();
        let report = writer.reports().recv_timeout(DEADLINE).unwrap();
        let kind = report.error.as_ref().map(io::Error::kind);
        assert_eq!(kind, Some(io::ErrorKind::BrokenPipe));
        assert_eq!(writer.on_report(&report), [2]);
        assert_eq!(writer.push(chunk(3)), Err(3));
    }
}
