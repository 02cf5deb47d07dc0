//! Bounds and times of `udpctl`, each with its reason.

use std::time::Duration;

use crate::session::Rate;

/// Default time after which an agent that does not answer is given up.
pub const CONTACT_TIMEOUT: Duration = Duration::from_secs(10);

/// Time without an answer after which a person at a terminal is told: a round trip of the slowest paths.
pub const SILENCE_NOTED: Duration = Duration::from_secs(1);

/// Default time for which a silent agent is retried: the lease for which the agent keeps the job by default.
pub const RETRY_FOR: Duration = Duration::from_secs(60);

/// Sessions of a job: the one in use, one that has just answered, one that is being opened.
pub const ATTACHMENTS: usize = 3;

/// Names looked up at a time: a resolver answers several queries at once, and a slow one blocks its thread for
/// seconds.
pub const RESOLVERS: usize = 16;

/// The same with the threads that replace those whose names take too long.
pub const RESOLVERS_MOST: usize = 64;

/// Time for which the end of the program waits until the network thread has closed its sessions.
pub const CLOSE: Duration = Duration::from_millis(500);

/// Hosts in progress at a time; the next one begins when one ends. Each may hold the initial credit of both its
/// outputs, together 32 MiB, and all of them what the windows grow
/// ([`WINDOW_GROWTH`](crate::session::limits::WINDOW_GROWTH)).
pub const WINDOW: usize = 256;

/// Those where most commands run for longer than their agents take to answer: 128 MiB of initial credit, if all of them
/// write more than is taken.
pub const WINDOW_MOST: usize = 4 * WINDOW;

/// Time after which a host that has not answered loses its place in the window, and stays asked, before any has
/// answered: several round trips of the slowest paths, and a tenth of [`CONTACT_TIMEOUT`].
pub const ANSWER_TIME: Duration = Duration::from_secs(1);

/// The longest such time, where answers are slow, as from a busy machine: half of [`CONTACT_TIMEOUT`].
pub const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);

/// Time after which it does at the earliest, where the others answer fast: the first repeat of a lost INIT is answered
/// within it on a path of 50 ms.
pub const ANSWER_TIME_MIN: Duration = Duration::from_millis(200);

/// Time for a host to answer in multiples of the mean of those that have: few take longer.
pub const ANSWER_TIMES: u32 = 4;

/// Octets that the first answer of a host takes of the receive buffer, with the kernel's structures around them: those of
/// RESP and of a first reply, or of one full datagram.
pub const ANSWER_MEMORY: u64 = 2304;

/// Maximum number of hosts that have lost their places: with [`WINDOW`] of them a second, more than in
/// [`CONTACT_TIMEOUT`]. Each costs an INIT a second, together 5 MB/s.
pub const OVERDUE: usize = 4096;

/// Hosts that take the input of `exec -i`: all run at the same time.
pub const STDIN_HOSTS: usize = 1024;

/// Hosts whose jobs `udpctl wait` waits for at a time. Each is an idle session; a host beyond the limit is asked when
/// another job ends, and its result may be forgotten until then. Below
/// [`SESSIONS`](crate::session::limits::SESSIONS).
pub const WAITS: usize = 12_000;

/// Bytes of a line that are held until it ends; a longer line is shown in pieces. Well below the credit of a
/// stream, so that a line without end does not stop its host.
pub const PARTIAL_LINE: usize = 16 << 10;

/// Bytes of each output kept for `--json` with one host.
pub const CAPTURE: usize = 64 << 20;

/// The same with several hosts: 256 at a time hold half a gigabyte at most.
pub const CAPTURE_FLEET: usize = 1 << 20;

/// Columns of names behind which lines on a terminal are aligned: half of a narrow one.
pub const LABEL_WIDTH: usize = 40;

/// Bytes of the outputs of one host that are held to be gathered; longer ones are shown as they come.
pub const GATHERED_HOST: usize = 4 << 20;

/// The same of all hosts together, equal outputs of hosts that have ended counted once: as much as the windows of the
/// streams grow. It is there once more as text when the run ends.
pub const GATHERED: usize = 64 << 20;

