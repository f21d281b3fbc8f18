//! Plain text: every run of visible characters is code, every line a statement.

use super::cursor::{Class, Cursor, class};
use super::{Role, Sink, StatementKind};

/// Scans text of which nothing is known but its lines.
pub(super) struct Scanner<'s, S, const COMPLETE: bool> {
    cursor: Cursor<'s, S, COMPLETE>,
}

impl<'s, S: Sink, const COMPLETE: bool> Scanner<'s, S, COMPLETE> {
    pub(super) fn new(text: &'s str, sink: &'s mut S) -> Self {
        Scanner { cursor: Cursor::new(text, sink) }
    }

    pub(super) fn run(mut self) {
        let _ = self.scan();
    }

    fn scan(&mut self) -> Option<()> {
        let mut position = 0;
        loop {
            position = match class(self.cursor.at(position)?) {
                Class::Space => self.cursor.skip_space(position + 1),
                Class::LineEnd => {
                    let has_text = !self.cursor.blank;
                    if has_text {
                        self.cursor.sink.statement(StatementKind::Other);
                    }
                    self.cursor.end_line(position, has_text, true)?
                }
                Class::Wide => match self.cursor.wide_space(position) {
                    Some(end) => end,
                    None => self.visible(position)?,
                },
                _ => self.visible(position)?,
            };
        }
    }

    fn visible(&mut self, start: usize) -> Option<usize> {
        self.cursor.touch_code();
        self.cursor.sink.literal_start(start, Role::Other);
        let mut position = start;
        loop {
            let byte = self.cursor.at(position)?;
            let ends = match class(byte) {
                Class::Space | Class::LineEnd => true,
                // A byte inside of a character is no boundary of the text, so it is never taken for white space.
                Class::Wide => self.cursor.wide_space(position).is_some(),
                _ => false,
            };
            if ends {
                self.cursor.sink.literal(start, position);
                return Some(position);
            }
            position += 1;
        }
    }
}
