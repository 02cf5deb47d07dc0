//! Number of hosts that files are copied to or from at a time, by the descriptors that this process may have.
//!
//! Invariant: no item fails because the copies of other hosts hold all descriptors.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::control::limits::{DESCRIPTORS_APART, WINDOW_MOST};
use crate::copy::limits::DESCRIPTORS;

/// Raises the limit of this process as far as it is useful and permitted, and returns the number of hosts.
pub fn most_hosts() -> usize {
    let useful = (WINDOW_MOST * DESCRIPTORS + DESCRIPTORS_APART) as u64;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let most = maximum.unwrap_or(u64::MAX).min(useful);
    if current.is_some_and(|current| current < most) {
        let raised = Rlimit {
            current: Some(most),
            maximum,
        };
        // What is not permitted stays as it is.
        let _ = setrlimit(Resource::Nofile, raised);
    }
    hosts(getrlimit(Resource::Nofile).current)
}

/// Returns the number of hosts under a limit; at least one.
fn hosts(limit: Option<u64>) -> usize {
    let limit = limit.and_then(|limit| usize::try_from(limit).ok());
    let limit = limit.unwrap_or(usize::MAX);
    (limit.saturating_sub(DESCRIPTORS_APART) / DESCRIPTORS).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_has_its_descriptors() {
        for (limit, number) in [
            (0, 1),
            (136, 1),
            (200, 9),
            (1024, 112),
            (8320, 1024),
            (1 << 40, (1 << 37) - 16),
        ] {
            assert_eq!(hosts(Some(limit)), number, "{limit}");
        }
        assert!(hosts(None) > WINDOW_MOST);
    }
}
