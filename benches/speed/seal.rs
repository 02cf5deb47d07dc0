//! A sealed datagram of 1400 bytes, and its cost with other cipher suites of the same crate.

use std::hint::black_box;

use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use udpagent::crypto::{OpeningKey, ReplayWindow, SealingKey, suite};
use udpagent::wire::{Data, SessionId, limits::DATA_HEADER};

use crate::measure::{Bench, Cost};

/// Bytes of the payload: about those of a datagram on Ethernet.
const PAYLOAD: usize = 1400;

/// Prints the costs as multiples of that of the protocol's cipher suite.
pub fn run(bench: &Bench) {
    let seal = seal(bench);
    let open = open(bench);
    seal.print("seal", &seal.throughput(PAYLOAD), seal);
    let others: [(&str, &'static aead::Algorithm); 2] = [
        ("seal AES-128-GCM", &aead::AES_128_GCM),
        ("seal ChaCha20-Poly1305", &aead::CHACHA20_POLY1305),
    ];
    for (name, algorithm) in others {
        let other = seal_with(bench, algorithm);
        other.print(name, &other.throughput(PAYLOAD), seal);
    }
    open.print("open, replay window", &open.throughput(PAYLOAD), open);
}

fn header(counter: u64) -> [u8; DATA_HEADER] {
    let data = Data {
        phase: 0,
        receiver: SessionId(1),
        counter,
    };
    data.encode()
}

/// Seals as a sender does: header, payload, seal. The payload is copied, the buffer is reused.
fn seal(bench: &Bench) -> Cost {
    let key = SealingKey::new(&[1; suite::KEY]);
    let payload = [0x5A; PAYLOAD];
    let mut datagram = Vec::with_capacity(2 * PAYLOAD);
    let mut counter = 0;
    bench.cost(|| {
        counter += 1;
        let header = header(counter);
        datagram.clear();
        datagram.extend_from_slice(&header);
        datagram.extend_from_slice(&payload);
        key.seal(counter, &header, &mut datagram, DATA_HEADER);
        black_box(&datagram);
    })
}

/// Seals in the same way with another algorithm of the crate.
fn seal_with(bench: &Bench, algorithm: &'static aead::Algorithm) -> Cost {
    let key = vec![1; algorithm.key_len()];
    let key = UnboundKey::new(algorithm, &key).expect("the key has the length of the algorithm");
    let key = LessSafeKey::new(key);
    let payload = [0x5A; PAYLOAD];
    let mut datagram = Vec::with_capacity(2 * PAYLOAD);
    let mut counter = 0_u64;
    bench.cost(|| {
        counter += 1;
        let header = header(counter);
        datagram.clear();
        datagram.extend_from_slice(&header);
        datagram.extend_from_slice(&payload);
        let mut nonce = [0; aead::NONCE_LEN];
        nonce[4..].copy_from_slice(&counter.to_be_bytes());
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = key
            .seal_in_place_separate_tag(nonce, Aad::from(&header), &mut datagram[DATA_HEADER..])
            .expect("a datagram is shorter than the limit of the algorithm");
        datagram.extend_from_slice(tag.as_ref());
        black_box(&datagram);
    })
}

/// Opens as a receiver does: check the counter, open in place, mark the counter.
fn open(bench: &Bench) -> Cost {
    let bytes = [1; suite::KEY];
    let header = header(7);
    let mut sealed = vec![0x5A; PAYLOAD];
    SealingKey::new(&bytes).seal(7, &header, &mut sealed, 0);
    let key = OpeningKey::new(&bytes);
    let mut window = ReplayWindow::new();
    let mut datagram = sealed.clone();
    let mut counter = 0;
    bench.cost(|| {
        datagram.copy_from_slice(&sealed);
        // The window gets ascending counters, the cipher the one counter that it can open.
        counter += 1;
        assert!(window.check(counter), "an ascending counter is new");
        let opened = key.open(7, &header, &mut datagram);
        black_box(opened.expect("the datagram was sealed with this key"));
        window.mark(counter);
    })
}
