//! Requests of a batch whose hosts were found, until they begin; those to one host begin at a limited rate.
//!
//! Sans-IO. An agent drops the handshakes of a key beyond a rate without an answer, so that requests which begin faster
//! would not reach it; of those that come faster than it answers it asks for another round trip. Invariants: the requests to
//! one host begin in their order, at most at [`limits::HOST_PACE`], and once it has answered, while few wait for an answer; a
//! request that waits for that delays none to another host; of those that may begin, the first in order does.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::{Member, Request};
use crate::control::host_resolver::{Host, HostError};
use crate::control::limits;
use crate::peer_addr::PeerAddr;
use crate::time::Instant;

/// Request to one host.
#[derive(Debug)]
pub(super) struct Pending {
    /// Number of the line.
    pub(super) line: u64,
    /// Index among the requests of all lines.
    pub(super) rank: usize,
    /// Mark of the line.
    pub(super) tag: Option<Value>,
    /// The request of the line.
    pub(super) request: Arc<Request>,
    /// The host and the id.
    pub(super) member: Member,
}

/// Host of a request, or the reason why it cannot be contacted.
pub(super) type Found = Result<Host, HostError>;

/// Requests that have not begun.
pub(super) struct Ready {
    /// Requests whose hosts cannot be contacted.
    failed: VecDeque<(Pending, HostError)>,
    /// Hosts of the others, by their first address, and those whose rate is not paid for.
    hosts: HashMap<PeerAddr, HostQueue>,
    /// Hosts whose first request may begin, by its rank.
    due: BTreeMap<usize, PeerAddr>,
    /// Further hosts with requests, by the time at which the first one may begin, and its rank.
    later: BTreeMap<(Instant, usize), PeerAddr>,
    /// Number of requests with a host.
    waiting: usize,
    /// Number of hosts at which those without use are forgotten.
    hosts_most: usize,
}

/// Requests to one host.
#[derive(Default)]
struct HostQueue {
    requests: VecDeque<(Pending, Host)>,
    /// Key of the queue in [`Ready::later`], if it is there.
    later: Option<(Instant, usize)>,
    /// Time at which every request that has begun is paid for.
    paid: Instant,
    /// Requests that have begun of late and are not answered, by rank, oldest first.
    unanswered: VecDeque<(usize, Instant)>,
    /// Shortest time in which the host has answered, if it has.
    fastest: Option<Duration>,
}

impl HostQueue {
    /// Returns the time at which the next request may begin.
    fn due(&self) -> Instant {
        let pace = limits::HOST_PACE;
        // More at once only where answers hold back what the agent does not take.
        let burst = match self.fastest {
            Some(_) => pace.burst,
            None => limits::HOST_FIRST,
        };
        let paid = self.paid - pace.interval * burst.saturating_sub(1);
        match (self.fastest, self.unanswered.front()) {
            (Some(fastest), Some(&(_, begun))) if self.unanswered.len() >= most(fastest) => {
                paid.max(begun + limits::ANSWER_TIME)
            }
            _ => paid,
        }
    }

    /// Notes that a request has begun.
    fn on_begun(&mut self, now: Instant, rank: usize) {
        self.paid = self.paid.max(now) + limits::HOST_PACE.interval;
        while let Some(&(_, begun)) = self.unanswered.front()
            && begun + limits::ANSWER_TIME <= now
        {
            self.unanswered.pop_front();
        }
        self.unanswered.push_back((rank, now));
    }

    /// Returns true if nothing is lost when the queue is forgotten.
    fn is_unused(&self, now: Instant) -> bool {
        self.requests.is_empty() && self.unanswered.is_empty() && self.paid <= now
    }
}

/// Returns the maximum number of requests that are not answered, for a host that answers in this time: what is on its way at
/// the full rate, and a few that wait at the host.
fn most(fastest: Duration) -> usize {
    let on_way = fastest.as_micros() / limits::HOST_PACE.interval.as_micros();
    usize::try_from(on_way).map_or(usize::MAX, |on_way| {
        limits::HOST_UNANSWERED.saturating_add(on_way)
    })
}

impl Ready {
    /// Creates an empty one.
    pub(super) fn new() -> Self {
        Self {
            failed: VecDeque::new(),
            hosts: HashMap::new(),
            due: BTreeMap::new(),
            later: BTreeMap::new(),
            waiting: 0,
            hosts_most: limits::HOSTS_PACED,
        }
    }

    /// Returns the number of requests.
    pub(super) fn len(&self) -> usize {
        self.failed.len() + self.waiting
    }

    /// Adds a request.
    pub(super) fn push(&mut self, pending: Pending, found: Found) {
        let host = match found {
            Ok(host) => host,
            Err(error) => return self.failed.push_back((pending, error)),
        };
        self.waiting += 1;
        let address = host.paths[0].remote;
        let queue = self.hosts.entry(address).or_default();
        queue.requests.push_back((pending, host));
        if queue.requests.len() == 1 {
            self.schedule(address);
        }
    }

