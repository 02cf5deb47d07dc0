//! Bounds and times of the supervisor, each with its reason.

use std::time::Duration;

use crate::agent::limits::{LANE_BEYOND, RELEASE};
use crate::session::limits::CONSUMED_REPORT;

/// Bytes of one read or write: the default capacity of a pipe.
pub const READ: usize = 64 << 10;

/// Bytes that are moved at once between a pipe and its ring, and the capacity of the pipe of a program with much output
/// or input.
pub const MOVE: usize = 256 << 10;

/// Free space of a ring below which a read is not worth a system call.
pub const WORTH_READING: u64 = 64 << 10;

const _: () = assert!(RELEASE + CONSUMED_REPORT + WORTH_READING <= LANE_BEYOND);

/// Time between two reads of an output that is written often in small pieces: one in which a quick program fills a part
/// of a pipe of [`MOVE`].
pub const PAUSE: Duration = Duration::from_micros(200);

/// Turns of pipes between two looks at the front's messages: at [`MOVE`] each a few milliseconds of work.
pub const TURNS: usize = 16;

/// Messages of the front that are processed in one turn.
pub const MESSAGES: usize = 256;

/// Readiness events of one poll.
pub const READY: usize = 256;

/// Octets of reports that wait for a slow front. Reports are states, so the rest waits in the table of jobs.
pub const QUEUED: usize = 64 << 10;

/// Time in which a start must come about. A directory on a network file system may take seconds.
pub const START: Duration = Duration::from_secs(10);

/// Time after which a killed child that is still there is reported as one that cannot be killed.
pub const KILLED: Duration = Duration::from_secs(1);

/// Commands at a time that an agent without a configured number does not warn of.
pub const ENOUGH_JOBS: usize = 200;

/// Delay of the report that a command has started, which ends with any other change of the command. Most short commands
/// end in it.
pub const START_REPORT: Duration = Duration::from_millis(2);

/// Time without output after which reading ends, once the leader has ended. Output written before
/// its end is in the pipe already.
pub const DRAIN_IDLE: Duration = Duration::from_millis(100);

/// Upper bound of reading after the end of the leader: a background child may write forever.
pub const DRAIN: Duration = Duration::from_secs(2);

/// Delay between the first change of a file and its load. Editors and programs replace a file in several
/// steps, and a removed key must lose its sessions within a second.
pub const SETTLED: Duration = Duration::from_millis(300);

/// Time for reading the files of the policy. Later than that, the file system does not answer.
pub const POLICY: Duration = Duration::from_secs(5);

/// Time after which files that could not be read are read again.
pub const POLICY_RETRY: Duration = Duration::from_secs(2);

/// Time between two attempts to lock the file of the keys. A program that holds the lock only replaces a file.
pub const REDEMPTION_RETRY: Duration = Duration::from_millis(20);

/// Time after which a redemption is given up: that after which its controller does.
pub const REDEMPTION: Duration = Duration::from_secs(10);

/// Redemptions that wait for the lock: as many as invitations can be open.
pub const REDEMPTIONS: usize = crate::agent::limits::INVITES;

/// Time within which a front that was told to end has closed its sessions: its grace period for the jobs, the
/// delivery of the results, and a second more.
pub const FRONT_ENDS: Duration = Duration::from_millis(8500);

/// Time for ending the last process trees after the front has ended.
pub const LAST_TREES: Duration = Duration::from_millis(500);

/// Time within which the processes of the bot end on their own after the front: they kill a command and end. It leaves more than
/// half of [`LAST_TREES`] for what those that are killed then leave.
pub const BOT_ENDS: Duration = Duration::from_millis(200);

/// Time within which a new program has tried itself. It reads a few files.
pub const TRIAL: Duration = Duration::from_secs(10);

/// Time within which a front that is dismissed has sent its last messages and ended. For half of it, a stopped terminal may keep its
/// last lines waiting.
pub const FRONT_LEAVES: Duration = Duration::from_secs(1);

/// Time within which the program is executed after a trial: a record that is waited for takes two seconds at most.
pub const EXECUTE: Duration = Duration::from_secs(5);

/// Time within which the controllers have come back to a new front.
pub const BACK: Duration = Duration::from_millis(500);

/// Time for which an agent that is told to end waits for a new front and for the controllers.
pub const STOP: Duration = Duration::from_millis(1500);

/// Time within which a new guard has been told of the jobs, before the old one is ended.
pub const GUARD: Duration = Duration::from_secs(1);

/// Time after which the file of the chat does not answer.
pub const CHAT_FILE: Duration = Duration::from_secs(5);

/// Delay between a failure of the process that writes the file of the chat and its next start.
pub const CHAT_FILE_RETRY: Duration = Duration::from_secs(10);

/// Time within which the last messages of the chat are written at the end of the agent.
pub const CHAT_FILE_ENDS: Duration = Duration::from_secs(2);

/// Shortest delay between two starts of the front. A front that fails at once must not use the machine up.
pub const FRONT_RESTART: Duration = Duration::from_millis(20);

/// Longest delay between two starts of the front. A controller sees at most this silence.
pub const FRONT_RESTART_MAX: Duration = Duration::from_secs(1);

/// Time after which a front counts as sound, so that the next start is not delayed.
pub const FRONT_SOUND: Duration = Duration::from_millis(500);

/// Delay before the next start of processes of the bot after a failure, which doubles with each failure of young ones.
pub const BOT_RESTART: Duration = Duration::from_millis(100);

/// Longest delay between two starts of processes of the bot after a failure. Messages wait meanwhile, and those beyond a bound are counted.
pub const BOT_RESTART_MAX: Duration = Duration::from_secs(10);

/// Time after which a process of the bot counts as sound.
pub const BOT_SOUND: Duration = Duration::from_secs(10);

/// Time after Ctrl-C in which another one ends the agent even if the front says that the user has answered: longer than an
/// impatient user waits between two of them.
pub const SECOND_INTERRUPT: Duration = Duration::from_secs(2);

/// Lines in quick succession that Ctrl-C may discard before the next one ends the agent whatever the front says: more than a
/// person types so fast.
pub const DISCARDS: u32 = 5;

/// Forgotten rooms of the chat whose marks are kept for a writer of its history after one that fails: several times as many
/// as rooms can be, and as lines that its socket and its buffer hold. With names of rooms these are some 200 KiB.
pub const FORGOTTEN_ROOMS: usize = 8 * crate::agent::limits::CHAT_ROOMS;

/// Shortest delay between two starts of a recorder that ends at once.
pub const RECORDER_RESTART: Duration = Duration::from_millis(50);

/// Longest delay between two starts of the recorder. What it is sent meanwhile waits in its sockets and queues.
pub const RECORDER_RESTART_MAX: Duration = Duration::from_secs(10);

/// Time after which a recorder counts as sound, so that the next start is not delayed.
pub const RECORDER_SOUND: Duration = Duration::from_secs(5);

/// Descriptors of one job while it is started: three pipes with both ends, a pidfd, the report of the start,
/// a script, a cgroup, and one to spare.
pub const DESCRIPTORS_PER_JOB: u64 = 11;

/// Descriptors of the supervisor itself: sockets, files, the front, and what libraries open for a moment.
pub const DESCRIPTORS_OWN: u64 = 128;

/// Descriptors that are asked for. More would only cost memory.
pub const DESCRIPTORS: u64 = 1 << 19;

/// Forgotten requests in one message to a new front.
pub const REMEMBERED: usize = 4096;

/// Fingerprints of INITs kept over a restart: as many as the session layer remembers.
pub const FINGERPRINTS: usize = crate::session::limits::INIT_REGISTER;
