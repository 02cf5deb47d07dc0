//! Count of the uses of RETRY tokens, so that a token is not a licence for ten seconds.
//!
//! Invariant: bounded. The oldest count is forgotten when there are too many, which costs a sender nothing less
//! than another RETRY would.

use std::collections::{HashMap, VecDeque};

use crate::session::limits;
use crate::wire::limits::TOKEN;

#[derive(Default)]
pub(super) struct TokenUses {
    uses: HashMap<[u8; TOKEN], u32>,
    order: VecDeque<[u8; TOKEN]>,
}

impl TokenUses {
    /// Counts a use of a genuine token; returns false if it has been used up.
    pub(super) fn take(&mut self, token: &[u8; TOKEN]) -> bool {
        if let Some(uses) = self.uses.get_mut(token) {
            *uses = uses.saturating_add(1);
            return *uses <= limits::TOKEN_USES;
        }
        if self.order.len() >= limits::TOKENS_COUNTED
            && let Some(oldest) = self.order.pop_front()
        {
            self.uses.remove(&oldest);
        }
        self.order.push_back(*token);
        self.uses.insert(*token, 1);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_used_up_and_the_counts_are_bounded() {
        let mut uses = TokenUses::default();
        let taken = (0..100).filter(|_| uses.take(&[1; TOKEN])).count();
        assert_eq!(taken, limits::TOKEN_USES as usize);
        for number in 0..2 * limits::TOKENS_COUNTED {
            let mut token = [0; TOKEN];
            token[..8].copy_from_slice(&number.to_be_bytes());
            assert!(uses.take(&token));
        }
        assert_eq!(uses.uses.len(), limits::TOKENS_COUNTED);
        assert_eq!(uses.order.len(), limits::TOKENS_COUNTED);
    }
}
