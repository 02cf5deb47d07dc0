//! Format of log lines, as text or JSON.
//!
//! Not their destination. Invariant: a line has no control character and at most [`LINE`] bytes, whatever its
//! fields contain; as JSON it is one object, whose members have the names of an audit record's.

use std::fmt::{self, Write as _};

use serde::Serialize;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::limits::{FIELD, LINE, MESSAGE};
use crate::agent::audit;
use crate::agent::config::LogFormat;
use crate::escape;

/// Formatter of the events of `tracing`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lines(pub LogFormat);

/// Contents of a line.
#[derive(Default)]
struct Contents {
    message: String,
    fields: Map<String, Value>,
}

#[derive(Serialize)]
struct JsonLine<'a> {
    time: &'a str,
    level: String,
    message: &'a str,
    #[serde(flatten)]
    fields: &'a Map<String, Value>,
}

/// Returns a line with its line feed. `event` is the name of the event in JSON.
#[must_use]
pub fn line(format: LogFormat, level: Level, event: &str, message: &str) -> Vec<u8> {
    let mut contents = Contents::default();
    contents.message.push_str(message);
    contents.fields.insert("event".into(), event.into());
    contents.to_line(format, level).into_bytes()
}

impl Contents {
    fn to_line(&self, format: LogFormat, level: Level) -> String {
        let time = audit::now();
        let message = escape::line(self.message.as_bytes(), MESSAGE);
        match format {
            LogFormat::Text => text(&time, level, &message, &self.fields),
            LogFormat::Json => json(&time, level, &message, &self.fields),
        }
    }
}

fn text(time: &str, level: Level, message: &str, fields: &Map<String, Value>) -> String {
    let mut line = format!("{time} {level:<5} {message}");
    // The message says in words what the name of the event says to programs.
    for (name, value) in fields.iter().filter(|(name, _)| *name != "event") {
        // Formatting to a string does not fail.
        let _ = match value.as_str() {
            Some(word) if is_word(word) => write!(line, " {name}={word}"),
            Some(_) | None => write!(line, " {name}={value}"),
        };
        if line.len() >= LINE {
            let fits = |&end: &usize| line.is_char_boundary(end);
            line.truncate((0..LINE).rev().find(fits).unwrap_or_default());
            break;
        }
    }
    line.push('\n');
    line
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.contains([' ', '"', '='])
}

fn json(time: &str, level: Level, message: &str, fields: &Map<String, Value>) -> String {
    let object = |fields| {
        let line = JsonLine {
            time,
            level: level.as_str().to_lowercase(),
            message,
            fields,
        };
        let line = serde_json::to_string(&line).expect("every field has a JSON form");
        let mut line = audit::visible(&line);
        line.push('\n');
        line
    };
    let line = object(fields);
    if line.len() <= LINE {
        line
    } else {
        object(&Map::new())
    }
}

impl Visit for Contents {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message.push_str(value);
        } else {
            let value = escape::line(value.as_bytes(), FIELD).into_owned();
            self.fields.insert(field.name().into(), value.into());
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.fields.insert(field.name().into(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.fields.insert(field.name().into(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.fields.insert(field.name().into(), value.into());
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut contents = Contents::default();
        event.record(&mut contents);
        writer.write_str(&contents.to_line(self.0, *event.metadata().level()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Map<String, Value> {
        let pair = |&(name, value): &(&str, &str)| (name.to_owned(), Value::from(value));
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn a_text_line_is_time_level_sentence_and_fields() {
        let fields = fields(&[("event", "denied"), ("key", "ua1:x"), ("address", "a b")]);
        assert_eq!(
            text("T", Level::INFO, "denied: chat-only", &fields),
            "T INFO  denied: chat-only address=\"a b\" key=ua1:x\n"
        );
    }

    #[test]
    fn a_json_line_is_one_object_of_printable_characters() {
        let fields = fields(&[("event", "denied"), ("key", "\u{202e}\n")]);
        let line = json("T", Level::WARN, "a \"b\"", &fields);
        assert_eq!(
            line,
            "{\"time\":\"T\",\"level\":\"warn\",\"message\":\"a \\\"b\\\"\",\"event\":\"denied\",\
             \"key\":\"\\u202e\\n\"}\n"
        );
    }

    #[test]
    fn a_line_is_never_longer_than_a_packet() {
        let long = "\u{202e}".repeat(MESSAGE);
        let many: Map<String, Value> = (0..1000)
            .map(|n| (format!("field{n}"), Value::from("x".repeat(FIELD))))
            .collect();
        for format in [LogFormat::Text, LogFormat::Json] {
            let contents = Contents {
                message: long.clone(),
                fields: many.clone(),
            };
            let line = contents.to_line(format, Level::ERROR);
            assert!(line.len() <= LINE, "{}", line.len());
            assert!(line.ends_with('\n'));
            if format == LogFormat::Json {
                serde_json::from_str::<Value>(&line).unwrap();
            }
        }
    }
}
