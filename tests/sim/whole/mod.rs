//! Whole programs without their surroundings: the agent's service over pretended processes, and the
//! controller's attempts, each on the real machine.

mod agent;
mod processes;
mod runner;

pub use agent::WholeAgent;
pub use runner::{Again, WholeController};
