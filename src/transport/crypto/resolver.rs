//! The primitives for snow: cipher and hash of aws-lc-rs, X25519 with a check, injected randomness.
//!
//! There is one suite and no choice. Invariant: a resolver serves one handshake, so that no two handshakes
//! draw the same ephemeral key.

use std::sync::atomic::{AtomicU8, Ordering};

use aws_lc_rs::aead::{Aad, LessSafeKey};
use aws_lc_rs::digest::{Context, SHA256};
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::CryptoResolver;
use snow::types::{Cipher, Dh, Hash, Random};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::seal::{expand, nonce};
use super::x25519::X25519;
use super::{SecretKey, SharedSecrets, suite};
use crate::rng::Rng;

/// The primitives of one handshake.
pub(super) struct Resolver {
    seed: Zeroizing<[u8; 32]>,
    local: SecretKey,
    secrets: SharedSecrets,
    side: Side,
}

/// Side of a handshake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Side {
    Initiator,
    Responder,
}

impl Side {
    /// Number of operations with the static key before `ss`. The initiator's next one is `se`; the responder's first one is
    /// `es`, with a key that any sender chooses, and `ss` is with a key that was sent under its secret.
    const fn before_ss(self) -> u8 {
        match self {
            Self::Initiator => 0,
            Self::Responder => 1,
        }
    }
}

impl Resolver {
    /// Creates a resolver for one side of a handshake with the static key `local`, and the secrets that it shares with
    /// others.
    pub(super) fn new(
        rng: &mut Rng,
        side: Side,
        local: &SecretKey,
        secrets: &SharedSecrets,
    ) -> Self {
        Self {
            seed: Zeroizing::new(rng.bytes()),
            local: local.clone(),
            secrets: secrets.clone(),
            side,
        }
    }
}

impl CryptoResolver for Resolver {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(Ephemeral(Rng::from_seed(*self.seed))))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        let key = || Key {
            pair: None,
            local: self.local.clone(),
            known: Some(self.secrets.clone()),
            secrets: None,
            before_ss: self.side.before_ss(),
            operations: AtomicU8::new(0),
        };
        matches!(choice, DHChoice::Curve25519).then(|| Box::new(key()) as Box<dyn Dh>)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        matches!(choice, HashChoice::SHA256).then(|| Box::new(Sha256::new()) as Box<dyn Hash>)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        matches!(choice, CipherChoice::AESGCM).then(|| Box::new(AesGcm::new()) as Box<dyn Cipher>)
    }
}

/// Random source of the ephemeral key.
struct Ephemeral(Rng);

impl Random for Ephemeral {
    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), snow::Error> {
        self.0.fill(out);
        Ok(())
    }
}

/// A key of one side, once it is set.
struct Key {
    pair: Option<X25519>,
    /// The static key, in case that it is this one, and the secrets that it shares with others.
    local: SecretKey,
    known: Option<SharedSecrets>,
    /// Those secrets, if this is the static key.
    secrets: Option<SharedSecrets>,
    /// Number of operations of the static key that are never looked up before the one that is.
    before_ss: u8,
    /// Number of operations so far.
    operations: AtomicU8,
}

impl Key {
    fn get(&self) -> &X25519 {
        self.pair.as_ref().expect("a key is set before it is used")
    }
}

impl Dh for Key {
    fn name(&self) -> &'static str {
        "25519"
    }

    fn pub_len(&self) -> usize {
        32
    }

    fn priv_len(&self) -> usize {
        32
    }

    fn set(&mut self, secret: &[u8]) {
        let secret: &[u8; 32] = secret.try_into().expect("keys are 32 bytes");
        if secret.ct_eq(self.local.bytes()).into() {
            self.pair = Some(X25519::from_pair(secret, self.local.public().0));
            self.secrets = self.known.take();
        } else {
            self.pair = Some(X25519::new(secret));
        }
    }

    fn generate(&mut self, rng: &mut dyn Random) -> Result<(), snow::Error> {
        let mut secret = Zeroizing::new([0; 32]);
        rng.try_fill_bytes(&mut *secret)?;
        self.set(&*secret);
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        self.get().public()
    }

    fn privkey(&self) -> &[u8] {
        self.get().secret()
    }

    fn dh(&self, public: &[u8], out: &mut [u8]) -> Result<(), snow::Error> {
        // The buffers of snow are long enough for keys of larger curves.
        let (public, _) = public.split_first_chunk::<32>().ok_or(snow::Error::Dh)?;
        let compute = || self.get().agree(public);
        let shared = match &self.secrets {
            Some(secrets) if self.operations.fetch_add(1, Ordering::Relaxed) == self.before_ss => {
                secrets.get(public, compute)
            }
            Some(_) | None => compute(),
        };
        let shared = shared.ok_or(snow::Error::Dh)?;
        out[..32].copy_from_slice(&*shared);
        Ok(())
    }
}

struct AesGcm(LessSafeKey);

impl AesGcm {
    /// Creates a cipher whose key is set before it is used.
    fn new() -> Self {
        Self(expand(&[0; suite::KEY]))
    }
}

impl Cipher for AesGcm {
    fn name(&self) -> &'static str {
        "AESGCM"
    }

    fn set(&mut self, key: &[u8; suite::KEY]) {
        self.0 = expand(key);
    }

    fn encrypt(&self, number: u64, covered: &[u8], plaintext: &[u8], out: &mut [u8]) -> usize {
        let (text, rest) = out.split_at_mut(plaintext.len());
        text.copy_from_slice(plaintext);
        let tag = self
            .0
            .seal_in_place_separate_tag(nonce(number), Aad::from(covered), text)
            .expect("a message is shorter than 64 KiB");
        rest[..suite::TAG].copy_from_slice(tag.as_ref());
        plaintext.len() + suite::TAG
    }

    fn decrypt(
        &self,
        number: u64,
        covered: &[u8],
        sealed: &[u8],
        out: &mut [u8],
    ) -> Result<usize, snow::Error> {
        let length = sealed.len().checked_sub(suite::TAG);
        let length = length.ok_or(snow::Error::Decrypt)?;
        let (text, tag) = sealed.split_at(length);
        let out = out.get_mut(..length).ok_or(snow::Error::Decrypt)?;
        self.0
            .open_separate_gather(nonce(number), Aad::from(covered), text, tag, out)
            .map_err(|_| snow::Error::Decrypt)?;
        Ok(length)
    }
}

struct Sha256(Context);

impl Sha256 {
    fn new() -> Self {
        Self(Context::new(&SHA256))
    }
}

impl Hash for Sha256 {
    fn name(&self) -> &'static str {
        "SHA256"
    }

    fn block_len(&self) -> usize {
        SHA256.block_len()
    }

    fn hash_len(&self) -> usize {
        SHA256.output_len()
    }

    fn reset(&mut self) {
        *self = Self::new();
    }

    fn input(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn result(&mut self, out: &mut [u8]) {
        let digest = self.0.clone().finish();
        out[..digest.as_ref().len()].copy_from_slice(digest.as_ref());
    }
}
