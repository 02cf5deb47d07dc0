//! The checks of one host, in the order in which one needs the other: its name, the route, the agent's key, the port, the
//! agent, this key, the size of datagrams and the round-trip time.
//!
//! No check of clocks: nothing between a controller and an agent depends on them. Invariant: nothing is started or changed at
//! the agent.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use crossbeam_channel::never;

use super::check::{Check, State, check};
use super::mtu::mtu;
use super::route::Route;
use crate::cli::ctl::context::{Context, Network, note_of};
use crate::cli::ctl::reply::{unexpected, words};
use crate::control::client::Client;
use crate::control::host_resolver::{Host, HostResolver};
use crate::control::limits;
use crate::control::queries::{Conditions, run_queries_until};
use crate::control::query::{Answer, NoReply, Question};
use crate::escape;
use crate::message::limits::NAME;
use crate::message::{Outcome, Reply, Request};
use crate::net::Target;

/// Number of pings that measure the round-trip time.
const PINGS: usize = 5;

/// Time by which a ping exceeds twice the median after a loss: less than the time after which an INIT is repeated.
const REPEATED: Duration = Duration::from_millis(50);

/// Checks of one host.
pub(super) struct Diagnosis<'a> {
    pub(super) target: &'a Target,
    pub(super) contact_timeout: Duration,
    /// True if a person waits at a terminal.
    pub(super) is_watched: bool,
}

/// The agent's answer to a ping, or the reason why there is none.
type Ping = Result<(Answer, String), NoReply>;

