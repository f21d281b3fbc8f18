//! SVEN's `line_changes`: the lines that its experts marked as deleted by the fix.
//!
//! A mark is a line's number in `func_src_before`, from 1 and counted by line ends, and the line itself. In two published records the two
//! contradict each other (`func_src_before` is the fixed version there too), so a mark whose line is not what it quotes is left out.
//! Marks are evidence that a pair can do without: broken ones never cost the pair, and what is left out is told.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use memchr::memchr2_iter;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::flaw::Flaw;
use super::record::RejectReason;

/// The marks that hold, and what is wrong with the others.
#[derive(Debug, Default, PartialEq)]
pub struct ExpertLines {
    /// Lines of the text, from 1, ascending.
    pub lines: Vec<u32>,
    /// Why marks were left out; `None` where all hold.
    pub flaw: Option<Flaw>,
}

#[derive(Deserialize)]
struct LineChanges<'record> {
    #[serde(borrow, default)]
    deleted: Option<Vec<Mark<'record>>>,
}

#[derive(Deserialize)]
struct Mark<'record> {
    line_no: u64,
    #[serde(borrow, default)]
    line: Option<Cow<'record, str>>,
}

/// Reads `line_changes` of a record with this vulnerable text.
pub fn expert_lines(line_changes: Option<&RawValue>, text: &str) -> ExpertLines {
    let Some(raw) = line_changes else { return ExpertLines::default() };
    let marks = match serde_json::from_str::<Option<LineChanges<'_>>>(raw.get()) {
        Ok(changes) => changes.and_then(|changes| changes.deleted).unwrap_or_default(),
        Err(error) => {
            let detail = format!("line_changes: {error}; the pair is kept without marked lines");
            return ExpertLines { lines: Vec::new(), flaw: Some((RejectReason::WrongType, detail)) };
        }
    };
    if marks.is_empty() {
        return ExpertLines::default();
    }
    let marked = lines_at(text, marks.iter().map(|mark| mark.line_no).collect());
    let (mut lines, mut contradicted) = (Vec::new(), Vec::new());
    for mark in marks {
        match u32::try_from(mark.line_no) {
            Ok(number) if mark.holds(&marked) => lines.push(number),
            _ => contradicted.push(mark.line_no.to_string()),
        }
    }
    lines.sort_unstable();
    lines.dedup();
    let flaw = (!contradicted.is_empty()).then(|| {
        let detail = format!(
            "line_changes.deleted: func_src_before has not what is marked at line {}; the pair is kept without that",
            contradicted.join(", ")
        );
        (RejectReason::InvalidValue, detail)
    });
    ExpertLines { lines, flaw }
}

impl Mark<'_> {
    fn holds(&self, marked: &BTreeMap<u64, &str>) -> bool {
        let Some(line) = marked.get(&self.line_no) else { return false };
        self.line.as_deref().is_none_or(|quoted| quoted.trim() == line.trim())
    }
}

/// The lines of a text that have these numbers, from 1, perhaps with the first half of their end; CRLF, LF and CR end one.
fn lines_at(text: &str, numbers: BTreeSet<u64>) -> BTreeMap<u64, &str> {
    let bytes = text.as_bytes();
    let is_end = |at: &usize| bytes[*at] == b'\n' || bytes.get(at + 1).is_some_and(|next| *next != b'\n');
    let ends = memchr2_iter(b'\n', b'\r', bytes).filter(is_end).chain([bytes.len()]);
    let mut wanted = numbers.into_iter().skip_while(|number| *number == 0).peekable();
    let mut start = 0;
    let mut lines = BTreeMap::new();
    for (number, end) in (1..).zip(ends) {
        if let Some(number) = wanted.next_if_eq(&number) {
            lines.insert(number, &text[start..end]);
        }
        if wanted.peek().is_none() {
            break;
        }
        start = end + 1;
    }
    lines
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(json: &str, text: &str) -> ExpertLines {
        expert_lines(Some(&RawValue::from_string(json.to_owned()).unwrap()), text)
    }

    #[test]
    fn marks_count_lines_from_one_whatever_ends_them() {
        for text in ["a\nb\nc\n", "a\r\nb\r\nc", "a\rb\rc\r", "a\n\rc\r\n"] {
            let json =
                r#"{"deleted":[{"line_no":3,"line":"c\r\n"},{"line_no":1,"line":"a\n"},{"line_no":3}],"added":[{}]}"#;
            assert_eq!(read(json, text), ExpertLines { lines: vec![1, 3], flaw: None }, "{text:?}");
        }
    }

    #[test]
    fn a_mark_that_is_not_in_the_text_is_left_out_and_told() {
        let json =
            r#"{"deleted":[{"line_no":0},{"line_no":1,"line":"x"},{"line_no":2,"line":"b"},{"line_no":99999999999}]}"#;
        let found = read(json, "a\nb");
        assert_eq!(found.lines, [2]);
        let (reason, detail) = found.flaw.unwrap();
        assert_eq!(reason, RejectReason::InvalidValue);
        assert!(detail.contains("line 0, 1, 99999999999;"), "{detail}");
    }

    #[test]
    fn absent_or_broken_marks_are_no_marks() {
        for json in ["{}", "null", r#"{"deleted":null}"#, r#"{"deleted":[]}"#] {
            assert_eq!(read(json, "a"), ExpertLines::default(), "{json}");
        }
        for json in ["[1]", "\"x\"", r#"{"deleted":[{"line_no":-1}]}"#, r#"{"deleted":{"line_no":1}}"#] {
            let found = read(json, "a");
            assert_eq!((found.lines, found.flaw.unwrap().0), (vec![], RejectReason::WrongType), "{json}");
        }
        assert_eq!(expert_lines(None, "a"), ExpertLines::default());
    }
}
