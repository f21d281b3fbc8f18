//! The evidence of labels as a column: a list of structs, one a reason.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Builder, StringBuilder};
use arrow::datatypes::DataType;
use datafusion::common::Result;

use super::tokens::list_of_structs;
use crate::label::{Evidence, LineSpan};

/// The fields of one reason, in order. Lines count from 1 over all files of the sample, as `step_start_line` does.
pub(super) const REASON_FIELDS: [(&str, DataType); 8] = [
    ("step_index", DataType::Int32),
    ("source", DataType::Utf8),
    ("operation", DataType::Utf8),
    ("start_line", DataType::Int32),
    ("end_line", DataType::Int32),
    ("fixed_start_line", DataType::Int32),
    ("fixed_end_line", DataType::Int32),
    ("detail", DataType::Utf8),
];

/// Builds the lists of reasons of code versions.
#[derive(Default)]
pub(super) struct Reasons {
    step: Int32Builder,
    source: StringBuilder,
    operation: StringBuilder,
    start_line: Int32Builder,
    end_line: Int32Builder,
    fixed_start_line: Int32Builder,
    fixed_end_line: Int32Builder,
    detail: StringBuilder,
    lengths: Vec<usize>,
}

impl Reasons {
    /// Adds the reasons of one version.
    pub(super) fn push_version(&mut self, evidence: &[Evidence]) {
        for Evidence { step, reason } in evidence {
            self.step.append_value(*step as i32);
            self.source.append_value(reason.source.to_string());
            self.operation.append_option(reason.operation.map(|operation| operation.as_str()));
            push_lines(&mut self.start_line, &mut self.end_line, Some(reason.lines));
            push_lines(&mut self.fixed_start_line, &mut self.fixed_end_line, reason.fixed_lines);
            self.detail.append_option(reason.detail.as_deref());
        }
        self.lengths.push(evidence.len());
    }

    /// Returns one list a version.
    pub(super) fn finish(mut self) -> Result<ArrayRef> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.step.finish()),
            Arc::new(self.source.finish()),
            Arc::new(self.operation.finish()),
            Arc::new(self.start_line.finish()),
            Arc::new(self.end_line.finish()),
            Arc::new(self.fixed_start_line.finish()),
            Arc::new(self.fixed_end_line.finish()),
            Arc::new(self.detail.finish()),
        ];
        list_of_structs(&REASON_FIELDS, columns, self.lengths)
    }
}

fn push_lines(starts: &mut Int32Builder, ends: &mut Int32Builder, lines: Option<LineSpan>) {
    starts.append_option(lines.map(|(first, _)| first as i32));
    ends.append_option(lines.map(|(_, last)| last as i32));
}
