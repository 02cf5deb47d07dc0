//! The real binaries over loopback: exact stdout, stderr and status, as a user sees them.
//!
//! Every test has its own users (home directories) and its own agents on free ports; nothing sleeps,
//! everything waits on an event with a deadline. Processes are ended by pid, agents as a service manager
//! ends them, and after that no process of their jobs may be left.

mod addresses;
mod administrators;
mod audit;
mod batch;
mod bootstrap;
mod bounds;
mod cgroups;
mod chat;
mod chat_terminal;
mod check;
mod client;
mod completions;
mod cp;
mod datagrams;
mod doctor;
mod endings;
mod exec;
mod failures;
mod fleet;
mod fleet_jobs;
mod forget;
mod front;
mod harness;
mod interruptions;
mod inventories;
mod jobs;
mod journal;
mod keys;
mod leaks;
mod limits;
mod local;
mod log;
mod man;
mod memory;
mod neighbours;
mod outcomes;
mod owner;
mod owner_socket;
mod plain;
mod policy;
mod recorder;
mod reload;
mod revoke;
mod revoked;
mod run_outputs;
mod runs;
mod sandbox;
mod script;
mod service;
mod shell;
mod signals;
mod slow_reader;
mod ssh;
mod stdin;
mod store;
mod targets;
mod terminal;
mod trees;
mod trust;
mod unanswered;
mod usage;
mod users;
