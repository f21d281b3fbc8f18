//! `label_pair` and `segment`: steps and labels (LABELS.md).

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanBuilder, Int8Builder, Int32Builder, Int64Builder, ListBuilder, StringBuilder};
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_datafusion_err, exec_err};
use datafusion::logical_expr::ScalarUDF;

use super::access::{Texts, list_of, lists, range_of, struct_of};
use super::evidence::{REASON_FIELDS, Reasons};
use super::label_arguments::{Lines, OptionsJson, Structs};
use super::scalar::RowFunction;
use super::tokens::{list_of_structs, renamed};
use crate::label::{
    AlignmentKind, CodePair, LabelMode, LabelOptions, Propagation, SegmentOptions, VersionLabels, label_unpaired,
    segment as cut,
};
use crate::language::Language;

/// The fields of one labelled version, in order.
fn version_fields() -> [(&'static str, DataType); 21] {
    [
        ("role", DataType::Utf8),
        ("label_mode", DataType::Utf8),
        ("rule_version", DataType::Int32),
        ("code_hash", DataType::Utf8),
        ("completions", list_of(DataType::Utf8)),
        ("labels", list_of(DataType::Int8)),
        ("label_sources", list_of(DataType::Utf8)),
        ("supervised", list_of(DataType::Boolean)),
        ("step_start_byte", list_of(DataType::Int64)),
        ("step_end_byte", list_of(DataType::Int64)),
        ("step_start_line", list_of(DataType::Int32)),
        ("step_end_line", list_of(DataType::Int32)),
        ("step_file", list_of(DataType::Int32)),
        ("evidence", list_of(struct_of(&REASON_FIELDS))),
        ("n_chars", DataType::Int64),
        ("n_steps", DataType::Int32),
        ("vulnerable", DataType::Boolean),
        ("alignment", DataType::Utf8),
        ("n_propagated", DataType::Int32),
        ("propagation", DataType::Utf8),
        ("n_unparsed_files", DataType::Int32),
    ]
}

/// `label_pair(vulnerable, secure, language, modes, options, files, expert_lines, findings)`: a list of labelled versions, two
/// for each mode that gives samples.
///
/// A null version makes the row unpaired: the other one alone, labelled by its side (rule 9). `modes` is a list of texts, `options`
/// a JSON object (`OptionsJson`). `files` is a list of structs `language, vulnerable_end, secure_end`, `expert_lines` a list of
/// integers, `findings` a list of structs `file, start_line, end_line, rule`; each may be null.
pub fn label_pair() -> ScalarUDF {
    let returns = list_of(struct_of(&version_fields()));
    RowFunction::udf("label_pair", Some(8), returns, |arguments, rows| {
        let vulnerable = Texts::of(&arguments[0], "label_pair's vulnerable code")?;
        let secure = Texts::of(&arguments[1], "label_pair's secure code")?;
        let languages = Texts::of(&arguments[2], "label_pair's language")?;
        let mode_lists = lists(&arguments[3], "label_pair's modes")?;
        let mode_names = Texts::of(mode_lists.values(), "label_pair's modes")?;
        let options_texts = Texts::of(&arguments[4], "label_pair's options")?;
        let file_lists = Structs::of(&arguments[5], "label_pair's files")?;
        let expert_lists = Lines::of(&arguments[6], "label_pair's expert lines")?;
        let finding_lists = Structs::of(&arguments[7], "label_pair's findings")?;
        let mut versions = Versions::default();
        let mut parsed: Option<(&str, LabelOptions)> = None;
        for row in 0..rows {
            let options_text = options_texts.get(row).unwrap_or("");
            let options = match parsed.take() {
                Some((text, options)) if text == options_text => options,
                _ => OptionsJson::parse(options_text)?,
            };
            let language = languages.get(row).and_then(|name| name.parse().ok()).unwrap_or(Language::Text);
            let (files, findings) = (file_lists.file_ends(row)?, finding_lists.findings(row)?);
            let expert_lines = expert_lists.get(row);
            for mode_row in range_of(mode_lists, row) {
                let mode = mode_names.get(mode_row).unwrap_or("").parse::<LabelMode>();
                let mode = mode.map_err(|error| exec_datafusion_err!("{error}"))?;
                match (vulnerable.get(row), secure.get(row)) {
                    (Some(vulnerable), Some(fixed)) => {
                        let pair = CodePair {
                            vulnerable,
                            fixed,
                            language,
                            files: &files,
                            expert_lines: &expert_lines,
                            findings: &findings,
                        };
                        // A pair that gives no sample is listed by label_rejects.sql, with its reason.
                        if let Ok(pair) = pair.label(mode, &options) {
                            let alignment = Some(pair.alignment);
                            versions.push("vulnerable", mode, &pair.vulnerable, alignment, pair.propagation);
                            versions.push("fixed", mode, &pair.fixed, alignment, Propagation::NONE);
                        }
                    }
                    (Some(alone), None) => {
                        let labelled = label_unpaired(alone, true, language, mode, &options);
                        versions.push("vulnerable", mode, &labelled, None, Propagation::NONE);
                    }
                    (None, Some(alone)) => {
                        let labelled = label_unpaired(alone, false, language, mode, &options);
                        versions.push("secure", mode, &labelled, None, Propagation::NONE);
                    }
                    (None, None) => {}
                }
            }
            versions.end_row();
            parsed = Some((options_text, options));
        }
        versions.finish()
    })
}

/// Builds the labelled versions of each row.
#[derive(Default)]
struct Versions {
    role: StringBuilder,
    mode: StringBuilder,
    rule_version: Int32Builder,
    code_hash: StringBuilder,
    completions: ListBuilder<StringBuilder>,
    labels: ListBuilder<Int8Builder>,
    sources: ListBuilder<StringBuilder>,
    supervised: ListBuilder<BooleanBuilder>,
    start_byte: ListBuilder<Int64Builder>,
    end_byte: ListBuilder<Int64Builder>,
    start_line: ListBuilder<Int32Builder>,
    end_line: ListBuilder<Int32Builder>,
    file: ListBuilder<Int32Builder>,
    evidence: Reasons,
    n_chars: Int64Builder,
    n_steps: Int32Builder,
    vulnerable: BooleanBuilder,
    alignment: StringBuilder,
    propagated: Int32Builder,
    propagation: StringBuilder,
    unparsed: Int32Builder,
    lengths: Vec<usize>,
    open: usize,
}

impl Versions {
    fn push(
        &mut self,
        role: &str,
        mode: LabelMode,
        version: &VersionLabels<'_>,
        alignment: Option<AlignmentKind>,
        propagation: Propagation,
    ) {
        // An empty text has no step, and nothing to learn or to score.
        if version.steps.is_empty() {
            return;
        }
        self.role.append_value(role);
        self.mode.append_value(mode.as_str());
        self.rule_version.append_value(mode.rule_version() as i32);
        self.code_hash.append_value(&blake3::hash(version.text.as_bytes()).to_hex()[..32]);
        for (index, step) in version.steps.iter().enumerate() {
            self.completions.values().append_value(version.step_text(index));
            self.labels.values().append_value(version.labels[index].as_i8());
            self.sources.values().append_value(version.sources[index].to_string());
            self.supervised.values().append_value(version.supervised[index]);
            self.start_byte.values().append_value(step.bytes.start as i64);
            self.end_byte.values().append_value(step.bytes.end as i64);
            self.start_line.values().append_value(step.lines.0 as i32);
            self.end_line.values().append_value(step.lines.1 as i32);
            self.file.values().append_value(version.files[index] as i32);
        }
        self.completions.append(true);
        self.labels.append(true);
        self.sources.append(true);
        self.supervised.append(true);
        self.start_byte.append(true);
        self.end_byte.append(true);
        self.start_line.append(true);
        self.end_line.append(true);
        self.file.append(true);
        self.evidence.push_version(&version.evidence);
        self.n_chars.append_value(length_in_chars(version, mode) as i64);
        self.n_steps.append_value(version.steps.len() as i32);
        self.vulnerable.append_value(version.vulnerable_steps() > 0);
        self.alignment.append_option(alignment.map(AlignmentKind::as_str));
        self.propagated.append_value(propagation.steps as i32);
        self.propagation.append_value(propagation.extent.as_str());
        self.unparsed.append_value(propagation.unparsed_files as i32);
        self.open += 1;
    }

    fn end_row(&mut self) {
        self.lengths.push(std::mem::take(&mut self.open));
    }

    fn finish(mut self) -> Result<ArrayRef> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.role.finish()),
            Arc::new(self.mode.finish()),
            Arc::new(self.rule_version.finish()),
            Arc::new(self.code_hash.finish()),
            renamed(Arc::new(self.completions.finish()))?,
            renamed(Arc::new(self.labels.finish()))?,
            renamed(Arc::new(self.sources.finish()))?,
            renamed(Arc::new(self.supervised.finish()))?,
            renamed(Arc::new(self.start_byte.finish()))?,
            renamed(Arc::new(self.end_byte.finish()))?,
            renamed(Arc::new(self.start_line.finish()))?,
            renamed(Arc::new(self.end_line.finish()))?,
            renamed(Arc::new(self.file.finish()))?,
            self.evidence.finish()?,
            Arc::new(self.n_chars.finish()),
            Arc::new(self.n_steps.finish()),
            Arc::new(self.vulnerable.finish()),
            Arc::new(self.alignment.finish()),
            Arc::new(self.propagated.finish()),
            Arc::new(self.propagation.finish()),
            Arc::new(self.unparsed.finish()),
        ];
        list_of_structs(&version_fields(), columns, self.lengths)
    }
}

