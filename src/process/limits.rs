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

/// Cgroups below that of a job that are looked at in one step. A job has no reason to make more; one that does is
/// removed in several steps.
pub(super) const CGROUPS_BELOW: usize = 1024;

/// Cgroups of ended jobs that are removed in one step: each costs some twenty microseconds.
pub(super) const REMOVED: usize = 16;

/// Cgroups of ended jobs from which on their removal is not postponed by further starts and ends: those of a burst, at some
/// ten KiB of the kernel's memory each.
pub(super) const ENDED: usize = 512;

/// Cgroups of ended jobs that are tried again in one step: each costs a few microseconds.
pub(super) const LEFTOVERS: usize = 256;