impl Diagnosis<'_> {
    /// Makes all checks and passes each to `report`.
    pub(super) fn run(self, context: &mut Context, report: &mut dyn FnMut(Check)) -> Result<()> {
        let Some(addresses) = self.name(report) else {
            skip(
                &["route", "key", "port", "agent", "access", "mtu", "rtt"],
                report,
            );
            return Ok(());
        };
        let routes = route(&addresses, report);
        let mut network = context.network(std::slice::from_ref(self.target))?;
        let is_known = self.key(&network.resolver, &addresses, report);
        let host = network.hosts.pop().expect("one target, one host");
        match host {
            _ if routes.is_empty() => skip(&["port", "agent", "access", "mtu", "rtt"], report),
            _ if routes.iter().all(Route::is_refused) => {
                let refused = "nothing listens there (port unreachable)";
                let refused = check("port", State::Fail, refused);
                report(refused.next("\"udpagent status\" there names the port, if it runs"));
                skip(&["agent", "access", "mtu", "rtt"], report);
            }
            Ok(host) => {
                let identity = context.home.identity();
                self.contact(&network, host, &identity, &routes, report);
            }
            Err(_) if !is_known => {
                let open = check("port", State::Warn, "not refused");
                report(open.next("only the agent's key can tell who listens there"));
                skip(&["agent", "access", "mtu", "rtt"], report);
            }
            Err(error) => {
                report(check("port", State::Fail, error.to_string()));
                skip(&["agent", "access", "mtu", "rtt"], report);
            }
        }
        network.client.close();
        Ok(())
    }

    /// Checks that the agent's key is known. Returns true if it is.
    fn key(
        &self,
        resolver: &HostResolver,
        addresses: &[SocketAddr],
        report: &mut dyn FnMut(Check),
    ) -> bool {
        let ips: Vec<IpAddr> = addresses.iter().map(SocketAddr::ip).collect();
        let pin = resolver.pin_of(self.target, &ips);
        report(match &pin {
            Ok(pin) => check(
                "key",
                State::Ok,
                format!("{}, from {}", pin.key, pin.source),
            ),
            Err(error) => check("key", State::Fail, error.to_string()),
        });
        pin.is_ok()
    }

    /// Checks the name, and returns the addresses.
    fn name(&self, report: &mut dyn FnMut(Check)) -> Option<Vec<SocketAddr>> {
        let began = Instant::now();
        let addresses = match self.target.resolve() {
            Ok(addresses) => addresses,
            Err(error) => {
                let failed = check("name", State::Fail, error.to_string());
                report(failed.next("write an address, or name the host in hosts.toml"));
                return None;
            }
        };
        let took = milliseconds(began.elapsed());
        let label = self.target.label().parse::<Target>();
        let source = match (
            self.target.is_name(),
            label.is_ok_and(|label| label == *self.target),
        ) {
            (true, true) => format!("looked up in {took}"),
            (true, false) => format!("from the inventory, looked up in {took}"),
            (false, true) => "no name to look up".to_owned(),
            (false, false) => "from the inventory".to_owned(),
        };
        let listed: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
        let found = format!("{} ({source})", listed.join(", "));
        report(check("name", State::Ok, found));
        Some(addresses)
    }

    /// Contacts the agent, and checks what its answers show.
    fn contact(
        &self,
        Network {
            client, resolver, ..
        }: &Network,
        mut host: Host,
        identity: &Path,
        routes: &[Route],
        report: &mut dyn FnMut(Check),
    ) {
        let identity = identity.display();
        match self.ping(client, resolver, &host, true) {
            Ok((answer, agent)) => {
                let address = answer.address.unwrap_or(host.paths[0].remote);
                report(check("port", State::Ok, format!("answers at {address}")));
                report(check("agent", State::Ok, agent));
                let admitted = format!("the agent admits the key of {identity}");
                report(check("access", State::Ok, admitted));
                report(mtu(
                    routes,
                    address.ip().is_some_and(|ip| ip.is_ipv4()),
                    answer.datagram_size,
                ));
                host.ticket = answer.ticket.or(host.ticket);
                report(self.round_trips(client, resolver, &host));
            }
            Err(error) if error.outcome != (Outcome::Unreachable {}) => {
                report(check("port", State::Ok, "answers"));
                report(check("agent", State::Fail, words(&error)));
                skip(&["access", "mtu", "rtt"], report);
            }
            Err(error) => {
                report(port_without_answer(&error));
                let silent = check("agent", State::Fail, words(&error));
                report(silent.next(if host.ticket.is_some() {
                    "an agent with this key has answered before, perhaps elsewhere: \"udpagent status\" there shows whether it \
                     runs, and \"udpagent key\" whether it has this key"
                } else {
                    "\"udpagent status\" there shows whether it runs, and \"udpagent key\" whether it has this key"
                }));
                let access = "not known, because an agent is silent to keys that it does not list";
                report(check("access", State::Warn, access).next(format!(
                    "add the key of {identity} (\"udpctl id\") to authorized_keys there, or run \"udpagent invite\" \
                     there and \"udpctl accept\" here"
                )));
                skip(&["mtu", "rtt"], report);
            }
        }
    }

    /// Asks the agent for its name and version. Returns them in words, with the round-trip time.
    /// With `finds_size`, the size of datagrams is looked for as well.
    fn ping(
        &self,
        client: &Client,
        resolver: &HostResolver,
        host: &Host,
        finds_size: bool,
    ) -> Ping {
        let question = Question {
            host: host.clone(),
            request: Request::Ping {},
            invite: None,
            contact_timeout: self.contact_timeout,
            retry_for: self.contact_timeout,
            finds_size,
        };
        let conditions = Conditions {
            resolver: Some(resolver),
            signals: &never(),
            window: limits::WINDOW,
            note: if self.is_watched { note_of } else { |_, _| {} },
            is_watched: self.is_watched,
            time_limit: Some(self.contact_timeout + limits::SIZE_SEARCH),
        };
        let mut answers = Vec::new();
        run_queries_until(client, &conditions, vec![question], |_, answer| {
            answers.push(answer);
        });
        let answer = answers.pop().ok_or_else(|| NoReply {
            outcome: Outcome::Lost {},
            note: Some("the network thread ended unexpectedly".into()),
            is_refused: false,
        })?;
        match answer.reply.clone()? {
            Reply::Pong { name, version } => {
                let rtt = answer.ticket.map_or(Duration::ZERO, |ticket| ticket.rtt);
                let agent = format!(
                    "{}, udpagent {}, answered in {}",
                    escape::line(name.as_bytes(), NAME),
                    escape::line(version.as_bytes(), NAME),
                    milliseconds(rtt)
                );
                Ok((answer, agent))
            }
            reply => Err(unexpected(&reply)),
        }
    }

    /// Measures the round-trip time. A ping that was lost is repeated, and takes longer.
    fn round_trips(&self, client: &Client, resolver: &HostResolver, host: &Host) -> Check {
        let mut times = Vec::new();
        for _ in 0..PINGS {
            let began = Instant::now();
            if self.ping(client, resolver, host, false).is_ok() {
                times.push(began.elapsed());
            }
        }
        round_trip_check(times)
    }
}

