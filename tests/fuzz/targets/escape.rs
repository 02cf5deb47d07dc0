//! The escaping of terminal output: one clean line of bounded length for any input, isolated as a message, and JSON with
//! the same value.
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
    assert!(!line.starts_with(escape::is_hidden), "{line:?}");
    let is_joiner = |c: char| matches!(c, '\u{200b}'..='\u{200d}');
    for (one, other) in line.chars().zip(line.chars().skip(1)) {
        let is_letter = one.is_ascii_alphabetic();
        assert!(!(escape::is_hidden(other) && is_letter), "{line:?}");
        assert!(!(is_joiner(one) && is_joiner(other)), "{line:?}");
    }
    let shown = escape::message(bytes, max);
    let inner = shown.strip_prefix('\u{2068}');
    let inner = inner.and_then(|shown| shown.strip_suffix('\u{2069}'));
    assert_eq!(inner.unwrap_or(&shown), line, "{shown:?}");
    let json = serde_json::to_string(&String::from_utf8_lossy(bytes)).expect("a string has a JSON form");
    let escaped = escape::json(&json);
    assert!(!escaped.contains(['\u{9b}', '\u{202e}', '\u{200d}']), "{escaped:?}");
    assert_eq!(
        serde_json::from_str::<String>(&escaped).ok(),
        serde_json::from_str::<String>(&json).ok()
    );
    if bytes.len() <= max && std::str::from_utf8(bytes).is_ok_and(escape::is_clean) {
        assert_eq!(line.as_bytes(), bytes);
    }
});
