//! What each hunk of an alignment says about the vulnerable version: rule 6.

use super::Sources;
use super::align::Block;
use super::evidence::{LineSpan, Operation, Reason};
use super::lines::{CodeLine, NormalText};

/// Says that the step that holds a line is vulnerable, why, and how good a reason that is.
pub(super) struct Judgement {
    /// The 1-based line of the vulnerable version.
    pub(super) line: u32,
    pub(super) reason: Reason,
    /// Smaller is stronger.
    pub(super) strength: u8,
}

impl Judgement {
    /// Changed, removed or inserted code.
    pub(super) const CODE: u8 = 0;
    /// Inserted declarations or imports.
    const DECLARATIONS: u8 = 1;
    /// Closing braces that moved.
    const CLOSERS: u8 = 2;
    /// A file that the fix adds: its code has no place in the vulnerable version.
    pub(super) const ADDED_FILE: u8 = 3;
}

/// Collects what the hunks between matching blocks say, in the order of the text; at least one entry if there is any hunk
/// and the vulnerable version has a line of code, or none where it has not: then the first line stands for it.
pub(super) fn judge(vulnerable: &NormalText, fixed: &NormalText, blocks: &[Block]) -> Vec<Judgement> {
    let mut found = Vec::new();
    let (mut a, mut b) = (0, 0);
    let end = Block { a: vulnerable.lines.len(), b: fixed.lines.len(), len: 0 };
    for block in blocks.iter().chain([&end]) {
        if a < block.a || b < block.b {
            let hunk = Hunk { removed: &vulnerable.lines[a..block.a], inserted: &fixed.lines[b..block.b] };
            hunk.judge(vulnerable, a, &mut found);
        }
        (a, b) = (block.a + block.len, block.b + block.len);
    }
    found
}

struct Hunk<'n> {
    removed: &'n [CodeLine],
    inserted: &'n [CodeLine],
}

impl Hunk<'_> {
    fn judge(&self, vulnerable: &NormalText, at: usize, found: &mut Vec<Judgement>) {
        let does_something = |line: &&CodeLine| !line.only_closes();
        let before = found.len();
        let removed = self.removed.iter().filter(does_something);
        found.extend(removed.map(|line| self.changed(line.number, Judgement::CODE)));
        if found.len() > before {
            return;
        }
        let mut inserted = self.inserted.iter().filter(does_something).peekable();
        let strength = if inserted.peek().is_none() {
            Judgement::CLOSERS
        } else if inserted.all(|line| line.only_declares()) {
            Judgement::DECLARATIONS
        } else {
            Judgement::CODE
        };
        if strength == Judgement::CLOSERS && !self.removed.is_empty() {
            found.extend(self.removed.iter().map(|line| self.changed(line.number, strength)));
        } else {
            found.push(self.inserted_at(anchor(vulnerable, at), strength));
        }
    }

    /// A line that the fix changes or removes.
    fn changed(&self, line: u32, strength: u8) -> Judgement {
        let fixed_lines = span(self.inserted);
        let operation = if fixed_lines.is_some() { Operation::Replace } else { Operation::Delete };
        let reason = Reason {
            source: Sources::DIFF,
            lines: span(self.removed).unwrap_or((line, line)),
            operation: Some(operation),
            fixed_lines,
            detail: special(strength),
        };
        Judgement { line, reason, strength }
    }

    /// The line that stands for what the fix inserts.
    fn inserted_at(&self, line: u32, strength: u8) -> Judgement {
        let reason = Reason {
            source: Sources::INSERTION,
            lines: (line, line),
            operation: Some(Operation::Insert),
            fixed_lines: span(self.inserted),
            detail: special(strength),
        };
        Judgement { line, reason, strength }
    }
}

fn span(lines: &[CodeLine]) -> Option<LineSpan> {
    lines.first().zip(lines.last()).map(|(first, last)| (first.number, last.number))
}

fn special(strength: u8) -> Option<String> {
    let text = match strength {
        Judgement::DECLARATIONS => "declarations or imports only",
        Judgement::CLOSERS => "closing brackets only",
        _ => return None,
    };
    Some(text.to_owned())
}

/// Returns the line that stands for an insertion before the line of code at an index: that line, or the line of code
/// before it where it only closes a block or the text ends.
fn anchor(vulnerable: &NormalText, at: usize) -> u32 {
    let lines = &vulnerable.lines;
    let next = lines.get(at).filter(|line| !line.only_closes());
    let before = lines[..at].iter().rev().find(|line| !line.only_closes());
    next.or(before).or_else(|| lines.get(at)).or_else(|| lines.last()).map_or(1, |line| line.number)
}
