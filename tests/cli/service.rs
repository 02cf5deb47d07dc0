//! The agent under a service manager: notifications, the watchdog, passed sockets, and stored descriptors. A socket of
//! the test stands for the manager.

use std::collections::VecDeque;
use std::io::{IoSliceMut, Read as _};
use std::mem::MaybeUninit;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::process::Signal;
use rustix::time::{ClockId, clock_gettime};
use udpagent::agent::service_manager::{ServiceManager, State};
use udpagent::time::Instant;

use crate::harness::{Agent, DEADLINE, Test, User};

/// A service manager.
pub struct Manager {
    socket: UnixDatagram,
    pub path: PathBuf,
}

impl Manager {
    pub fn new(user: &User) -> Self {
        let path = user.path("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        Self { socket, path }
    }

    /// Receives the next message with its descriptors.
    fn receive(&self) -> (String, Vec<OwnedFd>) {
        self.try_receive().expect("a message in time")
    }

    /// Receives the next message with its descriptors, if one comes in time.
    pub fn try_receive(&self) -> rustix::io::Result<(String, Vec<OwnedFd>)> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut bytes = [0; 4096];
        let message = recvmsg(
            &self.socket,
            &mut [IoSliceMut::new(&mut bytes)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        );
        let length = message?.bytes;
        let mut descriptors = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(all) = message {
                descriptors.extend(all);
            }
        }
        let text = String::from_utf8(bytes[..length].to_vec()).unwrap();
        Ok((text, descriptors))
    }

    /// Returns the next message that is no sign of life.
    fn state(&self) -> String {
        loop {
            let (text, _) = self.receive();
            if text != "WATCHDOG=1" {
                return text;
            }
        }
    }
}

fn monotonic() -> u128 {
    let now = Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap();
    now.as_micros()
}

#[test]
fn readiness_signs_of_life_a_reload_and_the_end_are_reported() {
    let user = User::new();
    let manager = Manager::new(&user);
    let mut command = user.command("udpagent");
    command
        .args(["--bind", "127.0.0.1:0"])
        .env("NOTIFY_SOCKET", &manager.path)
        .env("WATCHDOG_USEC", "200000");
    let agent = Agent::from(command);
    let target = agent.target();
    assert_eq!(manager.state(), "READY=1");
    user.udpctl(["exec", &target, "--", "true"]).run();
    for _ in 0..3 {
        assert_eq!(manager.receive().0, "WATCHDOG=1");
    }
    let before = monotonic();
    agent.child.signal(Signal::HUP);
    let reloading = manager.state();
    let at = reloading
        .strip_prefix("RELOADING=1\nMONOTONIC_USEC=")
        .unwrap_or_else(|| panic!("{reloading}"));
    let at: u128 = at.parse().unwrap();
    assert!((before..=monotonic()).contains(&at));
    assert_eq!(manager.state(), "READY=1");
    user.udpctl(["exec", &target, "--", "true"]).run();
    agent.child.signal(Signal::TERM);
    assert_eq!(manager.state(), "STOPPING=1");
}

#[test]
fn a_watchdog_of_another_process_gets_no_signs_of_life() {
    let user = User::new();
    let manager = Manager::new(&user);
    let mut command = user.command("udpagent");
    command
        .args(["--bind", "127.0.0.1:0"])
        .env("NOTIFY_SOCKET", &manager.path)
        .env("WATCHDOG_USEC", "1000")
        .env("WATCHDOG_PID", "1");
    let agent = Agent::from(command);
    assert_eq!(manager.receive().0, "READY=1");
    agent.child.signal(Signal::TERM);
    assert_eq!(manager.receive().0, "STOPPING=1");
}

/// Returns a command for an agent to which a descriptor is passed as number 3.
fn activated(user: &User, passed: impl AsFd, name: &str) -> Command {
    let passed = passed.as_fd();
    // Programs that other tests start meanwhile inherit it too, and do nothing with it.
    fcntl_setfd(passed, FdFlags::empty()).unwrap();
    let mut command = user.command("bash");
    let script = "exec 3<&\"$0\"; LISTEN_PID=$$ exec \"$@\"";
    command
        .args(["-c", script, &passed.as_raw_fd().to_string()])
        .arg(env!("CARGO_BIN_EXE_udpagent"))
        .args(["--bind", "192.0.2.1:7"])
        .env("LISTEN_FDS", "1")
        .env("LISTEN_FDNAMES", name);
    command
}

#[test]
fn a_passed_socket_is_used_instead_of_the_addresses_of_the_configuration() {
    let user = User::new();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let agent = Agent::from(activated(&user, &socket, "udp"));
    assert_eq!(agent.target(), address);
    user.udpctl(["exec", &address, "--", "echo", "served"])
        .stdout("served\n")
        .run();
    // Neither descriptor 3 nor its variables reach a command.
    let line = "env | grep LISTEN; exec ls /proc/self/fd";
    user.udpctl(["exec", &address, "--shell", line])
        // 3 is the directory that ls reads.
        .stdout("0\n1\n2\n3\n")
        .run();
}

#[test]
fn a_passed_descriptor_that_is_no_udp_socket_is_refused_with_its_name() {
    let user = User::new();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    Test::new(activated(&user, &tcp, "web"))
        .status(1)
        .stderr(
            "udpagent: descriptor 3 (web) of LISTEN_FDS is not a UDP socket; \
             use ListenDatagram= with an IP address\n",
        )
        .run();
}

#[test]
fn stored_descriptors_arrive_under_their_name_and_start_the_next_agent() {
    let user = User::new();
    let fake = Manager::new(&user);
    let manager = ServiceManager::at(fake.path.as_os_str()).unwrap();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let descriptors = vec![writer.as_fd(); 300];
    manager.store("jobs", &descriptors).unwrap();
    drop(descriptors);
    drop(writer);
    let mut kept = Vec::new();
    for count in [250, 50] {
        let (text, descriptors) = fake.receive();
        assert_eq!(text, "FDSTORE=1\nFDPOLL=0\nFDNAME=stored-jobs");
        assert_eq!(descriptors.len(), count);
        kept.extend(descriptors);
    }
    rustix::io::write(&kept[299], b"kept").unwrap();
    manager.discard("jobs").unwrap();
    assert_eq!(fake.receive().0, "FDSTOREREMOVE=1\nFDNAME=stored-jobs");

    // A stored descriptor is no socket to listen on.
    let mut command = activated(&user, &kept[0], "stored-jobs");
    command.args(["--bind", "127.0.0.1:0"]);
    let agent = Agent::from(command);
    user.udpctl(["exec", &agent.target(), "--", "true"]).run();
    let mut bytes = [0; 4];
    reader.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"kept");
}

#[test]
fn a_message_that_the_manager_has_no_room_for_is_sent_later() {
    let user = User::new();
    let fake = Manager::new(&user);
    let mut manager = ServiceManager::at(fake.path.as_os_str()).unwrap();
    let mut sent = VecDeque::new();
    while manager.discard("x").is_ok() {
        sent.push_back(());
        assert!(sent.len() < 100_000, "the queue of a socket is bounded");
    }
    let now = Instant::ZERO;
    manager.notify(now, State::Ready);
    let retry = manager.poll_timeout().expect("a time to try again");
    assert!(retry > now);
    for () in sent {
        fake.receive();
    }
    manager.on_timeout(retry);
    assert_eq!(fake.receive().0, "READY=1");
    assert_eq!(manager.poll_timeout(), None);
    // A state is sent once.
    manager.notify(retry, State::Ready);
    manager.notify(retry, State::Stopping);
    assert_eq!(fake.receive().0, "STOPPING=1");
}
