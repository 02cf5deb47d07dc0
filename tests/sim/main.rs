//! The sans-IO machine in a simulated network, under many seeds.
//!
//! A failure prints the command that repeats it: `UDPAGENT_SEED=… cargo test --test sim NAME`.

mod caller;
mod cast;
mod contract;
mod dice;
mod echo;
mod forge;
mod host;
mod hostile_peer;
mod invariants;
mod link;
mod network;
mod seeds;
mod stories;
mod whole;
mod work;
mod world;
