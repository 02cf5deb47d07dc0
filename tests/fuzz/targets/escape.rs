//! The escaping of terminal output: one clean line of bounded length for any input.
#![no_main]

use libfuzzer_sys::fuzz_target;
use udpagent::escape;

fuzz_target!(|input: (u16, &[u8])| {
    let (max, bytes) = input;
    let max = usize::from(max);
    let line = escape::line(bytes, max);
    assert!(line.len() <= 6 * max + 32);
    assert!(escape::is_clean(&line), "{line:?}");
    assert!(!line.contains(char::is_control));
    if bytes.len() <= max && std::str::from_utf8(bytes).is_ok_and(escape::is_clean) {
        assert_eq!(line.as_bytes(), bytes);
    }
});
