//! Signals of Linux by number and by name, `signal(7)`.

/// Highest signal number.
pub const MAX_SIGNAL: i32 = 64;

/// Returns the name of a signal without its `SIG`; real-time signals have none.
#[must_use]
pub const fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "HUP",
        2 => "INT",
        3 => "QUIT",
        4 => "ILL",
        5 => "TRAP",
        6 => "ABRT",
        7 => "BUS",
        8 => "FPE",
        9 => "KILL",
        10 => "USR1",
        11 => "SEGV",
        12 => "USR2",
        13 => "PIPE",
        14 => "ALRM",
        15 => "TERM",
        17 => "CHLD",
        18 => "CONT",
        19 => "STOP",
        20 => "TSTP",
        21 => "TTIN",
        22 => "TTOU",
        24 => "XCPU",
        25 => "XFSZ",
        28 => "WINCH",
        31 => "SYS",
        _ => return None,
    })
}

/// Returns the number of a signal that is given as `9`, `KILL` or `SIGKILL`, in upper or lower case.
#[must_use]
pub fn signal_number(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse() {
        return (1..=MAX_SIGNAL).contains(&number).then_some(number);
    }
    let name = text.to_ascii_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    (1..=31).find(|&number| signal_name(number) == Some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_found_by_number_and_by_name() {
        for text in ["9", "KILL", "sigkill", "SIGKILL"] {
            assert_eq!(signal_number(text), Some(9));
        }
        assert_eq!(signal_number("0"), None);
        assert_eq!(signal_number("65"), None);
        assert_eq!(signal_number("NOPE"), None);
    }
}
