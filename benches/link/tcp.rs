//! Plain TCP over the link: the congestion control of the kernel, without a protocol on top.

use std::fmt;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use rustix::net::sockopt::set_tcp_congestion;

use crate::link::{End, Link};

/// Algorithm of TCP.
#[derive(Clone, Copy)]
pub enum Congestion {
    Bbr,
    Cubic,
}

impl Congestion {
    pub const ALL: [Self; 2] = [Self::Bbr, Self::Cubic];

    /// Name of the algorithm in the kernel.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bbr => "bbr",
            Self::Cubic => "cubic",
        }
    }

    /// Returns true if the kernel has the algorithm.
    pub fn is_known(self) -> bool {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)
            .expect("a socket can be made");
        set_tcp_congestion(&socket, self.name()).is_ok()
    }
}

impl fmt::Display for Congestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bbr => "TCP BBR",
            Self::Cubic => "TCP CUBIC",
        })
    }
}

/// A download that continues until it is dropped.
pub struct Download(TcpStream);

impl Download {
    /// Starts it. What arrives is added to `received`.
    pub fn start(link: &Link, congestion: Congestion, received: &Arc<AtomicU64>) -> Self {
        let listener = link.within(End::Agent, || {
            TcpListener::bind((End::Agent.address(), 0)).expect("a port is free")
        });
        set_tcp_congestion(&listener, congestion.name()).expect("the kernel has the algorithm");
        let address = listener.local_addr().expect("a listener has an address");
        let stream = link.within(End::Controller, || {
            TcpStream::connect(address).expect("the link carries a handshake")
        });
        let (mut sender, _) = listener.accept().expect("a connection was made");
        thread::spawn(move || {
            let zeros = vec![0; 1 << 16];
            while sender.write_all(&zeros).is_ok() {}
        });
        let mut receiver = stream.try_clone().expect("a descriptor can be duplicated");
        let received = Arc::clone(received);
        thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            while let Ok(count @ 1..) = receiver.read(&mut buffer) {
                received.fetch_add(count as u64, Ordering::Relaxed);
            }
        });
        Self(stream)
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        let _ = self.0.shutdown(Shutdown::Both);
    }
}