/// Memory of what is queued for an output above which no more output of hosts is queued for it, and no further host
/// begins. What is shown of a byte may be many: an escape has up to ten, a line its label. Further output waits as it was
/// received, within the windows of its streams.
pub const BACKLOG: usize = 4 << 20;

/// Bytes of output that are queued at a time: the default capacity of a pipe. What is shown of them is beyond
/// [`BACKLOG`].
pub const OUTPUT_PIECE: usize = 64 << 10;

/// Bytes of the end of standard error that are kept of a single host: the last lines of a program that has failed.
pub const STDERR_END: usize = 1024;

/// Bytes up to which outputs that wait are joined: each piece costs a hundred bytes besides its own.
pub const OUTPUT_JOINED: usize = 4 << 10;

/// Length of a line of a batch in bytes: a request and an input of three mebibytes in base64. Longer inputs are for
/// `exec -i`, which does not hold them.
pub const BATCH_LINE: usize = 4 << 20;

/// Bytes of the lines of a batch whose requests have not ended, above which no further line is read.
pub const BATCH_HELD: usize = 64 << 20;

/// Requests of a batch that were read and have not begun, above which no further line is read: enough for names that take
/// long to be looked up not to delay the lines behind them.
pub const BATCH_WAITING: usize = 4096;

/// Rate at which requests of a batch to one host begin: each is a handshake, of which an agent takes those of
/// [`KEY_INITS`](crate::session::limits::KEY_INITS) from one key. The difference of the rates is left for other programs,
/// and for what was lost. The burst is a fifth of the agent's, for a few programs one after the other.
pub const HOST_PACE: Rate = Rate {
    interval: Duration::from_micros(2500),
    burst: 400,
};

/// Requests of a batch to one host that begin at once before it has answered: [`HOST_UNANSWERED`].
pub const HOST_FIRST: u32 = 24;

/// Requests of a batch to one host that are not answered, beside those that are on their way: fewer than the INITs from which
/// on an agent asks for RETRY, [`HANDSHAKES_BEFORE_RETRY`](crate::session::limits::HANDSHAKES_BEFORE_RETRY).
pub const HOST_UNANSWERED: usize = 24;

/// Hosts whose rate is remembered before those without use are forgotten.
pub const HOSTS_PACED: usize = 4096;

/// Requests of a batch that one run of the journal records. Each has [`JOURNAL_ARGV`] of its command at most, so that the
/// file stays below the size that is read.
pub const BATCH_RECORDS: usize = 1000;

/// Time for which the records of earlier runs are used again, for the requests of a batch whose ids were given: reading
/// them all takes milliseconds.
pub const BATCH_HISTORY: Duration = Duration::from_secs(1);

/// Messages during a command on a terminal that are written again once the terminal is restored: more than a link that
/// comes and goes for hours should cause.
pub const TERMINAL_MESSAGES: usize = 32;

/// Time for which a run that is left writes what is queued. A stopped terminal must not keep the user.
pub const LEAVE: Duration = Duration::from_millis(500);

/// Time for which a run waits for an event while nothing is due: any.
pub const NO_WAIT: Duration = Duration::from_secs(3600);

/// Time for which `udpctl doctor` looks for the largest datagram that passes, beyond the contact timeout. On a path that
/// loses much, the search would take longer, and an agent that acknowledges nothing would never let it end.
pub const SIZE_SEARCH: Duration = Duration::from_secs(10);

/// Bytes of a host that are worked off in its turn of a copy: far more than a datagram, so that many small pieces are one turn.
pub const COPY_TURN: u64 = 256 << 10;

/// Bytes of each output kept for `cp --json`, whose objects are held until the end: messages of the service, which has few.
pub const CAPTURE_COPY: usize = 4 << 10;

/// Bytes of the failed items that `udpctl cp --json` names, of all hosts together.
pub const COPY_ITEMS: usize = 32 << 20;

/// Bytes that one of them takes besides its path.
pub const COPY_ITEM: usize = 128;

/// Descriptors of `udpctl cp` apart from those of the copies: sockets, channels, the terminal, files of names and keys.
pub const DESCRIPTORS_APART: usize = 128;

