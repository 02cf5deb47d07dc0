//! Writing of a batch to a descriptor or another writer, with an exact count of the bytes written at any moment.
//!
//! Not a thread and not a queue. Invariant: where the descriptor allows it, no wait happens inside a write. A pipe
//! or socket takes what it has space for, then the ledger records it, and only then does the thread wait. A
//! process that is killed while its reader is slow therefore leaves an exact count.

use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileTypeExt as _;

use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, ReadWriteFlags, pwritev2};

use crate::control::limits;

/// Bytes to write.
#[derive(Clone, Debug)]
pub struct Chunk<T> {
    /// Identification, returned when the bytes are written.
    pub tag: T,
    /// The bytes.
    pub data: Bytes,
}

/// Record of every write, before and after it.
pub trait Ledger<T>: Send {
    /// Records that all of these bytes, or the first of them, are about to be written.
    fn begin(&mut self, parts: &[Part<'_, T>]);
    /// Records the number of them that were written. Called before any wait.
    fn done(&mut self, parts: &[Part<'_, T>], written: usize);
}

/// Part of a chunk in one write: its bytes from `start` to `end`.
#[derive(Debug)]
pub struct Part<'a, T> {
    /// Tag of the chunk.
    pub tag: &'a T,
    /// Index of the first byte.
    pub start: usize,
    /// Index after the last byte.
    pub end: usize,
    /// Length of the chunk in bytes.
    pub of: usize,
}

/// Destination of a batch.
pub(super) enum Target<'a> {
    Descriptor(&'a File),
    Writer(&'a mut (dyn Write + Send)),
}

impl Target<'_> {
    fn mode(&self) -> WriteMode {
        match self {
            Self::Descriptor(file) => WriteMode::of(file),
            Self::Writer(_) => WriteMode::Plain,
        }
    }

    fn write(&mut self, mode: WriteMode, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Descriptor(file) => mode.write(file, slices),
            Self::Writer(writer) => writer.write_vectored(slices),
        }
    }

    /// Waits for space. A writer has to wait inside its writes.
    fn wait(&self) -> io::Result<()> {
        match self {
            Self::Descriptor(file) => wait(file),
            Self::Writer(_) => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            // A file has no buffer here.
            Self::Descriptor(_) => Ok(()),
            Self::Writer(writer) => writer.flush(),
        }
    }
}

/// Way to write to a descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum WriteMode {
    /// Blocking writes, for files and terminals.
    Plain,
    /// Writes that take what there is space for and never block (`RWF_NOWAIT`, for pipes since Linux 6.4).
    NoWait,
    /// Small writes after poll(2) has announced space for them, for an older kernel or a named pipe.
    Careful,
}

impl WriteMode {
    fn of(file: &File) -> Self {
        let waits = file
            .metadata()
            .is_ok_and(|meta| meta.file_type().is_fifo() || meta.file_type().is_socket());
        if waits { Self::NoWait } else { Self::Plain }
    }

    const fn most(self) -> usize {
        match self {
            Self::Plain => limits::PLAIN_WRITE,
            Self::NoWait => limits::PIPE_WRITE,
            Self::Careful => limits::CAREFUL_WRITE,
        }
    }

    fn write(self, mut file: &File, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Plain | Self::Careful => file.write_vectored(slices),
            // An offset of all ones means the file's own; pipes and sockets have none.
            Self::NoWait => Ok(pwritev2(file, slices, u64::MAX, ReadWriteFlags::NOWAIT)?),
        }
    }
}

