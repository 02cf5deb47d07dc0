//! Admission of new sessions: the agent's side of the handshake.
//!
//! An INIT passes these steps, and is dropped without an answer where one refuses it:
//!
//! 1. The mac must be under this agent's key, which shows that the sender knows the key.
//! 2. A repeated INIT of a session that is not confirmed yet gets the same RESP, at the first address
//!    only. Any other INIT seen before is a replay.
//! 3. While many INITs are pending, the address must be validated by RETRY, which keeps no state.
//! 4. When nothing else is ready to be sent, one pending INIT at a time goes through Diffie-Hellman and
//!    then the authorizer.
//! 5. Early data is accepted only for the agent's own epoch, close to its own time, and never twice, not
//!    even from two INITs that a controller made for one session.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use zeroize::Zeroizing;

use super::Endpoint;
use super::init_register::{EarlyFingerprint, InitRegister};
use crate::crypto::{AgentMac, PublicKey, ResetToken, Responder, TokenKey};
use crate::peer_addr::PeerAddr;
use crate::rng::Rng;
use crate::session::connection::{Accept, PathState, Session};
use crate::session::{
    Config, Drop, Event, InitFingerprint, Path, ResetRecord, SessionHandle, Transmit, limits,
};
use crate::time::Instant;
use crate::wire::limits::TOKEN;
use crate::wire::{self, Datagram, Early, Frame, Frames, Hello, Init, SessionId};

/// An INIT with a valid mac, before its Diffie-Hellman.
struct PendingInit {
    path: Path,
    datagram: Vec<u8>,
    /// True if its token validated the address.
    validated: bool,
}

/// An INIT that was opened, from an authorized controller.
struct OpenedInit {
    responder: Responder,
    key: PublicKey,
    hello: Hello,
    /// Frames behind the HELLO, and padding.
    early_frames: Vec<u8>,
}

/// State of an agent's handshakes.
pub(in crate::session) struct Admission {
    mac: AgentMac,
    tokens: TokenKey,
    epoch: u64,
    start: Instant,
    /// Handle of the next session.
    next_handle: u64,
    pending: VecDeque<PendingInit>,
    /// RETRYs to send.
    retries: VecDeque<(Path, SessionId, [u8; TOKEN])>,
    register: InitRegister,
    /// Sessions that are not confirmed yet, by the fingerprint of their INIT.
    unconfirmed: HashMap<InitFingerprint, SessionHandle>,
}

impl Admission {
    pub(in crate::session) fn new(now: Instant, config: &Config, rng: &mut Rng) -> Self {
        let drawn = rng.u64();
        let run = config.run.as_ref();
        // 0 means "no epoch known".
        let epoch = run.map_or(drawn, |run| run.epoch).max(1);
        let start = run.map_or(now, |run| run.start);
        Self {
            mac: AgentMac::new(&config.identity.public()),
            tokens: TokenKey::new(rng),
            epoch,
            start,
            next_handle: 1 << 63,
            pending: VecDeque::new(),
            retries: VecDeque::new(),
            register: InitRegister::new(&config.seen, run.map_or(&[], |run| &run.seen)),
            unconfirmed: HashMap::new(),
        }
    }

    pub(in crate::session) const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Enters an INIT in the register; decides about its early data.
    fn register_init(
        &mut self,
        now: Instant,
        fingerprint: InitFingerprint,
        opened: &OpenedInit,
    ) -> Early {
        let early = early_fingerprint(opened);
        let accepted = self.is_fresh(now, &opened.hello) && !self.register.has_taken(early);
        self.register
            .insert(now, fingerprint, accepted.then_some(early));
        if accepted {
            Early::Accepted
        } else {
            Early::Refused
        }
    }

    /// True if the HELLO names this run's epoch and a time close to the agent's. A HELLO from before this endpoint may
    /// have been taken by an earlier one.
    fn is_fresh(&self, now: Instant, hello: &Hello) -> bool {
        let ours = now.since(self.start);
        hello.epoch == self.epoch && hello.agent_time.abs_diff(ours) <= limits::EARLY_SKEW
    }
}

/// Returns a hash that is the same for all INITs that a controller makes for one session, and differs
/// for all others. The hash has no secret key: whoever finds a collision has an authorized key, and
/// gains only that early data has to be sent again.
fn early_fingerprint(opened: &OpenedInit) -> EarlyFingerprint {
    let mut hasher = DefaultHasher::new();
    let frames = trimmed(&opened.early_frames);
    (&opened.key, opened.hello.agent_time, frames).hash(&mut hasher);
    EarlyFingerprint(hasher.finish())
}

/// Removes the padding, whose length depends on whether the INIT carries a token.
fn trimmed(frames: &[u8]) -> &[u8] {
    let end = frames.iter().rposition(|&byte| byte != 0);
    &frames[..end.map_or(0, |end| end + 1)]
}

