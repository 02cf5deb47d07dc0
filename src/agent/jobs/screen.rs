//! The screen of a job's terminal, for controllers that attach later.
//!
//! Not a record of the output, and not needed by a controller attached from the beginning. A library emulates
//! the terminal. Invariant: its cost is bounded by its size, and no output does more harm than to lose the
//! screen.

use std::num::NonZeroU16;

use vt100::Parser;

use crate::agent::limits;
use crate::contain::contain;
use crate::message::Window;
use crate::message::limits::WINDOW;

/// Screen of a terminal.
pub struct Screen {
    state: State,
}

/// State of the emulation.
enum State {
    /// The emulation processes the output.
    Following(Box<Parser>),
    /// The output has ended; these bytes paint the screen.
    Final(Vec<u8>),
    /// The library has failed on the output.
    Lost,
}

impl Screen {
    /// Returns an empty screen.
    pub fn new(window: Window) -> Self {
        let (rows, columns) = size(window);
        let parser = contain(|| Box::new(Parser::new(rows, columns, 0)));
        Self {
            state: parser.map_or(State::Lost, State::Following),
        }
    }

    /// Number of cells that the emulation keeps.
    pub fn cells(&self) -> u64 {
        match &self.state {
            State::Following(parser) => {
                let (rows, columns) = parser.screen().size();
                u64::from(rows.get()) * u64::from(columns.get())
            }
            State::Final(_) | State::Lost => 0,
        }
    }

    /// Number of cells that the emulation of a terminal of this size keeps.
    pub fn cells_of(window: Window) -> u64 {
        let (rows, columns) = size(window);
        u64::from(rows.get()) * u64::from(columns.get())
    }

    /// Present size; `None` after the end of the emulation.
    pub fn window(&self) -> Option<Window> {
        match &self.state {
            State::Following(parser) => {
                let (rows, columns) = parser.screen().size();
                Some(Window {
                    rows: rows.get(),
                    columns: columns.get(),
                })
            }
            State::Final(_) | State::Lost => None,
        }
    }

    /// True if the library has failed on the output.
    pub const fn is_lost(&self) -> bool {
        matches!(self.state, State::Lost)
    }

    /// Processes further output.
    pub fn process(&mut self, bytes: &[u8]) {
        self.follow(|parser| parser.process(bytes));
    }

    /// Changes the size.
    pub fn resize(&mut self, window: Window) {
        let (rows, columns) = size(window);
        self.follow(|parser| parser.set_size(rows, columns));
    }

    /// Ends the emulation and keeps the bytes that paint the screen.
    pub fn finish(&mut self) {
        self.state = State::Final(self.painted());
    }

    /// Bytes used after [`finish`](Self::finish).
    pub const fn cost(&self) -> u64 {
        match &self.state {
            State::Final(bytes) => bytes.len() as u64,
            State::Following(_) | State::Lost => 0,
        }
    }

    /// Returns bytes that paint the screen on a terminal of its size with any previous contents; at most
    /// [`limits::SCREEN`].
    pub fn painted(&self) -> Vec<u8> {
        let parser = match &self.state {
            State::Following(parser) => parser,
            State::Final(bytes) => return bytes.clone(),
            State::Lost => return Vec::new(),
        };
        let screen = parser.screen();
        let alternate = if screen.alternate_screen() {
            ENTER_ALTERNATE_SCREEN
        } else {
            b""
        };
        let coloured = screen.state_formatted().into_bytes();
        if alternate.len() + coloured.len() <= limits::SCREEN {
            return [alternate, &coloured].concat();
        }
        let text = screen.contents().replace('\n', "\r\n").into_bytes();
        let modes = screen.input_mode_formatted().into_bytes();
        let plain = [alternate, CLEAR, &text, &modes].concat();
        if plain.len() <= limits::SCREEN {
            plain
        } else {
            [alternate, CLEAR, &modes].concat()
        }
    }

