//! The cipher suite, and the reasons for it.
//!
//! Nothing is negotiated: another suite is another protocol version. The cipher is AES-256-GCM, because
//! processors implement it in hardware and its key length leaves a margin. The table compares the time to
//! seal and open 1400 bytes with 20 bytes of associated data, on one core of an x86-64 server with vector
//! AES and carry-less multiplication: the best of short runs, in multiples of ring's AES-256-GCM.
//!
//! ```text
//!                      seal              open
//!                  ring  aws-lc-rs   ring  aws-lc-rs
//! AES-256-GCM      1.00     0.90     1.00     1.08       (1.00 is 0.3 µs, 4.4 GB/s)
//! AES-128-GCM      0.81     0.81     0.88     0.78
//! ChaCha20-Poly1305 3.3      3.4      3.4      3.1
//! ```
//!
//! - ChaCha20-Poly1305 takes three times as long here. It is faster on processors without AES
//!   instructions, but few of those run agents.
//! - AES-128-GCM saves a fifth, some 60 ns per datagram: too little to give up the 256-bit keys that
//!   Noise requires of a cipher.
//! - ring and aws-lc-rs are within a tenth of each other, each faster in one direction. ring takes a
//!   sixth of the processor time to build, and snow's resolver uses it already.
//!
//! The hash is SHA-256, because snow takes it from ring with AES-GCM, and processors implement it too.

/// The Noise protocol name: IK over X25519, AES-256-GCM, SHA-256.
pub const NOISE: &str = "Noise_IK_25519_AESGCM_SHA256";

/// Size of a key in bytes.
pub const KEY: usize = 32;
/// Size of the AEAD's tag in bytes.
pub const TAG: usize = 16;
