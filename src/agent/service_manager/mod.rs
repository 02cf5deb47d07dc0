//! The service manager that has started the agent: state notifications, the watchdog, passed sockets, and the store of
//! descriptors; sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds(3).
//!
//! Not the decision when the agent is ready or ends. Invariant: no call blocks; without a service manager, every
//! call does nothing.

mod notify;
mod passed;

pub use notify::{ServiceManager, State};
pub use passed::{Passed, PassedError, passed};
