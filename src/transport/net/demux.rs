//! The way of received datagrams: to the machine, or to the filter of plain text.

use super::carrier::Received;
use super::counts::Counts;
use super::event_queue::EventQueue;
use super::plain::Plain;
use crate::session::Endpoint;
use crate::time::Instant;
use crate::wire;

/// Passes tagged datagrams to the machine, and the rest to the plain-text filter.
pub(super) fn demux(
    now: Instant,
    socket: u16,
    mut received: Received<'_>,
    endpoint: &mut Endpoint,
    plain: &mut Plain,
    event_queue: &mut EventQueue,
    counts: &mut Counts,
) {
    let path = received.path(socket);
    // Nobody can be reached there; sendmsg would fail with EINVAL for every answer.
    let no_port = path.remote.port() == Some(0);
    let ecn = received.meta.ecn;
    for datagram in received.datagrams() {
        counts.received += 1;
        counts.received_bytes += datagram.len() as u64;
        if no_port {
            counts.no_port += 1;
            continue;
        }
        if datagram.starts_with(&wire::TAG) {
            endpoint.handle_datagram(now, path, ecn, datagram);
        } else if let Some(event) = plain.admit(now, path, datagram, !event_queue.has_room()) {
            event_queue.push(event);
        }
    }
}
