//! All sessions of one process: who a datagram is for, what is ready, whose time has come.
//!
//! Handshakes of new controllers are in `admission`. Invariants: what is ready stands in a queue, each
//! session at most once; each session has exactly one entry in the timer set; ids of sessions that
//! are gone are out of the table.

mod admission;
mod config;
mod init_register;

use std::collections::{BTreeSet, HashMap, VecDeque};

use crate::rng::Rng;
use crate::session::connection::Session;
use crate::session::{
    Closed, Command, Drop, Ecn, Event, Path, SessionHandle, Stats, Transmit, limits,
};
use crate::time::Instant;
use crate::wire::{Datagram, SessionId};
pub use config::{Authorizer, Config};

use admission::Admission;

/// Sessions by their place in the table.
pub(in crate::session) type Index = usize;

pub(in crate::session) struct Slot {
    pub(in crate::session) session: Session,
    /// Its entry in the timer set.
    scheduled: Option<Instant>,
    sending: bool,
    eventful: bool,
    /// Ids that lead here.
    ids: Vec<SessionId>,
}

/// All sessions of one process.
pub struct Endpoint {
    pub(in crate::session) config: Config,
    pub(in crate::session) rng: Rng,
    pub(in crate::session) stats: Stats,
    pub(in crate::session) admission: Option<Admission>,
    slots: slab::Slab<Slot>,
    by_id: HashMap<SessionId, Index>,
    by_handle: HashMap<SessionHandle, Index>,
    sending: VecDeque<Index>,
    eventful: VecDeque<Index>,
    timers: BTreeSet<(Instant, Index)>,
    pub(in crate::session) events: VecDeque<Event>,
}

impl Endpoint {
    /// An endpoint without sessions. `now` is when an agent's time begins.
    #[must_use]
    pub fn new(config: Config, mut rng: Rng, now: Instant) -> Self {
        let admission = config
            .authorizer
            .is_some()
            .then(|| Admission::new(now, &config, &mut rng));
        Self {
            config,
            rng,
            stats: Stats::default(),
            admission,
            slots: slab::Slab::new(),
            by_id: HashMap::new(),
            by_handle: HashMap::new(),
            sending: VecDeque::new(),
            eventful: VecDeque::new(),
            timers: BTreeSet::new(),
            events: VecDeque::new(),
        }
    }

