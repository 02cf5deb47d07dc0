//! Datagrams that the system refuses to send.

use crossbeam_channel::bounded;

use super::super::driver::Driver;
use super::super::event_queue::{self, EventQueue};
use super::super::shared::Shared;
use super::*;
use crate::session::limits::PATHS;

#[test]
fn an_init_that_is_refused_is_followed_by_one_to_the_next_address_at_once() {
    let poll = mio::Poll::new().unwrap();
    let shared = Arc::new(Shared::new(poll.registry()).unwrap());
    let (commands, receiver) = bounded(1);
    let (events, _events) = event_queue::channel();
    let carrier = UdpCarrier::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let mut driver = Driver::new(
        poll,
        vec![Box::new(carrier)],
        (Config::new(secret(2), None), Rng::from_seed([2; 32])),
        receiver,
        EventQueue::new(events, None),
        None,
        Arc::clone(&shared),
    )
    .unwrap();
    // Addresses of the other family than that of the socket.
    let refused = |number| Path {
        socket: 0,
        local: None,
        remote: SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], number)).into(),
    };
    let connect = Connect {
        session: SessionHandle(1),
        agent: secret(1).public(),
        path: refused(7000),
        further: (7001..7010).map(refused).collect(),
        ticket: None,
        invite: None,
        first: Bytes::new(),
        timeout: DEADLINE,
    };
    let connect = session::Command::Connect(connect);
    commands.send(Command::Session(connect)).unwrap();
    // No time passes in one iteration but what it takes itself.
    driver.iterate();
    assert_eq!(shared.unsent(), PATHS as u64);
}
