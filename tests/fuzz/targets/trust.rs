//! The files that say who may connect, whose agents are trusted and how the agent is set up.
#![no_main]

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use udpagent::agent::access::Access;
use udpagent::agent::config;
use udpagent::control::known_agents::KnownAgents;
use udpagent::net::Target;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fuzz_target!(|texts: (&str, &str)| {
    let (first, second) = texts;
    let (access, problems) = Access::parse(first, second);
    for problem in problems {
        assert!(!problem.to_string().contains('\n'), "{problem}");
    }
    for member in access.members() {
        let admission = access.admit(&member.key, HERE, None, 0);
        assert_eq!(admission.is_some(), member.admitted(HERE, 0));
        member.may_run(&[second]);
    }

    let known = KnownAgents::parse(first, Path::new("known_agents"));
    for problem in known.problems() {
        assert!(!problem.to_string().contains('\n'), "{problem}");
    }
    if let Ok(target) = second.parse::<Target>() {
        drop(known.lookup(&target, &[HERE], None));
    }

    if let Err(error) = config::parse(first, Path::new("udpagent.toml")) {
        assert!(!error.to_string().contains('\n'), "{error}");
    }
});
