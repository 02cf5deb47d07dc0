//! The agents and controllers of a scenario, and their settings.

use std::cell::RefCell;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use udpagent::crypto::PublicKey;
use udpagent::peer_addr::PeerAddr;
use udpagent::session::Authorizer;
use udpagent::wire::limits::INVITE;

use crate::caller::Caller;
use crate::echo::Echo;
use crate::network::HostId;

/// An agent of a scenario.
#[derive(Clone)]
pub struct Agent {
    /// Its host.
    pub host: HostId,
    /// Its public key.
    pub key: PublicKey,
    /// Its address.
    pub address: SocketAddr,
    /// Its application.
    pub app: Rc<RefCell<Echo>>,
}

/// A controller of a scenario.
#[derive(Clone)]
pub struct Controller {
    /// Its host.
    pub host: HostId,
    /// Its address before any NAT.
    pub address: SocketAddr,
    /// Its application.
    pub app: Rc<RefCell<Caller>>,
}

/// Settings of an endpoint that scenarios vary.
#[derive(Clone, Copy, Default, Debug)]
pub struct Tuning {
    /// Replaces `Config::stream_window`.
    pub stream_window: Option<u64>,
    /// Replaces `Config::session_window`.
    pub session_window: Option<u64>,
    /// Replaces `Config::segments`.
    pub segments: Option<usize>,
}

/// Keys that the agents of a simulation admit.
#[derive(Clone, Default)]
pub struct Members(Arc<Mutex<HashSet<PublicKey>>>);

impl Members {
    /// Admits a key from now on.
    pub fn add(&self, key: PublicKey) {
        self.0.lock().expect("never poisoned").insert(key);
    }
}

impl Authorizer for Members {
    fn authorize_session(
        &mut self,
        key: &PublicKey,
        _: PeerAddr,
        _: Option<&[u8; INVITE]>,
    ) -> bool {
        self.0.lock().expect("never poisoned").contains(key)
    }
}
