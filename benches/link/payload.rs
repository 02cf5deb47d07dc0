//! The bytes that are transferred.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Bytes to transfer.
pub struct Payload {
    pub path: PathBuf,
    pub bytes: Vec<u8>,
    /// Output of `cksum` for them.
    pub checksum: Vec<u8>,
}

impl Payload {
    /// Writes a file of `size` random bytes.
    pub fn new(directory: &Path, size: usize) -> Self {
        let path = directory.join(format!("payload-{size}"));
        let mut bytes = vec![0; size];
        std::fs::File::open("/dev/urandom")
            .and_then(|mut random| random.read_exact(&mut bytes))
            .expect("random bytes can be read");
        std::fs::write(&path, &bytes).expect("the temporary directory has room");
        let input = std::fs::File::open(&path).expect("what was written can be read");
        let checksum = Command::new("cksum")
            .stdin(input)
            .stderr(Stdio::inherit())
            .output()
            .expect("cksum can be started");
        Self {
            path,
            bytes,
            checksum: checksum.stdout,
        }
    }
}
