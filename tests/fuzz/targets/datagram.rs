//! A received datagram: it is encoded as it was parsed, and no mac is valid by chance.
#![no_main]

use libfuzzer_sys::fuzz_target;
use udpagent::crypto::{AgentMac, OpeningKey, PublicKey};
use udpagent::wire::limits::DATA_HEADER;
use udpagent::wire::{Datagram, TAG, encode_init, encode_resp, encode_retry, encode_stateless_reset};

fuzz_target!(|bytes: &[u8]| {
    let mac = AgentMac::new(&PublicKey([9; 32]));
    let mut again = Vec::new();
    match Datagram::parse(bytes) {
        Ok(None) => assert!(!bytes.starts_with(&TAG)),
        Err(_) => assert!(bytes.starts_with(&TAG)),
        Ok(Some(Datagram::Init(init))) => {
            encode_init(init.sender, init.token, &mut again);
            assert_eq!(again, init.prologue);
            assert_eq!([init.prologue, init.noise, init.mac].concat(), bytes);
            assert!(mac.verify(init.covered, init.mac).is_err());
        }
        Ok(Some(Datagram::Resp(resp))) => {
            encode_resp(resp.sender, resp.receiver, &mut again);
            again.extend_from_slice(resp.noise);
            assert_eq!(again, bytes);
        }
        Ok(Some(Datagram::Retry(retry))) => {
            encode_retry(retry.receiver, retry.token, &mut again);
            assert_eq!(again, retry.covered);
            assert!(mac.verify(retry.covered, retry.mac).is_err());
        }
        Ok(Some(Datagram::StatelessReset(reset))) => {
            encode_stateless_reset(reset.receiver, reset.token, &mut again);
            assert_eq!(again, bytes);
        }
        Ok(Some(Datagram::Data(data))) => {
            let header = data.encode();
            assert_eq!(header, bytes[..DATA_HEADER]);
            let key = OpeningKey::new(&[9; 32]);
            let mut sealed = bytes[DATA_HEADER..].to_vec();
            assert!(key.open(data.counter, &header, &mut sealed).is_err());
        }
    }
});
