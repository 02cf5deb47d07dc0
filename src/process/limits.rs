//! Bounds of data read about processes and users.

/// Bytes of another process's environment that are searched for its marker. Linux limits arguments and
/// environment together to a quarter of the stack limit, 2 MiB by default.
pub(super) const ENVIRONMENT: u64 = 2 << 20;

/// Bytes read of `/etc/passwd` and of `/etc/group`: a hundred thousand users.
pub(super) const ACCOUNTS: u64 = 8 << 20;

/// Bytes displayed of a refused variable's name: enough to recognise it.
pub(super) const NAME_SHOWN: usize = 64;

/// Supplementary groups of a process (`NGROUPS_MAX` of Linux).
pub(super) const GROUPS: usize = 65_536;
