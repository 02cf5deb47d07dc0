//! Lines of standard input that is no prompt: a pipe, a file, or a terminal whose output goes elsewhere.
//!
//! Not their effects. Invariant: nothing is read behind the line that ends the chat.

use std::io::{self, BufRead as _, Read as _};

use crossbeam_channel::Sender;

use super::input_position::Input;
use crate::message::limits::CHAT_TEXT;
use crate::prompt::activity::Activity;
use crate::prompt::behind;
use crate::prompt::command::{self, Typed};
use crate::prompt::editor;

/// Reads lines. Of a line that is longer than a message, only as much is kept as shows that. Those of a person may be commands,
/// and the end of input is an answer to an open question.
pub(super) fn read_lines(person: Option<&Activity>, typed: &Sender<Input>) {
    let mut stdin = io::stdin().lock();
    for number in 1.. {
        let mut line = Vec::new();
        let most = CHAT_TEXT as u64 + 2;
        let read = stdin.by_ref().take(most).read_until(b'\n', &mut line);
        let next = match read {
            Ok(0) if person.is_some_and(Activity::is_paste_asked) => Typed::Refused,
            Ok(0) => Typed::End,
            Ok(_) => {
                if line.last() != Some(&b'\n') && line.len() as u64 == most {
                    let _ = stdin.skip_until(b'\n');
                }
                let line = line.strip_suffix(b"\n").unwrap_or(&line);
                match line.strip_suffix(b"\r").unwrap_or(line) {
                    b"" => continue,
                    b"quit" | b"/quit" => Typed::Leave,
                    line => {
                        let line = String::from_utf8_lossy(line).into_owned();
                        if person.is_some() {
                            command::parse(&line).unwrap_or(Typed::Line(line))
                        } else {
                            Typed::Line(line)
                        }
                    }
                }
            }
            Err(error) => Typed::Failed(error.to_string()),
        };
        let last = !matches!(
            next,
            Typed::Line(_) | Typed::Command(_) | Typed::Unknown(_) | Typed::Refused
        );
        if person.is_some()
            && matches!(next, Typed::Leave | Typed::End)
            && let Some(words) = behind::read()
        {
            editor::note(&words);
        }
        let input = Input {
            typed: next,
            line: number,
        };
        if typed.send(input).is_err() || last {
            return;
        }
    }
}
