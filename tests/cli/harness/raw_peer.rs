//! A controller without an endpoint, which sends whatever a test wants: INITs without end, sessions that it does not
//! use, frames that no program sends.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use udpagent::crypto::{Initiator, PublicKey, SecretKey, TrafficKeys};
use udpagent::rng::Rng;
use udpagent::wire::limits::{DATA_HEADER, TOKEN};
use udpagent::wire::{Data, Datagram, Frame, Frames, SessionId};

use super::DEADLINE;
use super::forged_init;

/// Time after which an unanswered datagram is sent again.
const REPEAT: Duration = Duration::from_millis(10);

/// A key, a socket, and an agent.
pub struct RawPeer {
    identity: SecretKey,
    agent: PublicKey,
    socket: UdpSocket,
    rng: Rng,
}

/// An established session of a [`RawPeer`].
pub struct RawSession {
    keys: TrafficKeys,
    receiver: SessionId,
    counter: u64,
}

impl RawPeer {
    /// Creates a peer with a key of its own that sends from `from`.
    pub fn new(from: &str, target: &str, agent_key: &str) -> Self {
        let mut rng = udpagent::net::rng().unwrap();
        let socket = UdpSocket::bind((from, 0)).unwrap();
        socket.connect(target).unwrap();
        socket.set_read_timeout(Some(REPEAT)).unwrap();
        Self {
            identity: SecretKey::generate(&mut rng),
            agent: agent_key.parse().unwrap(),
            socket,
            rng,
        }
    }

    /// The public key, as a line of authorized_keys has it.
    pub fn key(&self) -> String {
        self.identity.public().to_string()
    }

    /// Sends a datagram. One that finds a full queue is lost.
    pub fn send(&self, datagram: &[u8]) {
        let _ = self.socket.send(datagram);
    }

    /// Returns a new INIT, without early data.
    pub fn init(&mut self) -> Vec<u8> {
        self.handshake(None).2
    }

    fn handshake(&mut self, token: Option<&[u8; TOKEN]>) -> (Initiator, SessionId, Vec<u8>) {
        forged_init::init(&self.agent, &self.identity, token, &mut self.rng)
    }

    /// Opens a session and confirms it.
    pub fn connect(&mut self) -> RawSession {
        let deadline = Instant::now() + DEADLINE;
        let (mut initiator, mut session, mut init) = self.handshake(None);
        let mut buffer = vec![0; 65_536];
        loop {
            assert!(Instant::now() < deadline, "no RESP");
            self.send(&init);
            while let Ok(length) = self.socket.recv(&mut buffer) {
                match Datagram::parse(&buffer[..length]) {
                    Ok(Some(Datagram::Retry(retry))) if retry.receiver == session => {
                        let token = *retry.token;
                        (initiator, session, init) = self.handshake(Some(&token));
                        break;
                    }
                    Ok(Some(Datagram::Resp(resp))) if resp.receiver == session => {
                        let keys = initiator.finish(resp.noise, &mut Vec::new());
                        let mut session = RawSession {
                            keys: keys.unwrap(),
                            receiver: resp.sender,
                            counter: 0,
                        };
                        session.send(self, &[Frame::Ping]);
                        return session;
                    }
                    _ => {}
                }
            }
        }
    }
}

impl RawSession {
    /// Sends frames in one datagram.
    pub fn send(&mut self, peer: &RawPeer, frames: &[Frame<'_>]) {
        self.counter += 1;
        let header = Data {
            phase: 0,
            receiver: self.receiver,
            counter: self.counter,
        }
        .encode();
        let mut datagram = header.to_vec();
        for frame in frames {
            frame.encode(&mut datagram);
        }
        let seal = &mut self.keys.seal;
        seal.seal(self.counter, &header, &mut datagram, DATA_HEADER);
        peer.send(&datagram);
    }

    /// Waits until the agent has processed what was sent.
    pub fn settle(&mut self, peer: &RawPeer) {
        let deadline = Instant::now() + DEADLINE;
        let first = self.counter + 1;
        let mut buffer = vec![0; 65_536];
        loop {
            assert!(Instant::now() < deadline, "no ACK");
            self.send(peer, &[Frame::Ping]);
            while let Ok(length) = peer.socket.recv(&mut buffer) {
                let Ok(Some(Datagram::Data(data))) = Datagram::parse(&buffer[..length]) else {
                    continue;
                };
                let (header, sealed) = buffer[..length].split_at_mut(DATA_HEADER);
                // It may belong to another session of the peer.
                let Ok(opened) = self.keys.open.open(data.counter, header, sealed) else {
                    continue;
                };
                let acked = Frames::new(opened)
                    .any(|frame| matches!(frame, Ok(Frame::Ack(ack)) if ack.largest >= first));
                if acked {
                    return;
                }
            }
        }
    }
}

/// Sends a UDP datagram from an address of somebody else. Returns `None` if the system permits no raw socket.
pub fn send_forged(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Option<()> {
    let (SocketAddr::V4(from), SocketAddr::V4(to)) = (from, to) else {
        panic!("an IPv4 header");
    };
    // IPPROTO_RAW: the datagram begins with its IP header.
    let protocol = Some(socket2::Protocol::from(255));
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::RAW, protocol).ok()?;
    let length = u16::try_from(8 + payload.len()).unwrap();
    // The kernel fills in the length, the id and the checksum of the header.
    let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0];
    packet.extend(from.ip().octets());
    packet.extend(to.ip().octets());
    packet.extend(from.port().to_be_bytes());
    packet.extend(to.port().to_be_bytes());
    packet.extend(length.to_be_bytes());
    // No checksum of UDP, which IPv4 permits.
    packet.extend([0, 0]);
    packet.extend(payload);
    let sent = socket.send_to(&packet, &SocketAddr::V4(to).into());
    assert_eq!(sent.unwrap(), packet.len());
    Some(())
}
