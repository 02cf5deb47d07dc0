//! One end of a socket to the recorder, with a bounded queue before it.
//!
//! Nothing here blocks, except [`Sender::flush`], for a bounded time. Invariant: messages arrive in the order in
//! which they were accepted; those that find the queue full are counted, and their number is a message in the place
//! where they are missing.

use std::collections::VecDeque;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};

use super::frame::{self, ANSWER, Answer, Wanted};
use super::limits::{QUEUE_BYTES, QUEUE_LINES};

/// Makes the message about a number of dropped ones.
pub(super) type Notice = Box<dyn Fn(u64) -> Vec<u8> + Send>;

/// A message that is not sent completely.
struct Waiting {
    number: u64,
    wanted: Wanted,
    bytes: Vec<u8>,
    /// Bytes sent.
    sent: usize,
}

/// Sender of messages.
pub(super) struct Sender {
    socket: OwnedFd,
    /// True if the recorder has ended.
    closed: bool,
    waiting: VecDeque<Waiting>,
    /// Bytes of the waiting messages.
    bytes: usize,
    /// Messages dropped since the last notice.
    dropped: u64,
    /// Messages that the recorder has never got.
    lost: u64,
    next: u64,
    notice: Notice,
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("waiting", &self.waiting.len())
            .field("dropped", &self.dropped)
            .finish_non_exhaustive()
    }
}

impl Sender {
    /// Returns a sender without messages. `next` is the number of its first message.
    pub(super) const fn new(socket: OwnedFd, next: u64, notice: Notice) -> Self {
        Self {
            socket,
            closed: false,
            waiting: VecDeque::new(),
            bytes: 0,
            dropped: 0,
            lost: 0,
            next,
            notice,
        }
    }

    /// Sends a message, or queues it. Returns its number, or `None` if it was dropped.
    pub(super) fn push(&mut self, bytes: Vec<u8>, wanted: Wanted) -> Option<u64> {
        self.drain();
        if self.closed {
            self.lost = self.lost.saturating_add(1);
            return None;
        }
        let full = self.waiting.len() >= QUEUE_LINES || self.bytes >= QUEUE_BYTES;
        // After the first drop there must be room for some time, or every second message would be a notice.
        if full || self.dropped > 0 {
            self.dropped = self.dropped.saturating_add(1);
            self.lost = self.lost.saturating_add(1);
            return None;
        }
        let number = self.enqueue(bytes, wanted);
        self.drain();
        (!self.closed).then_some(number)
    }

