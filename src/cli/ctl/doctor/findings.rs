//! Findings of a check in words, with the next step.
//!
//! Not the contact with the agent, which is in `checks.rs`. Invariant: text of an agent is escaped.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::check::{Check, State, check};
use super::route::Route;
use crate::cli::ctl::reply::words;
use crate::control::host_resolver::HostError;
use crate::control::query::NoReply;
use crate::escape;
use crate::message::Outcome;
use crate::message::limits::{NAME, NOTE};

/// Number of pings that measure the round-trip time.
pub(super) const PINGS: usize = 5;

/// Time by which a ping exceeds twice the median after a loss: less than the time after which an INIT is repeated.
const REPEATED: Duration = Duration::from_millis(50);

/// Reports checks that were not made.
pub(super) fn skip(names: &[&'static str], report: &mut dyn FnMut(Check)) {
    for name in names {
        report(check(name, State::Skip, "not checked"));
    }
}

/// Checks the routes, and returns those that there are.
pub(super) fn route(addresses: &[SocketAddr], report: &mut dyn FnMut(Check)) -> Vec<Route> {
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

/// Returns true if the port is refused at each address.
pub(super) fn are_refused(routes: &[Route]) -> bool {
    routes.iter().all(Route::is_refused)
}

/// Checks the port of an agent that cannot be contacted.
pub(super) fn port_without_contact(is_known: bool, error: &HostError) -> Check {
    if is_known {
        check("port", State::Fail, error.to_string())
    } else {
        check("port", State::Warn, "not refused")
            .next("only the agent's key can tell who listens there")
    }
}

/// Reports what a contact without the expected answer shows. `is_met` is true if an agent with this key has answered before.
pub(super) fn no_answer(
    error: &NoReply,
    is_met: bool,
    identity: &Path,
    report: &mut dyn FnMut(Check),
) {
    if error.outcome != (Outcome::Unreachable {}) {
        report(check("port", State::Ok, "answers"));
        report(check("agent", State::Fail, words(error)));
        return skip(&["access", "mtu", "rtt"], report);
    }
    report(port_without_answer(error));
    let silent = check("agent", State::Fail, words(error));
    report(silent.next(if is_met {
        "an agent with this key has answered before, perhaps elsewhere: \"udpagent status\" there shows whether it \
         runs, and \"udpagent key\" whether it has this key"
    } else {
        "\"udpagent status\" there shows whether it runs, and \"udpagent key\" whether it has this key"
    }));
    let access = "not known, because an agent is silent to keys that it does not list";
    report(check("access", State::Warn, access).next(format!(
        "add the key of {} (\"udpctl id\") to authorized_keys there, or run \"udpagent invite\" there and \
         \"udpctl accept\" here",
        identity.display()
    )));
    skip(&["mtu", "rtt"], report);
}

/// Returns the agent in words.
pub(super) fn agent_words(name: &str, version: &str, rtt: Duration) -> String {
    format!(
        "{}, udpagent {}, answered in {}",
        escape::line(name.as_bytes(), NAME),
        escape::line(version.as_bytes(), NAME),
        milliseconds(rtt)
    )
}

fn port_without_answer(error: &NoReply) -> Check {
    match &error.note {
        Some(note) if error.is_refused => {
            let note = escape::line(note.as_bytes(), NOTE);
            check("port", State::Fail, note)
        }
        Some(_) | None => check("port", State::Warn, "neither refused nor answered")
            .next("a firewall that drops UDP to it looks like an agent that is silent"),
    }
}

pub(super) fn round_trip_check(mut times: Vec<Duration>) -> Check {
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

pub(super) fn milliseconds(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::client::NoSocket;

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
            note: Some("nothing listens\nthere".into()),
            is_refused,
        };
        let refused = port_without_answer(&silent(true));
        assert_eq!(
            (refused.state, &*refused.found),
            (State::Fail, "nothing listens\\nthere")
        );
        assert_eq!(port_without_answer(&silent(false)).state, State::Warn);
    }

    #[test]
    fn an_agent_that_answers_something_else_is_not_silent() {
        let mut checks = Vec::new();
        let denied = NoReply {
            outcome: Outcome::Denied {},
            note: None,
            is_refused: false,
        };
        no_answer(&denied, true, Path::new("identity"), &mut |check| {
            checks.push(check);
        });
        let states = checks.iter().map(|check| (check.name, check.state));
        let states: Vec<_> = states.collect();
        let wanted = [
            ("port", State::Ok),
            ("agent", State::Fail),
            ("access", State::Skip),
            ("mtu", State::Skip),
            ("rtt", State::Skip),
        ];
        assert_eq!(states, wanted);
        assert_eq!(checks[0].found, "answers");
        assert_eq!(checks[1].found, words(&denied));
    }

    #[test]
    fn a_port_is_refused_if_no_address_takes_it() {
        let listener = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let open = listener.local_addr().unwrap();
        let closed = SocketAddr::from(([127, 0, 0, 2], open.port()));
        let routes = |addresses: &[SocketAddr]| -> Vec<Route> {
            let routes = addresses.iter().map(|address| Route::to(*address).unwrap());
            routes.collect()
        };
        assert!(are_refused(&routes(&[closed])));
        assert!(!are_refused(&routes(&[closed, open])));
    }

    #[test]
    fn a_port_without_contact_fails_only_if_the_key_is_known() {
        let error = HostError::NoSocket(NoSocket);
        let known = port_without_contact(true, &error);
        assert_eq!((known.state, known.found), (State::Fail, error.to_string()));
        let unknown = port_without_contact(false, &error);
        let found = (unknown.state, &*unknown.found);
        assert_eq!(found, (State::Warn, "not refused"));
    }

    #[test]
    fn name_and_version_of_an_agent_are_escaped() {
        let words = agent_words("a\nb", "1\x1b[m", Duration::from_millis(2));
        let wanted = "a\\nb, udpagent 1\\u{1b}[m, answered in 2.00 ms";
        assert_eq!(words, wanted);
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
        let different = [14, 10, 13, 11, 12].map(Duration::from_millis);
        let found = "5 of 5 pings answered, median 12.00 ms, 10.00 ms to 14.00 ms";
        assert_eq!(round_trip_check(different.into()).found, found);
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
