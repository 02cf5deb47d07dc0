//! Number of datagrams that a short command takes, seen from a relay between the two programs.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::harness::{User, eventually};

/// A relay to an agent that counts the datagrams of the agent.
struct Relay {
    address: SocketAddr,
    answers: Arc<AtomicUsize>,
}

impl Relay {
    /// Starts a relay for one controller after the other. Its thread ends with the test.
    fn to(agent: &str) -> Self {
        let near = UdpSocket::bind("127.0.0.1:0").unwrap();
        let far = UdpSocket::bind("127.0.0.1:0").unwrap();
        far.connect(agent).unwrap();
        let address = near.local_addr().unwrap();
        let answers = Arc::new(AtomicUsize::new(0));
        let (back, from_agent) = (near.try_clone().unwrap(), far.try_clone().unwrap());
        let (counted, controller) = (Arc::clone(&answers), Arc::new(std::sync::Mutex::new(None)));
        let latest = Arc::clone(&controller);
        std::thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            while let Ok((length, from)) = near.recv_from(&mut buffer) {
                *latest.lock().unwrap() = Some(from);
                let _ = far.send(&buffer[..length]);
            }
        });
        std::thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            while let Ok(length) = from_agent.recv(&mut buffer) {
                counted.fetch_add(1, Ordering::SeqCst);
                let to = *controller.lock().unwrap();
                let _ = back.send_to(&buffer[..length], to.expect("it has asked"));
            }
        });
        Self { address, answers }
    }
}

#[test]
fn a_short_command_is_answered_by_three_datagrams() {
    let user = User::new();
    user.authorize("");
    let agent = user.agent();
    let relay = Relay::to(&agent.target());
    let target = relay.address.to_string();
    // It takes a ticket, with which the next command is in the first datagram.
    user.udpctl(["ping", &target]).outcome();
    for command in [&["true"][..], &["echo", "hi"]] {
        // RESP, the reply `accepted`, and the rest. On a busy machine an acknowledgement may come between them, or the
        // start of the command may be reported alone.
        eventually("an answer in three datagrams", || {
            let before = relay.answers.load(Ordering::SeqCst);
            let args = [&["exec", &target, "--"], command].concat();
            let outcome = user.udpctl(args).outcome();
            assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
            relay.answers.load(Ordering::SeqCst) - before <= 3
        });
    }
}
