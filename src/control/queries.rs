//! Loop of the queries of a run, one for each host.
//!
//! Not what a query is, which is in [`query`](super::query), nor how many are under way, which is in
//! [`window`](super::window). Invariant: each question gets one answer, unless the network thread
//! ends or a signal arrives.

use std::collections::HashMap;
use std::time::Duration;

use crossbeam_channel::{Receiver, never, select};

use super::client::Client;
use super::contact::{Contact, Reporters};
use super::host_resolver::HostResolver;
use super::limits;
use super::query::{Action, Answer, Query, Question};
use super::window::{Places, Window};
use crate::net::{self, Clock, Refusal};

/// Conditions of a loop over questions.
pub struct Conditions<'a> {
    /// Store of the agents' tickets.
    pub resolver: Option<&'a HostResolver>,
    /// Signals, the first of which ends the loop.
    pub signals: &'a Receiver<i32>,
    /// Number of questions in progress at a time.
    pub window: usize,
    /// Takes news about a host, by its label, that do not wait for its answer.
    pub note: fn(label: &str, words: &str),
    /// True if a person waits at a terminal, who is told of a silence of [`limits::SILENCE_NOTED`].
    pub is_watched: bool,
    /// Time for all questions, after which those without an answer fail. Without it, an agent that keeps a session alive and
    /// does not answer is waited for.
    pub time_limit: Option<Duration>,
}

/// End of a loop by a signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Interrupted {
    /// The signal.
    pub signal: i32,
    /// Number of questions that were begun, counted from the first.
    pub begun: usize,
}

/// Asks all questions, as many at a time as a [`Window`] of [`limits::WINDOW`] allows, and passes each answer to
/// `answered` as it arrives, with the index of its question. The tickets of the agents are learned by `resolver`.
pub fn run_queries(
    client: &Client,
    resolver: Option<&HostResolver>,
    questions: Vec<Question>,
    answered: impl FnMut(usize, Answer),
) {
    let conditions = Conditions {
        resolver,
        signals: &never(),
        window: limits::WINDOW,
        note: |_, _| {},
        is_watched: false,
        time_limit: None,
    };
    run_queries_until(client, &conditions, questions, answered);
}

/// Does the same until a signal arrives. Questions that are not answered by then get no answer; their sessions stay
/// open until the client closes.
pub fn run_queries_until(
    client: &Client,
    conditions: &Conditions<'_>,
    questions: Vec<Question>,
    mut answered: impl FnMut(usize, Answer),
) -> Option<Interrupted> {
    run_loop(client, conditions, questions, &mut answered)
}

/// The loop, compiled once for all callers.
fn run_loop(
    client: &Client,
    conditions: &Conditions<'_>,
    questions: Vec<Question>,
    answered: &mut dyn FnMut(usize, Answer),
) -> Option<Interrupted> {
    let (resolver, mut begun) = (conditions.resolver, 0);
    let mut noted = conditions
        .is_watched
        .then(|| Clock.now() + limits::SILENCE_NOTED);
    let mut time_limit = conditions.time_limit.map(|limit| Clock.now() + limit);
    let base = client.reserve(questions.len());
    let reporters = reporters(&questions);
    let mut waiting = (base..).zip(questions).peekable();
    let mut queries: HashMap<u32, (String, Query)> = HashMap::new();
    let first_contacts = client.first_contacts().min(limits::WINDOW);
    let mut window =
        Window::new(Places::fixed(conditions.window)).with_first_contacts(first_contacts);
    let mut act = |slot: u32, query: &mut Query| {
        let answered = |answer| answered((slot - base) as usize, answer);
        carry_out(client, resolver, query, answered)
    };
    loop {
        let now = Clock.now();
        while window.has_room(now)
            && let Some((slot, question)) = waiting.next()
        {
            begun += 1;
            let label = question.host.label.clone();
            let mut query = Query::new(slot, question);
            if !act(slot, &mut query) {
                window.begin(now, slot);
                queries.insert(slot, (label, query));
            }
        }
        if queries.is_empty() {
            return None;
        }
        if noted.take_if(|at| *at <= now).is_some() {
            note_each(&mut queries, conditions.note, |query| query.waiting());
        }
        if time_limit.take_if(|at| *at <= now).is_some() {
            for (slot, (_, mut query)) in queries.drain() {
                query.on_time_limit();
                act(slot, &mut query);
                window.ended(slot);
            }
            continue;
        }
        let deadline = waiting.peek().and_then(|_| window.next_deadline());
        let deadline = deadline.into_iter().chain(noted).chain(time_limit).min();
        let wait = deadline.map_or(limits::NO_WAIT, |deadline| deadline.since(now));
        let event = select! {
            recv(client.events()) -> event => event.ok()?,
            recv(conditions.signals) -> signal => {
                return signal.ok().map(|signal| Interrupted { signal, begun });
            }
            default(wait) => continue,
        };
        client.taken();
        if let net::Event::Refused(refusal) = event {
            on_refused(&mut queries, conditions.note, reporters.as_ref(), refusal);
        } else if let net::Event::Session(event) = event
            && let Some(slot) = event.session().map(Contact::slot_of)
            && let Some((_, query)) = queries.get_mut(&slot)
        {
            query.on_event(event);
            if act(slot, query) {
                queries.remove(&slot);
                window.ended(slot);
            } else if query.is_contacted() {
                window.answered(slot);
            }
        }
    }
}

/// Returns the addresses of several hosts; `None` for the only one, which every report is about.
fn reporters(questions: &[Question]) -> Option<Reporters> {
    let mut reporters = Reporters::default();
    for question in questions {
        reporters.add(&question.host.paths);
    }
    (questions.len() > 1).then_some(reporters)
}

/// Handles a report that datagrams do not reach a host: notes it if it is the only one.
fn on_refused(
    queries: &mut HashMap<u32, (String, Query)>,
    note: fn(label: &str, words: &str),
    reporters: Option<&Reporters>,
    refusal: Refusal,
) {
    match reporters {
        None => note_each(queries, note, |query| query.on_refused(refusal)),
        Some(reporters) if reporters.is_of_one(refusal) => {
            for (_, query) in queries.values_mut() {
                query.on_refused_among(refusal);
            }
        }
        Some(_) => {}
    }
}

/// Carries out the actions of a query. Returns true if it has ended, with its answer.
fn carry_out(
    client: &Client,
    resolver: Option<&HostResolver>,
    query: &mut Query,
    answered: impl FnOnce(Answer),
) -> bool {
    while let Some(action) = query.poll() {
        match action {
            Action::Command(command) => client.send(command),
            Action::Ended(answer) => {
                if let (Some(resolver), Some(ticket)) = (resolver, &answer.ticket) {
                    resolver.learn(&query.agent(), ticket);
                }
                answered(answer);
                return true;
            }
        }
    }
    false
}

/// Passes on what there is to say about queries in progress.
fn note_each(
    queries: &mut HashMap<u32, (String, Query)>,
    note: fn(label: &str, words: &str),
    mut words: impl FnMut(&mut Query) -> Option<String>,
) {
    for (label, query) in queries.values_mut() {
        if let Some(words) = words(query) {
            note(label, &words);
        }
    }
}
