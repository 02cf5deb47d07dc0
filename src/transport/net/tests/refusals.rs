//! Reports of the network about datagrams that are not delivered, over loopback.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};

use crate::net::carrier::{Carrier as _, Inbox, Outgoing, Sent};
use crate::net::refusal::{Refusal, RefusalReason};
use crate::net::{UdpCarrier, limits};
use crate::session::{Path, Transmit};

/// More than the errors in a row after which a carrier is given up.
const DATAGRAMS: u8 = 100;

fn send(carrier: &mut UdpCarrier, remote: SocketAddr, datagram: &[u8]) -> Sent {
    let path = Path {
        socket: 0,
        local: None,
        remote: remote.into(),
    };
    let transmit = Transmit::single(path);
    carrier.send(&mut Outgoing { transmit, done: 0 }, datagram)
}

/// An address where nothing listens.
fn closed(local: SocketAddr) -> SocketAddr {
    UdpSocket::bind(local).unwrap().local_addr().unwrap()
}

#[test]
fn a_report_neither_loses_the_datagrams_to_others_nor_fails_the_socket() {
    assert!(u32::from(DATAGRAMS) > limits::RECEIVE_ERRORS);
    for local in ["127.0.0.1:0", "[::1]:0"] {
        let local: SocketAddr = local.parse().unwrap();
        let Ok(other) = UdpSocket::bind(local) else {
            continue;
        };
        let mut carrier = UdpCarrier::bind(local).unwrap();
        carrier.report_refusals().unwrap();
        let closed = closed(local);
        for number in 0..DATAGRAMS {
            assert_eq!(send(&mut carrier, closed, &[number]), Sent::ALL);
            let other = other.local_addr().unwrap();
            assert_eq!(send(&mut carrier, other, &[number]), Sent::ALL);
        }
        let mut datagram = [0; 2];
        for number in 0..DATAGRAMS {
            assert_eq!(other.recv(&mut datagram).unwrap(), 1);
            assert_eq!(datagram[0], number);
        }
        assert_eq!(send(&mut carrier, closed, b"last"), Sent::ALL);
        let mut inbox = Inbox::new();
        let empty = carrier.receive(&mut inbox).unwrap_err();
        assert_eq!(empty.kind(), ErrorKind::WouldBlock, "{local}: {empty}");
        let refusal = Refusal {
            reason: RefusalReason::Port,
            reporter: Some(local.ip()),
        };
        assert_eq!(carrier.poll_refusal(), Some(refusal));
        assert_eq!(carrier.poll_refusal(), None, "equal reports are one");
    }
}

#[test]
fn nothing_is_reported_unless_it_was_asked_for() {
    let local: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let mut carrier = UdpCarrier::bind(local).unwrap();
    assert_eq!(send(&mut carrier, closed(local), b"lost"), Sent::ALL);
    let empty = carrier.receive(&mut Inbox::new()).unwrap_err();
    assert_eq!(empty.kind(), ErrorKind::WouldBlock);
    assert_eq!(carrier.poll_refusal(), None);
}
