//! Bounds of what is read about processes.

/// Bytes of another process's environment in which its marker is looked for. Linux gives arguments and
/// environment together a quarter of the stack limit, 2 MiB unless it was raised.
pub(super) const ENVIRONMENT: u64 = 2 << 20;

/// Bytes of `/etc/passwd` and `/etc/group` that are looked through: a hundred thousand users.
pub(super) const ACCOUNTS: u64 = 8 << 20;

/// Bytes of a refused variable's name that are shown: enough to recognise it.
pub(super) const NAME_SHOWN: usize = 64;

/// Groups a process may be in (`NGROUPS_MAX` of Linux).
pub(super) const GROUPS: usize = 65_536;
