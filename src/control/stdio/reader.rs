//! Reading of the input in chunks, with one chunk read ahead.
//!
//! Not the decision when to read, which is the receiver's. Invariant: at most one chunk is held that the receiver has
//! not taken.

use std::collections::VecDeque;
use std::io::{self, Read};

use bytes::{Bytes, BytesMut};
use crossbeam_channel::{Receiver, bounded};

use crate::control::limits::{STDIN_BUFFERS, STDIN_CHUNK};

/// Result of one read.
#[derive(Debug)]
pub enum StdinChunk {
    /// The next bytes, never empty.
    Data(Bytes),
    /// The end of the input.
    End,
    /// The input cannot be read; nothing follows.
    Failed(io::Error),
}

/// Handle of the thread that reads the input.
pub struct Reader {
    chunks: Receiver<StdinChunk>,
}

impl Reader {
    /// Starts the thread. It reads one chunk ahead, and the next one when that is taken.
    #[must_use]
    pub fn start(mut input: Box<dyn Read + Send>) -> Self {
        // No capacity: the thread itself holds the one chunk.
        let (sender, chunks) = bounded(0);
        let thread = std::thread::Builder::new().name("stdin".into());
        let reading = thread.spawn(move || {
            let mut buffers = Buffers::default();
            loop {
                let mut buffer = buffers.take();
                let chunk = match input.read(&mut buffer) {
                    Ok(0) => StdinChunk::End,
                    Ok(length) => StdinChunk::Data(buffers.chunk(buffer, length)),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => StdinChunk::Failed(error),
                };
                let last = !matches!(chunk, StdinChunk::Data(_));
                if sender.send(chunk).is_err() || last {
                    return;
                }
            }
        });
        reading.expect("the system has another thread to give");
        Self { chunks }
    }

    /// Returns the channel of chunks.
    #[must_use]
    pub const fn chunks(&self) -> &Receiver<StdinChunk> {
        &self.chunks
    }
}

/// Buffers that are read into again once their bytes are acknowledged: new memory costs as much as the copy into it.
#[derive(Default)]
struct Buffers {
    /// A buffer that is not in use.
    spare: Option<BytesMut>,
    /// Buffers in use, oldest first.
    used: VecDeque<Bytes>,
}

impl Buffers {
    /// Returns a buffer of [`STDIN_CHUNK`] bytes.
    fn take(&mut self) -> BytesMut {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        if self.used.front().is_some_and(Bytes::is_unique)
            && let Some(Ok(again)) = self.used.pop_front().map(Bytes::try_into_mut)
        {
            return again;
        }
        BytesMut::zeroed(STDIN_CHUNK)
    }

    /// Returns the first bytes of a buffer as a chunk. Few bytes are copied, so that they do not occupy a whole buffer.
    fn chunk(&mut self, buffer: BytesMut, length: usize) -> Bytes {
        if length < STDIN_CHUNK / 2 || self.used.len() >= STDIN_BUFFERS {
            let chunk = Bytes::copy_from_slice(&buffer[..length]);
            self.spare = Some(buffer);
            return chunk;
        }
        let whole = buffer.freeze();
        let chunk = whole.slice(..length);
        self.used.push_back(whole);
        chunk
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_used_again_once_their_chunks_are_dropped_and_never_before() {
        let mut buffers = Buffers::default();
        let mut chunks = VecDeque::new();
        let mut addresses = std::collections::HashSet::new();
        for round in 0..=u8::MAX {
            let mut buffer = buffers.take();
            assert_eq!(buffer.len(), STDIN_CHUNK);
            addresses.insert(buffer.as_ptr());
            buffer.fill(round);
            let length = STDIN_CHUNK - usize::from(round);
            chunks.push_back((round, buffers.chunk(buffer, length)));
            if chunks.len() > STDIN_BUFFERS / 2 {
                let (round, chunk) = chunks.pop_front().unwrap();
                assert!(chunk.iter().all(|&byte| byte == round));
            }
        }
        assert!(addresses.len() <= STDIN_BUFFERS / 2 + 2);
        assert!(chunks.iter().all(|(round, chunk)| chunk[0] == *round));
    }

    #[test]
    fn small_chunks_and_those_beyond_the_bound_are_copies() {
        let mut buffers = Buffers::default();
        let small = buffers.take();
        let address = small.as_ptr();
        assert_ne!(buffers.chunk(small, 1).as_ptr(), address);
        assert_eq!(buffers.take().as_ptr(), address);
        let chunks: Vec<Bytes> = (0..2 * STDIN_BUFFERS)
            .map(|_| {
                let buffer = buffers.take();
                buffers.chunk(buffer, STDIN_CHUNK)
            })
            .collect();
        assert_eq!(buffers.used.len(), STDIN_BUFFERS);
        assert!(chunks.iter().all(|chunk| chunk.len() == STDIN_CHUNK));
    }
}
