//! Admission of new sessions: the agent's side of the handshake.
//!
//! An INIT passes these steps, and is dropped without an answer where one refuses it:
//!
//! 1. The mac must be under this agent's key, which shows that the sender knows the key.
//! 2. A repeated INIT of a session that is not confirmed yet gets the same RESP, at the first address
//!    only. Any other INIT seen before is a replay, and one that is pending is not entered again.
//! 3. While many INITs are pending or strangers send many, the address must be validated by RETRY, which keeps
//!    no state. A network that sends many in vain is limited.
//! 4. When nothing else is ready to be sent, some pending INITs of each turn go through Diffie-Hellman and
//!    then the authorizer. A key that is admitted from some addresses only needs a validated one.
//! 5. The key must be within its bounds; its oldest session without a call makes room for a new one.
//! 6. Early data is accepted only for the agent's own epoch, close to its own time, and never twice, not
//!    even from two INITs that a controller made for one session.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use zeroize::Zeroizing;

use super::Endpoint;
use super::accounts::{Account, Accounts};
use super::buckets::{Bucket, Network, Networks};
use super::config::{AddressRule, AdmittedBy, Authorization};
use super::init_queue::{InitQueue, PendingInit};
use super::init_register::{EarlyFingerprint, InitRegister};
use super::known_paths::KnownPaths;
use super::token_uses::TokenUses;
use crate::crypto::{AgentMac, PublicKey, Responder, TokenKey};
use crate::peer_addr::PeerAddr;
use crate::rng::Rng;
use crate::session::{Config, Drop, InitFingerprint, Path, SessionHandle, Transmit, limits};
use crate::time::Instant;
use crate::wire::limits::TOKEN;
use crate::wire::{self, Datagram, Early, Frame, Frames, Hello, Init, SessionId};

/// An INIT that was opened, from an authorized controller.
pub(super) struct OpenedInit {
    pub(super) responder: Responder,
    pub(super) key: PublicKey,
    pub(super) account: Account,
    pub(super) address: AddressRule,
    pub(super) hello: Hello,
    /// Frames behind the HELLO, and padding.
    pub(super) early_frames: Vec<u8>,
}

