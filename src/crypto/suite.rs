//! The one suite, and why.
//!
//! Nothing is negotiated: another suite is another protocol version. AES-256-GCM, because it is what
//! processors do in hardware, and its key length leaves no question open. Sealing and opening 1400
//! bytes with 20 of associated data, on one core of an x86-64 server with AES and carry-less
//! multiplication in vectors, the best of short runs, as multiples of ring's AES-256-GCM:
//!
//! ```text
//!                      seal              open
//!                  ring  aws-lc-rs   ring  aws-lc-rs
//! AES-256-GCM      1.00     0.90     1.00     1.08       (1.00 is 0.3 µs, 4.4 GB/s)
//! AES-128-GCM      0.81     0.81     0.88     0.78
//! ChaCha20-Poly1305 3.3      3.4      3.4      3.1
//! ```
//!
//! - ChaCha20-Poly1305 costs three times as much here. Processors without AES instructions, where it
//!   would win, are the exception among those that run agents.
//! - AES-128-GCM saves a fifth, some 60 ns a datagram: too little to leave the 256 bits that Noise
//!   asks of a cipher.
//! - ring and aws-lc-rs are within a tenth of each other, each ahead in one direction. ring takes a
//!   sixth of the processor time to build, and snow's resolver has it already.
//!
//! SHA-256, because with AES-GCM it is what snow takes from ring, and because processors have it too.

/// The Noise protocol name: IK over X25519, AES-256-GCM, SHA-256.
pub const NOISE: &str = "Noise_IK_25519_AESGCM_SHA256";

/// Sizes in bytes.
pub const KEY: usize = 32;
/// The AEAD's tag.
pub const TAG: usize = 16;