impl Endpoint {
    /// Handles an INIT: repeats the RESP of its session, asks for a validated address, or queues it.
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
        let fingerprint = InitFingerprint::new(init.mac);
        if let Some(&session) = admission.unconfirmed.get(&fingerprint) {
            return self.on_repeat(session, path, datagram.len());
        }
        if admission.register.contains(fingerprint) {
            return Err(Drop::Replay);
        }
        let validated = match init.token {
            // An expired token validates nothing, but the INIT is as good as one without a token.
            Some(token) => admission.tokens.verify(now, path.remote, token).is_ok(),
            None => false,
        };
        if !validated && admission.pending.len() >= limits::HANDSHAKES_BEFORE_RETRY {
            if admission.retries.len() >= limits::HANDSHAKE_QUEUE {
                return Err(Drop::Full);
            }
            let token = admission.tokens.issue(now, path.remote);
            admission.retries.push_back((path, init.sender, token));
            return Ok(());
        }
        if admission.pending.len() >= limits::HANDSHAKE_QUEUE {
            return Err(Drop::Full);
        }
        admission.pending.push_back(PendingInit {
            path,
            datagram: datagram.to_vec(),
            validated,
        });
        Ok(())
    }

    /// Handles a repeated INIT of an unconfirmed session: its RESP may have been lost.
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
        self.schedule(index);
        Ok(())
    }

    /// Writes the next RETRY.
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

    /// Processes one pending INIT; returns false if there is none.
    pub(in crate::session) fn admit_next(&mut self, now: Instant) -> bool {
        let Some(pending) = self
            .admission
            .as_mut()
            .and_then(|admission| admission.pending.pop_front())
        else {
            return false;
        };
        if let Err(reason) = self.admit(now, &pending) {
            self.stats.dropped[reason as usize] += 1;
        }
        true
    }

    /// Answers a pending INIT, unless a limit, the handshake or the authorizer forbids it.
    fn admit(&mut self, now: Instant, pending: &PendingInit) -> Result<(), Drop> {
        let Ok(Some(Datagram::Init(init))) = Datagram::parse(&pending.datagram) else {
            return Err(Drop::Malformed);
        };
        if self.is_full() {
            return Err(Drop::Full);
        }
        let admission = self.admission.as_ref().ok_or(Drop::Mac)?;
        // A copy may have been answered while this one was pending.
        if admission.register.contains(InitFingerprint::new(init.mac)) {
            return Err(Drop::Replay);
        }
        if !admission.register.has_room(now) {
            return Err(Drop::Full);
        }
        let opened = self.open_init(&init, pending.path.remote)?;
        self.answer(now, pending, &init, opened)
    }

    /// Opens the handshake message of an INIT and asks the authorizer about its sender.
    fn open_init(&mut self, init: &Init<'_>, from: PeerAddr) -> Result<OpenedInit, Drop> {
        // The payload may hold an invitation.
        let mut payload = Zeroizing::new(Vec::new());
        let (responder, key) = Responder::read(
            &self.config.identity,
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
        if !authorizer.authorize_session(&key, from, hello.invite.as_ref()) {
            return Err(Drop::Stranger);
        }
        Ok(OpenedInit {
            responder,
            key,
            hello,
            early_frames: frames.rest().to_vec(),
        })
    }

    /// Registers an authorized INIT, completes its handshake and creates its session.
    fn answer(
        &mut self,
        now: Instant,
        pending: &PendingInit,
        init: &Init<'_>,
        opened: OpenedInit,
    ) -> Result<(), Drop> {
        let admission = self.admission.as_mut().ok_or(Drop::Mac)?;
        let fingerprint = InitFingerprint::new(init.mac);
        let early = admission.register_init(now, fingerprint, &opened);
        let local = SessionId(self.rng.u64());
        let reset = ResetRecord {
            agent: local,
            controller: init.sender,
            token: ResetToken::generate(&mut self.rng),
            path: pending.path,
        };
        let hello = Hello {
            epoch: admission.epoch,
            agent_time: now.since(admission.start),
            session: local,
            early,
            invite: None,
            reset_token: Some(*reset.token.bytes()),
        };
        let mut resp = Vec::new();
        wire::encode_resp(local, init.sender, &mut resp);
        let mut payload = Vec::new();
        Frame::Hello(hello).encode(&mut payload);
        let keys = opened
            .responder
            .respond(&payload, &mut resp)
            .map_err(|_| Drop::Handshake)?;
        let id = SessionHandle(admission.next_handle);
        admission.next_handle += 1;
        admission.unconfirmed.insert(fingerprint, id);
        let mut path = PathState::unvalidated(pending.path, pending.datagram.len());
        path.validated = pending.validated;
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
        session.push_event(Event::Accepted {
            session: id,
            key: opened.key,
            remote: pending.path.remote,
            invite: opened.hello.invite,
            reset: Box::new(reset),
        });
        session.push_event(Event::InitSeen { fingerprint });
        if early == Early::Accepted {
            session.on_early(now, &opened.early_frames);
        }
        self.insert(session, Some(local));
        self.stats.handshakes += 1;
        Ok(())
    }

    /// Ends the wait for a confirmation, after which every repeat of the INIT is a replay.
    pub(in crate::session) fn forget_unconfirmed(&mut self, fingerprint: InitFingerprint) {
        if let Some(admission) = &mut self.admission {
            admission.unconfirmed.remove(&fingerprint);
        }
    }
}
