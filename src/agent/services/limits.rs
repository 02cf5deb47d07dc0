//! Bounds of the built-in services, each with its reason.

use std::time::Duration;

/// Time for finding the addresses of a name: longer than a resolver waits for two servers.
pub const RESOLVE: Duration = Duration::from_secs(20);

/// Time for all addresses of a name together: as long as people wait for a connection.
pub const CONNECT: Duration = Duration::from_secs(30);

/// Addresses of a name that are tried: more than hosts have.
pub const ADDRESSES: usize = 16;

/// Bytes of one read: what a pipe holds.
pub const BUFFER: usize = 64 << 10;

/// Size of a pipe with the bytes of a copy: the largest that a user may ask for by default, `fs.pipe-max-size`.
pub const PIPE: usize = 1 << 20;
