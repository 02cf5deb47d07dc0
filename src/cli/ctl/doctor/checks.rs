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
use super::findings::{
    PINGS, agent_words, are_refused, milliseconds, no_answer, port_without_contact,
    round_trip_check, route, skip,
};
use super::mtu::mtu;
use super::route::Route;
use crate::cli::ctl::context::{Context, Network, note_of};
use crate::cli::ctl::reply::unexpected;
use crate::control::client::Client;
use crate::control::host_resolver::{Host, HostResolver};
use crate::control::limits;
use crate::control::queries::{Conditions, run_queries_until};
use crate::control::query::{Answer, NoReply, Question};
use crate::message::{Outcome, Reply, Request};
use crate::net::Target;

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
            _ if are_refused(&routes) => {
                let refused = "nothing listens there (port unreachable)";
                let refused = check("port", State::Fail, refused);
                report(refused.next("\"udpagent status\" there names the port, if it runs"));
                skip(&["agent", "access", "mtu", "rtt"], report);
            }
            Ok(host) => {
                let identity = context.home.identity();
                self.contact(&network, host, &identity, &routes, report);
            }
            Err(error) => {
                report(port_without_contact(is_known, &error));
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
        match self.ping(client, resolver, &host, true) {
            Ok((answer, agent)) => {
                let address = answer.address.unwrap_or(host.paths[0].remote);
                report(check("port", State::Ok, format!("answers at {address}")));
                report(check("agent", State::Ok, agent));
                let admitted = format!("the agent admits the key of {}", identity.display());
                report(check("access", State::Ok, admitted));
                report(mtu(routes, address.ip(), answer.datagram_size));
                host.ticket = answer.ticket.or(host.ticket);
                report(self.round_trips(client, resolver, &host));
            }
            Err(error) => no_answer(&error, host.ticket.is_some(), identity, report),
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
                Ok((answer, agent_words(&name, &version, rtt)))
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