/// State of an agent's handshakes.
pub(in crate::session) struct Admission {
    mac: AgentMac,
    tokens: TokenKey,
    pub(super) epoch: u64,
    pub(super) start: Instant,
    /// Handle of the next session.
    pub(super) next_handle: u64,
    queue: InitQueue,
    /// Number of INITs that may still be processed in this turn.
    budget: u32,
    /// Time at which the next turn may begin; only while INITs wait for it.
    next_turn: Option<Instant>,
    unvalidated: Bucket,
    networks: Networks,
    token_uses: TokenUses,
    pub(super) accounts: Accounts,
    pub(super) known_paths: KnownPaths,
    /// RETRYs to send.
    retries: VecDeque<(Path, SessionId, [u8; TOKEN])>,
    register: InitRegister,
    /// Sessions that are not confirmed yet, by the fingerprint of their INIT.
    pub(super) unconfirmed: HashMap<InitFingerprint, (SessionHandle, Account)>,
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
            queue: InitQueue::default(),
            budget: limits::HANDSHAKES_PER_TURN,
            next_turn: None,
            unvalidated: Bucket::default(),
            networks: Networks::new(rng),
            token_uses: TokenUses::default(),
            accounts: Accounts::default(),
            known_paths: KnownPaths::default(),
            retries: VecDeque::new(),
            register: InitRegister::new(&config.seen, run.map_or(&[], |run| &run.seen)),
            unconfirmed: HashMap::new(),
        }
    }

    pub(in crate::session) const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Returns the time at which the next turn may begin, if INITs wait for it.
    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        self.next_turn
    }

    /// Begins a turn: the driver has received and sent since the last one.
    pub(super) const fn start_turn(&mut self) {
        self.budget = limits::HANDSHAKES_PER_TURN;
        self.next_turn = None;
    }

    /// Takes the next INIT, unless none waits or this turn has processed enough.
    fn next_init(&mut self, now: Instant) -> Option<PendingInit> {
        if self.budget == 0 && !self.queue.is_empty() {
            self.next_turn.get_or_insert(now + TURN);
            return None;
        }
        let init = self.queue.pop()?;
        self.budget -= 1;
        Some(init)
    }

    /// Schedules a RETRY; no state is kept for it.
    fn retry(&mut self, now: Instant, path: Path, receiver: SessionId) -> Result<(), Drop> {
        if self.retries.len() >= limits::HANDSHAKE_QUEUE {
            return Err(Drop::Full);
        }
        let token = self.tokens.issue(now, path.remote);
        self.retries.push_back((path, receiver, token));
        Ok(())
    }

    /// Returns true if an INIT from an address that is not validated may be processed.
    fn takes_unvalidated(&mut self, now: Instant, network: Network) -> bool {
        self.queue.takes_unvalidated()
            && self.networks.take(now, network, false)
            && self.unvalidated.take(now, limits::UNVALIDATED_INITS)
    }

    /// Gives back what an INIT of a known key has used: the limits are for strangers.
    fn give_back(&mut self, pending: &PendingInit) {
        self.networks.give_back(pending.network, pending.validated);
        if !pending.validated {
            self.unvalidated.give_back(limits::UNVALIDATED_INITS);
        }
    }

    /// Enters an INIT in the register; decides about its early data.
    pub(super) fn register_init(
        &mut self,
        now: Instant,
        fingerprint: InitFingerprint,
        opened: &OpenedInit,
    ) -> Early {
        let early = early_fingerprint(opened);
        let accepted = self.is_fresh(now, &opened.hello) && !self.register.has_taken(early);
        let taken = accepted.then_some(early);
        self.register
            .insert(now, fingerprint, taken, opened.account);
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

/// Time between two turns: the least, so that the driver comes back at once.
const TURN: Duration = Duration::from_micros(1);

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
        if let Some(&(session, _)) = admission.unconfirmed.get(&fingerprint) {
            return self.on_repeat(session, path, datagram.len());
        }
        if admission.register.contains(fingerprint) || admission.queue.contains(fingerprint) {
            return Err(Drop::Replay);
        }
        let validated = init.token.is_some_and(|token| {
            // A token that is expired or used up validates nothing, but the INIT is as good as one without it.
            let genuine = admission.tokens.verify(now, path.remote, token).is_ok();
            genuine && admission.token_uses.take(token)
        });
        let network = admission.networks.network(path.remote);
        if validated {
            if !admission.networks.take(now, network, true) {
                return Err(Drop::Network);
            }
        } else if !admission.takes_unvalidated(now, network) {
            return admission.retry(now, path, init.sender);
        }
        let pending = PendingInit {
            fingerprint,
            path,
            datagram: datagram.to_vec(),
            validated,
            network,
        };
        admission
            .queue
            .push(pending)
            .then_some(())
            .ok_or(Drop::Full)
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

    /// Writes the next RETRY or stateless reset.
    pub(super) fn poll_stateless(&mut self, buf: &mut Vec<u8>) -> Option<Transmit> {
        if let Some(transmit) = self.poll_retry(buf) {
            self.stats.sent += 1;
            return Some(transmit);
        }
        let path = self.lost.poll_transmit(buf)?;
        self.stats.sent += 1;
        self.stats.resets += 1;
        Some(Transmit::single(path))
    }

    /// Writes the next RETRY.
    fn poll_retry(&mut self, buf: &mut Vec<u8>) -> Option<Transmit> {
        let admission = self.admission.as_mut()?;
        let (path, receiver, token) = admission.retries.pop_front()?;
        wire::encode_retry(receiver, &token, buf);
        let mac = admission.mac.tag(buf);
        buf.extend_from_slice(&mac);
        self.stats.retries += 1;
        Some(Transmit::single(path))
    }

    /// Processes one pending INIT; returns false if there is none, or this turn has processed enough.
    pub(in crate::session) fn admit_next(&mut self, now: Instant) -> bool {
        let Some(pending) = self
            .admission
            .as_mut()
            .and_then(|admission| admission.next_init(now))
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
        let admission = self.admission.as_mut().ok_or(Drop::Mac)?;
        // A copy may have been answered while this one was pending.
        if admission.register.contains(InitFingerprint::new(init.mac)) {
            return Err(Drop::Replay);
        }
        if !admission.register.has_room(now) {
            return Err(Drop::Full);
        }
        let opened = self.open_init(&init, pending.path.remote)?;
        let admission = self.admission.as_mut().ok_or(Drop::Mac)?;
        admission.give_back(pending);
        if !admission.accounts.take_init(now, opened.account)
            || !admission.register.has_share(now, opened.account)
        {
            return Err(Drop::Key);
        }
        if opened.address == AddressRule::Validated && !pending.validated {
            admission.retry(now, pending.path, init.sender)?;
            return Err(Drop::Unvalidated);
        }
        self.make_room(now, opened.account)?;
        self.answer(now, pending, &init, opened)
    }

    /// Opens the handshake message of an INIT and asks the authorizer about its sender.
    fn open_init(&mut self, init: &Init<'_>, from: PeerAddr) -> Result<OpenedInit, Drop> {
        // The payload may hold an invitation.
        let mut payload = Zeroizing::new(Vec::new());
        let (responder, key) = Responder::read_with(
            &self.config.identity,
            &self.config.secrets,
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
        let authorization = authorizer.authorize_session(&key, from, hello.invite.as_ref());
        let Authorization::Admitted { by, address } = authorization else {
            return Err(Drop::Stranger);
        };
        self.config.secrets.keep(&key);
        let account = match (by, hello.invite) {
            (AdmittedBy::Invite, Some(invite)) => Account::Invite(invite),
            (AdmittedBy::Invite, None) | (AdmittedBy::Key, _) => Account::Key(key),
        };
        Ok(OpenedInit {
            responder,
            key,
            account,
            address,
            hello,
            early_frames: frames.rest().to_vec(),
        })
    }
}
