//! Sizes in bytes in the notation of the configuration: `4096`, `10k`, `1.5 GiB`.

/// Description of valid sizes, for error messages.
pub(super) const WANT: &str = "a number of bytes such as 4096, \"10 MB\" or \"1 GiB\"";

/// Parses a size. `k` and `kB` are 1000, `Ki` and `KiB` are 1024, and so on up to `T`. Case is
/// ignored.
pub(super) fn parse(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
    let unit = unit.trim().to_ascii_lowercase();
    let unit = unit.strip_suffix('b').unwrap_or(&unit);
    let (unit, step) = match unit.strip_suffix('i') {
        Some("") => return None,
        Some(unit) => (unit, 1024_u64),
        None => (unit, 1000),
    };
    let power = ["", "k", "m", "g", "t"]
        .iter()
        .position(|known| *known == unit)?;
    let scale = step.pow(u32::try_from(power).ok()?);
    let Some((whole, fraction)) = number.split_once('.') else {
        return number.parse::<u64>().ok()?.checked_mul(scale);
    };
    // At most three decimal places. A thousandth of a binary unit is rounded down to whole bytes.
    if power == 0 || fraction.is_empty() || fraction.len() > 3 {
        return None;
    }
    let thousandths: u64 = format!("{fraction:0<3}").parse().ok()?;
    let whole = whole.parse::<u64>().ok()?.checked_mul(scale)?;
    whole.checked_add(thousandths * scale / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_have_decimal_and_binary_units() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("10k", 10_000),
            ("10 kB", 10_000),
            ("10KiB", 10_240),
            ("64 Ki", 65_536),
            ("1.5 GiB", 3 << 29),
            ("2.25M", 2_250_000),
            ("7b", 7),
            ("3 TB", 3_000_000_000_000),
        ] {
            assert_eq!(parse(text), Some(bytes), "{text}");
        }
        for text in [
            "",
            "k",
            "-1",
            "1.5",
            "1.",
            ".5k",
            "1.2345k",
            "1..5k",
            "5 x",
            "5 i",
            "5 kk",
            "1e3",
            "99999999999999999999",
            "18446744073709551615k",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,20}", near in "[0-9.]{0,22} ?[kKmMgGtT]?i?[bB]?") {
            let _ = parse(&text);
            let _ = parse(&near);
        }
    }
}
