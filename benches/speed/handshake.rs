//! A whole handshake, and the cost on either side.

use std::hint::black_box;

use udpagent::crypto::{AgentMac, Initiator, PublicKey, Responder, SecretKey, SharedSecrets};
use udpagent::rng::Rng;
use udpagent::wire::limits::{INIT_HEADER, MAC, MIN_DATAGRAM};

use crate::measure::Bench;

/// The clear bytes of an INIT.
const PROLOGUE: [u8; INIT_HEADER] = [7; INIT_HEADER];

/// Payload that fills an INIT to its size.
const FIRST: [u8; MIN_DATAGRAM - INIT_HEADER - MAC - Initiator::OVERHEAD] =
    [0; MIN_DATAGRAM - INIT_HEADER - MAC - Initiator::OVERHEAD];

/// Payload of a RESP: acknowledgement and HELLO.
const SECOND: [u8; 64] = [0; 64];

/// Prints the costs as multiples of a whole handshake.
pub fn run(bench: &Bench) {
    let mut rng = Rng::from_seed([1; 32]);
    let controller = SecretKey::generate(&mut rng);
    let agent = SecretKey::generate(&mut rng);
    let key = agent.public();

    let both = bench.cost(|| {
        let (mut initiator, first) = start(&controller, &key, &mut rng);
        let second = answer(&agent, &SharedSecrets::default(), &first, &mut rng);
        let keys = initiator.finish(&second, &mut Vec::new());
        black_box(keys.expect("the RESP is authentic"));
    });
    let (_, first) = start(&controller, &key, &mut rng);
    let controllers = bench.cost(|| {
        black_box(start(&controller, &key, &mut rng));
    });
    let agents = bench.cost(|| {
        black_box(answer(&agent, &SharedSecrets::default(), &first, &mut rng));
    });
    let secrets = SharedSecrets::default();
    answer(&agent, &secrets, &first, &mut rng);
    secrets.keep(&controller.public());
    let known = bench.cost(|| {
        black_box(answer(&agent, &secrets, &first, &mut rng));
    });
    let mac = AgentMac::new(&key);
    let covered = [0; MIN_DATAGRAM - MAC];
    let unknown = bench.cost(|| {
        black_box(mac.verify(&covered, &[0; MAC])).expect_err("the MAC is wrong");
    });

    both.print("both sides", &both.rate(), both);
    controllers.print("the controller's INIT", &controllers.rate(), both);
    agents.print("the agent's side", &agents.rate(), both);
    known.print("the agent's side, again", &known.rate(), both);
    unknown.print("refusing an unknown controller", &unknown.rate(), both);
}

fn start(local: &SecretKey, remote: &PublicKey, rng: &mut Rng) -> (Initiator, Vec<u8>) {
    let mut message = Vec::with_capacity(MIN_DATAGRAM);
    let initiator = Initiator::start(local, remote, &PROLOGUE, &FIRST, rng, &mut message);
    (initiator.expect("the agent's key is valid"), message)
}

fn answer(local: &SecretKey, secrets: &SharedSecrets, first: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut payload = Vec::with_capacity(MIN_DATAGRAM);
    let (responder, _) = Responder::read_with(local, secrets, &PROLOGUE, first, &mut payload, rng)
        .expect("the INIT is authentic");
    let mut message = Vec::with_capacity(MIN_DATAGRAM);
    let keys = responder.respond(&SECOND, &mut message);
    black_box(keys.expect("the controller's share is valid"));
    message
}
