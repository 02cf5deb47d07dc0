//! Reading of the input in chunks, with one chunk read ahead.
//!
//! Not the decision when to read, which is the receiver's. Invariant: at most one chunk is held.

use std::io::{self, Read};

use bytes::Bytes;
use crossbeam_channel::{Receiver, bounded};

use crate::control::limits::STDIN_CHUNK;

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
            let mut buffer = vec![0; STDIN_CHUNK];
            loop {
                let chunk = match input.read(&mut buffer) {
                    Ok(0) => StdinChunk::End,
                    Ok(length) => StdinChunk::Data(Bytes::copy_from_slice(&buffer[..length])),
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
