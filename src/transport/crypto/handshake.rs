//! The Noise IK handshake, implemented by snow: one round trip, with a payload in each message.
//!
//! Not here: datagram layout, retransmission, authorization. Randomness for the ephemeral keys is
//! injected; an all-zero Diffie-Hellman result (a low-order point) fails the handshake.

use snow::{Builder, HandshakeState};
use zeroize::{Zeroize, Zeroizing};

use super::resolver::{Resolver, Side};
use super::{Forged, OpeningKey, PublicKey, SealingKey, SecretKey, SharedSecrets, suite};
use crate::rng::Rng;

/// The keys of a session, one per direction, derived by the handshake.
pub struct TrafficKeys {
    /// Key for datagrams to the peer.
    pub seal: SealingKey,
    /// Key for datagrams from the peer.
    pub open: OpeningKey,
}

/// The controller's side, between message 1 and message 2.
pub struct Initiator {
    noise: HandshakeState,
}

/// The agent's side, between message 1 and message 2.
pub struct Responder {
    noise: HandshakeState,
}

impl Initiator {
    /// Number of bytes that message 1 adds to its payload: ephemeral key, sealed static key, tag.
    pub const OVERHEAD: usize = 32 + 48 + suite::TAG;

    /// Appends message 1 with `payload` to `out`.
    ///
    /// # Errors
    /// [`Forged`] if `remote` is a low-order point or `payload` exceeds a Noise message; `out` is then
    /// unchanged.
    pub fn start(
        local: &SecretKey,
        remote: &PublicKey,
        prologue: &[u8],
        payload: &[u8],
        rng: &mut Rng,
        out: &mut Vec<u8>,
    ) -> Result<Self, Forged> {
        let secrets = SharedSecrets::default();
        Self::start_with(local, &secrets, remote, prologue, payload, rng, out)
    }

    /// Does the same with the secrets that `local` shares with agents. The next handshake with this one is cheaper.
    ///
    /// # Errors
    /// As [`Initiator::start`].
    pub fn start_with(
        local: &SecretKey,
        secrets: &SharedSecrets,
        remote: &PublicKey,
        prologue: &[u8],
        payload: &[u8],
        rng: &mut Rng,
        out: &mut Vec<u8>,
    ) -> Result<Self, Forged> {
        let mut noise = builder(rng, Side::Initiator, local, secrets)
            .local_private_key(local.bytes())
            .and_then(|noise| noise.remote_public_key(&remote.0))
            .and_then(|noise| noise.prologue(prologue))
            .and_then(Builder::build_initiator)
            .expect("the suite is complete and each key is given once");
        write(&mut noise, payload, Self::OVERHEAD, out)?;
        // The agent's key is known from before: nobody else has chosen it.
        secrets.keep(remote);
        Ok(Self { noise })
    }

    /// Reads message 2 and appends its payload to `payload`. A forged message leaves the handshake
    /// unchanged, so that the genuine one is still accepted.
    ///
    /// # Errors
    /// [`Forged`] if the message is not the agent's answer to message 1.
    pub fn finish(&mut self, message: &[u8], payload: &mut Vec<u8>) -> Result<TrafficKeys, Forged> {
        read(&mut self.noise, message, payload)?;
        let (ours, theirs) = split(&mut self.noise);
        Ok(TrafficKeys {
            seal: SealingKey::new(&ours),
            open: OpeningKey::new(&theirs),
        })
    }
}

impl Responder {
    /// Number of bytes that message 2 adds to its payload: ephemeral key and tag.
    pub const OVERHEAD: usize = 32 + suite::TAG;

    /// Reads message 1 and appends its payload to `payload`; also returns the controller's key.
    ///
    /// # Errors
    /// [`Forged`] if the message was not made for this agent's key and this prologue.
    pub fn read(
        local: &SecretKey,
        prologue: &[u8],
        message: &[u8],
        payload: &mut Vec<u8>,
        rng: &mut Rng,
    ) -> Result<(Self, PublicKey), Forged> {
        let secrets = SharedSecrets::default();
        Self::read_with(local, &secrets, prologue, message, payload, rng)
    }

    /// Does the same with the secrets that `local` shares with controllers. After it, [`SharedSecrets::keep`] makes the
    /// next handshake with this controller cheaper.
    ///
    /// # Errors
    /// As [`Responder::read`].
    pub fn read_with(
        local: &SecretKey,
        secrets: &SharedSecrets,
        prologue: &[u8],
        message: &[u8],
        payload: &mut Vec<u8>,
        rng: &mut Rng,
    ) -> Result<(Self, PublicKey), Forged> {
        let mut noise = builder(rng, Side::Responder, local, secrets)
            .local_private_key(local.bytes())
            .and_then(|noise| noise.prologue(prologue))
            .and_then(Builder::build_responder)
            .expect("the suite is complete and each key is given once");
        read(&mut noise, message, payload)?;
        let remote = noise
            .get_remote_static()
            .and_then(|key| key.try_into().ok())
            .expect("message 1 of IK carries a key of 32 bytes");
        Ok((Self { noise }, PublicKey(remote)))
    }

