//! The current policy, as the sans-IO agent asks for it.
//!
//! The service keeps no rights of its own. It takes the snapshot anew for each decision, so that a changed
//! file takes effect at once.

use crate::peer_addr::PeerAddr;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use super::{Accounts, Policy};
use crate::crypto::PublicKey;
use crate::wire::limits::INVITE;

/// The controller at the other end of a session.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct Controller {
    /// Its key, proved by the handshake.
    pub key: PublicKey,
    /// Name of the key; `None` for an invited key, which may only register.
    pub name: Option<String>,
    /// Address of its session.
    pub remote: PeerAddr,
}

impl Controller {
    /// Returns true if it is the agent's own user at the prompt.
    #[must_use]
    pub fn is_at_prompt(&self) -> bool {
        self.remote == own_address()
    }
}

/// Returns the address of the controller at the prompt: this host, with a port that no datagram comes from.
#[must_use]
pub fn own_address() -> PeerAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()
}

/// Source of the current policy and of the facts that its decisions depend on.
pub trait PolicySource {
    /// Returns the current snapshot.
    fn policy(&self) -> Arc<Policy>;

    /// Returns the accounts of the host.
    fn accounts(&self) -> &dyn Accounts;

    /// Returns the time in seconds since 1970.
    fn unix_now(&self) -> u64;

    /// Lists a key under `requested` or a similar name, and uses its invitation up. Once it is listed,
    /// [`policy`](Self::policy) contains the key.
    fn register(&mut self, key: &PublicKey, invite: &[u8; INVITE], requested: &str)
    -> Registration;
}

/// Answer to a request for registration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Registration {
    /// The name of the listed key, or the refusal.
    Decided(Result<String, InviteRefused>),
    /// Another process decides; its answer follows.
    Asked,
}

/// Error: the invitation was used, has expired, or never existed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InviteRefused;

impl<S: PolicySource + ?Sized> PolicySource for Box<S> {
    fn policy(&self) -> Arc<Policy> {
        (**self).policy()
    }

    fn accounts(&self) -> &dyn Accounts {
        (**self).accounts()
    }

    fn unix_now(&self) -> u64 {
        (**self).unix_now()
    }

    fn register(
        &mut self,
        key: &PublicKey,
        invite: &[u8; INVITE],
        requested: &str,
    ) -> Registration {
        (**self).register(key, invite, requested)
    }
}