    /// Returns the next request that may begin, which thereby does.
    pub(super) fn begin(&mut self, now: Instant) -> Option<(Pending, Found)> {
        while let Some(entry) = self.later.first_entry()
            && entry.key().0 <= now
        {
            let (_, rank) = *entry.key();
            let address = entry.remove();
            if let Some(queue) = self.hosts.get_mut(&address) {
                queue.later = None;
                self.due.insert(rank, address);
            }
        }
        self.forget(now);
        self.pop(now)
    }

    /// Notes that a request was answered in this time, or has ended without. Harmless if it was noted before.
    pub(super) fn on_answer(&mut self, host: PeerAddr, rank: usize, time: Option<Duration>) {
        let Some(queue) = self.hosts.get_mut(&host) else {
            return;
        };
        let mut unanswered = queue.unanswered.iter();
        if let Some(index) = unanswered.position(|&(other, _)| other == rank) {
            queue.unanswered.remove(index);
        }
        queue.fastest = queue.fastest.into_iter().chain(time).min();
        if let Some(key) = queue.later.take() {
            self.later.remove(&key);
            self.schedule(host);
        }
    }

    /// Returns a request, whether it may begin or not.
    pub(super) fn skip(&mut self) -> Option<(Pending, Found)> {
        for ((_, rank), address) in std::mem::take(&mut self.later) {
            self.due.insert(rank, address);
        }
        self.pop(Instant::ZERO)
    }

    /// Returns the time at which the next request may begin; one in the past if one may already.
    pub(super) fn next_begin(&self) -> Option<Instant> {
        if self.failed.is_empty() && self.due.is_empty() {
            let later = self.later.first_key_value();
            return later.map(|((time, _), _)| *time);
        }
        Some(Instant::ZERO)
    }

    /// Enters a host by the time at which its first request may begin.
    fn schedule(&mut self, address: PeerAddr) {
        if let Some(queue) = self.hosts.get_mut(&address)
            && let Some((first, _)) = queue.requests.front()
        {
            let key = (queue.due(), first.rank);
            queue.later = Some(key);
            self.later.insert(key, address);
        }
    }

    fn pop(&mut self, now: Instant) -> Option<(Pending, Found)> {
        if let Some((pending, error)) = self.failed.pop_front() {
            return Some((pending, Err(error)));
        }
        let (_, address) = self.due.pop_first()?;
        let queue = self.hosts.get_mut(&address)?;
        let (pending, host) = queue.requests.pop_front()?;
        self.waiting -= 1;
        queue.on_begun(now, pending.rank);
        self.schedule(address);
        Some((pending, Ok(host)))
    }

    /// Forgets the hosts without use, if there may be many.
    fn forget(&mut self, now: Instant) {
        if self.hosts.len() > self.hosts_most {
            self.hosts.retain(|_, queue| !queue.is_unused(now));
            self.hosts_most = limits::HOSTS_PACED.max(2 * self.hosts.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use super::*;
    use crate::crypto::PublicKey;
    use crate::message::{Exec, RequestId};
    use crate::session::{self, Path};

    const START: Instant = Instant::from_micros(1_000_000);

    fn address(host: u32) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::from_bits(host), 7000))
    }

    /// Request of a line to a host by its number.
    fn push(ready: &mut Ready, line: u64, host: u32) {
        let address = address(host);
        let target = address.to_string();
        let pending = Pending {
            line,
            rank: usize::try_from(line).unwrap(),
            tag: None,
            request: Arc::new(Request {
                exec: Exec::new(RequestId([0; 16]), vec!["true".into()]),
                stdin: bytes::Bytes::new(),
                size: 1,
            }),
            member: Member {
                target: target.parse().unwrap(),
                id: RequestId([1; 16]),
                user: None,
            },
        };
        let host = Host {
            label: target,
            agent: PublicKey([1; 32]),
            paths: vec![Path {
                socket: 0,
                local: None,
                remote: address.into(),
            }],
            ticket: None,
        };
        ready.push(pending, Ok(host));
    }

    fn begin(ready: &mut Ready, now: Instant) -> Vec<u64> {
        std::iter::from_fn(|| ready.begin(now))
            .map(|(pending, _)| pending.line)
            .collect()
    }

    #[test]
    fn the_pace_of_a_host_is_below_what_an_agent_takes_of_a_key() {
        let (pace, agent) = (limits::HOST_PACE, session::limits::KEY_INITS);
        assert!(pace.interval > agent.interval && 2 * pace.burst <= agent.burst);
        // What the rate lets through in the time for which an agent remembers an INIT is within the register.
        let age = session::limits::INIT_REGISTER_AGE;
        let inits = age.div_duration_f64(agent.interval) + f64::from(agent.burst);
        let most = u32::try_from(session::limits::INIT_REGISTER_PER_KEY).unwrap();
        assert!(inits <= f64::from(most));
    }

