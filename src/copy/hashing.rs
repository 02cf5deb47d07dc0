//! Hash of the content of a file, with its holes as the zeros that they are read as.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use rustix::io::Errno;

use super::fault::Fault;
use super::frame::Hash;
use super::limits;

/// Zeros to hash in the place of a hole.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// Hash of a content that is not complete.
#[derive(Clone, Debug)]
pub struct Hasher {
    inner: blake3::Hasher,
    length: u64,
}

impl Default for Hasher {
    fn default() -> Self {
        Self {
            inner: blake3::Hasher::new(),
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
    pub fn add(&mut self, bytes: &[u8]) {
        self.inner.update(bytes);
        self.length = self.length.saturating_add(bytes.len() as u64);
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
        self.inner.finalize().into()
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
