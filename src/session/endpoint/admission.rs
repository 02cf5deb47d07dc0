//! The agent's side of handshakes: who is answered, and with what.
//!
//! 1. The mac shows that the sender knows this agent's key; else silence.
//! 2. A repeat of an INIT whose session stands unconfirmed gets the same RESP, at the first address
//!    only; any other INIT seen before gets silence.
//! 3. When many wait, the address must prove itself by RETRY, which keeps no state.
//! 4. One at a time, when nothing else is ready: Diffie-Hellman, then the authorizer decides.
//! 5. Early data is taken only for the agent's own epoch, close to its own time, and never twice, not even
//!    out of two INITs that a controller has made for one session.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use zeroize::Zeroizing;

use super::Endpoint;
use super::init_register::InitRegister;
use crate::crypto::{AgentMac, PublicKey, Responder, TokenKey};
use crate::rng::Rng;
use crate::session::connection::PathState;
use crate::session::connection::{Accept, Session};
use crate::session::{Config, Drop, Event, Path, SessionHandle, Transmit, limits};
use crate::time::Instant;
use crate::wire::limits::{MAC, TOKEN};
use crate::wire::{self, Datagram, Early, Frame, Frames, Hello, Init, SessionId};

/// An INIT whose mac is right, waiting for its Diffie-Hellman.
struct Waiting {
    path: Path,
    datagram: Vec<u8>,
    validated: bool,
}

pub(in crate::session) struct Admission {
    mac: AgentMac,
    tokens: TokenKey,
    epoch: u64,
    start: Instant,
    next_connection: u64,
    waiting: VecDeque<Waiting>,
    retries: VecDeque<(Path, SessionId, [u8; TOKEN])>,
    register: InitRegister,
    /// Sessions that are not confirmed yet, by the fingerprint of their INIT.
    unconfirmed: HashMap<u64, SessionHandle>,
}

impl Admission {
    pub(in crate::session) fn new(now: Instant, config: &Config, rng: &mut Rng) -> Self {
        Self {
            mac: AgentMac::new(&config.identity.public()),
            tokens: TokenKey::new(rng),
            // 0 means "no epoch known".
            epoch: rng.u64().max(1),
            start: now,
            next_connection: 1 << 63,
            waiting: VecDeque::new(),
            retries: VecDeque::new(),
            register: InitRegister::new(&config.seen),
            unconfirmed: HashMap::new(),
        }
    }

    pub(in crate::session) const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether early data of this HELLO may be taken.
    fn is_fresh(&self, now: Instant, hello: &Hello) -> bool {
        let ours = now.since(self.start);
        hello.epoch == self.epoch && hello.agent_time.abs_diff(ours) <= limits::EARLY_SKEW
    }
}

/// The mac covers the fresh ephemeral key: its first half names the INIT.
fn fingerprint(mac: &[u8; MAC]) -> u64 {
    let mut half = [0; 8];
    half.copy_from_slice(&mac[..8]);
    u64::from_be_bytes(half)
}

/// The same for every INIT that a controller makes for one session, and for no other. Keyed by nothing:
/// who finds two alike has a key, and what they gain is that early data has to be sent again.
fn print_of_early(key: &PublicKey, hello: &Hello, rest: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    (key, hello.agent_time, trimmed(rest)).hash(&mut hasher);
    hasher.finish()
}

/// Without the padding, which is shorter where there is a token.
fn trimmed(frames: &[u8]) -> &[u8] {
    let end = frames.iter().rposition(|&byte| byte != 0);
    &frames[..end.map_or(0, |end| end + 1)]
}

impl Endpoint {
    pub(in crate::session) fn on_init(
        &mut self,
        now: Instant,
        path: Path,
        init: &Init<'_>,
        datagram: &[u8],
    ) -> Result<(), Drop> {
        let admission = self.admission.as_mut().ok_or(Drop::Mac)?;
        admission
            .mac
            .verify(init.covered, init.mac)
            .map_err(|_| Drop::Mac)?;
        let fingerprint = fingerprint(init.mac);
        if let Some(&session) = admission.unconfirmed.get(&fingerprint) {
            return self.on_repeat(session, path, datagram.len());
        }
        if admission.register.contains(fingerprint) {
            return Err(Drop::Replay);
        }
        let validated = match init.token {
            // One that is out of date proves nothing, and does not make the INIT worse than without.
            Some(token) => admission.tokens.verify(now, path.remote, token).is_ok(),
            None => false,
        };
        if !validated && admission.waiting.len() >= limits::HANDSHAKES_BEFORE_RETRY {
            if admission.retries.len() >= limits::HANDSHAKE_QUEUE {
                return Err(Drop::Full);
            }
            let token = admission.tokens.issue(now, path.remote);
            admission.retries.push_back((path, init.sender, token));
            return Ok(());
        }
        if admission.waiting.len() >= limits::HANDSHAKE_QUEUE {
            return Err(Drop::Full);
        }
        admission.waiting.push_back(Waiting {
            path,
            datagram: datagram.to_vec(),
            validated,
        });
        Ok(())
    }

