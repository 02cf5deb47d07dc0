//! The rate of what each key says in the chat.
//!
//! Not what waits: a request that comes too early is held by its call, so that its sender is slowed down. Each message takes
//! the time that its share of the rate is worth (the generic cell rate algorithm). Invariant: in any time, a key says at
//! most what that time and [`limits::CHAT_BURST`] are worth; only keys that have said something lately take memory.

use std::collections::HashMap;
use std::time::Duration;

use crate::agent::limits;
use crate::crypto::PublicKey;
use crate::time::Instant;

/// Progress of each key against the rate.
#[derive(Default, Debug)]
pub(super) struct Pace {
    /// Time at which everything that a key has said is paid for.
    paid: HashMap<PublicKey, Instant>,
    /// The same for the agent's bot.
    paid_of_bot: Instant,
    /// The same for the agent's user.
    paid_of_user: Instant,
}

impl Pace {
    /// Counts a message of `bytes` bytes.
    ///
    /// # Errors
    /// Time at which it may be tried again, if it comes too early. Then it is not counted.
    pub(super) fn take(
        &mut self,
        now: Instant,
        key: PublicKey,
        bytes: usize,
    ) -> Result<(), Instant> {
        let paid = self.paid.get(&key).copied().unwrap_or(now);
        let paid = advance(paid, now, bytes)?;
        if self.paid.len() >= limits::CHAT_MEMBERS {
            self.paid.retain(|_, paid| *paid > now);
        }
        self.paid.insert(key, paid);
        Ok(())
    }

    /// Counts a message of the agent's bot.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub(super) fn take_of_bot(&mut self, now: Instant, bytes: usize) -> Result<(), Instant> {
        self.paid_of_bot = advance(self.paid_of_bot, now, bytes)?;
        Ok(())
    }

    /// Counts a message of the agent's user.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub(super) fn take_of_user(&mut self, now: Instant, bytes: usize) -> Result<(), Instant> {
        self.paid_of_user = advance(self.paid_of_user, now, bytes)?;
        Ok(())
    }
}

/// Returns the time at which everything is paid for with a message more, or the time at which it may be tried again.
fn advance(paid: Instant, now: Instant, bytes: usize) -> Result<Instant, Instant> {
    let paid = paid.max(now);
    if paid.since(now) > limits::CHAT_BURST {
        return Err(paid - limits::CHAT_BURST + limits::CHAT_PAUSE);
    }
    Ok(paid + price(bytes))
}

/// Time that a message is worth.
fn price(bytes: usize) -> Duration {
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    limits::CHAT_MESSAGE_PRICE.max(limits::CHAT_BYTE_PRICE * bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: PublicKey = PublicKey([1; 32]);
    const BOB: PublicKey = PublicKey([2; 32]);

    /// Number of messages that a key says until a time, each as soon as it may.
    fn said(
        pace: &mut Pace,
        key: PublicKey,
        bytes: usize,
        (mut now, until): (Instant, Instant),
    ) -> u32 {
        let mut count = 0;
        while now <= until {
            match pace.take(now, key, bytes) {
                Ok(()) => count += 1,
                Err(again) => {
                    assert!(again > now);
                    now = again;
                }
            }
        }
        count
    }

    #[test]
    fn a_key_says_five_hundred_messages_or_half_a_megabyte_in_a_second_after_a_burst() {
        let start = Instant::from_micros(1_000_000);
        let times = |seconds| (start, start + Duration::from_secs(seconds));
        for (bytes, burst, per_second) in [(0, 1000, 500), (1000, 1000, 500), (10_000, 100, 50)] {
            let mut pace = Pace::default();
            let at_once = said(&mut pace, ANN, bytes, (start, start));
            assert!((burst..=burst + 1).contains(&at_once), "{at_once}");
            // Another key has a rate of its own.
            assert_eq!(pace.take(start, BOB, bytes), Ok(()));
            let later = said(&mut pace, ANN, bytes, times(10));
            let expected = 10 * per_second;
            assert!(
                (expected - per_second / 10..=expected + 1).contains(&later),
                "{later}"
            );
        }
    }

    #[test]
    fn the_user_of_the_agent_says_as_much_as_a_key() {
        let mut pace = Pace::default();
        let start = Instant::from_micros(1_000_000);
        let burst = (0..).take_while(|_| pace.take_of_user(start, 0).is_ok());
        assert!((1000..=1001).contains(&burst.count()));
        assert_eq!(pace.take(start, ANN, 0), Ok(()));
        let again = pace.take_of_user(start, 0).unwrap_err();
        assert_eq!(pace.take_of_user(again, 0), Ok(()));
    }

    #[test]
    fn keys_that_are_silent_take_no_memory() {
        let mut pace = Pace::default();
        for number in 0..10_000_u16 {
            let mut key = [0; 32];
            key[..2].copy_from_slice(&number.to_le_bytes());
            let now = Instant::from_micros(u64::from(number) * 1_000_000);
            assert_eq!(pace.take(now, PublicKey(key), 1), Ok(()));
            assert!(pace.paid.len() <= limits::CHAT_MEMBERS);
        }
    }
}
