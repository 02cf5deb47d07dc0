//! What a job's terminal shows: a picture kept up to date with the output, for who attaches later.
//!
//! Not a record of the output, and not needed by who follows it from the beginning. The emulation is the
//! library's. Invariant: it costs what its size says, and whatever a command prints, the worst that becomes
//! of it is that there is no picture.

use std::num::NonZeroU16;
use std::panic::{AssertUnwindSafe, catch_unwind};

use vt100::Parser;

use crate::message::Window;
use crate::message::limits::WINDOW;

/// A terminal's picture.
pub struct Screen {
    /// `None`: the library could not follow the output.
    parser: Option<Parser>,
}

impl Screen {
    /// An empty one.
    pub fn new(window: Window) -> Self {
        let (rows, columns) = size(window);
        let parser = catch_unwind(|| Parser::new(rows, columns, 0)).ok();
        Self { parser }
    }

    /// The next bytes of the output.
    pub fn process(&mut self, bytes: &[u8]) {
        self.follow(|parser| parser.process(bytes));
    }

    /// The window has another size now.
    pub fn resize(&mut self, window: Window) {
        let (rows, columns) = size(window);
        self.follow(|parser| parser.set_size(rows, columns));
    }

    /// Bytes that paint it on a terminal of its size, whatever that showed before.
    pub fn painted(&self) -> Vec<u8> {
        let Some(parser) = &self.parser else {
            return Vec::new();
        };
        let screen = parser.screen();
        let mut bytes = Vec::new();
        if screen.alternate_screen() {
            bytes.extend_from_slice(ENTER_ALTERNATE_SCREEN);
        }
        bytes.extend_from_slice(screen.state_formatted().as_bytes());
        bytes
    }

    /// A panic in the library is a fault of the library, which must not be one of the agent.
    fn follow(&mut self, step: impl FnOnce(&mut Parser)) {
        if let Some(mut parser) = self.parser.take() {
            let stepped = catch_unwind(AssertUnwindSafe(move || {
                step(&mut parser);
                parser
            }));
            self.parser = stepped.ok();
        }
    }
}

impl std::fmt::Debug for Screen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Screen").finish_non_exhaustive()
    }
}

/// DECSET 1049 of xterm: what full-screen programs begin with.
const ENTER_ALTERNATE_SCREEN: &[u8] = b"\x1b[?1049h";

fn size(window: Window) -> (NonZeroU16, NonZeroU16) {
    let bounded = |length: u16| NonZeroU16::new(length.clamp(1, WINDOW)).expect("at least one");
    (bounded(window.rows), bounded(window.columns))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SMALL: Window = Window {
        rows: 4,
        columns: 20,
    };

    /// What a terminal of the same size shows after it was painted.
    fn repainted(screen: &Screen) -> (String, bool, (u16, u16)) {
        let mut other = Screen::new(SMALL);
        other.process(b"something else\x1b[31m");
        other.process(&screen.painted());
        let screen = other.parser.as_ref().unwrap().screen();
        (
            screen.contents(),
            screen.alternate_screen(),
            screen.cursor_position(),
        )
    }

    #[test]
    fn the_last_screenful_is_painted_again() {
        let mut screen = Screen::new(SMALL);
        screen.process(b"one\r\ntwo\r\nthree\r\nfour\r\nfi");
        screen.process(b"ve\r\n$ ");
        assert_eq!(
            repainted(&screen),
            ("three\nfour\nfive\n$ ".into(), false, (3, 2))
        );
    }

    #[test]
    fn a_program_on_the_alternate_screen_is_left_there() {
        let mut screen = Screen::new(SMALL);
        screen.process(b"$ vi\r\n\x1b[?1049h\x1b[2J\x1b[2;3Hx");
        let (contents, alternate, cursor) = repainted(&screen);
        assert_eq!((contents.trim(), alternate, cursor), ("x", true, (1, 3)));
    }

    #[test]
    fn a_window_of_any_size_is_one() {
        for (rows, columns) in [(0, 0), (1, 1), (u16::MAX, u16::MAX), (0, u16::MAX)] {
            let mut screen = Screen::new(Window { rows, columns });
            screen.process("héllo wörld\r\n日本語\x1b[5;5Hx".as_bytes());
            screen.resize(SMALL);
            screen.process(b"\x1b[H\x1b[2Jend");
            assert!(String::from_utf8_lossy(&screen.painted()).contains("end"));
        }
    }

    proptest! {
        #[test]
        fn no_output_and_no_resize_does_harm(
            steps in prop::collection::vec(
                (any::<[u8; 2]>(), prop::collection::vec(prop_oneof![any::<u8>(), Just(27), Just(b'['), Just(b';'), b'0'..=b'9', b'A'..=b'z'], 0..60)),
                0..12,
            ),
        ) {
            let mut screen = Screen::new(SMALL);
            for ([rows, columns], bytes) in steps {
                screen.process(&bytes);
                screen.resize(Window { rows: (rows % 8).into(), columns: (columns % 12).into() });
            }
            screen.painted();
        }
    }
}
