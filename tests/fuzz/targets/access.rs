//! The agent's files `authorized_keys` and `invites`: an error is reported in one clean line and admits
//! nobody, and a valid line is held to its options.
#![no_main]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use udpagent::agent::access::{Options, Pattern, PolicyBuilder};
use udpagent::escape;
use udpagent::message::{Exec, RequestId};
use udpagent::peer_addr::PeerAddr;
use udpagent::process::Account;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fuzz_target!(|texts: (&str, &str)| {
    let (keys, invites) = texts;
    let mut builder = PolicyBuilder::default();
    builder.add_keys(keys, Path::new("authorized_keys"));
    builder.add_invites(invites, Path::new("invites"));
    let (policy, problems) = builder.finish();
    for problem in problems {
        let problem = problem.to_string();
        assert!(escape::is_clean(&problem), "{problem:?}");
    }
    let account = Account::current();
    let from = Some(PeerAddr::from(SocketAddr::new(HERE, 7000)));
    for member in policy.members() {
        let options = &member.options;
        let admission = policy.authorize_session(&member.key, from, None, 0);
        let expected = options.admits_from(HERE) && !options.is_expired(0);
        assert_eq!(admission.is_ok(), expected);
        assert!(escape::is_clean(&member.name), "{:?}", member.name);
        let exec = Exec::new(RequestId([0; 16]), vec![invites.into()]);
        match policy.authorize_exec(&member.key, from, &exec, &account, 0) {
            Ok(_) => assert!(admission.is_ok()),
            Err(denied) => assert!(escape::is_clean(&denied.to_string()), "{denied:?}"),
        }
    }
    let words: Vec<&str> = keys.split(' ').collect();
    drop(Options::parse(&words));
    if let Ok(pattern) = Pattern::parse(keys) {
        pattern.matches(&words);
    }
});
