//! What a command has done to the user's terminal and not undone: it may have been killed, or be left running.
//!
//! Not a picture: only modes that outlive a command and make a shell's prompt unusable. The emulation is the
//! library's, on a screen of the smallest size, because modes do not depend on it.

use std::num::NonZeroU16;

use vt100::{MouseProtocolMode, Parser};

use crate::contain::contain;

/// The modes that output has set.
pub struct Traces {
    /// `None`: the library could not follow the output.
    parser: Option<Parser>,
}

impl Default for Traces {
    fn default() -> Self {
        Self {
            parser: Some(Parser::new(LENGTH, LENGTH, 0)),
        }
    }
}

const LENGTH: NonZeroU16 = NonZeroU16::new(2).expect("it is two");

impl Traces {
    /// The next bytes of the output.
    pub fn on_output(&mut self, bytes: &[u8]) {
        if let Some(mut parser) = self.parser.take() {
            self.parser = contain(move || {
                parser.process(bytes);
                parser
            });
        }
    }

    /// The bytes that undo them: none after a command that has tidied up.
    pub fn undo(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let Some(parser) = &self.parser else {
            return bytes;
        };
        let screen = parser.screen();
        let mut reset = |set: bool, sequence: &[u8]| {
            if set {
                bytes.extend_from_slice(sequence);
            }
        };
        // The names of xterm's control sequences: DECRST 1049, 2004, 1, DECKPNM, DECSET 25, SGR 0.
        let mouse = screen.mouse_protocol_mode() != MouseProtocolMode::None;
        reset(
            mouse,
            b"\x1b[?9l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1005l\x1b[?1006l",
        );
        reset(screen.bracketed_paste(), b"\x1b[?2004l");
        reset(screen.application_cursor(), b"\x1b[?1l");
        reset(screen.application_keypad(), b"\x1b>");
        let plain = screen.fgcolor() == vt100::Color::Default
            && screen.bgcolor() == vt100::Color::Default
            && !(screen.bold() || screen.inverse() || screen.underline() || screen.dim());
        reset(!plain, b"\x1b[m");
        reset(screen.alternate_screen(), b"\x1b[?1049l");
        reset(screen.hide_cursor(), b"\x1b[?25h");
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn undo(output: &[&[u8]]) -> Vec<u8> {
        let mut traces = Traces::default();
        for bytes in output {
            traces.on_output(bytes);
        }
        traces.undo()
    }

    #[test]
    fn a_command_that_tidies_up_leaves_nothing_to_do() {
        assert_eq!(undo(&[b"plain text\r\n"]), b"");
        assert_eq!(
            undo(&[
                b"\x1b[?1049h\x1b[?25l\x1b[31mx",
                b"\x1b[m\x1b[?25h\x1b[?10",
                b"49l"
            ]),
            b""
        );
    }

    #[test]
    fn what_a_killed_editor_has_set_is_undone() {
        let left = undo(&[b"\x1b[?1049h\x1b[?1h\x1b=\x1b[?2004h\x1b[?1000h\x1b[?25l"]);
        let mut traces = Traces::default();
        traces.on_output(b"\x1b[?1049h\x1b[?1h\x1b=\x1b[?2004h\x1b[?1000h\x1b[?25l");
        assert!(left.ends_with(b"\x1b[?1049l\x1b[?25h"), "{left:?}");
        traces.on_output(&left);
        assert_eq!(traces.undo(), b"", "once is enough");
    }
}
