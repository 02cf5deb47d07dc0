//! Bounds of data read about processes and users.

/// Bytes of another process's environment that are searched for its marker. Linux limits arguments and
/// environment together to a quarter of the stack limit, 2 MiB by default.
pub(super) const ENVIRONMENT: u64 = 2 << 20;

/// Bytes displayed of a refused variable's name: enough to recognise it.
pub(super) const NAME_SHOWN: usize = 64;

/// Supplementary groups of a process (`NGROUPS_MAX` of Linux).
pub(super) const GROUPS: usize = 65_536;

/// Groups that the first query has room for: more than most users have.
pub(super) const FIRST_GROUPS: usize = 64;

/// Bytes of the first buffer for an entry of the user database (`_SC_GETPW_R_SIZE_MAX` of the C library).
pub(super) const FIRST_ENTRY: usize = 1024;

/// Bytes of the largest buffer for an entry of the user database.
pub(super) const ENTRY: usize = 1 << 20;
