//! Bounds and times of the agent, each with its reason.

use std::time::Duration;

/// Running commands, unless configured otherwise: more than a host of today runs well. Each takes four
/// descriptors (three pipes and a pidfd), so the soft limit of the agent, usually 1024, has to be raised
/// towards the hard one, usually 524 288.
pub const JOBS: usize = 2000;

/// Smallest limit of the memory of a job's cgroup: with less, the kernel ends a program before it has begun.
pub const MIN_CGROUP_MEMORY: u64 = 1 << 20;

/// Largest number of running commands that can be configured.
pub const MAX_JOBS: usize = 16_384;

/// Returns the number of running commands of one key whose line has no `max-jobs=`: three quarters of those of all
/// keys, so that one key leaves room for the others.
#[must_use]
pub const fn jobs_per_key(jobs: usize) -> usize {
    jobs - jobs / 4
}

/// Ended commands that wait for their controller. Beyond it the key with the most of them loses its oldest.
pub const JOBS_ENDED: usize = 2048;

/// Those of one key: half, so that one key leaves room for the others. Beyond it the key loses its oldest.
pub const JOBS_ENDED_PER_KEY: usize = JOBS_ENDED / 2;

/// Time for which an ended command waits for its controller.
pub const RETENTION: Duration = Duration::from_secs(3600);

/// Output of one lane that is held for its reader: the first window of a stream. Above it and [`READ_AHEAD`] the process
/// blocks in its write.
pub const LANE: u64 = crate::session::limits::STREAM_WINDOW;

/// That of a lane whose window has grown as far as it can.
pub const MAX_LANE: u64 = crate::session::limits::MAX_STREAM_WINDOW;

/// Bytes of an output that are read beyond the window of its stream, so that some are there when its controller has
/// consumed what was sent: without them each window waits for the supervisor.
pub const READ_AHEAD: u64 = 1 << 20;

/// Input of one command that was accepted and not yet taken by its pipe: as much as a pipe holds that was made larger,
/// so that a reader never waits for it. What a controller sends beyond waits in the job table, within its credit.
pub const STDIN: u64 = 256 << 10;

/// Terminal output that is held while no controller is attached: the initial credit. A controller that
/// has lost its session may have received as much and not yet written it.
pub const SCROLLBACK: u64 = 64 << 10;

/// Size of the bytes that paint a terminal screen. In JSON a byte takes at most six, and a line has at
/// most a mebibyte. A screen that needs more is drawn without colours.
pub const SCREEN: usize = 128 << 10;

/// Cells of the emulated terminals of one key. A cell takes 32 bytes, and each terminal has two screens, so 8 MiB: more
/// than sixty terminals of 80 by 24. The screen of a terminal beyond it is not kept.
pub const SCREEN_CELLS_PER_KEY: u64 = 1 << 17;

/// Cells of all emulated terminals: 64 MiB, so that eight keys have their full share.
pub const SCREEN_CELLS: u64 = 8 * SCREEN_CELLS_PER_KEY;

/// Terminal output between two pictures that are kept for a later agent. With a picture of at most [`SCREEN`] bytes, a
/// later agent has little to read, and it is well below [`LANE`], because output since the last picture is not
/// released. Beyond twice as much a picture is kept at any place.
pub const PICTURE: u64 = 256 << 10;

/// Output held for all running commands of a key, while their controllers do not write it. A hundred and twenty-eight
/// commands hold [`LANE`] and [`READ_AHEAD`] of one output each. Beyond it an output holds [`LANE_BEYOND`].
pub const OUTPUT_PER_KEY: u64 = 256 << 20;

/// Output of one lane that is held beyond [`OUTPUT_PER_KEY`]: more than a read must be worth, so that
/// each command goes on.
pub const LANE_BEYOND: u64 = 128 << 10;

/// Consumed bytes of an output that are released at once, unless they are all that is held. Fewer are not worth a message
/// to the supervisor. With what a controller need not report, and what a read must be worth, it fits into
/// [`LANE_BEYOND`], so that each command goes on.
pub const RELEASE: u64 = 32 << 10;

/// Further output of a lane that is read after the process has ended, however slow the reader is.
/// It is in the pipe already, which holds at most this (`/proc/sys/fs/pipe-max-size`).
pub const LANE_AT_EXIT: u64 = 1 << 20;

/// Free space of a lane below which a read is not worth a system call.
pub const READ: u64 = 16 << 10;

/// Output held for all ended commands. Beyond it the key with the most of it loses its oldest results.
pub const ENDED_OUTPUT: u64 = 256 << 20;

