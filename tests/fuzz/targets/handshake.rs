//! Noise messages from a sender that knows the agent's public key, and so has a valid mac.
#![no_main]

use libfuzzer_sys::fuzz_target;
use udpagent::crypto::{Initiator, Responder, SecretKey};
use udpagent::rng::Rng;

fuzz_target!(|bytes: &[u8]| {
    let mut rng = Rng::from_seed([9; 32]);
    let (controller, agent) = (SecretKey::generate(&mut rng), SecretKey::generate(&mut rng));
    let mut payload = Vec::new();
    let read = Responder::read(&agent, b"prologue", bytes, &mut payload, &mut rng);
    assert!(read.is_err());
    assert!(payload.is_empty());

    let mut first = Vec::new();
    let key = agent.public();
    let mut initiator =
        Initiator::start(&controller, &key, b"", b"", &mut rng, &mut first).expect("a true key");
    assert!(initiator.finish(bytes, &mut payload).is_err());
    assert!(payload.is_empty());

    // A hostile agent's answer is opened; the target `frames` covers its content.
    let (responder, _) =
        Responder::read(&agent, b"", &first, &mut Vec::new(), &mut rng).expect("a true message");
    let mut second = Vec::new();
    if bytes.len() <= 1200 {
        responder.respond(bytes, &mut second).expect("a true share");
        initiator
            .finish(&second, &mut payload)
            .expect("a true answer");
        assert_eq!(payload, bytes);
    }
});
