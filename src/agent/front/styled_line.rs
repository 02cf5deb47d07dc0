//! The lines of the chat as they appear above a prompt: names in their colours, messages with their time.
//!
//! Not the text of a line without a prompt. Invariant: the style adds only control sequences and times; all that others
//! wrote is escaped as without it.

use crate::agent::chat::Line;
use crate::prompt::style::Style;

/// Returns a line with a style.
pub fn styled(line: &Line, style: &Style) -> String {
    let text = line.text(|name, shown| style.name(name, shown));
    match line {
        Line::Said { .. } | Line::Whispered { .. } | Line::Plain { .. } => {
            format!("{}{text}", style.time(None))
        }
        Line::Came { .. } | Line::Left { .. } | Line::Suppressed { .. } | Line::NotShown { .. } => {
            text
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    #[test]
    fn a_message_has_its_time_and_the_name_its_colour_and_both_are_escaped() {
        let said = Line::Said {
            from: "a\u{1b}nn".into(),
            text: "\u{1b}[2J".into(),
            room: Some("ops".parse().unwrap()),
            bot: false,
            action: false,
        };
        let style = Style {
            is_colored: true,
            zone: Some(TimeZone::UTC),
        };
        let line = styled(&said, &style);
        let (time, line) = line.split_at(6);
        assert!(time.ends_with(' ') && time.as_bytes()[2] == b':', "{time}");
        let (before, rest) = line.split_once("\u{1b}[").unwrap();
        assert_eq!(before, "#ops ");
        let (_, rest) = rest.split_once('m').unwrap();
        assert_eq!(rest, "a\\u{1b}nn\u{1b}[m: \\u{1b}[2J");
        assert_eq!(styled(&said, &Style::default()), said.to_string());
    }
}
