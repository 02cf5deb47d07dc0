//! The sans-IO agent and controller as a whole: the agent's service over simulated processes, and the
//! controller's remote jobs, each above a real endpoint.

mod agent;
mod chat;
mod fleet;
mod runner;
mod supervisor;

pub use agent::WholeAgent;
pub use chat::WholeMember;
pub use fleet::{FIRST_CONTACTS, Fleet, Target};
pub use runner::{Again, WholeController};