    /// Appends message 2 with `payload` to `out`.
    ///
    /// # Errors
    /// [`Forged`] if the controller's ephemeral key is a low-order point or `payload` exceeds a Noise
    /// message; `out` is then unchanged.
    pub fn respond(mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<TrafficKeys, Forged> {
        write(&mut self.noise, payload, Self::OVERHEAD, out)?;
        let (theirs, ours) = split(&mut self.noise);
        Ok(TrafficKeys {
            seal: SealingKey::new(&ours),
            open: OpeningKey::new(&theirs),
        })
    }
}

fn builder<'a>(
    rng: &mut Rng,
    side: Side,
    local: &SecretKey,
    secrets: &SharedSecrets,
) -> Builder<'a> {
    let params = suite::NOISE.parse().expect("a Noise protocol name");
    Builder::with_resolver(params, Box::new(Resolver::new(rng, side, local, secrets)))
}

fn write(
    noise: &mut HandshakeState,
    payload: &[u8],
    overhead: usize,
    out: &mut Vec<u8>,
) -> Result<(), Forged> {
    let start = out.len();
    out.resize(start + overhead + payload.len(), 0);
    let written = noise.write_message(payload, &mut out[start..]);
    if let Ok(written) = written {
        debug_assert_eq!(start + written, out.len(), "the overhead is exact");
        Ok(())
    } else {
        out.truncate(start);
        Err(Forged)
    }
}

fn read(noise: &mut HandshakeState, message: &[u8], payload: &mut Vec<u8>) -> Result<(), Forged> {
    let start = payload.len();
    payload.resize(start + message.len(), 0);
    let read = noise.read_message(message, &mut payload[start..]);
    payload.truncate(start + read.as_ref().copied().unwrap_or(0));
    read.map(drop).map_err(|_| Forged)
}

