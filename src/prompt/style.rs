//! Colours of names and time stamps of messages on a terminal.
//!
//! Not the text of the messages. Invariants: a name has the same colour in every chat; without a terminal, and where the
//! user wants no colours, nothing is added.

use std::env;
use std::ffi::OsStr;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// Foreground colours of names (SGR): neither black, white and grey, nor the dark blue that is hard to read.
const COLORS: [u8; 11] = [31, 32, 33, 35, 36, 91, 92, 93, 94, 95, 96];

/// Additions to the lines of a chat.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Style {
    /// True if names are coloured.
    pub is_colored: bool,
    /// Time zone of the time stamps of messages; `None` for no time stamps. It is read once: a process in a sandbox cannot
    /// read it again.
    pub zone: Option<TimeZone>,
}

impl Style {
    /// Returns the style on a terminal, as the environment wants it.
    pub fn of_terminal(is_timed: bool) -> Self {
        let variable = |name| env::var_os(name).filter(|value| !value.is_empty());
        Self {
            is_colored: has_colors(variable("NO_COLOR").as_deref(), variable("TERM").as_deref()),
            zone: is_timed.then(TimeZone::system),
        }
    }

    /// Returns the mark of a line that is delivered.
    pub fn delivered(&self) -> String {
        let mark = "\u{2713}";
        if self.is_colored {
            format!("\x1b[2m{mark}\x1b[m")
        } else {
            mark.to_owned()
        }
    }

    /// Returns a name in its colour. `shown` is the name, escaped.
    pub fn name(&self, name: &str, shown: &str) -> String {
        if self.is_colored {
            let color = color(name);
            format!("\x1b[{color}m{shown}\x1b[m")
        } else {
            shown.to_owned()
        }
    }

    /// Returns the local time to put before a message, with a space behind: now, or for an earlier message its age
    /// before.
    pub fn time(&self, age_ms: Option<u64>) -> String {
        let Some(zone) = &self.zone else {
            return String::new();
        };
        let now = Timestamp::now().to_zoned(zone.clone());
        let said = now.saturating_sub(Duration::from_millis(age_ms.unwrap_or_default()));
        stamp(&said)
    }
}

fn has_colors(no_color: Option<&OsStr>, term: Option<&OsStr>) -> bool {
    no_color.is_none() && term.is_some_and(|term| term != "dumb")
}

/// Returns the colour of a name: by FNV-1a, which is the same everywhere.
fn color(name: &str) -> u8 {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let colors = COLORS.len() as u64;
    COLORS[usize::try_from(hash % colors).expect("less than the number of colours")]
}

fn stamp(time: &Zoned) -> String {
    format!("{:02}:{:02} ", time.hour(), time.minute())
}

#[cfg(test)]
mod tests {
    use jiff::tz::Offset;

    use super::*;

    #[test]
    fn a_name_has_the_same_colour_everywhere_and_all_colours_are_used() {
        assert_eq!(color("ann"), color("ann"));
        // Pinned: another program, or another version, shows the same colour.
        assert_eq!([color("ann"), color("bob"), color("hall")], PINNED);
        let mut seen: Vec<_> = (0..1000).map(|n| color(&n.to_string())).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, COLORS);
    }

    const PINNED: [u8; 3] = [31, 95, 32];

    #[test]
    fn no_color_and_a_dumb_terminal_have_no_colours() {
        let on = |no_color: Option<&str>, term: Option<&str>| {
            has_colors(no_color.map(OsStr::new), term.map(OsStr::new))
        };
        assert!(on(None, Some("xterm")));
        assert!(!on(Some("1"), Some("xterm")));
        assert!(!on(None, Some("dumb")));
        assert!(!on(None, None));
        let plain = Style::default();
        assert_eq!(plain.name("ann", "ann") + &plain.time(None), "ann");
        let colored = Style {
            is_colored: true,
            ..plain
        };
        let expected = format!("\x1b[{}ma\\n\x1b[m", color("a\n"));
        assert_eq!(colored.name("a\n", "a\\n"), expected);
    }

    #[test]
    fn a_time_stamp_is_local_and_has_two_digits_each() {
        let moment = Timestamp::from_second(3 * 3600 + 4 * 60 + 59).unwrap();
        let zone = |hours| TimeZone::fixed(Offset::constant(hours));
        assert_eq!(stamp(&moment.to_zoned(zone(0))), "03:04 ");
        assert_eq!(stamp(&moment.to_zoned(zone(-5))), "22:04 ");
    }
}
