//! Jobs that are built-in services.

use super::exec::ended;
use super::harness::*;
use crate::agent::jobs::{self, Program};
use crate::agent::switch::Switch;
use crate::message::{Forward, ForwardTarget, OsText, Outcome, Reply, Request, Service};
use crate::wire::Lane;

#[test]
fn a_forward_is_a_job_whose_program_is_a_built_in_service_once() {
    let mut harness = Harness::with(jobs::Config {
        services: Switch::On,
        ..jobs::Config::default()
    });
    let alice = harness.open(1, ALICE);
    let to = ForwardTarget::tcp("db", 5432).unwrap();
    let forward = |to: &ForwardTarget| {
        Request::Forward(Forward {
            id: id(1),
            to: to.clone(),
            user: None,
            lease_ms: None,
            age_ms: 0,
        })
    };
    let call = harness.call(alice, 0, &forward(&to));
    harness.data(call, Lane::Data, b"bytes", false);
    let again = harness.call(alice, 1, &forward(&to));
    let other = ForwardTarget::tcp("db", 5433).unwrap();
    let other = harness.call(alice, 2, &forward(&other));
    assert!(matches!(harness.replies(again)[0], Reply::Accepted { .. }));
    assert_eq!(harness.replies(other), ended(Outcome::Conflict {}));
    let [(job, spec)] = &harness.service.processes().spawned[..] else {
        panic!("it is started once");
    };
    assert_eq!(spec.program, Program::Service(Service::Forward(to)));
    let job = *job;
    assert_eq!(harness.service.processes().stdin[&job].0, b"bytes");
    let list = harness.call(alice, 3, &Request::Jobs { all: false });
    let [Reply::Jobs { jobs, .. }] = &harness.replies(list)[..] else {
        panic!("a list");
    };
    assert_eq!(jobs[0].argv, ["forward".into(), OsText::from("db:5432")]);
}

#[test]
fn an_agent_without_services_forwards_nothing_and_says_so() {
    let mut harness = Harness::new();
    let alice = harness.open(1, ALICE);
    let forward = Request::Forward(Forward {
        id: id(1),
        to: ForwardTarget::unix("/run/x").unwrap(),
        user: None,
        lease_ms: None,
        age_ms: 0,
    });
    let call = harness.call(alice, 0, &forward);
    let reason = "this agent is a part of another program and has no built-in services".into();
    assert_eq!(harness.replies(call), [Reply::Unsupported { reason }]);
    assert!(harness.service.processes().starts.is_empty());
    let guest = harness.open(2, GUEST);
    let call = harness.call(guest, 0, &forward);
    assert_eq!(harness.replies(call), ended(Outcome::Denied {}));
}