    /// A tagged datagram has arrived. It is opened in place.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        path: Path,
        ecn: Option<Ecn>,
        datagram: &mut [u8],
    ) {
        // Marks are not reported back yet, so none are sent either.
        let _ = ecn;
        self.stats.received += 1;
        if let Err(reason) = self.receive(now, path, datagram) {
            self.stats.dropped[reason as usize] += 1;
        }
    }

    fn receive(&mut self, now: Instant, path: Path, datagram: &mut [u8]) -> Result<(), Drop> {
        match Datagram::parse(datagram)
            .map_err(|_| Drop::Malformed)?
            .ok_or(Drop::Malformed)?
        {
            Datagram::Data(data) => {
                let index = self.index_of(data.receiver)?;
                let outcome = self.slots[index].session.on_data(now, path, datagram);
                self.touch(index);
                outcome
            }
            Datagram::Init(init) => self.on_init(now, path, &init, datagram),
            Datagram::Resp(resp) => {
                let index = self.index_of(resp.receiver)?;
                let established = self.slots[index].session.open_resp(path, &resp)?;
                self.slots[index].session.on_established(now, established);
                self.keep_only(index, resp.receiver);
                self.touch(index);
                Ok(())
            }
            Datagram::Retry(retry) => {
                let index = self.index_of(retry.receiver)?;
                self.slots[index].session.on_retry(path, &retry)?;
                self.touch(index);
                Ok(())
            }
        }
    }

    fn index_of(&self, session_id: SessionId) -> Result<Index, Drop> {
        self.by_id
            .get(&session_id)
            .copied()
            .ok_or(Drop::UnknownSession)
    }

    /// Of the ids that a handshake tried, only the one that was answered still leads here.
    fn keep_only(&mut self, index: Index, session_id: SessionId) {
        let ids = std::mem::replace(&mut self.slots[index].ids, vec![session_id]);
        for id in ids.into_iter().filter(|&id| id != session_id) {
            self.by_id.remove(&id);
        }
    }

    /// Time has passed. Harmless when nothing is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(&(at, index)) = self.timers.first()
            && at <= now
        {
            self.timers.pop_first();
            self.slots[index].scheduled = None;
            self.slots[index].session.handle_timeout(now);
            self.touch(index);
        }
    }

    /// The application wants something.
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
            let session = Session::connect(now, connect, &self.config, &mut self.rng);
            self.insert(session, None);
            return;
        }
        let Some(&index) = self.by_handle.get(&command.session()) else {
            return;
        };
        self.slots[index].session.apply(now, command);
        self.touch(index);
    }

    pub(in crate::session) fn is_full(&self) -> bool {
        self.slots.len() >= limits::SESSIONS
    }

    pub(in crate::session) fn insert(
        &mut self,
        session: Session,
        session_id: Option<SessionId>,
    ) -> Index {
        let id = session.id;
        let ids = session_id.into_iter().collect();
        let index = self.slots.insert(Slot {
            session,
            scheduled: None,
            sending: false,
            eventful: false,
            ids,
        });
        if let Some(session_id) = session_id {
            self.by_id.insert(session_id, index);
        }
        self.by_handle.insert(id, index);
        self.touch(index);
        index
    }

    /// The session at `index`, if there is one.
    pub(in crate::session) fn session(&mut self, index: Index) -> Option<&mut Session> {
        self.slots.get_mut(index).map(|slot| &mut slot.session)
    }

    pub(in crate::session) fn index(&self, session: SessionHandle) -> Option<Index> {
        self.by_handle.get(&session).copied()
    }

    /// After anything happened to a session: queues it for sending and events, and moves its timer
    /// forward. A timer that has moved back is found out when the old one expires.
    pub(in crate::session) fn touch(&mut self, index: Index) {
        let slot = &mut self.slots[index];
        if let Some(fingerprint) = slot.session.take_fingerprint() {
            self.forget_unconfirmed(fingerprint);
        }
        let slot = &mut self.slots[index];
        if !std::mem::replace(&mut slot.sending, true) {
            self.sending.push_back(index);
        }
        if slot.session.has_events() && !std::mem::replace(&mut slot.eventful, true) {
            self.eventful.push_back(index);
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

    /// The next datagrams to send, written to `buf` (cleared first); `None` when there are none now.
    pub fn poll_transmit(&mut self, now: Instant, buf: &mut Vec<u8>) -> Option<Transmit> {
        buf.clear();
        if let Some(transmit) = self.poll_retry(now, buf) {
            self.stats.sent += 1;
            return Some(transmit);
        }
        loop {
            let Some(&index) = self.sending.front() else {
                // Sessions that stand come first; strangers' handshakes are for when nothing else is ready.
                if self.admit_next(now) {
                    continue;
                }
                return None;
            };
            let slot = &mut self.slots[index];
            let (transmit, new_id) =
                slot.session
                    .poll_transmit(now, &self.config, &mut self.rng, buf);
            if let Some(id) = new_id {
                slot.ids.push(id);
                self.by_id.insert(id, index);
                // The oldest is forgotten as its INIT is.
                if slot.ids.len() > limits::INITS {
                    let oldest = slot.ids.remove(0);
                    self.by_id.remove(&oldest);
                }
            }
            self.sending.pop_front();
            if let Some(transmit) = transmit {
                // Round robin: it may have more, others have their turn first.
                self.sending.push_back(index);
                self.touch(index);
                self.stats.sent += transmit
                    .segment
                    .map_or(1, |segment| buf.len().div_ceil(segment))
                    as u64;
                return Some(transmit);
            }
            slot.sending = false;
            let slot = &mut self.slots[index];
            if slot.session.is_gone() && !slot.eventful {
                self.remove(index);
            } else {
                self.touch_quiet(index);
            }
        }
    }

    /// [`touch`](Self::touch) for a session that has just been found to have nothing to send.
    fn touch_quiet(&mut self, index: Index) {
        self.slots[index].sending = true;
        self.touch(index);
        self.slots[index].sending = false;
    }

    fn remove(&mut self, index: Index) {
        let slot = self.slots.remove(index);
        for id in slot.ids {
            self.by_id.remove(&id);
        }
        self.by_handle.remove(&slot.session.id);
        if let Some(scheduled) = slot.scheduled {
            self.timers.remove(&(scheduled, index));
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) should be called at the latest.
    #[must_use]
    pub fn poll_timeout(&mut self) -> Option<Instant> {
        self.timers.first().map(|&(at, _)| at)
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        if let Some(event) = self.events.pop_front() {
            return Some(event);
        }
        while let Some(&index) = self.eventful.front() {
            let slot = &mut self.slots[index];
            if let Some(event) = slot.session.poll_event() {
                return Some(event);
            }
            slot.eventful = false;
            self.eventful.pop_front();
            // What was held for the application's sake may now go, or owe a frame.
            self.touch(index);
        }
        None
    }

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Sessions in the table.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.slots.len()
    }

    /// The agent's epoch, drawn at start; 0 for a controller.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.admission.as_ref().map_or(0, Admission::epoch)
    }
}