/// Files of hosts' outputs that are open at a time: well below the usual limit of 1024 descriptors.
pub const HOST_FILES: usize = 128;

/// Bytes read from stdin at a time.
pub const STDIN_CHUNK: usize = 64 << 10;

/// Capacity of a pipe as stdin from which a whole [`STDIN_CHUNK`] was read: several of them.
pub const STDIN_PIPE: usize = 256 << 10;

/// Buffers of the reader of the input whose bytes are on their way: twice the window of a stream.
pub const STDIN_BUFFERS: usize = 32;

/// Events handled before their actions are taken, so that a flood of output does not delay its credit.
pub const EVENTS_AT_ONCE: usize = 64;

/// Clock difference below which a ticket is not stored anew: agents accept 30 s.
pub const TICKET_DRIFT: Duration = Duration::from_secs(2);

/// Difference of round-trip times below which a ticket is not stored anew. A probe timeout exceeds the round trip by
/// more than that, and replacing a file may wait for the disk.
pub const TICKET_RTT: Duration = Duration::from_millis(10);

/// Tickets that are kept, the newest: a file of 2 MiB. Reading all of it takes a millisecond.
pub const TICKETS: usize = 32_768;

/// Tickets that are looked up in the file one by one. For more, the file is read as a whole: each takes a read of 16 KiB.
pub const TICKET_LOOKUPS: usize = 8;

/// Tickets in the block of the file that a lookup reads: 16 KiB. Keys are evenly distributed, so that one block around the
/// expected place holds the ticket of one agent among ten thousand in 99 of 100 cases.
pub const TICKET_BLOCK: usize = 256;

/// Interval at which a long run writes the tickets that it has learned; what is learned later is written when it ends.
pub const TICKET_INTERVAL: Duration = Duration::from_secs(1);

/// Time for which the lock of the file is tried: as long as several others take to replace it.
pub const TICKET_LOCK: Duration = Duration::from_millis(100);

/// Bytes of messages in flight to an agent: half of the initial credit of a call's control lane, as JSON adds
/// quotes and escapes.
pub const CHAT_BYTES: usize = 32 << 10;

/// Messages in flight to an agent.
pub const CHAT_MESSAGES: usize = 256;

/// Silence of a chat's agent after which the user is told: two keepalive intervals of 20 s, and 5 s more.
pub const CHAT_SILENCE: Duration = Duration::from_secs(45);

/// Time for which a chat waits, after a signal, for receipts and for its output to be written. Then it ends and names the
/// messages without a receipt. Enough for a distant agent, and short for a user who presses Ctrl-C.
pub const CHAT_LEAVE: Duration = Duration::from_secs(1);

/// Time for which the end of a chat waits until the command of its bot is killed and reaped.
pub const BOT_END: Duration = Duration::from_millis(500);

/// Messages of a chat that a program has not taken yet; the oldest gives way. Each has 16 KiB at most, so these are
/// 16 MiB at most.
pub const INBOX: usize = 1024;

/// Lines of a chat that wait to be shown. While more do, no event is taken from the network.
pub const SHOWN_LINES: usize = 64;

/// Sessions in a row that an agent may end before a chat has been joined again. More would be a loop at the speed of the
/// path; a silent agent is asked without a bound, as each attempt takes the contact timeout.
pub const REJOINS: u16 = 30;

/// Silence of an agent after which a person in its chat is told.
pub const ATTENDED_SILENCE: Duration = Duration::from_secs(12);

/// Time without an answer after which an agent is asked for one while a person is in its chat: two answers may be lost
/// before [`ATTENDED_SILENCE`] has passed.
pub const ATTENDED_PING: Duration = Duration::from_secs(4);

/// Interval at which a chat on a terminal looks for late lines and updates the time of a silence.
pub const CHAT_TICK: Duration = Duration::from_secs(1);

/// Time without a receipt after which a person is told that a line is not delivered: longer than a retransmission takes.
pub const RECEIPT_LATE: Duration = Duration::from_secs(2);

/// Typed lines that are queued until they may be sent.
pub const TYPED_LINES: usize = 16;

/// Time after which a datagram of plain text that was not refused counts as delivered once its peer is heard: a report of a
/// closed port comes within a round trip.
pub const PLAIN_REFUSAL: Duration = Duration::from_secs(10);

