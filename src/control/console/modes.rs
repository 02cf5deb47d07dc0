//! Terminal modes that a command has set and not reset, because it was killed or is left running.
//!
//! Not the content of the screen: only modes that outlast a command and make a shell's prompt unusable. The vt100 library
//! emulates a screen of the smallest size, because modes do not depend on it.

use std::num::NonZeroU16;

use vt100::{MouseProtocolMode, Parser};

use super::LEAVE_SCREEN;
use crate::contain::contain;

/// Modes that output has set.
pub struct Modes {
    /// Emulation; `None` if the library has failed on the output.
    parser: Option<Parser>,
}

impl Default for Modes {
    fn default() -> Self {
        Self {
            parser: Some(Parser::new(LENGTH, LENGTH, 0)),
        }
    }
}

const LENGTH: NonZeroU16 = NonZeroU16::new(2).expect("it is two");

impl Modes {
    /// Tracks the next bytes of the output.
    pub fn on_output(&mut self, bytes: &[u8]) {
        if let Some(mut parser) = self.parser.take() {
            self.parser = contain(move || {
                parser.process(bytes);
                parser
            });
        }
    }

    /// Returns the control sequences that reset the modes; empty if the command has reset them.
    pub fn reset(&self) -> Vec<u8> {
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
        reset(screen.alternate_screen(), LEAVE_SCREEN);
        reset(screen.hide_cursor(), b"\x1b[?25h");
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reset(output: &[&[u8]]) -> Vec<u8> {
        let mut modes = Modes::default();
        for bytes in output {
            modes.on_output(bytes);
        }
        modes.reset()
    }

    #[test]
    fn a_command_that_resets_its_modes_needs_no_reset() {
        assert_eq!(reset(&[b"plain text\r\n"]), b"");
        assert_eq!(
            reset(&[
                b"\x1b[?1049h\x1b[?25l\x1b[31mx",
                b"\x1b[m\x1b[?25h\x1b[?10",
                b"49l"
            ]),
            b""
        );
    }

    #[test]
    fn modes_that_a_killed_editor_has_set_are_reset() {
        let left = reset(&[b"\x1b[?1049h\x1b[?1h\x1b=\x1b[?2004h\x1b[?1000h\x1b[?25l"]);
        let mut modes = Modes::default();
        modes.on_output(b"\x1b[?1049h\x1b[?1h\x1b=\x1b[?2004h\x1b[?1000h\x1b[?25l");
        assert!(left.ends_with(b"\x1b[?1049l\x1b[?25h"), "{left:?}");
        modes.on_output(&left);
        assert_eq!(modes.reset(), b"", "the modes are reset");
    }
}