/// That of one key: half, so that one key leaves room for the others. Beyond it the key loses its oldest results.
pub const ENDED_OUTPUT_PER_KEY: u64 = ENDED_OUTPUT / 2;

/// Output of one lane that is held after it was consumed, for a repeat of a request whose id the user has chosen. Half
/// of [`LANE`], so that the other half lets the process write.
pub const RETAINED_OUTPUT: u64 = LANE / 2;

/// Request ids remembered after their job was forgotten, so that a late repetition starts nothing.
/// About 70 bytes each, so 9 MiB. An older repetition is recognised by its age. Beyond it the key with the most of
/// them loses its oldest.
pub const REGISTER: usize = 1 << 17;

/// Those of one key: half, so that one key leaves room for the others. Beyond it the key loses its oldest.
pub const REGISTER_PER_KEY: usize = REGISTER / 2;

/// Lease: time after which a silent controller is considered gone, unless its request has another.
pub const LEASE: Duration = Duration::from_secs(60);

/// Shortest lease. With less, one lost datagram and its retransmission would end a command.
pub const MIN_LEASE: Duration = Duration::from_secs(1);

/// Longest lease and longest deadline. A year is as good as forever, and sums stay small.
pub const MAX_WAIT: Duration = Duration::from_secs(366 * 24 * 3600);

/// Time without output after which reading ends, once the leader has ended. Output written before
/// its end is in the pipe already.
pub const DRAIN_IDLE: Duration = Duration::from_millis(100);

/// Upper bound of reading after the end of the leader: a background child may write forever.
pub const DRAIN: Duration = Duration::from_secs(2);

/// Time for which a shutdown waits for the jobs to end: a second longer than their grace period.
pub const SHUTDOWN: Duration = Duration::from_secs(6);

/// Time for which it then waits for their controllers to receive the result.
pub const LAST_RESULTS: Duration = Duration::from_millis(500);

/// Time for which a session whose key may no longer connect stays open for the results of its commands: the five seconds
/// of their grace period, two in which the rest of their output is read, and one for the network.
pub const REVOKED_SESSION: Duration = Duration::from_secs(8);

/// Calls that wait for the end of one job.
pub const WAITERS: usize = 16;

/// Bytes of incomplete lines, over all calls of a session.
pub const PARTIAL_LINES: usize = 4 << 20;

/// Bytes of incomplete lines, and of input before the first line of its call, over all sessions of a key: sixteen of the
/// longest lines at once. Beyond it the session that adds more is closed.
pub const UNREAD_PER_KEY: usize = 16 << 20;

/// Open calls over all sessions of a key: each job may have one attached call and some that wait, and a few hundred
/// bytes each are 2 MiB. Beyond it the session that opens another is closed.
pub const CALLS_PER_KEY: usize = 8192;

/// Calls of a key that wait for its rate, above which those that are gone are removed each time their number has doubled.
pub const HELD_CALLS: usize = 64;

/// Invalid lines of a call, each answered: as many as a later protocol version may use.
pub const INVALID_LINES: u32 = 16;

/// Lines of a call about a job after the first: signals and window sizes. Each may be answered, and
/// the controller need not read the answers. A window that is resized by hand sends a few dozen a second.
pub const CALL_LINES: u32 = 16_384;

/// Bytes of argv shown for a job in a list.
pub const SHOWN_ARGV: usize = 512;

/// Bytes of argv kept for a running command, by which it is authorised again when the policy changes. Few
/// commands have more, and 2000 with as much take 32 MiB.
pub const KEPT_ARGV: usize = 16 << 10;

/// Bytes of argv in a whole list, so that the list with the other fields of each job stays a line
/// (a mebibyte).
pub const LIST_ARGV: usize = 256 << 10;

/// Bytes of a whole list beside its argv: with [`LIST_ARGV`] below the length of a line. Older jobs that do not fit are
/// left out and counted.
pub const LIST: usize = 640 << 10;

/// Most bytes of a job in a list, beside its argv and the name of its key: its members with the longest numbers, and a
/// key of 46 characters.
pub const LISTED_JOB: usize = 384;

/// Members of the chat. Each message goes to all of them.
pub const CHAT_MEMBERS: usize = 1024;

/// Members of the chat that one key has: a quarter, so that one key leaves room for the others.
pub const CHAT_MEMBERS_PER_KEY: usize = CHAT_MEMBERS / 4;

/// Share of the rate of a key that a message, or joining, takes: 500 a second. More than people and most programs write; it
/// bounds what a terminal or a log gets of one key.
pub const CHAT_MESSAGE_PRICE: Duration = Duration::from_millis(2);

