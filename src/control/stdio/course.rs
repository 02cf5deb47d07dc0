//! How a batch is written to a descriptor so that at any moment it is known what has left.
//!
//! Not a thread and not a queue. Invariant: nothing is waited for with a write under way, where the
//! descriptor lets one choose: a pipe or socket takes what it has room for, then the ledger is told, and
//! only then is there a wait. So a process that dies while its reader is slow leaves an exact account.

use std::fs::File;
use std::io::{self, IoSlice, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileTypeExt as _;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, ReadWriteFlags, pwritev2};

use super::Piece;
use crate::control::limits;

/// Is told of every write, before and after.
pub trait Ledger<T>: Send {
    /// These bytes are about to be written, or some of them from the beginning.
    fn begin(&mut self, parts: &[Part<'_, T>]);
    /// So many of them have been. Told before anything is waited for.
    fn done(&mut self, parts: &[Part<'_, T>], written: usize);
}

/// What a write takes of a piece: its bytes from `start` to `end`.
#[derive(Debug)]
pub struct Part<'a, T> {
    /// The piece's.
    pub tag: &'a T,
    /// The first byte.
    pub start: usize,
    /// The one after the last.
    pub end: usize,
    /// The length of the piece.
    pub of: usize,
}

/// How one writes there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Manner {
    /// Takes everything, in time.
    Plain,
    /// Takes what there is room for at once (`RWF_NOWAIT`, pipes since Linux 6.4).
    NoWait,
    /// The same by asking first, for an older kernel or a named pipe.
    Careful,
}

impl Manner {
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
            // The offset of all ones is that of the file, which pipes and sockets have none of.
            Self::NoWait => Ok(pwritev2(file, slices, u64::MAX, ReadWriteFlags::NOWAIT)?),
        }
    }
}

/// Writes everything, also to what someone has made non-blocking.
pub(super) fn write_all<T>(
    file: &File,
    pieces: &[Piece<T>],
    mut ledger: Option<&mut (dyn Ledger<T> + 'static)>,
) -> io::Result<()> {
    let mut manner = Manner::of(file);
    let (mut piece, mut offset) = (0, 0);
    loop {
        let parts = next(pieces, piece, offset, manner.most());
        if parts.is_empty() {
            return Ok(());
        }
        if manner == Manner::Careful {
            wait(file)?;
        }
        if let Some(ledger) = &mut ledger {
            ledger.begin(&parts);
        }
        let slices: Vec<IoSlice<'_>> = std::iter::zip(&pieces[piece..], &parts)
            .map(|(piece, part)| IoSlice::new(&piece.data[part.start..part.end]))
            .collect();
        let result = manner.write(file, &slices);
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
                    (piece, offset) = (piece + 1, 0);
                }
                if full && manner == Manner::NoWait {
                    wait(file)?;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait(file)?,
            Err(error)
                if manner == Manner::NoWait
                    && matches!(
                        Errno::from_io_error(&error),
                        Some(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL)
                    ) =>
            {
                manner = Manner::Careful;
            }
            Err(error) => return Err(error),
        }
    }
}

/// The parts of the next write, of `most` bytes together and as many pieces as one write takes.
fn next<T>(pieces: &[Piece<T>], first: usize, offset: usize, most: usize) -> Vec<Part<'_, T>> {
    let mut room = most;
    let mut start = offset;
    let mut parts = Vec::new();
    for piece in &pieces[first..] {
        let of = piece.data.len();
        let end = of.min(start + room);
        room -= end - start;
        parts.push(Part {
            tag: &piece.tag,
            start,
            end,
            of,
        });
        if room == 0 {
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
    use crate::control::stdio::Piece;

    /// Counts, and tells of every write.
    struct Counter {
        done: usize,
        told: Sender<(usize, usize)>,
    }

    impl Ledger<u8> for Counter {
        fn begin(&mut self, parts: &[Part<'_, u8>]) {
            let bytes: usize = parts.iter().map(|part| part.end - part.start).sum();
            self.told.send((self.done, self.done + bytes)).unwrap();
        }

        fn done(&mut self, _: &[Part<'_, u8>], written: usize) {
            self.done += written;
            self.told.send((self.done, self.done)).unwrap();
        }
    }

    fn pieces(length: usize) -> Vec<Piece<u8>> {
        let bytes: Vec<u8> = (0..length)
            .map(|at| u8::try_from(at % 251).unwrap())
            .collect();
        bytes
            .chunks(70_001)
            .map(|chunk| Piece {
                tag: 0,
                data: Bytes::copy_from_slice(chunk),
            })
            .collect()
    }

    #[test]
    fn a_slow_reader_leaves_nothing_in_doubt_while_it_is_waited_for() {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let (told, tells) = channel();
        let whole = 300_000;
        let thread = std::thread::spawn(move || {
            let mut counter = Counter { done: 0, told };
            write_all(&File::from(writer), &pieces(whole), Some(&mut counter)).unwrap();
        });
        // Full: the last that is told before the wait is exact.
        let mut reader = File::from(reader);
        let mut last = (0, 0);
        let capacity = rustix::pipe::fcntl_getpipe_size(&reader).unwrap();
        while last != (capacity, capacity) {
            last = tells
                .recv_timeout(std::time::Duration::from_secs(10))
                .unwrap();
        }
        let mut got = Vec::new();
        reader.read_to_end(&mut got).unwrap();
        thread.join().unwrap();
        let sent: Vec<u8> = pieces(whole)
            .iter()
            .flat_map(|piece| piece.data.to_vec())
            .collect();
        assert!(got == sent, "{} bytes of {}", got.len(), sent.len());
        assert_eq!(tells.try_iter().last(), Some((whole, whole)));
    }

    #[test]
    fn a_named_pipe_is_asked_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).unwrap();
        let both = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .unwrap();
        let mut reader = File::open(&path).unwrap();
        let thread = std::thread::spawn(move || {
            write_all(&both, &pieces(200_000), None).unwrap();
        });
        let mut got = vec![0; 200_000];
        reader.read_exact(&mut got).unwrap();
        thread.join().unwrap();
        assert_eq!(got[199_999], u8::try_from(199_999 % 251).unwrap());
    }

    #[test]
    fn empty_pieces_are_written_too() {
        let (mut reader, writer) = {
            let (reader, writer) = rustix::pipe::pipe().unwrap();
            (File::from(reader), File::from(writer))
        };
        let piece = |text: &'static [u8]| Piece {
            tag: 0,
            data: Bytes::from_static(text),
        };
        write_all(&writer, &[piece(b""), piece(b"ab"), piece(b"")], None).unwrap();
        drop(writer);
        let mut got = String::new();
        reader.read_to_string(&mut got).unwrap();
        assert_eq!(got, "ab");
    }
}
