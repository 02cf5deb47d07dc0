//! Bounds and timing of what `udpctl` does, each with its reason.

use std::time::Duration;

/// How long an agent that does not answer is waited for, unless the user says otherwise.
pub const CONTACT_TIMEOUT: Duration = Duration::from_secs(10);

/// A host with several addresses: the next one is tried after this, as RFC 8305 §5 proposes.
pub const NEXT_ADDRESS: Duration = Duration::from_millis(250);

/// How long an agent that fell silent is asked again: the lease that it holds the job for by default.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Addresses tried of one host.
pub const ADDRESSES: usize = 4;

/// Sessions of one attempt: the one in use, one that has just answered, one that is tried.
pub const LEGS: usize = 3;

/// Names looked up at a time: a resolver answers several questions at once, and a slow one blocks a
/// thread for seconds.
pub const RESOLVERS: usize = 16;

/// How long the network thread is given to say goodbye.
pub const FAREWELL: Duration = Duration::from_millis(500);

/// Hosts that are talked to at a time; the next one begins when one ends. Each may hold the initial
/// credit of both its outputs, together 32 MiB.
pub const WINDOW: usize = 256;

/// Bytes of a line kept until its end comes; a longer one is shown in pieces. Well below the credit of a
/// stream, so that a line without end does not stop its host.
pub const PARTIAL_LINE: usize = 16 << 10;

/// Bytes of each output kept for `--json` with one host.
pub const CAPTURE: usize = 64 << 20;

/// The same with several: 256 at a time hold half a gigabyte at most.
pub const CAPTURE_FLEET: usize = 1 << 20;

/// Bytes read from stdin at a time.
pub const STDIN_CHUNK: usize = 64 << 10;

/// Events taken before their consequences are; keeps a flood of output from delaying credit for it.
pub const EVENTS_AT_ONCE: usize = 64;

/// A ticket whose clock is off by less is not written anew: agents take 30 s.
pub const TICKET_DRIFT: Duration = Duration::from_secs(2);

/// Bytes of messages under way to an agent: what a call's control lane has credit for from the start,
/// with room for quotes.
pub const TALK_BYTES: usize = 32 << 10;

/// Messages under way to an agent.
pub const TALK_MESSAGES: usize = 256;

/// In a chat an agent that was not heard for this long is worth a note: two keepalives, and a bit.
pub const TALK_SILENCE: Duration = Duration::from_secs(45);

/// How often an agent is called again whose session was lost in the middle of a chat: with the contact
/// timeout's ten seconds each, five minutes.
pub const REJOINS: u16 = 30;

/// Typed lines that wait until there is room for them under way.
pub const TYPED: usize = 16;

/// Bytes shown of a message that was not delivered.
pub const NAMED: usize = 200;

/// How long answers to plain text are waited for when no more comes to be said. They may never come.
pub const PLAIN_LINGER: Duration = Duration::from_secs(1);

/// Bytes of a command line that the journal of requests keeps: enough to recognise it by.
pub const JOURNAL_ARGV: usize = 1 << 10;

/// Runs that the journal keeps; listing them opens each. Those that end well leave nothing, so these are
/// crashed, detached and lost ones, and those whose ids were given by hand.
pub const JOURNAL_RUNS: usize = 1000;

/// How long it keeps them. Agents forget results after an hour; a request id that was given by hand may
/// come again later, as from a job that is run every week.
pub const JOURNAL_AGE: Duration = Duration::from_secs(30 * 24 * 3600);

/// Bytes handed to a pipe at a time: what one holds by default. More would only be more that is in
/// doubt when the process dies there.
pub const PIPE_WRITE: usize = 64 << 10;

/// The same for files and terminals, where a write takes it all.
pub const PLAIN_WRITE: usize = 256 << 10;

/// The same for a pipe that can only be asked whether it has room for this much: `PIPE_BUF`, pipe(7).
pub const CAREFUL_WRITE: usize = 4096;

/// Forwarded signals kept until the command runs: as many as there are kinds, and one again.
pub const SIGNALS: usize = 8;