/// Share of the rate of a key that a byte of a long message takes: half a megabyte a second. Each goes to all members.
pub const CHAT_BYTE_PRICE: Duration = Duration::from_micros(2);

/// Share of the rate that a key may use at once after a silence: a thousand messages, or a megabyte.
pub const CHAT_BURST: Duration = Duration::from_secs(2);

/// Pause of a call whose key has used up its rate: long enough that it continues with several messages.
pub const CHAT_PAUSE: Duration = Duration::from_millis(50);

/// Bytes in flight to one member: its initial credit, so that the session layer never has to hold any. Well
/// above the bytes that a member may consume without reporting them.
pub const CHAT_UNDERWAY: u64 = crate::session::limits::INITIAL_STREAM_CREDIT;

/// Bytes queued for a member that reads slowly. Beyond it the oldest messages are dropped, and the
/// member receives their number. Enough for one message of the largest size with every byte escaped
/// in JSON.
pub const CHAT_WAITING: usize = 128 << 10;

/// Lines queued for the agent's terminal, and datagrams queued for sending, between two drains.
pub const CHAT_DRAIN: usize = 4096;

/// Characters of the name that a member asks for.
pub const CHAT_NAME: usize = 32;

/// Messages of a room that are kept for those who join later, unless configured otherwise: a few screens.
pub const CHAT_HISTORY: usize = 100;

/// Largest number of kept messages that can be configured.
pub const MAX_CHAT_HISTORY: usize = 1000;

/// Bytes of one kept message. The end of a longer one is cut, so that a few long messages do not push out the others.
pub const CHAT_HISTORY_TEXT: usize = 4 << 10;

/// Bytes of all kept messages of a room: as many as can be underway to a member that joins, so that it gets them at once.
pub const CHAT_HISTORY_BYTES: usize = 64 << 10;

/// Bytes of all kept messages of all rooms. A file with them is read and written at once.
pub const CHAT_HISTORY_TOTAL: usize = 4 * CHAT_HISTORY_BYTES;

/// Rooms beside the default room. One without members makes place for a new one: of the key that has begun most of them the oldest.
pub const CHAT_ROOMS: usize = 128;

/// Rooms in which one key is a member, and rooms that it has begun and whose history is kept: a quarter, so that one key leaves room for
/// the others.
pub const CHAT_ROOMS_PER_KEY: usize = CHAT_ROOMS / 4;

/// Plain-text datagrams accepted from one source in a second.
pub const PLAIN_PER_SOURCE: u32 = 10;

/// Plain-text datagrams accepted in a second. Also bounds the table of sources, because the first
/// datagram of a source counts here.
pub const PLAIN_OVERALL: u32 = 100;

/// Plain-text peers that get typed lines. The one that has been silent for longest is forgotten for
/// a new one. Sources can be forged, and a typed line must not become a flood.
pub const PLAIN_PEERS: usize = 64;

/// Time for which a plain-text peer is remembered.
pub const PLAIN_MEMORY: Duration = Duration::from_secs(600);

/// Typed lines sent to plain-text peers in a second: enough for a person, not for a pipe.
pub const PLAIN_TYPED: u32 = 10;

/// Times that the same text from the same plain-text peer is answered in succession, beyond one in each
/// [`REPLY_AGAIN`]: more than a person repeats a line, and so few that two programs that answer each other with a fixed
/// text fall silent at once.
pub const REPLIES_SAME: u32 = 5;

/// Time after which a text that was answered [`REPLIES_SAME`] times is answered once more.
pub const REPLY_AGAIN: Duration = Duration::from_secs(2);

/// Automatic replies in a second, to all peers together.
pub const REPLIES: u32 = 50;

/// Lowest port that is answered. Services below it answer anything (echo, chargen, DNS, NTP), so a
/// datagram from them is forged to set two programs on each other (CVE-2024-2169).
pub const REPLY_PORTS: u16 = 1024;

/// Lines queued for the terminal. Its user may stop it by Ctrl-S for any time.
pub const TERMINAL_LINES: usize = 1024;

/// Time for which an agent that ends waits for its last lines to be read, and to be shown.
pub const LAST_LINES: Duration = Duration::from_millis(500);

/// Typed lines that an agent that ends still takes: what a pipe holds, and not all of an endless input.
pub const LAST_TYPED: usize = 64 << 10;

/// Typed lines queued for the agent.
pub const TYPED_LINES: usize = 64;

/// Open invitations. For more than these in ten minutes, a program can write authorized_keys.
pub const INVITES: usize = 100;
