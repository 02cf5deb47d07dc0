//! Log sender of an agent in one process, with a thread that sends what waits.

use std::io;
use std::time::Duration;

use super::log_sender::LogSender;
use super::pump::Pump;

/// Log sender whose clones share a socket and a thread.
#[derive(Clone, Debug)]
pub struct SharedLog {
    sender: LogSender,
    pump: Pump,
}

impl SharedLog {
    /// Starts the thread.
    ///
    /// # Errors
    /// Those of `dup(2)` and of starting a thread.
    pub fn new(sender: LogSender) -> io::Result<Self> {
        let pumped = sender.clone();
        let drain = move || {
            pumped.drain();
            pumped.is_idle()
        };
        let pump = Pump::start(sender.descriptor()?, drain)?;
        Ok(Self { sender, pump })
    }

    /// Number of lines that the recorder has never got, since the start.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.sender.lost()
    }

    /// Sends what waits, as far as the recorder accepts it within `time`, and ends the lines.
    pub fn finish(&self, time: Duration) {
        self.sender.flush(time);
        self.sender.end();
    }
}

/// One call is one line, as `tracing_subscriber` makes it.
impl io::Write for SharedLog {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let written = self.sender.write(line);
        if !self.sender.is_idle() {
            self.pump.wake();
        }
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
