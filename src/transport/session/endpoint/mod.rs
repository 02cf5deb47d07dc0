//! All sessions of one process: demultiplexing of datagrams, queues of ready sessions, and timers.
//!
//! Handshakes of new controllers are in `admission`. Invariants: a session is in each queue at most once
//! and has at most one entry in the timer set; the table holds no id of a session that is gone.

mod accept;
mod accounts;
mod admission;
mod buckets;
mod config;
mod init_queue;
mod init_register;
mod known_paths;
mod lost_sessions;
mod session_id_hasher;
mod shares;
mod token_uses;
mod too_large;
mod unsent;

use std::collections::{BTreeSet, HashMap, VecDeque};

use crate::rng::Rng;
use crate::session::connection::{NewId, Session};
use crate::session::{
    Closed, Command, Drop, Ecn, Event, Path, SessionHandle, Stats, Transmit, limits,
};
use crate::time::Instant;
use crate::wire::{Datagram, SessionId};
pub(in crate::session) use accounts::{Account, Held};
pub use config::{AddressRule, AdmittedBy, Authorization, Authorizer, Config, Run};

use admission::Admission;
use lost_sessions::LostSessions;
use session_id_hasher::BuildSessionIdHasher;

/// Index of a session in the table.
pub(in crate::session) type Index = usize;

pub(in crate::session) struct Slot {
    pub(in crate::session) session: Session,
    /// Entry of the session in the timer set.
    scheduled: Option<Instant>,
    in_transmit_queue: bool,
    in_event_queue: bool,
    /// Ids that map to this slot.
    ids: Vec<SessionId>,
    /// True if the session is counted as one without an answer.
    is_connecting: bool,
}

/// All sessions of one process.
pub struct Endpoint {
    pub(in crate::session) config: Config,
    pub(in crate::session) rng: Rng,
    pub(in crate::session) stats: Stats,
    pub(in crate::session) admission: Option<Admission>,
    /// Bytes by which all windows exceed their first size.
    window_growth: u64,
    /// Number of sessions that wait for the answer to their INIT.
    connecting: usize,
    slots: slab::Slab<Slot>,
    pub(in crate::session) by_id: HashMap<SessionId, Index, BuildSessionIdHasher>,
    by_handle: HashMap<SessionHandle, Index>,
    transmit_queue: VecDeque<Index>,
    event_queue: VecDeque<Index>,
    timers: BTreeSet<(Instant, Index)>,
    pub(in crate::session) events: VecDeque<Event>,
    lost: LostSessions,
    /// True if the last transmit was a RETRY or a stateless reset, so that the next is one of a session.
    stateless_sent: bool,
}

impl Endpoint {
    /// Creates an endpoint without sessions. `now` is the origin of the time of an agent that starts a new run.
    #[must_use]
    pub fn new(mut config: Config, mut rng: Rng, now: Instant) -> Self {
        let resets = std::mem::take(&mut config.resets);
        let admission = config
            .authorizer
            .is_some()
            .then(|| Admission::new(now, &config, &mut rng));
        Self {
            config,
            rng,
            stats: Stats::default(),
            admission,
            window_growth: 0,
            connecting: 0,
            slots: slab::Slab::new(),
            by_id: HashMap::default(),
            by_handle: HashMap::new(),
            transmit_queue: VecDeque::new(),
            event_queue: VecDeque::new(),
            timers: BTreeSet::new(),
            events: VecDeque::new(),
            lost: LostSessions::new(now, &resets),
            stateless_sent: false,
        }
    }

