//! Two versions of a code, line by line beside each other, with what differs within a line marked.

use std::time::Duration;

use similar::{ChangeTag, DiffOp, InlineChange, TextDiff};

/// A diff of very large versions may take longer than anybody waits; past this it gets coarser.
const PATIENCE: Duration = Duration::from_millis(500);

/// One line of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its number, from 1.
    pub number: u32,
    /// Its pieces without the line end, and whether each is what differs from the line beside it.
    pub pieces: Vec<(bool, String)>,
}

/// What stands beside each other; at least one side is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The line of the vulnerable version.
    pub vulnerable: Option<Line>,
    /// The line of the fixed version.
    pub fixed: Option<Line>,
    /// Whether both say the same.
    pub is_equal: bool,
}

/// How pieces that differ are marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// `[-old-]` and `{+new+}`, as `wdiff` does.
    Plain,
    /// Red and green, for terminals.
    Coloured,
}

/// Puts both versions beside each other.
pub fn beside(vulnerable: &str, fixed: &str) -> Vec<Row> {
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(vulnerable, fixed);
    let mut rows = Vec::new();
    for op in diff.ops() {
        let changes: Vec<InlineChange<'_, str>> = diff.iter_inline_changes(op).collect();
        let of = |tag| changes.iter().filter(move |change| change.tag() == tag);
        match op {
            DiffOp::Equal { .. } => rows.extend(changes.iter().map(|change| Row {
                vulnerable: line(change, change.old_index()),
                fixed: line(change, change.new_index()),
                is_equal: true,
            })),
            _ => {
                let mut removed = of(ChangeTag::Delete).map(|change| line(change, change.old_index()));
                let mut inserted = of(ChangeTag::Insert).map(|change| line(change, change.new_index()));
                loop {
                    let row =
                        Row { vulnerable: removed.next().flatten(), fixed: inserted.next().flatten(), is_equal: false };
                    if row.vulnerable.is_none() && row.fixed.is_none() {
                        break;
                    }
                    rows.push(row);
                }
            }
        }
    }
    rows
}

fn line(change: &InlineChange<'_, str>, index: Option<usize>) -> Option<Line> {
    let pieces =
        change.iter_strings_lossy().map(|(differs, text)| (differs, text.trim_end_matches(['\r', '\n']).to_owned()));
    let pieces = pieces.filter(|(_, text)| !text.is_empty()).collect();
    Some(Line { number: index? as u32 + 1, pieces })
}

impl Line {
    /// Writes the line in a column of `width` characters; what is longer is cut, tabs are four spaces, and control characters show as
    /// what they are.
    pub fn fit(&self, width: usize, style: Style, marks: [&str; 2]) -> String {
        let mut text = String::new();
        let mut used = 0;
        for (differs, piece) in &self.pieces {
            let (before, after) = match (differs, style) {
                (false, _) => ("", ""),
                (true, Style::Plain) => (marks[0], marks[1]),
                (true, Style::Coloured) => (marks[0], "\u{1b}[0m"),
            };
            // Colours take no room.
            let extra = if style == Style::Plain { before.chars().count() + after.chars().count() } else { 0 };
            let piece: String = piece.chars().flat_map(printable).collect();
            let room = width.saturating_sub(used + extra);
            let length = piece.chars().count();
            if length > room {
                let kept: String = piece.chars().take(room.saturating_sub(1)).collect();
                text.push_str(&format!("{before}{kept}\u{2026}{after}"));
                used = width;
                break;
            }
            text.push_str(&format!("{before}{piece}{after}"));
            used += length + extra;
        }
        text.push_str(&" ".repeat(width.saturating_sub(used)));
        text
    }
}

fn printable(character: char) -> impl Iterator<Item = char> {
    let shown: Vec<char> = match character {
        '\t' => vec![' '; 4],
        control if control.is_control() => control.escape_unicode().collect(),
        other => vec![other],
    };
    shown.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(vulnerable: &str, fixed: &str) -> Vec<String> {
        let side = |line: &Option<Line>, marks| {
            line.as_ref().map_or(String::new(), |line| {
                format!("{} {}", line.number, line.fit(24, Style::Plain, marks).trim_end())
            })
        };
        let row = |row: &Row| format!("{} | {}", side(&row.vulnerable, ["[-", "-]"]), side(&row.fixed, ["{+", "+}"]));
        beside(vulnerable, fixed).iter().map(row).collect()
    }

    #[test]
    fn changed_lines_stand_beside_each_other_and_inserted_ones_beside_nothing() {
        let rows = shown(
            "int get(int i) {\n  return a[i];\n}\n",
            "int get(int i) {\n  if (i < 0)\n    abort();\n  return a[i];\n}\n",
        );
        assert_eq!(
            rows,
            [
                "1 int get(int i) { | 1 int get(int i) {",
                " | 2   if (i < 0)",
                " | 3     abort();",
                "2   return a[i]; | 4   return a[i];",
                "3 } | 5 }",
            ]
        );
        let rows = shown("  strcpy(to, from);\n", "  strlcpy(to, from);\n");
        assert_eq!(rows, ["1   [-strcpy(to,-] from); | 1   {+strlcpy(to,+} from);"]);
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_and_control_characters_are_harmless() {
        let line = Line { number: 1, pieces: vec![(false, "a\u{1b}[2J".to_owned()), (true, "b".repeat(40))] };
        assert_eq!(line.fit(16, Style::Plain, ["[-", "-]"]), "a\\u{1b}[2J[-b\u{2026}-]");
        assert_eq!(Line { number: 1, pieces: Vec::new() }.fit(3, Style::Plain, ["", ""]), "   ");
    }

    #[test]
    fn every_line_of_both_versions_is_there_once() {
        let (one, other) = ("a\nb\nc\r\n\nd", "b\nx\nc\r\ny\nd\nz");
        let rows = beside(one, other);
        let numbers = |side: fn(&Row) -> Option<u32>| rows.iter().filter_map(side).collect::<Vec<_>>();
        assert_eq!(numbers(|row| row.vulnerable.as_ref().map(|line| line.number)), [1, 2, 3, 4, 5]);
        assert_eq!(numbers(|row| row.fixed.as_ref().map(|line| line.number)), [1, 2, 3, 4, 5, 6]);
    }
}