    /// The INIT of a session that is not confirmed has come again: its RESP may have been lost.
    fn on_repeat(&mut self, session: SessionHandle, path: Path, bytes: usize) -> Result<(), Drop> {
        let index = self.index(session).ok_or(Drop::Replay)?;
        let session = self.session(index).ok_or(Drop::Replay)?;
        if session.path.path.remote != path.remote {
            return Err(Drop::Replay);
        }
        let resp = session.resp.as_mut().ok_or(Drop::Replay)?;
        resp.due = true;
        session.path.on_received(bytes);
        session.repeat_close();
        self.touch(index);
        Ok(())
    }

    /// The next RETRY to send.
    pub(in crate::session) fn poll_retry(
        &mut self,
        _now: Instant,
        buf: &mut Vec<u8>,
    ) -> Option<Transmit> {
        let admission = self.admission.as_mut()?;
        let (path, receiver, token) = admission.retries.pop_front()?;
        wire::encode_retry(receiver, &token, buf);
        let mac = admission.mac.tag(buf);
        buf.extend_from_slice(&mac);
        self.stats.retries += 1;
        Some(Transmit {
            path,
            segment: None,
            ecn: None,
        })
    }

    /// Works off one waiting handshake. Returns false when none waits.
    pub(in crate::session) fn admit_next(&mut self, now: Instant) -> bool {
        let Some(waiting) = self
            .admission
            .as_mut()
            .and_then(|admission| admission.waiting.pop_front())
        else {
            return false;
        };
        if let Err(reason) = self.admit(now, &waiting) {
            self.stats.dropped[reason as usize] += 1;
        }
        true
    }

    fn admit(&mut self, now: Instant, waiting: &Waiting) -> Result<(), Drop> {
        let Ok(Some(Datagram::Init(init))) = Datagram::parse(&waiting.datagram) else {
            return Err(Drop::Malformed);
        };
        if self.is_full() {
            return Err(Drop::Full);
        }
        let admission = self.admission.as_mut().ok_or(Drop::Mac)?;
        let fingerprint = fingerprint(init.mac);
        // A copy may have been answered while this one waited.
        if admission.register.contains(fingerprint) {
            return Err(Drop::Replay);
        }
        if !admission.register.has_room(now) {
            return Err(Drop::Full);
        }
        // It may hold an invitation.
        let mut payload = Zeroizing::new(Vec::new());
        let identity = &self.config.identity;
        let (responder, key) = Responder::read(
            identity,
            init.prologue,
            init.noise,
            &mut payload,
            &mut self.rng,
        )
        .map_err(|_| Drop::Handshake)?;
        let mut frames = Frames::new(&payload);
        let Some(Ok(Frame::Hello(hello))) = frames.next() else {
            return Err(Drop::Handshake);
        };
        if hello.session != init.sender {
            return Err(Drop::Handshake);
        }
        let authorizer = self.config.authorizer.as_mut().ok_or(Drop::Stranger)?;
        if !authorizer.authorize_session(&key, waiting.path.remote, hello.invite.as_ref()) {
            return Err(Drop::Stranger);
        }
        let rest = frames.rest().to_vec();
        let early_print = print_of_early(&key, &hello, &rest);
        let early = if admission.is_fresh(now, &hello) && !admission.register.has_taken(early_print)
        {
            Early::Accepted
        } else {
            Early::Refused
        };
        let taken = (early == Early::Accepted).then_some(early_print);
        admission.register.insert(now, fingerprint, taken);
        let local = SessionId(self.rng.u64());
        let answer = Hello {
            epoch: admission.epoch,
            agent_time: now.since(admission.start),
            session: local,
            early,
            invite: None,
        };
        let mut resp = Vec::new();
        wire::encode_resp(local, init.sender, &mut resp);
        let mut sealed = Vec::new();
        Frame::Hello(answer).encode(&mut sealed);
        let keys = responder
            .respond(&sealed, &mut resp)
            .map_err(|_| Drop::Handshake)?;
        let id = SessionHandle(admission.next_connection);
        admission.next_connection += 1;
        admission.unconfirmed.insert(fingerprint, id);
        let mut path = PathState::unvalidated(waiting.path, waiting.datagram.len());
        path.validated = waiting.validated;
        let accept = Accept {
            id,
            local,
            remote: init.sender,
            keys,
            path,
            resp,
        };
        let mut session = Session::accept(now, accept, &self.config, &mut self.rng);
        session.init_fingerprint = Some(fingerprint);
        let remote = waiting.path.remote;
        session.push_event(Event::Accepted {
            session: id,
            key,
            remote,
            invite: hello.invite,
        });
        session.push_event(Event::InitSeen { fingerprint });
        if early == Early::Accepted {
            session.on_early(now, &rest);
        }
        let index = self.insert(session, Some(local));
        self.stats.handshakes += 1;
        debug_assert!(self.session(index).is_some());
        Ok(())
    }

    /// A session was confirmed or is gone: repeats of its INIT are replays from now on.
    pub(in crate::session) fn forget_unconfirmed(&mut self, fingerprint: u64) {
        if let Some(admission) = &mut self.admission {
            admission.unconfirmed.remove(&fingerprint);
        }
    }
}
