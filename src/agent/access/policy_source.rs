//! Whom the agent knows and what each may do: the questions that the rooms ask about a key.
//!
//! Sans-IO: not the files behind the answers. The service holds no rights of its own, it asks each time, so that a
//! changed file counts at once.

use crate::crypto::PublicKey;
use crate::message::Exec;
use crate::peer_addr::PeerAddr;
use crate::wire::limits::INVITE;

/// The controller at the other end of a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// Who, as proved by the handshake.
    pub key: PublicKey,
    /// Its name in the agent's files; `None`: it has only shown an invitation so far, and may only
    /// register.
    pub name: Option<String>,
    /// Where its session was opened from.
    pub remote: PeerAddr,
}

/// What a key is permitted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Permission {
    /// The name of the user as whom the command is to run, of whom the host knows.
    pub user: String,
}

/// Answers about keys.
pub trait Policy {
    /// The name of a key that may connect from there, or from anywhere; `None` when it may not, or no
    /// longer. A key that is restricted to IP addresses may not connect from a peer without one.
    fn name(&self, key: &PublicKey, from: Option<PeerAddr>) -> Option<String>;

    /// As whom this key may run this command; `None`: it may not.
    fn permit(&self, key: &PublicKey, exec: &Exec) -> Option<Permission>;

    /// How many jobs of this key may run at once; `None`: as many as the agent has room for.
    fn max_jobs(&self, key: &PublicKey) -> Option<usize>;

    /// Enters a key under a name like the one wished for, if its invitation is still good, and uses the
    /// invitation up. Returns the name it got.
    ///
    /// # Errors
    /// [`Refused`]
    fn register(
        &mut self,
        key: &PublicKey,
        invite: &[u8; INVITE],
        wish: &str,
    ) -> Result<String, Refused>;
}

/// The invitation is used, too old, or was never given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refused;

impl<D: Policy + ?Sized> Policy for Box<D> {
    fn name(&self, key: &PublicKey, from: Option<PeerAddr>) -> Option<String> {
        (**self).name(key, from)
    }

    fn permit(&self, key: &PublicKey, exec: &Exec) -> Option<Permission> {
        (**self).permit(key, exec)
    }

    fn max_jobs(&self, key: &PublicKey) -> Option<usize> {
        (**self).max_jobs(key)
    }

    fn register(
        &mut self,
        key: &PublicKey,
        invite: &[u8; INVITE],
        wish: &str,
    ) -> Result<String, Refused> {
        (**self).register(key, invite, wish)
    }
}
