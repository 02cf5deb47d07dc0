//! Numbers of bytes that hosts have announced, for a person who watches.
//!
//! Not a part of the copies. Invariant: there is a sum only while each host that may still send something has announced its
//! number, so that the time that is left is not computed from a part of them.

/// Numbers of bytes of the hosts.
#[derive(Debug)]
pub(super) struct Totals(Vec<Announced>);

/// Knowledge of the total of a host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Announced {
    Nothing,
    /// Number of bytes.
    Bytes(u64),
    /// It has ended without a number.
    Ended,
}

impl Totals {
    /// Begins without any number.
    pub(super) fn new(hosts: usize) -> Self {
        Self(vec![Announced::Nothing; hosts])
    }

    /// Takes the number of a host.
    pub(super) fn announce(&mut self, host: usize, bytes: u64) {
        self.0[host] = Announced::Bytes(bytes);
    }

    /// A host has ended. It may begin again.
    pub(super) fn end(&mut self, host: usize) {
        if self.0[host] == Announced::Nothing {
            self.0[host] = Announced::Ended;
        }
    }

    /// Returns the sum.
    pub(super) fn sum(&self) -> Option<u64> {
        let mut sum = 0_u64;
        for announced in &self.0 {
            match announced {
                Announced::Nothing => return None,
                Announced::Bytes(bytes) => sum = sum.saturating_add(*bytes),
                Announced::Ended => {}
            }
        }
        Some(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_sum_once_each_host_has_a_number_or_has_ended() {
        let mut totals = Totals::new(3);
        totals.announce(0, 5);
        totals.announce(2, u64::MAX - 6);
        assert_eq!(totals.sum(), None);
        totals.end(1);
        totals.end(2);
        assert_eq!(totals.sum(), Some(u64::MAX - 1));
        totals.announce(1, 7);
        assert_eq!(totals.sum(), Some(u64::MAX));
    }
}