    /// Sends queued messages as far as the socket has room. Call when the socket is writable.
    pub(super) fn drain(&mut self) {
        let mut packet = Vec::new();
        loop {
            if self.dropped > 0
                && self.waiting.len() <= QUEUE_LINES / 2
                && self.bytes <= QUEUE_BYTES / 2
            {
                let notice = (self.notice)(std::mem::take(&mut self.dropped));
                self.enqueue(notice, Wanted::Nothing);
            }
            let Some(first) = self.waiting.front_mut() else {
                return;
            };
            let Waiting { number, wanted, .. } = *first;
            let end = frame::encode(number, wanted, &first.bytes, first.sent, &mut packet);
            match send(
                &self.socket,
                &packet,
                SendFlags::DONTWAIT | SendFlags::NOSIGNAL,
            ) {
                Ok(_) if end == first.bytes.len() => {
                    self.bytes = self.bytes.saturating_sub(first.bytes.len());
                    self.waiting.pop_front();
                }
                Ok(_) => first.sent = end,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN | Errno::NOBUFS | Errno::NOMEM) => return,
                Err(_) => return self.close(),
            }
        }
    }

    /// Returns the next answer of the recorder.
    pub(super) fn receive(&mut self) -> Option<Answer> {
        let mut packet = [0; ANSWER];
        loop {
            match recv(&self.socket, &mut packet[..], RecvFlags::DONTWAIT) {
                Ok((0, _)) => {
                    self.close();
                    return None;
                }
                Ok((length, _)) => {
                    if let Some(answer) = Answer::parse(packet.get(..length)?) {
                        return Some(answer);
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return None,
                Err(_) => {
                    self.close();
                    return None;
                }
            }
        }
    }

    /// Sends what waits, as far as the recorder accepts it within `time`.
    pub(super) fn flush(&mut self, time: Duration) {
        let until = Instant::now() + time;
        loop {
            self.drain();
            if self.is_idle() || !wait(self.as_fd(), PollFlags::OUT, until) {
                return;
            }
        }
    }

    /// Lets the recorder see the end of this producer.
    pub(super) fn end(&mut self) {
        let _ = shutdown(&self.socket, Shutdown::Write);
        self.closed = true;
    }

    /// Number of messages that the recorder has never got, since the start.
    pub(super) const fn lost(&self) -> u64 {
        self.lost
    }

    /// True if the recorder has ended.
    pub(super) const fn is_closed(&self) -> bool {
        self.closed
    }

    /// True if nothing waits to be sent.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Returns the messages that are not sent completely, and that about the dropped ones.
    pub(super) fn unsent(&self) -> Vec<Vec<u8>> {
        let waiting = self.waiting.iter().map(|message| message.bytes.clone());
        let notice = (self.dropped > 0).then(|| (self.notice)(self.dropped));
        waiting.chain(notice).collect()
    }

    /// Number of the first message of which nothing is sent.
    pub(super) fn first_unsent(&self) -> u64 {
        let whole = self.waiting.iter().find(|message| message.sent == 0);
        whole.map_or(self.next, |message| message.number)
    }

    /// Number of the next message.
    pub(super) const fn next(&self) -> u64 {
        self.next
    }

    fn enqueue(&mut self, bytes: Vec<u8>, wanted: Wanted) -> u64 {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        self.bytes = self.bytes.saturating_add(bytes.len());
        self.waiting.push_back(Waiting {
            number,
            wanted,
            bytes,
            sent: 0,
        });
        number
    }

    fn close(&mut self) {
        self.closed = true;
        self.lost = self.lost.saturating_add(self.waiting.len() as u64);
        self.waiting.clear();
        self.bytes = 0;
    }
}

impl AsFd for Sender {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Waits for a descriptor. Returns false if the time is over.
pub(super) fn wait(fd: BorrowedFd<'_>, flags: PollFlags, until: Instant) -> bool {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = left.try_into().ok();
        match poll(&mut [PollFd::new(&fd, flags)], timeout.as_ref()) {
            Ok(0) => return false,
            Ok(_) => return true,
            Err(Errno::INTR) if !left.is_zero() => {}
            Err(_) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::recorder::frame::{Assembler, PACKET};
    use crate::agent::recorder::limits::LINE;
    use crate::agent::recorder::socket::pair;

    fn sender() -> (Sender, OwnedFd) {
        let (ours, theirs) = pair().unwrap();
        let notice = |count| format!("{count} dropped").into_bytes();
        (Sender::new(ours, 1, Box::new(notice)), theirs)
    }

    /// Reads messages until none is left.
    fn read(socket: &OwnedFd, assembler: &mut Assembler) -> Vec<String> {
        let (mut messages, mut packet) = (Vec::new(), vec![0; PACKET]);
        while let Ok((length @ 1.., _)) = recv(socket, &mut packet[..], RecvFlags::DONTWAIT) {
            let message = assembler.push(&packet[..length]);
            messages.extend(message.map(|message| String::from_utf8(message.bytes).unwrap()));
        }
        messages
    }

    #[test]
    fn lines_that_nobody_reads_are_dropped_counted_and_reported_in_their_place() {
        let (mut sender, socket) = sender();
        let count = 3 * QUEUE_LINES;
        let accepted = (0..count)
            .filter(|n| {
                sender
                    .push(n.to_string().into_bytes(), Wanted::Nothing)
                    .is_some()
            })
            .count();
        assert!((QUEUE_LINES..count).contains(&accepted), "{accepted}");
        let (mut assembler, mut all) = (Assembler::new(LINE), Vec::new());
        loop {
            let some = read(&socket, &mut assembler);
            if some.is_empty() && sender.is_idle() {
                break;
            }
            all.extend(some);
            sender.drain();
        }
        let mut expected: Vec<String> = (0..accepted).map(|n| n.to_string()).collect();
        expected.push(format!("{} dropped", count - accepted));
        assert_eq!(all, expected);
        assert_eq!(sender.lost(), (count - accepted) as u64);
        assert!(sender.push(b"next".to_vec(), Wanted::Nothing).is_some());
        assert_eq!(read(&socket, &mut assembler), ["next"]);
    }

    #[test]
    fn waiting_bytes_are_bounded_whatever_the_size_of_lines() {
        let (mut sender, _socket) = sender();
        while sender.push(vec![b'x'; 1 << 20], Wanted::Nothing).is_some() {}
        assert!(sender.bytes < QUEUE_BYTES + (1 << 20), "{}", sender.bytes);
        assert!(sender.waiting.len() <= 4);
    }

    #[test]
    fn a_sender_whose_recorder_has_ended_drops_everything_at_once() {
        let (mut sender, socket) = sender();
        sender.push(b"x".to_vec(), Wanted::Nothing);
        drop(socket);
        assert_eq!(sender.push(b"y".to_vec(), Wanted::Nothing), None);
        assert!(sender.is_closed() && sender.is_idle());
        assert_eq!(sender.lost(), 1);
    }
}
