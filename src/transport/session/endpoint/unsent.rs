//! Datagrams that the system has refused to send, as when there is no route to an address.

use super::Endpoint;
use crate::time::Instant;
use crate::wire::Datagram;

impl Endpoint {
    /// Handles a datagram of [`Endpoint::poll_transmit`] that could not be sent. If it is an INIT, the handshake begins
    /// on the session's next path at once.
    pub fn handle_unsent(&mut self, now: Instant, datagram: &[u8]) {
        if let Ok(Some(Datagram::Init(init))) = Datagram::parse(datagram)
            && let Ok(index) = self.index_of(init.sender)
        {
            self.slots[index].session.on_unsent(now, init.sender);
            self.schedule(index);
        }
    }
}
