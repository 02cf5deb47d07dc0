//! The session of an admitted INIT: room for it, its answer, and its confirmation.

use super::Endpoint;
use super::accounts::Account;
use super::admission::OpenedInit;
use super::init_queue::PendingInit;
use crate::crypto::ResetToken;
use crate::session::connection::{Accept, Identity, PathState, Session};
use crate::session::{Drop, Event, InitFingerprint, ResetRecord, SessionHandle, limits};
use crate::time::Instant;
use crate::wire::{self, Early, Frame, Hello, Init, SessionId};

impl Endpoint {
    /// Makes room for a session of a key that has as many as it may: closes its oldest session without a call, or
    /// refuses the new one. A key may have as many sessions as are free, so that there is always room for another.
    pub(super) fn make_room(&mut self, now: Instant, account: Account) -> Result<(), Drop> {
        let free = limits::SESSIONS.saturating_sub(self.slots.len());
        let most = self.config.sessions_per_key.min(free);
        let admission = self.admission.as_ref().ok_or(Drop::Mac)?;
        if admission.accounts.sessions(account) < most {
            return Ok(());
        }
        let idle = {
            let mut oldest = admission.accounts.oldest(account);
            oldest.find_map(|session| {
                let index = self.index(session)?;
                let is_idle = self.slots[index].session.is_idle();
                is_idle.then_some((session, index))
            })
        };
        let (session, index) = idle.ok_or(Drop::Key)?;
        self.slots[index].session.evict(now);
        if let Some(admission) = &mut self.admission {
            admission.accounts.on_removed(account, session);
        }
        self.schedule(index);
        Ok(())
    }

    /// Registers an authorized INIT, completes its handshake and creates its session.
    pub(super) fn answer(
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
            max_datagram: self.config.max_datagram as u64,
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
        admission
            .unconfirmed
            .insert(fingerprint, (id, opened.account));
        admission.accounts.on_accepted(opened.account, id);
        let mut path = PathState::unvalidated(pending.path, pending.datagram.len());
        path.validated = pending.validated;
        let accept = Accept {
            id,
            local,
            remote: init.sender,
            keys,
            path,
            resp,
            max_datagram: opened.hello.max_datagram,
        };
        let mut session = Session::accept(now, accept, &self.config, &mut self.rng);
        session.init_fingerprint = Some(fingerprint);
        session.identity = Some(Identity {
            key: opened.key,
            account: opened.account,
            invite: opened.hello.invite,
        });
        session.address_rule = opened.address;
        session
            .streams
            .set_allowance(admission.accounts.left(opened.account));
        session.push_event(Event::Accepted {
            session: id,
            key: opened.key,
            remote: pending.path.remote,
            invite: opened.hello.invite,
            reset: Box::new(reset),
        });
        session.push_event(Event::InitSeen { fingerprint });
        self.resume_path(now, &mut session);
        if early == Early::Accepted {
            session.on_early(now, &opened.early_frames);
        }
        self.insert(session, Some(local));
        self.stats.handshakes += 1;
        Ok(())
    }

    /// Ends the wait for a confirmation, after which every repeat of the INIT is a replay.
    pub(in crate::session) fn forget_unconfirmed(&mut self, fingerprint: InitFingerprint) {
        if let Some(admission) = &mut self.admission
            && let Some((_, account)) = admission.unconfirmed.remove(&fingerprint)
        {
            admission.accounts.on_confirmed(account);
        }
    }
}