    /// Handles a received datagram that begins with the tag. The datagram is opened in place.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        path: Path,
        ecn: Option<Ecn>,
        datagram: &mut [u8],
    ) {
        self.stats.received += 1;
        if let Err(reason) = self.receive(now, path, ecn, datagram) {
            self.stats.dropped[reason as usize] += 1;
        }
    }

    fn receive(
        &mut self,
        now: Instant,
        path: Path,
        ecn: Option<Ecn>,
        datagram: &mut [u8],
    ) -> Result<(), Drop> {
        match Datagram::parse(datagram)
            .map_err(|_| Drop::Malformed)?
            .ok_or(Drop::Malformed)?
        {
            Datagram::Data(data) => {
                let index = self.index_of(data.receiver).inspect_err(|_| {
                    self.lost.on_data(now, path, data.receiver);
                })?;
                self.prepare(index, path);
                let outcome = self.slots[index].session.on_data(now, path, ecn, datagram);
                self.authorize_path(now, index);
                self.schedule(index);
                outcome
            }
            Datagram::Init(init) => {
                self.stats.inits += 1;
                self.on_init(now, path, &init, datagram)
            }
            Datagram::Resp(resp) => {
                let index = self.index_of(resp.receiver)?;
                let established = self.slots[index].session.open_resp(path, &resp)?;
                self.slots[index].session.on_established(now, established);
                self.retain_id(index, resp.receiver);
                self.schedule(index);
                Ok(())
            }
            Datagram::Retry(retry) => {
                let index = self.index_of(retry.receiver)?;
                self.slots[index].session.on_retry(path, &retry)?;
                self.schedule(index);
                Ok(())
            }
            Datagram::StatelessReset(reset) => {
                let index = self.index_of(reset.receiver)?;
                self.slots[index].session.on_stateless_reset(path, &reset)?;
                self.schedule(index);
                Ok(())
            }
        }
    }

    /// Asks the authorizer again after an address was validated.
    fn authorize_path(&mut self, now: Instant, index: Index) {
        let session = &mut self.slots[index].session;
        if !std::mem::take(&mut session.moved) {
            return;
        }
        let remote = session.path.path.remote;
        if let (Some(identity), Some(authorizer)) = (&session.identity, &mut self.config.authorizer)
            && authorizer.authorize_session(&identity.key, remote, identity.invite.as_ref())
                == Authorization::Denied
        {
            session.deny(now);
        }
    }

    fn index_of(&self, session_id: SessionId) -> Result<Index, Drop> {
        self.by_id
            .get(&session_id)
            .copied()
            .ok_or(Drop::UnknownSession)
    }

    /// Removes all ids of a slot but the one whose INIT was answered.
    fn retain_id(&mut self, index: Index, session_id: SessionId) {
        let ids = std::mem::replace(&mut self.slots[index].ids, vec![session_id]);
        for id in ids.into_iter().filter(|&id| id != session_id) {
            self.by_id.remove(&id);
        }
    }

    /// Handles expired timers. Harmless if none has expired.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some(admission) = &mut self.admission {
            admission.start_turn();
        }
        self.lost.handle_timeout(now);
        while let Some(&(at, index)) = self.timers.first()
            && at <= now
        {
            self.timers.pop_first();
            self.slots[index].scheduled = None;
            self.slots[index].session.handle_timeout(now);
            self.schedule(index);
        }
    }

    /// Carries out a command of the application.
    pub fn apply(&mut self, now: Instant, command: Command) {
        if let Command::Connect(connect) = command {
            let id = connect.session;
            if self.slots.len() >= limits::SESSIONS || self.by_handle.contains_key(&id) {
                self.events.push_back(Event::Closed {
                    session: id,
                    reason: Closed::Full,
                });
                return;
            }
            let earlier = self.connecting;
            let session = Session::connect(now, connect, earlier, &self.config, &mut self.rng);
            self.insert(session, None);
            return;
        }
        let Some(&index) = self.by_handle.get(&command.session()) else {
            return;
        };
        let allowed = self.window_growth_left(index);
        let session = &mut self.slots[index].session;
        session.streams.set_window_allowance(allowed);
        session.apply(now, command);
        self.schedule(index);
    }

    pub(in crate::session) fn is_full(&self) -> bool {
        self.slots.len() >= limits::SESSIONS
    }

    pub(in crate::session) fn insert(&mut self, session: Session, session_id: Option<SessionId>) {
        let id = session.id;
        let ids = session_id.into_iter().collect();
        let is_connecting = session.is_connecting();
        self.connecting += usize::from(is_connecting);
        let index = self.slots.insert(Slot {
            session,
            scheduled: None,
            in_transmit_queue: false,
            in_event_queue: false,
            ids,
            is_connecting,
        });
        if let Some(session_id) = session_id {
            self.by_id.insert(session_id, index);
        }
        self.by_handle.insert(id, index);
        self.schedule(index);
    }

    /// Returns the session at `index`, if there is one.
    pub(in crate::session) fn session(&mut self, index: Index) -> Option<&mut Session> {
        self.slots.get_mut(index).map(|slot| &mut slot.session)
    }

    pub(in crate::session) fn index(&self, session: SessionHandle) -> Option<Index> {
        self.by_handle.get(&session).copied()
    }

    /// Queues a session for transmission and events and schedules its timer. Called after every change
    /// to a session.
    pub(in crate::session) fn schedule(&mut self, index: Index) {
        let slot = &mut self.slots[index];
        if !std::mem::replace(&mut slot.in_transmit_queue, true) {
            self.transmit_queue.push_back(index);
        }
        self.schedule_events_and_timer(index);
    }

    /// Queues a session for events and moves its timer forward. A timer that has moved back is noticed
    /// when the old one expires.
    fn schedule_events_and_timer(&mut self, index: Index) {
        let slot = &mut self.slots[index];
        if let Some(fingerprint) = slot.session.take_fingerprint() {
            self.forget_unconfirmed(fingerprint);
        }
        self.account(index);
        self.remember_path(index);
        let slot = &mut self.slots[index];
        if slot.is_connecting && !slot.session.is_connecting() {
            slot.is_connecting = false;
            self.connecting -= 1;
        }
        if slot.session.has_events() && !std::mem::replace(&mut slot.in_event_queue, true) {
            self.event_queue.push_back(index);
        }
        let next = slot.session.timers.next();
        let sooner = match (next, slot.scheduled) {
            (Some(next), Some(scheduled)) => next < scheduled,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if sooner {
            if let Some(scheduled) = slot.scheduled.take() {
                self.timers.remove(&(scheduled, index));
            }
            slot.scheduled = next;
            self.timers.extend(next.map(|next| (next, index)));
        }
    }

    /// Clears `buf` and writes the next datagrams to send to it; returns `None` if there are none now.
    pub fn poll_transmit(&mut self, now: Instant, buf: &mut Vec<u8>) -> Option<Transmit> {
        buf.clear();
        // A flood of INITs causes as many RETRYs: they take every other transmit while sessions have something to send.
        if !std::mem::take(&mut self.stateless_sent)
            && let Some(transmit) = self.poll_stateless(buf)
        {
            self.stateless_sent = true;
            return Some(transmit);
        }
        self.poll_sessions(now, buf)
            .or_else(|| self.poll_stateless(buf))
    }

    /// Writes the next datagrams of the sessions in turn.
    fn poll_sessions(&mut self, now: Instant, buf: &mut Vec<u8>) -> Option<Transmit> {
        loop {
            let Some(&index) = self.transmit_queue.front() else {
                // Established sessions come first: a handshake is processed when nothing else is ready.
                if self.admit_next(now) {
                    continue;
                }
                return None;
            };
            let slot = &mut self.slots[index];
            let (transmit, new_id) =
                slot.session
                    .poll_transmit(now, &self.config, &mut self.rng, buf);
            if let Some(NewId { id, replaces }) = new_id {
                slot.ids.push(id);
                self.by_id.insert(id, index);
                if let Some(replaced) = replaces {
                    slot.ids.retain(|&id| id != replaced);
                    self.by_id.remove(&replaced);
                }
            }
            self.transmit_queue.pop_front();
            if let Some(mut transmit) = transmit {
                transmit.session = Some(slot.session.id);
                // Round robin: a session that may have more to send goes to the end of the queue.
                self.transmit_queue.push_back(index);
                self.schedule(index);
                self.stats.sent += transmit
                    .segment
                    .map_or(1, |segment| buf.len().div_ceil(segment))
                    as u64;
                return Some(transmit);
            }
            slot.in_transmit_queue = false;
            let slot = &mut self.slots[index];
            if slot.session.is_gone() && !slot.in_event_queue {
                self.remove(index);
            } else {
                self.schedule_events_and_timer(index);
            }
        }
    }

    fn remove(&mut self, index: Index) {
        let slot = self.slots.remove(index);
        self.connecting -= usize::from(slot.is_connecting);
        self.window_growth -= slot.session.accounted.window_growth;
        if let (Some(identity), Some(admission)) = (&slot.session.identity, &mut self.admission) {
            let accounts = &mut admission.accounts;
            accounts.replace(identity.account, slot.session.accounted, Held::default());
            accounts.on_removed(identity.account, slot.session.id);
        }
        for id in slot.ids {
            self.by_id.remove(&id);
        }
        self.by_handle.remove(&slot.session.id);
        if let Some(scheduled) = slot.scheduled {
            self.timers.remove(&(scheduled, index));
        }
    }

    /// Returns the latest time at which [`handle_timeout`](Self::handle_timeout) should be called.
    #[must_use]
    pub fn poll_timeout(&mut self) -> Option<Instant> {
        let session = self.timers.first().map(|&(at, _)| at);
        let admission = self.admission.as_ref().and_then(Admission::poll_timeout);
        let others = [self.lost.poll_timeout(), admission];
        session
            .into_iter()
            .chain(others.into_iter().flatten())
            .min()
    }

    /// Returns the next event, of each session in turn.
    pub fn poll_event(&mut self) -> Option<Event> {
        if let Some(event) = self.events.pop_front() {
            return Some(event);
        }
        while let Some(index) = self.event_queue.pop_front() {
            let slot = &mut self.slots[index];
            let event = slot.session.poll_event();
            if slot.session.has_events() {
                // Round robin: a session with many events does not hold back the others.
                self.event_queue.push_back(index);
                self.account(index);
            } else {
                slot.in_event_queue = false;
                // Taking events may free credit, which is granted in a frame. A session that is gone may now be
                // removed.
                self.schedule(index);
            }
            if event.is_some() {
                return event;
            }
        }
        None
    }

    /// Returns the counters of the endpoint.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Returns the number of sessions in the table.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.slots.len()
    }

    /// Returns the agent's epoch, drawn when the endpoint was created; 0 for a controller.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.admission.as_ref().map_or(0, Admission::epoch)
    }
}
