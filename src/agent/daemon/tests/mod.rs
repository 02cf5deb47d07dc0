//! A real agent on loopback, with real processes, and a caller that knows no more than the protocol.

mod caller;
mod stories;