    #[test]
    fn requests_to_one_host_begin_at_its_pace_and_those_to_others_do_not_wait() {
        let mut ready = Ready::new();
        let burst = u64::from(limits::HOST_FIRST);
        for line in 0..burst + 3 {
            push(&mut ready, line, 1);
        }
        push(&mut ready, 9000, 2);
        let expected: Vec<u64> = (0..burst).chain([9000]).collect();
        assert_eq!(begin(&mut ready, START), expected);
        assert_eq!(ready.len(), 3);
        // The next one begins when its time has come.
        let next = START + limits::HOST_PACE.interval;
        assert_eq!(ready.next_begin(), Some(next));
        assert!(begin(&mut ready, next - Duration::from_micros(1)).is_empty());
        push(&mut ready, 9001, 2);
        assert_eq!(begin(&mut ready, next), [burst, 9001]);
        assert_eq!(
            begin(&mut ready, next + 2 * limits::HOST_PACE.interval),
            [burst + 1, burst + 2]
        );
        assert_eq!((ready.len(), ready.next_begin()), (0, None));
        // After a pause there is a burst again.
        for line in 0..2 * burst {
            push(&mut ready, line, 1);
        }
        let later = START + Duration::from_secs(60);
        assert_eq!(begin(&mut ready, later).len() as u64, burst);
    }

    #[test]
    fn a_host_that_answers_slower_than_requests_begin_gets_no_more_than_few_at_a_time() {
        let mut ready = Ready::new();
        let burst = u64::from(limits::HOST_FIRST);
        let host = PeerAddr::from(address(1));
        (0..1000).for_each(|line| push(&mut ready, line, 1));
        assert_eq!(begin(&mut ready, START).len() as u64, burst);
        // The first answer tells that the way is short.
        ready.on_answer(host, 0, Some(Duration::from_millis(1)));
        let now = START + Duration::from_millis(500);
        let more = limits::HOST_UNANSWERED as u64 + 1 - burst;
        let expected: Vec<u64> = (burst..burst + more).collect();
        assert_eq!(begin(&mut ready, now), expected);
        // One for each answer, or end.
        ready.on_answer(host, 1, Some(Duration::from_millis(500)));
        ready.on_answer(host, 1, None);
        assert_eq!(begin(&mut ready, now), [burst + more]);
        ready.on_answer(host, 2, None);
        assert_eq!(begin(&mut ready, now), [burst + more + 1]);
        // Those without an answer are not waited for any longer.
        let overdue = START + limits::ANSWER_TIME;
        assert_eq!(ready.next_begin(), Some(overdue));
        assert!(!begin(&mut ready, overdue).is_empty());
        // A long way holds as many as begin until an answer comes.
        assert_eq!(
            most(100 * limits::HOST_PACE.interval),
            limits::HOST_UNANSWERED + 100
        );
    }

    #[test]
    fn requests_begin_in_their_order_across_hosts() {
        let mut ready = Ready::new();
        for (line, host) in [(1, 2), (2, 1), (3, 2), (4, 3), (5, 1)] {
            push(&mut ready, line, host);
        }
        assert_eq!(begin(&mut ready, START), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn a_request_whose_host_cannot_be_contacted_does_not_wait_for_others() {
        let mut ready = Ready::new();
        let burst = u64::from(limits::HOST_FIRST);
        (0..=burst).for_each(|line| push(&mut ready, line, 1));
        begin(&mut ready, START);
        push(&mut ready, 500, 1);
        let (pending, _) = ready.skip().unwrap();
        assert_eq!(pending.line, burst);
        ready.push(pending, Err(HostError::NoResolver));
        assert_eq!(ready.next_begin(), Some(Instant::ZERO));
        let (pending, found) = ready.begin(START).unwrap();
        assert!(pending.line == burst && found.is_err());
        assert!(ready.begin(START).is_none());
        // All that is left is handed out after a stop.
        assert_eq!(ready.skip().unwrap().0.line, 500);
        assert!(ready.skip().is_none() && ready.len() == 0);
    }

    #[test]
    fn hosts_without_requests_are_forgotten_once_their_burst_is_whole() {
        let mut ready = Ready::new();
        let mut now = START;
        for host in 0..3 * u32::try_from(limits::HOSTS_PACED).unwrap() {
            push(&mut ready, host.into(), host);
            assert_eq!(begin(&mut ready, now), [u64::from(host)]);
            ready.on_answer(address(host).into(), host as usize, None);
            now += limits::HOST_PACE.interval;
        }
        assert!(ready.hosts.len() <= limits::HOSTS_PACED + 1);
    }
}
