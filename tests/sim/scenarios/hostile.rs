//! Peers that hold the keys, driven by seeds: the runs of the fuzz target `endpoint`.

use udpagent::rng::Rng;

use crate::hostile_peer;
use crate::seeds;

#[test]
fn frames_of_a_hostile_peer_cause_no_panic_and_the_session_ends() {
    seeds::each(4000, |seed| {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let mut rng = Rng::from_seed(bytes);
        let mut script = vec![0; 40 + usize::try_from(rng.u64() % 2000).unwrap()];
        rng.fill(&mut script);
        hostile_peer::run(&script);
    });
}
