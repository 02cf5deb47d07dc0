//! The cipher suite, and the reasons for it.
//!
//! Nothing is negotiated: another suite is another protocol version. The cipher is AES-256-GCM, because
//! processors implement it in hardware and its key length leaves a margin. The table compares the time to
//! seal or open a datagram with 20 bytes of associated data, on one core of an x86-64 server with AVX-512 and
//! vector AES: the best of short runs, in multiples of the suite. The two directions differ by less than a tenth.
//!
//! ```text
//!                      1400 bytes           60000 bytes
//!                   aws-lc-rs  ring      aws-lc-rs  ring
//! AES-256-GCM          1.00    1.3          1.00    2.1       (1.00 is 0.18 µs, 7.9 GB/s, and 2.6 µs, 22.7 GB/s)
//! AES-128-GCM          0.92    1.2          0.86    1.9
//! ChaCha20-Poly1305    3.9     3.9          3.4     3.4
//! ```
//!
//! - ChaCha20-Poly1305 takes more than three times as long here. It is faster on processors without AES
//!   instructions, but few of those run agents.
//! - AES-128-GCM saves a seventh at most: too little to give up the 256-bit keys that Noise requires of a cipher.
//! - aws-lc-rs uses the whole width of the vectors; where it does not, the two are within a tenth.
//!
//! X25519 is not taken from it, although it has it: its safe interface brings 1.7 MB of other public-key algorithms into
//! each program, graviola the same assembly in 0.1 MB. A shared secret takes 16 µs there and 36 µs in x25519-dalek, a
//! public key 4.6 and 11 µs.
//!
//! The hash is SHA-256, because processors implement it too.

/// The Noise protocol name: IK over X25519, AES-256-GCM, SHA-256.
pub const NOISE: &str = "Noise_IK_25519_AESGCM_SHA256";

/// Size of a key in bytes.
pub const KEY: usize = 32;
/// Size of the AEAD's tag in bytes.
pub const TAG: usize = 16;
