//! The times of `expires=`: a date, or a date and time with a zone (RFC 3339).
//!
//! Without a time zone database and without leap seconds: the system's clock counts seconds since
//! 1970, and a zone is written as `Z` or as an offset such as `+02:00`. A date alone means its
//! beginning in UTC.

/// Parses a time into seconds since 1970. Returns `None` for an invalid time and for one before
/// 1970.
pub(super) fn parse(text: &str) -> Option<u64> {
    let (date, time) = match text.split_once(['T', 't', ' ']) {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let seconds = days(date)? * 86_400 + time.map_or(Some(0), seconds)?;
    u64::try_from(seconds).ok()
}

/// Days since 1970 at `YYYY-MM-DD`.
fn days(date: &str) -> Option<i64> {
    let [year, month, day] = fields(date, '-', [4, 2, 2])?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    // The year begins in March, so that the leap day comes last; see Howard Hinnant,
    // "chrono-Compatible Low-Level Date Algorithms", days_from_civil.
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    Some(year * 365 + leap_days + day_of_year - 719_468)
}

/// Seconds since midnight UTC at `HH:MM:SS[.fraction](Z|±HH:MM)`. Negative or more than a day if
/// the offset leads to another day.
fn seconds(time: &str) -> Option<i64> {
    let zone = time.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = time.split_at(zone);
    let clock = match clock.split_once('.') {
        Some((whole, fraction)) if is_number(fraction) => whole,
        Some(_) => return None,
        None => clock,
    };
    let [hour, minute, second] = fields(clock, ':', [2, 2, 2])?;
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let offset = match zone.split_at(1) {
        ("Z" | "z", "") => 0,
        (sign @ ("+" | "-"), text) => {
            let [hours, minutes] = fields(text, ':', [2, 2])?;
            if hours > 23 || minutes > 59 {
                return None;
            }
            let offset = hours * 3600 + minutes * 60;
            if sign == "+" { offset } else { -offset }
        }
        _ => return None,
    };
    Some(hour * 3600 + minute * 60 + second - offset)
}

/// Decimal fields of exactly these widths.
fn fields<const N: usize>(text: &str, separator: char, widths: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(separator);
    let mut out = [0; N];
    for (out, width) in out.iter_mut().zip(widths) {
        let part = parts
            .next()
            .filter(|part| part.len() == width && is_number(part))?;
        *out = part.parse().ok()?;
    }
    parts.next().is_none().then_some(out)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dates_and_times_parse_to_the_seconds_that_date_prints() {
        // Each was checked against `date -u -d TEXT +%s`.
        for (text, unix) in [
            ("1970-01-01", 0),
            ("1970-01-01T00:00:59Z", 59),
            ("2000-02-29", 951_782_400),
            ("2000-03-01", 951_868_800),
            ("2024-02-29T12:34:56Z", 1_709_210_096),
            ("2026-12-31T23:59:59+02:00", 1_798_754_399),
            ("2026-12-31 23:59:59.75-00:30", 1_798_763_399),
            ("2100-03-01", 4_107_542_400),
            ("9999-12-31t23:59:60z", 253_402_300_800),
        ] {
            assert_eq!(parse(text), Some(unix), "{text}");
        }
    }

    #[test]
    fn an_invalid_expiry_time_is_refused() {
        for text in [
            "",
            "tomorrow",
            "2026",
            "2026-13-01",
            "2026-00-01",
            "2026-02-29",
            "2026-04-31",
            "2026-01-00",
            "26-01-01",
            "2026-1-1",
            "2026-01-01T",
            "2026-01-01T10:00:00",
            "2026-01-01T24:00:00Z",
            "2026-01-01T10:60:00Z",
            "2026-01-01T10:00Z",
            "2026-01-01T10:00:00+2",
            "2026-01-01T10:00:00Zulu",
            "2026-01-01T10:00:00.Z",
            "+026-01-01",
            "1969-12-31",
            "1970-01-01T00:00:00+01:00",
            "2026-01-01-01",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn consecutive_dates_are_consecutive_days() {
        let mut expected = 0;
        for year in 1970..2405 {
            for month in 1..=12 {
                for day in 1..=31 {
                    if let Some(days) = days(&format!("{year}-{month:02}-{day:02}")) {
                        assert_eq!(days, expected, "{year}-{month}-{day}");
                        expected += 1;
                    }
                }
            }
        }
        // Four centuries have 97 leap days.
        assert_eq!(days("2370-01-01"), Some(400 * 365 + 97));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,30}", near in "[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]?[0-9:.Zz+-]{0,20}") {
            let _ = parse(&text);
            let _ = parse(&near);
        }
    }
}
