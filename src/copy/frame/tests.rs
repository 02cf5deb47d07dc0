//! Frames as bytes and back, and payloads that no frame has.

use proptest::prelude::*;

use super::*;

fn frame_of(kind: u8, payload: &[u8]) -> Vec<u8> {
    [&header(kind, payload.len()), payload].concat()
}

proptest! {
    #[test]
    fn what_is_decoded_is_encoded_to_the_same_bytes(
        kind in 0_u8..,
        payload in proptest::collection::vec(prop_oneof![Just(0_u8), Just(1), any::<u8>()], 0..80),
    ) {
        if let Ok(Some(frame)) = FromSender::decode(kind, &payload) {
            let mut out = BytesMut::new();
            frame.put(&mut out);
            prop_assert_eq!(&out[..], frame_of(kind, &payload));
        }
        if let Ok(Some(frame)) = FromReceiver::decode(kind, &payload) {
            let mut out = BytesMut::new();
            frame.put(&mut out);
            prop_assert_eq!(&out[..], frame_of(kind, &payload));
        }
    }
}

#[test]
fn names_and_numbers_that_no_item_has_are_refused() {
    let attributes =
        |mode: u32, nanos: u32| [&mode.to_be_bytes()[..], &[0; 8], &nanos.to_be_bytes()].concat();
    let file = |attributes: &[u8], size: u64, name: &[u8]| {
        FromSender::decode(FILE, &[attributes, &size.to_be_bytes(), name].concat())
    };
    let usual = attributes(0o644, 0);
    assert!(matches!(file(&usual, 1, b"a"), Ok(Some(_))));
    for name in [&b""[..], b"..", b"a/b", b"/etc/passwd", b"a\0b"] {
        assert!(file(&usual, 1, name).is_err(), "{name:?}");
    }
    assert!(file(&attributes(0o10_0644, 0), 1, b"a").is_err());
    assert!(file(&attributes(0o644, 1_000_000_000), 1, b"a").is_err());
    assert!(file(&usual, 1 << 63, b"a").is_err());
    let link = |target: &[u8]| {
        let payload = [&usual[..], &[1], b"l", target].concat();
        FromSender::decode(LINK, &payload)
    };
    assert!(matches!(link(b"/any/where/../else"), Ok(Some(_))));
    for target in [&b""[..], b"a\0", &[b'x'; 4096]] {
        assert!(link(target).is_err());
    }
    assert!(FromSender::decode(BEGIN, &[2]).is_err());
    assert_eq!(FromSender::decode(OPTIONAL, b"any"), Ok(None));
    assert_eq!(FromReceiver::decode(0xff, b"any"), Ok(None));
    assert!(FromSender::decode(0x7f, b"any").is_err());
}
