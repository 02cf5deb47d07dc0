//! The one suite, and why.

/// The Noise protocol name: IK over X25519, AES-256-GCM, SHA-256.
pub const NOISE: &str = "Noise_IK_25519_AESGCM_SHA256";

/// Sizes in bytes.
pub const KEY: usize = 32;
/// The AEAD's tag.
pub const TAG: usize = 16;
