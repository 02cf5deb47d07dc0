//! A scriptable remote-command agent and its controller, over UDP.
//!
//! The two programs are `udpagent` and `udpctl`; see their manual pages. `udpagent-protocol(7)` is the normative text
//! for the wire. A program that wants to run commands on hosts uses [`client`]; one that wants the protocol without
//! threads or sockets uses [`session`]; another transport below it is a [`net::Carrier`].
//!
//! # Layers
//!
//! Each layer imports only from those below it:
//!
//! ```text
//! cli                 command lines, help, manual pages, completions
//! client              blocking calls for programs: commands, pings, chats
//! agent    control    the daemon, and the controller: sans-IO where they decide, threads at their edge
//! copy                files and directories over two streams of bytes
//! bot                 the command that answers the messages of a chat
//! prompt              the line editor of a chat on a terminal, its commands and history
//! process             starts, follows and ends processes; knows nothing of sessions
//! message             messages inside a session: requests, replies, outcomes
//! net                 carriers of datagrams, UDP first, and the thread that drives `session`
//! session             sans-IO: endpoint, connection, streams, congestion control
//! crypto              Noise handshake, sealed datagrams, replay window, keys in memory and on disk
//! wire                bytes <-> values; no state, no allocation on decode
//! time rng escape duration home contain peer_addr saved_mode    small things that everything uses
//! ```
//!
//! `wire`, `crypto` (except key files), `session`, `message` and the deciding parts of `agent` and `control` are
//! sans-IO: they touch no socket, clock, thread, operating-system randomness or standard stream. Time and randomness
//! are arguments. `tests/docs/layers` enforces this, the direction of imports, and that files form no cycle.
//!
//! `net` and the layers below it, with `time`, `rng`, `escape` and `peer_addr`, are the crate `udpagent-transport` in
//! `src/transport`, which release builds optimize for speed, and the rest for size. This crate re-exports it.
//!
//! The feature `cli`, on by default, is what only the programs need: `cli`, `agent`, `copy`, `bot`, `prompt`, `process`, and of
//! `control` the chat on a terminal and signals.
//!
//! # The life of `udpctl exec web1 -- uname -a`
//!
//! A name in brackets is a path below `src/` or `src/transport/`: a file, or a directory with `mod.rs`.
//!
//! On the controller:
//!
//! 1. [cli/ctl/exec] parses the command line into `ExecArgs`. [control/host_resolver] resolves `web1`, finds the
//!    agent's public key in `known_agents`, and loads the ticket of the last contact, if there is one: the agent's
//!    epoch, its clock and the round-trip time.
//! 2. [cli/ctl/exec/request] draws a random request id and builds one [`message::Exec`] per target.
//! 3. [control/journal] writes the request down before anything is sent, so that a controller that is killed can be
//!    followed by `udpctl attach`.
//! 4. [control/exec/run] holds one `RemoteJob` per host and waits for session events, standard input, finished writes
//!    and signals. This is the only loop; name resolution, reading and writing have threads of their own.
//! 5. [control/exec/remote_job] decides what happens on one host. Its [contact][control/contact] asks for a session to
//!    the host's addresses, best first: [`session::Command::Connect`], with the request as the first line of call 0.
//! 6. [net/handle] puts the command on a bounded channel and wakes the network thread, [net/driver], which passes it
//!    to [`session::Endpoint::apply`].
//! 7. [session/connection/handshake] builds INIT: HELLO and, with a ticket, the request itself as an early frame,
//!    sealed by the Noise initiator in [crypto/handshake].
//! 8. [session/connection/transmit] hands the datagram to the driver, and [net/udp] sends it.
//!
//! On the agent:
//!
//! 9. [net/udp] receives datagrams in batches. [net/driver] separates tagged datagrams from plain text and passes them
//!    to [`session::Endpoint::handle_datagram`].
//! 10. [session/endpoint/admission] checks the mac and the register of remembered INITs and queues the INIT. When
//!     nothing else is ready, it does the Diffie-Hellman operations, has the key authorised, and answers RESP.
//! 11. [session/connection/receive] decodes the frames, those in INIT and later those in DATA, and gives their bytes to
//!     [session/streams], which puts them in order. They leave as [`session::StreamEvent::Data`].
//! 12. [net/event_queue] takes the event to the front's loop, [agent/front/thread], and wakes it. The front is the
//!     process of the agent that speaks with the network.
//! 13. **[agent/core/dispatch] turns bytes into a command**: `on_control` cuts the control lane into lines and decodes
//!     each into a [`message::Request`], and `on_first` decides by the first line of a call what the call is about.
//! 14. [agent/jobs/requests] handles `exec`. A request id that is known attaches to its job or is a conflict; a repeat
//!     that is too old starts nothing.
//! 15. [agent/access/exec_policy] authorises key, address, user and argv, and returns a `Grant`. Limits of the key and
//!     of the agent are checked next.
//! 16. **[agent/jobs/requests] starts the job**: it enters the job in the table, sends `Start` to the supervisor by
//!     [agent/front/remote] and [agent/ipc/frames], and replies `accepted`.
//! 17. [agent/supervisor/messages], in the supervisor's process, takes the message. [agent/supervisor/starts] decides
//!     again by its own policy, has the [audit][agent/audit] record written, makes a cgroup for the job where it may
//!     ([process/cgroups]), and calls [process/start], which opens the pipes and lets [process/child] clone the child. The child becomes the user, enters the directory and executes the
//!     program; nobody waits for it. Its report makes the job running, and the reply `started` follows.
//! 18. [agent/supervisor/child_io] moves the output from the pipes to a ring of [agent/ipc/rings] as far as the ring has
//!     space. The state of the job is reported to the front, and [agent/jobs/status] compares it with what is known:
//!     new output is fetched from the ring and written to the data and stderr lanes, [`session::Command::Write`].
//!     The ring holds it until the controller has consumed it. Commands of the front are queued in [agent/outbox]; its
//!     loop passes them to the network thread as in step 6.
//! 19. [session/streams] sends what credit allows: **[session/connection/transmit] packs STREAM frames into
//!     datagrams** in `write_streams`, as pacing and congestion control allow. [session/connection/recovery] detects
//!     what is lost, and `on_lost` in [session/connection/receive] gives it back to the streams, to be sent again.
//!
//! Back on the controller:
//!
//! 20. The datagrams take steps 9 and 11 in the controller's process; the events reach `RemoteJob`.
//! 21. [control/exec/show] labels and escapes lines where that is wanted, and [control/stdio] writes them, with an
//!     exact count of the bytes that have left.
//! 22. What was written is reported as [`session::Command::Consumed`]. It goes out as MAX_STREAM_DATA, which gives new
//!     credit and lets the agent forget these bytes.
//! 23. When the process ends, its pidfd becomes readable; [agent/supervisor/lifecycle] waits for the rest of the
//!     output, two seconds at most, and reports the end; [agent/jobs/lifecycle] replies `exit`, with the outcome and
//!     the length of each output.
//! 24. `RemoteJob` reports the outcome once every byte below these lengths is written. It ends the control lane, so
//!     that the agent forgets the job; journal and ticket are updated.
//! 25. **[cli/ctl/exec] decides the exit status** in `conclude`. For one target, [control/exec/summary] takes it from
//!     `Outcome::row` in [message/outcome], which completes the row of [message/table], unless output is missing or
//!     the run was interrupted. For several targets, the gravest class of outcomes decides: [message/fate].
//!
//! [cli/ctl/exec]: ../src/udpagent/cli/ctl/exec/mod.rs.html
//! [cli/ctl/exec/request]: ../src/udpagent/cli/ctl/exec/request.rs.html
//! [control/host_resolver]: ../src/udpagent/control/host_resolver.rs.html
//! [control/journal]: ../src/udpagent/control/journal/mod.rs.html
//! [control/exec/run]: ../src/udpagent/control/exec/run/mod.rs.html
//! [control/exec/remote_job]: ../src/udpagent/control/exec/remote_job/mod.rs.html
//! [control/contact]: ../src/udpagent/control/contact/mod.rs.html
//! [net/handle]: ../src/udpagent_transport/net/handle.rs.html
//! [net/driver]: ../src/udpagent_transport/net/driver.rs.html
//! [net/udp]: ../src/udpagent_transport/net/udp.rs.html
//! [net/event_queue]: ../src/udpagent_transport/net/event_queue.rs.html
//! [session/connection/handshake]: ../src/udpagent_transport/session/connection/handshake.rs.html
//! [session/connection/transmit]: ../src/udpagent_transport/session/connection/transmit.rs.html
//! [session/connection/receive]: ../src/udpagent_transport/session/connection/receive.rs.html
//! [session/connection/recovery]: ../src/udpagent_transport/session/connection/recovery.rs.html
//! [session/endpoint/admission]: ../src/udpagent_transport/session/endpoint/admission.rs.html
//! [session/streams]: ../src/udpagent_transport/session/streams/mod.rs.html
//! [crypto/handshake]: ../src/udpagent_transport/crypto/handshake.rs.html
//! [agent/front/remote]: ../src/udpagent/agent/front/remote.rs.html
//! [agent/front/thread]: ../src/udpagent/agent/front/thread.rs.html
//! [agent/ipc/frames]: ../src/udpagent/agent/ipc/frames.rs.html
//! [agent/ipc/rings]: ../src/udpagent/agent/ipc/rings.rs.html
//! [agent/supervisor/lifecycle]: ../src/udpagent/agent/supervisor/lifecycle.rs.html
//! [agent/supervisor/messages]: ../src/udpagent/agent/supervisor/messages.rs.html
//! [agent/supervisor/starts]: ../src/udpagent/agent/supervisor/starts.rs.html
//! [agent/supervisor/child_io]: ../src/udpagent/agent/supervisor/child_io.rs.html
//! [agent/core/dispatch]: ../src/udpagent/agent/core/dispatch.rs.html
//! [agent/jobs/requests]: ../src/udpagent/agent/jobs/requests.rs.html
//! [agent/jobs/lifecycle]: ../src/udpagent/agent/jobs/lifecycle.rs.html
//! [agent/jobs/status]: ../src/udpagent/agent/jobs/status.rs.html
//! [agent/access/exec_policy]: ../src/udpagent/agent/access/exec_policy.rs.html
//! [agent/audit]: ../src/udpagent/agent/audit/mod.rs.html
//! [agent/outbox]: ../src/udpagent/agent/outbox.rs.html
//! [process/cgroups]: ../src/udpagent/process/cgroups/mod.rs.html
//! [process/child]: ../src/udpagent/process/child.rs.html
//! [process/start]: ../src/udpagent/process/start.rs.html
//! [control/exec/show]: ../src/udpagent/control/exec/show.rs.html
//! [control/stdio]: ../src/udpagent/control/stdio/mod.rs.html
//! [control/exec/summary]: ../src/udpagent/control/exec/summary.rs.html
//! [message/fate]: ../src/udpagent/message/fate.rs.html
//! [message/outcome]: ../src/udpagent/message/outcome.rs.html
//! [message/table]: ../src/udpagent/message/table.rs.html

#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod agent;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod bot;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
pub mod client;
#[doc(hidden)]
pub mod contain;
#[doc(hidden)]
pub mod control;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod copy;
#[doc(hidden)]
pub mod duration;
#[doc(hidden)]
pub mod home;
pub mod message;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod process;
#[cfg(feature = "cli")]
pub(crate) mod prompt;
#[doc(hidden)]
pub mod saved_mode;

#[doc(inline)]
pub use udpagent_transport::*;
