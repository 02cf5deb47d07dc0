//! Hash of the content of a file, with its holes as the zeros that they are read as.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::LazyLock;

use rustix::io::Errno;

use super::fault::Fault;
use super::frame::Hash;
use super::limits;

/// Zeros to hash or to write in the place of a hole. They are in memory once they are used, and not in the program's file.
pub(super) static ZEROS: LazyLock<Box<[u8]>> = LazyLock::new(|| vec![0; 64 << 10].into());

/// Bytes that are hashed at a time: BLAKE3 hashes up to 16 chunks of 1024 bytes side by side, but only if they begin at a
/// multiple of that, and what arrives from a stream does not.
const BLOCK: usize = 16 << 10;

/// Hash of a content that is not complete.
#[derive(Clone, Debug)]
pub struct Hasher {
    /// Of whole blocks.
    inner: blake3::Hasher,
    /// Bytes behind them, fewer than a block.
    rest: Vec<u8>,
    length: u64,
}

impl Default for Hasher {
    fn default() -> Self {
        Self {
            inner: blake3::Hasher::new(),
            rest: Vec::new(),
            length: 0,
        }
    }
}

impl Hasher {
    /// Returns the hash of a whole content.
    #[must_use]
    pub fn hash(content: &[u8]) -> Hash {
        blake3::hash(content).into()
    }

    /// Returns the number of bytes that were added.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// Adds bytes.
    pub fn add(&mut self, mut bytes: &[u8]) {
        self.length = self.length.saturating_add(bytes.len() as u64);
        if !self.rest.is_empty() {
            let missing = (BLOCK - self.rest.len()).min(bytes.len());
            let (first, behind) = bytes.split_at(missing);
            self.rest.extend_from_slice(first);
            bytes = behind;
            if self.rest.len() < BLOCK {
                return;
            }
            self.inner.update(&self.rest);
            self.rest.clear();
        }
        let (blocks, rest) = bytes.split_at(bytes.len() / BLOCK * BLOCK);
        self.inner.update(blocks);
        self.rest.extend_from_slice(rest);
    }

    /// Adds zeros.
    pub fn add_zeros(&mut self, mut length: u64) {
        while length > 0 {
            let part =
                usize::try_from(length).map_or(ZEROS.len(), |length| length.min(ZEROS.len()));
            self.add(&ZEROS[..part]);
            length -= part as u64;
        }
    }

    /// Adds the content of a file up to `end`.
    ///
    /// # Errors
    /// [`Fault::Changed`] if the file is shorter, or of the system.
    pub fn add_file(&mut self, file: &File, end: u64) -> Result<(), Fault> {
        let mut buffer = vec![0; limits::CHUNK];
        while self.length < end {
            let left = usize::try_from(end - self.length).unwrap_or(usize::MAX);
            let part = left.min(buffer.len());
            read_at(file, &mut buffer[..part], self.length)?;
            self.add(&buffer[..part]);
        }
        Ok(())
    }

    /// Returns the hash of what was added.
    #[must_use]
    pub fn finish(&self) -> Hash {
        let mut whole = self.inner.clone();
        whole.update(&self.rest).finalize().into()
    }
}

/// Fills a buffer from a file.
///
/// # Errors
/// [`Fault::Changed`] if the file ends before, or of the system.
pub fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> Result<(), Fault> {
    file.read_exact_at(buffer, offset)
        .map_err(|error| match Errno::from_io_error(&error) {
            Some(errno) => errno.into(),
            // The only other error is that of an early end.
            None => Fault::Changed,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_does_not_depend_on_how_the_bytes_arrive() {
        let content: Vec<u8> = (0..=250).cycle().take(5 * BLOCK).collect();
        let whole = Hasher::hash(&content);
        for step in [1, 7, 1024, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5] {
            let mut hasher = Hasher::default();
            for part in content.chunks(step) {
                hasher.add(part);
                let end = usize::try_from(hasher.length()).unwrap();
                if step >= 1024 {
                    assert_eq!(hasher.finish(), Hasher::hash(&content[..end]));
                }
            }
            assert_eq!(hasher.finish(), whole, "{step} bytes at a time");
        }
    }
}