/// Returns the sealing keys of initiator and responder, in this order (Noise §5.2, `Split`).
fn split(noise: &mut HandshakeState) -> (Zeroizing<[u8; suite::KEY]>, Zeroizing<[u8; suite::KEY]>) {
    let (mut initiator, mut responder) = noise.dangerously_get_raw_split();
    let keys = (Zeroizing::new(initiator), Zeroizing::new(responder));
    initiator.zeroize();
    responder.zeroize();
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROLOGUE: &[u8] = b"the clear bytes";

    struct Pair {
        controller: SecretKey,
        agent: SecretKey,
        rng: Rng,
    }

    fn pair() -> Pair {
        let mut rng = Rng::from_seed([7; 32]);
        Pair {
            controller: SecretKey::generate(&mut rng),
            agent: SecretKey::generate(&mut rng),
            rng,
        }
    }

    impl Pair {
        fn start(&mut self, payload: &[u8]) -> (Initiator, Vec<u8>) {
            let mut message = Vec::new();
            let remote = self.agent.public();
            let initiator = Initiator::start(
                &self.controller,
                &remote,
                PROLOGUE,
                payload,
                &mut self.rng,
                &mut message,
            );
            (initiator.unwrap(), message)
        }

        fn read(&mut self, message: &[u8]) -> Result<(Responder, PublicKey, Vec<u8>), Forged> {
            let mut payload = b"kept".to_vec();
            Responder::read(&self.agent, PROLOGUE, message, &mut payload, &mut self.rng).map(
                |(responder, remote)| {
                    assert!(payload.starts_with(b"kept"));
                    (responder, remote, payload.split_off(4))
                },
            )
        }
    }

    fn carries(from: &TrafficKeys, to: &TrafficKeys) {
        let mut datagram = b"headertext".to_vec();
        from.seal.seal(5, b"header", &mut datagram, 6);
        let opened = to.open.open(5, b"header", &mut datagram[6..]).unwrap();
        assert_eq!(opened, b"text");
    }

    #[test]
    fn two_messages_establish_keys_for_both_directions() {
        let mut pair = pair();
        let (mut initiator, first) = pair.start(b"hello");
        assert_eq!(first.len(), Initiator::OVERHEAD + 5);

        let (responder, remote, payload) = pair.read(&first).unwrap();
        assert_eq!(
            (remote, &payload[..]),
            (pair.controller.public(), &b"hello"[..])
        );

        let mut second = b"header".to_vec();
        let agent = responder.respond(b"welcome", &mut second).unwrap();
        assert_eq!(second.len(), 6 + Responder::OVERHEAD + 7);

        let mut payload = Vec::new();
        let controller = initiator.finish(&second[6..], &mut payload).unwrap();
        assert_eq!(payload, b"welcome");
        carries(&controller, &agent);
        carries(&agent, &controller);
    }

    #[test]
    fn a_kept_shared_secret_gives_the_same_keys_and_no_forged_message_passes() {
        let mut pair = pair();
        let secrets = SharedSecrets::default();
        for _ in 0..3 {
            let (mut initiator, first) = pair.start(b"hello");
            let mut read = |message: &[u8]| {
                let mut payload = Vec::new();
                let rng = &mut pair.rng;
                Responder::read_with(&pair.agent, &secrets, PROLOGUE, message, &mut payload, rng)
            };
            let mut forged = first.clone();
            *forged.last_mut().unwrap() ^= 1;
            assert!(read(&forged).is_err());
            let (responder, key) = read(&first).unwrap();
            assert_eq!(key, pair.controller.public());
            secrets.keep(&key);
            let mut second = Vec::new();
            let agent = responder.respond(b"", &mut second).unwrap();
            let controller = initiator.finish(&second, &mut Vec::new()).unwrap();
            carries(&controller, &agent);
            carries(&agent, &controller);
        }
    }

    #[test]
    fn an_initiator_looks_up_the_secret_with_the_agent_and_keeps_it() {
        let mut pair = pair();
        let (secrets, agent) = (SharedSecrets::default(), pair.agent.public());
        let mut exchange = |secrets: &SharedSecrets| {
            let (mut first, mut second) = (Vec::new(), Vec::new());
            let (local, rng) = (&pair.controller, &mut pair.rng);
            let initiator =
                Initiator::start_with(local, secrets, &agent, PROLOGUE, b"", rng, &mut first);
            let (responder, _) =
                Responder::read(&pair.agent, PROLOGUE, &first, &mut Vec::new(), rng)?;
            let theirs = responder.respond(b"", &mut second)?;
            let ours = initiator?.finish(&second, &mut Vec::new())?;
            carries(&ours, &theirs);
            Ok::<(), Forged>(())
        };
        for _ in 0..3 {
            exchange(&secrets).unwrap();
        }
        let kept = secrets.get(&agent.0, || panic!("it is kept")).unwrap();
        assert_ne!(*kept, [1; 32]);
        let wrong = SharedSecrets::default();
        wrong.get(&agent.0, || Some(Zeroizing::new([1; 32])));
        wrong.keep(&agent);
        assert!(exchange(&wrong).is_err(), "it is looked up");
    }

    #[test]
    fn a_forged_second_message_does_not_prevent_the_genuine_one() {
        let mut pair = pair();
        let (mut initiator, first) = pair.start(b"");
        let (responder, ..) = pair.read(&first).unwrap();
        let mut second = Vec::new();
        let agent = responder.respond(b"genuine", &mut second).unwrap();

        let mut payload = Vec::new();
        for length in 0..second.len() {
            assert!(initiator.finish(&second[..length], &mut payload).is_err());
        }
        for at in 0..second.len() {
            let mut forged = second.clone();
            forged[at] ^= 1;
            assert!(
                initiator.finish(&forged, &mut payload).is_err(),
                "byte {at}"
            );
        }
        let low_order = [0; 64];
        assert!(initiator.finish(&low_order, &mut payload).is_err());
        assert!(payload.is_empty());

        let controller = initiator.finish(&second, &mut payload).unwrap();
        assert_eq!(payload, b"genuine");
        carries(&controller, &agent);
    }

    #[test]
    fn a_changed_first_message_or_prologue_is_refused() {
        let mut pair = pair();
        let (_, first) = pair.start(b"hello");
        for at in 0..first.len() {
            let mut forged = first.clone();
            forged[at] ^= 0x10;
            assert!(pair.read(&forged).is_err(), "byte {at}");
        }
        let mut payload = Vec::new();
        let other = Responder::read(&pair.agent, b"other", &first, &mut payload, &mut pair.rng);
        assert!(other.is_err());
        assert!(payload.is_empty());
    }

    #[test]
    fn a_low_order_key_fails_on_either_side() {
        let mut pair = pair();
        let mut out = b"kept".to_vec();
        let nobody = PublicKey([0; 32]);
        let started = Initiator::start(
            &pair.controller,
            &nobody,
            PROLOGUE,
            b"",
            &mut pair.rng,
            &mut out,
        );
        assert!(started.is_err());
        assert_eq!(out, b"kept");

        let (_, mut first) = pair.start(b"");
        first[..32].fill(0);
        assert!(pair.read(&first).is_err());
    }

    #[test]
    fn no_two_handshakes_share_an_ephemeral_key() {
        let mut pair = pair();
        let (_, one) = pair.start(b"");
        let (_, two) = pair.start(b"");
        assert_ne!(one[..32], two[..32]);
    }
}
