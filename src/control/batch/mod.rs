//! `udpctl batch`: commands on hosts as requests for them are read, a line each, and a record for each one's end.
//!
//! The intake decides what is read and begun; [`run()`] feeds it from the lines, the network thread, the output and
//! signals. Not the form of a line, which is the caller's, nor a run whose hosts are known when it begins: that is
//! [`exec`](super::exec). Invariant: each request of a line has one record, and so has each line that cannot be understood.

mod intake;
mod lines;
mod output;
mod ready;
mod recorders;
mod request;
mod run;

pub use lines::Lines;
pub use request::{Line, Member, Request};
pub use run::{Finish, Settings, Surroundings, run};