/// Code points of the steps; the published modes lose the separators between steps, table 11 counts them.
fn length_in_chars(version: &VersionLabels<'_>, mode: LabelMode) -> usize {
    let steps: usize = version.texts().map(|text| text.chars().count()).sum();
    match mode {
        LabelMode::Natural => steps,
        LabelMode::Paper | LabelMode::PaperCleaned => steps + 2 * version.steps.len().saturating_sub(1),
    }
}

/// `segment(code, language)`: the steps of mode `natural` with default options, as a list of structs
/// `text, start_byte, end_byte, start_line, end_line`; null for null.
pub fn segment() -> ScalarUDF {
    let fields = [
        ("text", DataType::Utf8),
        ("start_byte", DataType::Int64),
        ("end_byte", DataType::Int64),
        ("start_line", DataType::Int32),
        ("end_line", DataType::Int32),
    ];
    RowFunction::udf("segment", Some(2), list_of(struct_of(&fields)), move |arguments, rows| {
        let codes = Texts::of(&arguments[0], "segment's code")?;
        let languages = Texts::of(&arguments[1], "segment's language")?;
        let mut texts = StringBuilder::new();
        let (mut starts, mut ends) = (Int64Builder::new(), Int64Builder::new());
        let (mut first_lines, mut last_lines) = (Int32Builder::new(), Int32Builder::new());
        let mut lengths = Vec::with_capacity(rows);
        for row in 0..rows {
            let Some(code) = codes.get(row) else {
                lengths.push(0);
                continue;
            };
            let name = languages.get(row).unwrap_or("text");
            let Ok(language) = name.parse::<Language>() else {
                return exec_err!("segment does not know the language {name}; `text` is the fall-back");
            };
            let steps = cut(code, language, &SegmentOptions::default());
            for step in &steps {
                texts.append_value(step.text(code));
                starts.append_value(step.bytes.start as i64);
                ends.append_value(step.bytes.end as i64);
                first_lines.append_value(step.lines.0 as i32);
                last_lines.append_value(step.lines.1 as i32);
            }
            lengths.push(steps.len());
        }
        let columns: Vec<ArrayRef> = vec![
            Arc::new(texts.finish()),
            Arc::new(starts.finish()),
            Arc::new(ends.finish()),
            Arc::new(first_lines.finish()),
            Arc::new(last_lines.finish()),
        ];
        list_of_structs(&fields, columns, lengths)
    })
}
