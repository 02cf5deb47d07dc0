//! Addresses of the running agent: written by it, read by `udpagent invite`.
//!
//! Not the configuration, which a flag may override and in which port 0 stands for any. Invariant: the file is
//! valid only while its agent holds the lock, so that the file of an ended agent is not mistaken for that of a
//! running one. Of several agents that share the directory, the last one started is read.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// Upper bound of the bytes read: a hundred addresses.
const LENGTH: u64 = 8 << 10;

/// The locked file. Keep it while the agent listens.
#[derive(Debug)]
pub struct Listening(#[allow(dead_code, reason = "held for its lock")] File);

impl Listening {
    /// Writes the addresses, one per line.
    ///
    /// # Errors
    /// The file cannot be written or locked.
    pub fn publish(path: &Path, addresses: &[SocketAddr]) -> io::Result<Self> {
        if let Some(directory) = path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)?;
        }
        let aside = path.with_extension(format!("{:016x}", getrandom::u64()?));
        let published = (|| {
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&aside)?;
            // Locked before it is renamed, so that no reader sees it unlocked.
            flock(&file, FlockOperation::NonBlockingLockExclusive)?;
            let lines = addresses.iter().map(|address| format!("{address}\n"));
            file.write_all(lines.collect::<String>().as_bytes())?;
            fs::rename(&aside, path)?;
            Ok(Self(file))
        })();
        if published.is_err() {
            let _ = fs::remove_file(&aside);
        }
        published
    }
}

/// Returns the addresses of the running agent, or `None` if none runs.
///
/// # Errors
/// The file cannot be read or parsed.
pub fn read(path: &Path) -> io::Result<Option<Vec<SocketAddr>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => return Ok(None),
        Err(Errno::WOULDBLOCK) => {}
        Err(error) => return Err(error.into()),
    }
    let mut text = String::new();
    file.take(LENGTH).read_to_string(&mut text)?;
    let addresses: Result<Vec<SocketAddr>, _> = text.lines().map(str::parse).collect();
    addresses
        .map(Some)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_while_the_agent_runs_and_not_after() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state/listening");
        assert_eq!(read(&path).unwrap(), None);
        let first: Vec<SocketAddr> = vec!["127.0.0.1:4711".parse().unwrap()];
        let running = Listening::publish(&path, &first).unwrap();
        assert_eq!(read(&path).unwrap(), Some(first));
        let second: Vec<SocketAddr> = vec!["[::1]:1".parse().unwrap()];
        let other = Listening::publish(&path, &second).unwrap();
        drop(running);
        assert_eq!(read(&path).unwrap(), Some(second));
        drop(other);
        assert_eq!(read(&path).unwrap(), None, "the agent has ended");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
}
