//! Bounds and timing of the agent, each with its reason.

use std::time::Duration;

/// Commands that run at once, unless configured. Each takes four descriptors (three pipes and a pidfd),
/// and a process usually has 1024.
pub const JOBS: usize = 200;

/// The most that can be configured.
pub const MAX_JOBS: usize = 16_384;

/// Commands that are over and wait to be collected; the oldest is forgotten for a new one.
pub const JOBS_ENDED: usize = 2048;

/// A command that is over waits this long to be collected.
pub const RETENTION: Duration = Duration::from_secs(3600);

/// Output of one lane that is held for its reader: beyond it the process waits in its write.
pub const LANE: u64 = 1 << 20;

/// Output of a terminal that is held while nobody is attached: what a controller whose session was lost
/// has not written yet, which is as much as it had credit for at first.
pub const SCROLLED: u64 = 64 << 10;

/// Bytes of the picture of a terminal: in JSON a byte takes six at most, and a line holds a mebibyte. A screen
/// that needs more is painted without its colours.
pub const PICTURE: usize = 128 << 10;

/// More of a lane that is taken once the process is over: what it had written stands in the pipe,
/// which holds at most this (`/proc/sys/fs/pipe-max-size`), and is read however slow the reader is.
pub const LANE_AT_EXIT: u64 = 1 << 20;

/// Less room than this in a full lane is not worth a read.
pub const READ: u64 = 16 << 10;

/// What a piece of output counts for at least: a process that writes single bytes must not cost
/// many times what it wrote.
pub const PIECE: u64 = 128;

/// Output held for all commands that are over; beyond it the oldest are forgotten.
pub const HELD: u64 = 64 << 20;

/// Request ids remembered after their job was forgotten, so that a late repeat starts nothing. At
/// about 60 bytes each 8 MiB; what fell out is known by its age.
pub const REGISTER: usize = 1 << 17;

/// A controller silent for this long is taken for gone, unless its request says otherwise.
pub const LEASE: Duration = Duration::from_secs(60);

/// The shortest lease: below it one lost datagram and its repeat would end a command.
pub const MIN_LEASE: Duration = Duration::from_secs(1);

/// The longest lease, and the longest deadline: a year is as good as never, and sums stay small.
pub const MAX_WAIT: Duration = Duration::from_secs(366 * 24 * 3600);

/// After the leader's exit, output is read until nothing came for this long: what was written
/// before the exit is in the pipe already.
pub const DRAIN_IDLE: Duration = Duration::from_millis(100);

/// And for this long altogether: a background child may write for ever.
pub const DRAIN: Duration = Duration::from_secs(2);

/// A shutdown waits this long for the jobs to end: a second more than the grace they get.
pub const SHUTDOWN: Duration = Duration::from_secs(6);

/// And then this long for their controllers to have the result.
pub const FAREWELL: Duration = Duration::from_millis(500);

/// Calls that wait for the end of one job.
pub const WAITERS: usize = 16;

/// Bytes of lines whose end has not come, over all calls of a session.
pub const PARTIAL_LINES: usize = 4 << 20;

/// Lines of a call that are no requests, each answered: as many as a later version may have thought of.
pub const NONSENSE: u32 = 16;

/// Lines in a call about a job, after the first: signals and window sizes, each perhaps answered, and nobody
/// need take the answers. A window that is drawn larger by hand sends a few dozen a second.
pub const CALL_LINES: u32 = 16_384;

/// Bytes of argv shown for one job in a list.
pub const SHOWN_ARGV: usize = 512;

/// Bytes of argv in a whole list, so that with a little for each job it stays a line (a mebibyte).
pub const LIST_ARGV: usize = 256 << 10;

/// Signals are numbered from 1 to this on Linux.
pub const MAX_SIGNAL: i32 = 64;

/// Members of the chat. Everyone's message goes to everyone.
pub const CHAT_MEMBERS: usize = 1024;

/// Bytes on their way to one member: what it has credit for from the start, so that the session
/// machine never has to keep any. Well above what a member may leave unreported.
pub const CHAT_UNDERWAY: u64 = crate::session::limits::INITIAL_STREAM_CREDIT;

/// Bytes that wait for a member who reads slowly; beyond it the oldest messages are dropped, and the
/// member is told how many. Room for one message of the largest size whose every byte JSON escapes.
pub const CHAT_WAITING: usize = 128 << 10;

/// Lines that wait to be shown at the agent, and datagrams that wait to be sent, between two drains.
pub const CHAT_DRAIN: usize = 4096;

/// Characters of a name that a member wishes for.
pub const CHAT_WISH: usize = 32;

/// Plain-text datagrams taken from one source in a second.
pub const PLAIN_PER_SOURCE: u32 = 10;

/// Plain-text datagrams taken in a second. Also the bound of the table of sources, because the first
/// datagram of a source counts here.
pub const PLAIN_OVERALL: u32 = 100;

/// Plain-text peers to whom typed lines go; the one not heard for longest is forgotten for a new one.
/// Sources can be forged: a typed line must not become a flood.
pub const PLAIN_PEERS: usize = 64;

/// How long a plain-text peer is remembered.
pub const PLAIN_MEMORY: Duration = Duration::from_secs(600);

/// Typed lines that plain-text peers get in a second: what a person types, not what a pipe holds.
pub const PLAIN_TYPED: u32 = 10;

/// The same text from the same plain-text peer is answered once in this time: two programs that
/// answer each other with a fixed text fall silent.
pub const REPLY_ONCE: Duration = Duration::from_secs(2);

/// Automatic replies in a second, to everyone together.
pub const REPLIES: u32 = 50;

/// Below these ports live services that answer anything (echo, chargen, DNS, NTP): a datagram in
/// their name is a forgery that wants two programs to talk each other to death (CVE-2024-2169).
pub const REPLY_PORTS: u16 = 1024;

/// Lines that wait for the terminal. It may be stopped by Ctrl-S for as long as its user likes.
pub const TERMINAL_LINES: usize = 1024;

/// How long an agent that ends waits for its last lines to be shown.
pub const LAST_LINES: Duration = Duration::from_millis(500);

/// Typed lines that wait for the agent.
pub const TYPED_LINES: usize = 64;

/// Invitations open at a time: who needs more in ten minutes writes authorized_keys by program.
pub const INVITES: usize = 100;