/// Writes all chunks, also to a descriptor that another process has made non-blocking.
pub(super) fn write_all<T>(
    mut target: Target<'_>,
    chunks: &[Chunk<T>],
    mut ledger: Option<&mut (dyn Ledger<T> + 'static)>,
) -> io::Result<()> {
    let mut mode = target.mode();
    let (mut chunk, mut offset) = (0, 0);
    loop {
        let parts = next(chunks, chunk, offset, mode.most());
        if parts.is_empty() {
            return target.flush();
        }
        if mode == WriteMode::Careful {
            target.wait()?;
        }
        if let Some(ledger) = &mut ledger {
            ledger.begin(&parts);
        }
        let slices: Vec<IoSlice<'_>> = std::iter::zip(&chunks[chunk..], &parts)
            .map(|(chunk, part)| IoSlice::new(&chunk.data[part.start..part.end]))
            .collect();
        let result = target.write(mode, &slices);
        if let Some(ledger) = &mut ledger {
            ledger.done(&parts, *result.as_ref().unwrap_or(&0));
        }
        match result {
            Ok(0) if parts.iter().any(|part| part.start < part.end) => {
                return Err(io::ErrorKind::WriteZero.into());
            }
            Ok(mut written) => {
                let full = written < slices.iter().map(|slice| slice.len()).sum();
                for part in &parts {
                    let taken = written.min(part.end - part.start);
                    written -= taken;
                    offset = part.start + taken;
                    if offset < part.of {
                        break;
                    }
                    (chunk, offset) = (chunk + 1, 0);
                }
                if full && mode == WriteMode::NoWait {
                    target.wait()?;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => target.wait()?,
            Err(error)
                if mode == WriteMode::NoWait
                    && matches!(
                        Errno::from_io_error(&error),
                        Some(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL)
                    ) =>
            {
                mode = WriteMode::Careful;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Returns the parts of the next write, together at most `most` bytes, beginning at `offset` of the chunk `first`.
fn next<T>(chunks: &[Chunk<T>], first: usize, offset: usize, most: usize) -> Vec<Part<'_, T>> {
    let mut left = most;
    let mut start = offset;
    let mut parts = Vec::new();
    for chunk in &chunks[first..] {
        let of = chunk.data.len();
        let end = of.min(start + left);
        left -= end - start;
        parts.push(Part {
            tag: &chunk.tag,
            start,
            end,
            of,
        });
        if left == 0 {
            break;
        }
        start = 0;
    }
    parts
}

fn wait(file: &File) -> io::Result<()> {
    let mut fds = [PollFd::from_borrowed_fd(file.as_fd(), PollFlags::OUT)];
    match poll(&mut fds, None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::sync::mpsc::{Sender, channel};

    use bytes::Bytes;

    use super::*;
    use crate::control::stdio::Chunk;

    /// Counts bytes, and sends the range in doubt before and after every write.
    struct Counter {
        done: usize,
        ranges: Sender<(usize, usize)>,
    }

    impl Ledger<u8> for Counter {
        fn begin(&mut self, parts: &[Part<'_, u8>]) {
            let bytes: usize = parts.iter().map(|part| part.end - part.start).sum();
            self.ranges.send((self.done, self.done + bytes)).unwrap();
        }

        fn done(&mut self, _: &[Part<'_, u8>], written: usize) {
            self.done += written;
            self.ranges.send((self.done, self.done)).unwrap();
        }
    }

    fn chunks(length: usize) -> Vec<Chunk<u8>> {
        let bytes: Vec<u8> = (0..length)
            .map(|at| u8::try_from(at % 251).unwrap())
            .collect();
        bytes
            .chunks(70_001)
            .map(|chunk| Chunk {
                tag: 0,
                data: Bytes::copy_from_slice(chunk),
            })
            .collect()
    }

    #[test]
    fn a_slow_reader_leaves_no_byte_in_doubt_during_a_wait() {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let (ranges, received) = channel();
        let whole = 300_000;
        let thread = std::thread::spawn(move || {
            let mut counter = Counter { done: 0, ranges };
            let file = File::from(writer);
            let target = Target::Descriptor(&file);
            write_all(target, &chunks(whole), Some(&mut counter)).unwrap();
        });
        // The pipe is full: the last range before the wait is exact.
        let mut reader = File::from(reader);
        let mut last = (0, 0);
        let capacity = rustix::pipe::fcntl_getpipe_size(&reader).unwrap();
        while last != (capacity, capacity) {
            last = received
                .recv_timeout(std::time::Duration::from_secs(10))
                .unwrap();
        }
        let mut got = Vec::new();
        reader.read_to_end(&mut got).unwrap();
        thread.join().unwrap();
        let sent: Vec<u8> = chunks(whole)
            .iter()
            .flat_map(|chunk| chunk.data.to_vec())
            .collect();
        assert!(got == sent, "{} bytes of {}", got.len(), sent.len());
        assert_eq!(received.try_iter().last(), Some((whole, whole)));
    }

    #[test]
    fn a_named_pipe_is_polled_before_each_write() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).unwrap();
        let both = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .unwrap();
        let mut reader = File::open(&path).unwrap();
        let thread = std::thread::spawn(move || {
            write_all(Target::Descriptor(&both), &chunks(200_000), None).unwrap();
        });
        let mut got = vec![0; 200_000];
        reader.read_exact(&mut got).unwrap();
        thread.join().unwrap();
        assert_eq!(got[199_999], u8::try_from(199_999 % 251).unwrap());
    }

    #[test]
    fn empty_pieces_do_not_stop_a_batch() {
        let (mut reader, writer) = {
            let (reader, writer) = rustix::pipe::pipe().unwrap();
            (File::from(reader), File::from(writer))
        };
        let chunk = |text: &'static [u8]| Chunk {
            tag: 0,
            data: Bytes::from_static(text),
        };
        let target = Target::Descriptor(&writer);
        write_all(target, &[chunk(b""), chunk(b"ab"), chunk(b"")], None).unwrap();
        drop(writer);
        let mut got = String::new();
        reader.read_to_string(&mut got).unwrap();
        assert_eq!(got, "ab");
    }

    #[test]
    fn a_writer_gets_every_byte_and_the_ledger_counts_them() {
        let (ranges, received) = channel();
        let mut counter = Counter { done: 0, ranges };
        let mut got = Vec::new();
        let whole = 200_000;
        let target = Target::Writer(&mut got);
        write_all(target, &chunks(whole), Some(&mut counter)).unwrap();
        assert_eq!(got[whole - 1], u8::try_from((whole - 1) % 251).unwrap());
        assert_eq!(got.len(), whole);
        assert_eq!(received.try_iter().last(), Some((whole, whole)));
    }
}
