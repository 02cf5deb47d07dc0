//! Reading stdin, a chunk at a time, only when one is wanted.

use std::io::{self, Read as _};

use bytes::Bytes;
use crossbeam_channel::{Receiver, bounded};

use crate::control::limits::STDIN_CHUNK;

/// What was read.
#[derive(Debug)]
pub enum Chunk {
    /// The next bytes, never empty.
    Data(Bytes),
    /// The end.
    End,
    /// It cannot be read.
    Failed(io::Error),
}

/// The thread that reads.
pub struct Reader {
    chunks: Receiver<Chunk>,
}

impl Reader {
    /// Begins to read. One chunk is read ahead; nothing more until it is taken.
    #[must_use]
    pub fn start() -> Self {
        // No buffer: the thread itself holds the one chunk.
        let (sender, chunks) = bounded(0);
        let thread = std::thread::Builder::new().name("stdin".into());
        let reading = thread.spawn(move || {
            let mut buffer = vec![0; STDIN_CHUNK];
            loop {
                let chunk = match io::stdin().read(&mut buffer) {
                    Ok(0) => Chunk::End,
                    Ok(length) => Chunk::Data(Bytes::copy_from_slice(&buffer[..length])),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => Chunk::Failed(error),
                };
                let last = !matches!(chunk, Chunk::Data(_));
                if sender.send(chunk).is_err() || last {
                    return;
                }
            }
        });
        reading.expect("the system has another thread to give");
        Self { chunks }
    }

    /// Where chunks come.
    #[must_use]
    pub const fn chunks(&self) -> &Receiver<Chunk> {
        &self.chunks
    }
}