/// Reports checks that were not made.
fn skip(names: &[&'static str], report: &mut dyn FnMut(Check)) {
    for name in names {
        report(check(name, State::Skip, "not checked"));
    }
}

/// Checks the routes, and returns those that there are.
fn route(addresses: &[SocketAddr], report: &mut dyn FnMut(Check)) -> Vec<Route> {
    let (mut routes, mut found) = (Vec::new(), Vec::new());
    for address in addresses {
        let words = match Route::to(*address) {
            Ok(route) => {
                let words = route.to_string();
                routes.push(route);
                words
            }
            Err(error) => {
                let error = error.to_string();
                error
                    .split(" (os error")
                    .next()
                    .unwrap_or_default()
                    .to_owned()
            }
        };
        found.push(if addresses.len() > 1 {
            format!("{} {words}", address.ip())
        } else {
            words
        });
    }
    let state = match routes.len() {
        0 => State::Fail,
        some if some < addresses.len() => State::Warn,
        _ => State::Ok,
    };
    let route = check("route", state, found.join(", "));
    report(match (state, addresses.first()) {
        (State::Fail, Some(address)) => {
            route.next(format!("\"ip route get {}\" shows why", address.ip()))
        }
        _ => route,
    });
    routes
}

fn port_without_answer(error: &NoReply) -> Check {
    match &error.note {
        Some(note) if error.is_refused => {
            let note = escape::line(note.as_bytes(), limits::NOTE);
            check("port", State::Fail, note)
        }
        Some(_) | None => check("port", State::Warn, "neither refused nor answered")
            .next("a firewall that drops UDP to it looks like an agent that is silent"),
    }
}

fn round_trip_check(mut times: Vec<Duration>) -> Check {
    times.sort_unstable();
    let (Some(first), Some(last)) = (times.first(), times.last()) else {
        return check("rtt", State::Fail, format!("0 of {PINGS} pings answered"));
    };
    let median = times[times.len() / 2];
    let is_late = |time: &&Duration| **time > median * 2 + REPEATED;
    let late = times.iter().filter(is_late).count() + (PINGS - times.len());
    let found = format!(
        "{} of {PINGS} pings answered, median {}, {} to {}",
        times.len(),
        milliseconds(median),
        milliseconds(*first),
        milliseconds(*last)
    );
    if late == 0 {
        check("rtt", State::Ok, found)
    } else {
        check("rtt", State::Warn, found).next(format!(
            "{late} of them lost or late: the path drops datagrams"
        ))
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_route_is_a_warning_beside_another_and_a_failure_alone() {
        let here = SocketAddr::from(([127, 0, 0, 1], 9));
        // The system refuses the broadcast address to a socket that has not asked for it.
        let refused = SocketAddr::from(([255; 4], 9));
        for (addresses, state, routes) in [
            (&[here][..], State::Ok, 1),
            (&[here, refused], State::Warn, 1),
            (&[refused], State::Fail, 0),
        ] {
            let mut checks = Vec::new();
            let found = route(addresses, &mut |check| checks.push(check));
            assert_eq!(
                (checks[0].state, found.len()),
                (state, routes),
                "{checks:?}"
            );
            let next = "\"ip route get 255.255.255.255\" shows why";
            let next = (state == State::Fail).then_some(next);
            assert_eq!(checks[0].next.as_deref(), next);
            assert_eq!(
                checks[0].found.contains("255.255.255.255 "),
                addresses.len() > 1
            );
            assert!(!checks[0].found.contains("os error"), "{checks:?}");
        }
    }

    #[test]
    fn a_port_without_an_answer_fails_only_if_it_is_refused() {
        let silent = |is_refused| NoReply {
            outcome: Outcome::Unreachable {},
            note: Some("nothing listens there".into()),
            is_refused,
        };
        let refused = port_without_answer(&silent(true));
        assert_eq!(
            (refused.state, &*refused.found),
            (State::Fail, "nothing listens there")
        );
        assert_eq!(port_without_answer(&silent(false)).state, State::Warn);
    }

    #[test]
    fn a_ping_that_was_repeated_is_named() {
        let times = |last| {
            let mut times = vec![Duration::from_millis(10); PINGS - 1];
            times.push(Duration::from_millis(last));
            times
        };
        let even = round_trip_check(times(12));
        assert_eq!((even.state, even.next), (State::Ok, None));
        let found = "5 of 5 pings answered, median 10.00 ms, 10.00 ms to 12.00 ms";
        assert_eq!(even.found, found);
        let late = round_trip_check(times(71));
        assert_eq!(late.state, State::Warn);
        let next = "1 of them lost or late: the path drops datagrams";
        assert_eq!(late.next.as_deref(), Some(next));
        let none = round_trip_check(Vec::new());
        assert_eq!(none.state, State::Fail);
        let mut some = times(10);
        some.truncate(3);
        let some = round_trip_check(some);
        assert_eq!(some.state, State::Warn);
        let found = "3 of 5 pings answered, median 10.00 ms, 10.00 ms to 10.00 ms";
        assert_eq!(some.found, found);
        let next = "2 of them lost or late: the path drops datagrams";
        assert_eq!(some.next.as_deref(), Some(next));
        assert_eq!(none.found, "0 of 5 pings answered");
        // Just as late as a ping that was not repeated may be.
        assert_eq!(round_trip_check(times(70)).state, State::Ok);
    }
}
