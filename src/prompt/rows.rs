//! Rows that a prompt and its line take, in a window that is widened.
//!
//! The line editor clears as many rows as the line took in the former window, from the last one upwards. A terminal that
//! joins wrapped rows has fewer of them then, and the editor would clear messages above. Invariant: before the editor draws
//! in the wider window, the cursor is as far below the prompt as the editor assumes. In a terminal that does not join rows,
//! rows of the former line stay, and nothing is cleared.

use std::cell::Cell;

use rustix::stdio::stdout;
use rustix::termios::tcgetwinsize;
use unicode_width::UnicodeWidthChar as _;

/// Columns of a terminal that does not tell them, as the line editor assumes.
const COLUMNS: u16 = 80;

/// Distance between the columns that Tab advances to.
const TAB: usize = 8;

/// Window in which a line was drawn.
#[derive(Default, Debug)]
pub struct Rows {
    prompt: Cell<&'static str>,
    columns: Cell<u16>,
}

/// Position behind a text, counted from the beginning of the prompt.
#[derive(Clone, Copy, Default, Debug)]
struct Position {
    row: usize,
    column: usize,
}

impl Position {
    /// Returns the position behind a further text, as the line editor counts it.
    fn behind(mut self, text: &str, columns: usize) -> Self {
        for c in text.chars() {
            let width = match c {
                '\n' => {
                    self = Self {
                        row: self.row + 1,
                        column: 0,
                    };
                    continue;
                }
                '\t' => TAB - self.column % TAB,
                c => c.width().unwrap_or(0),
            };
            self.column += width;
            if self.column > columns {
                self = Self {
                    row: self.row + 1,
                    column: width,
                };
            }
        }
        if self.column == columns {
            self = Self {
                row: self.row + 1,
                column: 0,
            };
        }
        self
    }
}

impl Rows {
    /// Notes that a line begins behind a prompt.
    pub fn begin(&self, prompt: &'static str) {
        self.prompt.set(prompt);
        self.columns.set(columns());
    }

    /// Notes a line, before and behind the cursor, that is about to be drawn. If the window is wider than at the last call,
    /// moves the cursor to where the line editor takes it to be.
    pub fn on_draw(&self, before: &str, behind: &str) {
        let now = columns();
        let text = shift(
            self.prompt.get(),
            (before, behind),
            (self.columns.replace(now), now),
        );
        // A terminal that is gone shows nothing.
        let _ = rustix::io::write(stdout(), text.as_bytes());
    }
}

impl Rows {
    /// Returns the rows of a line, before and behind the cursor: those above that of the cursor, and above the last one.
    pub fn extent(&self, before: &str, behind: &str) -> (usize, usize) {
        extent(self.prompt.get(), (before, behind), self.columns.get())
    }

    /// Marks a line, before and behind the cursor, that the editor has left above the cursor, behind its end.
    pub fn mark_discarded(&self, before: &str, behind: &str) {
        let columns = usize::from(self.columns.get());
        let start = Position::default().behind(self.prompt.get(), columns);
        let end = start.behind(before, columns).behind(behind, columns);
        let right = match end.column {
            0 => String::new(),
            column => format!("\x1b[{column}C"),
        };
        // A terminal that is gone shows nothing.
        let _ = rustix::io::write(stdout(), format!("\x1b[A\r{right}^C\r\n").as_bytes());
    }

    /// Returns true if the cursor, behind `before`, is one character behind the beginning of a row. The line editor has ended
    /// the row above by a line feed then, and a terminal joins it with this one only if the line is drawn again as a whole.
    pub fn is_behind_break(&self, before: &str) -> bool {
        let columns = usize::from(self.columns.get());
        let Some((last, _)) = before.char_indices().next_back() else {
            return false;
        };
        let start = Position::default().behind(self.prompt.get(), columns);
        let (last, cursor) = (
            start.behind(&before[..last], columns),
            start.behind(before, columns),
        );
        cursor.row > 0 && (last.column == 0 || last.row < cursor.row)
    }
}

/// Returns what moves the cursor when a window with the first number of columns gets the second one: down as far as the line
/// took more rows, with as many rows below as there were.
fn shift(prompt: &str, (before, behind): (&str, &str), (from, to): (u16, u16)) -> String {
    let rows = |columns| extent(prompt, (before, behind), columns);
    let ((old_cursor, old_end), (new_cursor, new_end)) = (rows(from), rows(to));
    if to <= from || old_end <= new_end {
        return String::new();
    }
    let down = "\n".repeat(old_end - new_cursor);
    match old_end - old_cursor {
        0 => down,
        up => format!("{down}\x1b[{up}A"),
    }
}

fn extent(prompt: &str, (before, behind): (&str, &str), columns: u16) -> (usize, usize) {
    let columns = usize::from(columns);
    let start = Position::default().behind(prompt, columns);
    let cursor = start.behind(before, columns);
    (cursor.row, cursor.behind(behind, columns).row)
}

fn columns() -> u16 {
    let columns = tcgetwinsize(stdout()).map_or(0, |size| size.ws_col);
    if columns == 0 { COLUMNS } else { columns }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wider_window_moves_the_cursor_down_by_the_rows_that_the_line_no_longer_takes() {
        let line = "x".repeat(100);
        let shift = |before, behind, window| shift("> ", (before, behind), window);
        // Three rows become two.
        assert_eq!(shift(&line, "", (40, 80)), "\n");
        assert_eq!(shift(&line, "", (40, 120)), "\n\n");
        // The cursor is in the first row: the editor moves down by two rows before it clears.
        assert_eq!(shift("", &line, (40, 80)), "\n\n\x1b[2A");
        assert_eq!(shift(&line[..50], &line[50..], (40, 80)), "\n\n\x1b[1A");
        for unchanged in [(40, 40), (80, 40), (102, 200)] {
            assert_eq!(shift(&line[1..], "", unchanged), "");
        }
        assert_eq!(shift("short", "", (40, 80)), "");
    }

    #[test]
    fn rows_are_counted_as_the_line_editor_does() {
        let row = |text: &str, columns| Position::default().behind(text, columns).row;
        assert_eq!(row("12345", 6), 0);
        assert_eq!(row("123456", 6), 1);
        // A wide character that does not fit moves to the next row as a whole.
        assert_eq!(row("日本語", 5), 1);
        assert_eq!(row("日本語", 7), 0);
        assert_eq!(row("a\tb", 9), 1);
        assert_eq!(row("a\nb", 9), 1);
    }
}
