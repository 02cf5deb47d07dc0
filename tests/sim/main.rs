//! The sans-IO machine in a simulated network, under many seeds.
//!
//! A failure prints the command that repeats it: `UDPAGENT_SEED=… cargo test --test sim NAME`.

mod caller;
mod contract;
mod echo;
mod forged_init;
mod host;
mod hostile_peer;
mod invariants;
mod link;
mod network;
mod nodes;
mod rng;
mod scenarios;
mod seeds;
mod simulation;
mod task;
mod timers;
mod whole;
