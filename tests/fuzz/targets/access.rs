//! The agent's files `authorized_keys` and `invites`: what is wrong is said in one clean line and admits
//! nobody, what is right is found again and held to its options.
#![no_main]

use std::net::{IpAddr, Ipv4Addr};

use libfuzzer_sys::fuzz_target;
use udpagent::agent::access::{Access, Options, Pattern};
use udpagent::escape;
use udpagent::message::{Exec, RequestId};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fuzz_target!(|texts: (&str, &str)| {
    let (keys, invites) = texts;
    let (access, problems) = Access::parse(keys, invites);
    for problem in problems {
        let problem = problem.to_string();
        assert!(escape::is_clean(&problem), "{problem:?}");
    }
    for member in access.members() {
        let admission = access.admit(&member.key, HERE, None, 0);
        assert_eq!(admission.is_some(), member.admitted(HERE, 0));
        assert!(escape::is_clean(&member.name), "{:?}", member.name);
        let exec = Exec::new(RequestId([0; 16]), vec![invites.into()]);
        let _ = member.judge(&exec, "root");
    }
    let words: Vec<&str> = keys.split(' ').collect();
    drop(Options::parse(&words));
    if let Ok(pattern) = Pattern::parse(keys) {
        pattern.matches(&words);
    }
});