    /// Calls the library. A panic in it only loses the screen.
    fn follow(&mut self, step: impl FnOnce(&mut Parser)) {
        let State::Following(parser) = &mut self.state else {
            return;
        };
        if contain(|| step(parser)).is_none() {
            self.state = State::Lost;
        }
    }
}

impl std::fmt::Debug for Screen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Screen").finish_non_exhaustive()
    }
}

/// Returns a place in a chunk of output at which no escape sequence and no character is open: before its last escape
/// character or after its last line feed. If there is none and `force` is set, before its last character.
pub fn cut(chunk: &[u8], force: bool) -> Option<usize> {
    const ESCAPE: u8 = 0x1b;
    let escape = chunk.iter().rposition(|&byte| byte == ESCAPE);
    let line = chunk.iter().rposition(|&byte| byte == b'\n');
    let cut = escape.max(line.map(|at| at + 1));
    let is_first = |byte: &u8| byte & 0xc0 != 0x80;
    cut.or_else(|| force.then(|| chunk.iter().rposition(is_first).unwrap_or(0)))
}

/// DECSET 1049 of xterm, sent by full-screen programs at their start.
const ENTER_ALTERNATE_SCREEN: &[u8] = b"\x1b[?1049h";

/// SGR 0, CUP, ED.
const CLEAR: &[u8] = b"\x1b[m\x1b[H\x1b[J";

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

    /// Returns the contents of a terminal of the same size after painting.
    fn repainted(screen: &Screen) -> (String, bool, (u16, u16)) {
        let mut other = Screen::new(SMALL);
        other.process(b"something else\x1b[31m");
        other.process(&screen.painted());
        let State::Following(parser) = &other.state else {
            panic!("the emulation has failed");
        };
        let screen = parser.screen();
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
    fn a_window_of_any_size_is_accepted() {
        for (rows, columns) in [(0, 0), (1, 1), (u16::MAX, u16::MAX), (0, u16::MAX)] {
            let mut screen = Screen::new(Window { rows, columns });
            screen.process("héllo wörld\r\n日本語\x1b[5;5Hx".as_bytes());
            screen.resize(SMALL);
            screen.process(b"\x1b[H\x1b[2Jend");
            assert!(String::from_utf8_lossy(&screen.painted()).contains("end"));
        }
    }

    #[test]
    fn a_screen_with_too_many_colours_is_painted_without_them() {
        let window = Window {
            rows: 100,
            columns: 200,
        };
        let mut screen = Screen::new(window);
        for cell in 0..100 * 200 {
            let colour = cell % 256;
            screen.process(format!("\x1b[38;2;{colour};1;2;48;2;3;{colour};4mx").as_bytes());
        }
        let painted = screen.painted();
        assert!(painted.len() <= limits::SCREEN, "{}", painted.len());
        assert!(String::from_utf8(painted).unwrap().matches('x').count() >= 100 * 199);
    }

    #[test]
    fn a_finished_screen_is_painted_equal_and_counts_its_bytes() {
        let mut screen = Screen::new(SMALL);
        screen.process(b"\x1b[31mlast words");
        let before = screen.painted();
        screen.finish();
        screen.process(b"more");
        assert_eq!(screen.painted(), before);
        assert_eq!(screen.cost(), before.len() as u64);
    }

    #[test]
    fn a_cut_splits_no_sequence_and_no_character() {
        assert_eq!(cut(b"ab\x1b[31mcd\x1b[3", false), Some(9));
        assert_eq!(cut(b"ab\x1b[31mcd\nef", false), Some(10));
        assert_eq!(cut("ab\u{e9}".as_bytes(), false), None);
        assert_eq!(cut("ab\u{e9}".as_bytes(), true), Some(2));
        assert_eq!(cut(&[0xbf; 4], true), Some(0));
    }

    proptest! {
        #[test]
        fn no_output_and_no_resize_panics(
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
