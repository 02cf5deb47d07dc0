//! The sans-IO machine in a simulated network, under many seeds.
//!
//! A failure prints the command that repeats it: `UDPAGENT_SEED=… cargo test --test sim NAME`.

mod caller;
mod contract;
mod dice;
mod echo;
mod host;
mod invariants;
mod link;
mod network;
mod seeds;
mod stories;
mod whole;
mod work;
mod world;
