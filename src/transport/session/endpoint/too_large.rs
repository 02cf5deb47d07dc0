//! Datagrams that the system refuses to send, because they are larger than the MTU of the route.

use super::Endpoint;
use crate::session::SessionHandle;
use crate::time::Instant;

impl Endpoint {
    /// Handles the refusal of the system to send datagrams of `size` bytes of a session. Returns true if it was a
    /// probe for the size that the path carries.
    pub fn handle_too_large(&mut self, now: Instant, session: SessionHandle, size: usize) -> bool {
        let Some(index) = self.index(session) else {
            return false;
        };
        let was_probe = self
            .session(index)
            .is_some_and(|session| session.on_too_large(now, size));
        self.schedule(index);
        was_probe
    }
}