/// Time for which a chat in plain text with a peer of several addresses waits behind the first lines for the report of a closed
/// port: several round trips.
pub const PLAIN_CLOSED: Duration = Duration::from_secs(1);

/// Bytes of an undelivered message that are shown.
pub const UNDELIVERED_TEXT: usize = 200;

/// Time for which answers to plain text are awaited after the end of input. They may never come.
pub const PLAIN_LINGER: Duration = Duration::from_secs(1);

/// Time for which a report of a closed port is awaited after plain text was sent: a round trip of most paths, and the delay
/// between two addresses of a host (RFC 8305, section 5).
pub const PLAIN_REPORT: Duration = Duration::from_millis(250);

/// Hosts that plain text is sent to at a time. Each has a socket for each of its addresses that was tried.
pub const PLAIN_HOSTS: usize = 64;

/// Addresses of a host that are tried with plain text, as many as with sessions.
pub const PLAIN_ADDRESSES: usize = crate::session::limits::PATHS;

/// Bytes of a command line that the journal of requests keeps: enough to recognise it.
pub const JOURNAL_ARGV: usize = 1 << 10;

/// Runs that the journal keeps; listing them opens each. Runs whose requests are all settled leave nothing, so
/// these are crashed, detached and lost ones, and those whose ids were given by hand.
pub const JOURNAL_RUNS: usize = 1000;

/// Age up to which the journal keeps runs. Agents forget results after an hour; a request id that was given by hand
/// may be given again later, as by a job that runs every week.
pub const JOURNAL_AGE: Duration = Duration::from_secs(30 * 24 * 3600);

/// Bytes in one write to a pipe: the default capacity of a pipe. Larger writes would only leave more bytes in
/// doubt when the process is killed in one.
pub const PIPE_WRITE: usize = 64 << 10;

/// The same for files and terminals, which take a write as a whole.
pub const PLAIN_WRITE: usize = 256 << 10;

/// The same for a pipe on which poll(2) announces space for this many bytes: `PIPE_BUF`, pipe(7).
pub const CAREFUL_WRITE: usize = 4096;

/// Forwarded signals that are kept until the command runs: each of the six that can be forwarded, and two repeats.
pub const SIGNALS: usize = 8;

/// Targets of one command, and members of one set of numbers. A larger set is a slip of the finger.
pub const TARGETS: u64 = 1_000_000;

/// Bytes of the record of the last run: as many targets as a command may have, of 64 bytes each.
pub const LAST_RUN: u64 = 64 << 20;

/// Groups within groups: far more than anybody follows, and far less than a stack holds.
pub const GROUP_DEPTH: usize = 100;

/// Time for a command that names the members of a group.
pub const GROUP_COMMAND: Duration = Duration::from_secs(10);

/// Time for which its output is used again: the commands of a script, and less than an inventory takes to change.
pub const GROUP_KEPT: Duration = Duration::from_secs(60);

/// Bytes of a name that are shown in an error about it.
pub const NAME_SHOWN: usize = 256;

/// Names of hosts of one outcome class that a summary always has: as many as can be looked through.
pub const SUMMARY_NAMES: usize = 100;

/// Bytes of a summary's line for more names than that: two screens of a terminal. Names that fold need little of it, and
/// the record of the last run has them all.
pub const SUMMARY_LINE: usize = 4 << 10;

/// Agents with changed keys that an error names: a screen of them.
pub const CHANGED_SHOWN: usize = 20;

/// Bytes of a pattern that an import compares with other patterns: one for a name of 253 characters and a port, and as many
/// asterisks.
pub const PATTERN_COMPARED: usize = 512;

/// Bytes of an inventory of Ansible: ten thousand hosts with 6 KiB of variables each.
pub const INVENTORY: u64 = 64 << 20;

/// Values of an inventory, also those that aliases repeat: ten thousand hosts with two hundred each.
pub const INVENTORY_NODES: usize = 2_000_000;

/// Lists and mappings of an inventory within each other: far more than groups need, and far less than a stack holds.
pub const INVENTORY_DEPTH: usize = 500;
