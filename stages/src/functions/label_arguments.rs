//! The arguments of `label_pair` that are no texts: options, files, and labels that come with a pair.

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListArray};
use datafusion::common::{Result, exec_datafusion_err};
use serde::Deserialize;

use super::access::{Texts, int64, lists, range_of};
use crate::label::{Comments, FileEnds, Finding, Given, LabelOptions, Propagate, SegmentOptions};
use crate::language::Language;

/// The options of `label_pair`, as JSON; a key that is left out has its default.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct OptionsJson {
    max_step_lines: u32,
    max_step_bytes: usize,
    suffix_texts: Vec<String>,
    prefix_texts: Vec<String>,
    comments: Comments,
    propagate: Propagate,
    max_propagated_share: f64,
    given: Vec<Given>,
}

impl Default for OptionsJson {
    fn default() -> OptionsJson {
        let LabelOptions { segment, comments, propagate, max_propagated_share, given, .. } = LabelOptions::default();
        OptionsJson {
            max_step_lines: segment.max_step_lines,
            max_step_bytes: segment.max_step_bytes,
            suffix_texts: segment.suffix_texts,
            prefix_texts: segment.prefix_texts,
            comments,
            propagate,
            max_propagated_share,
            given,
        }
    }
}

impl OptionsJson {
    /// Reads the options.
    ///
    /// # Errors
    /// Text that is no JSON object of these keys.
    pub(super) fn parse(text: &str) -> Result<LabelOptions> {
        let options: OptionsJson =
            serde_json::from_str(text).map_err(|error| exec_datafusion_err!("label_pair's options: {error}"))?;
        Ok(LabelOptions {
            segment: SegmentOptions {
                max_step_lines: options.max_step_lines,
                max_step_bytes: options.max_step_bytes,
                suffix_texts: options.suffix_texts,
                prefix_texts: options.prefix_texts,
            },
            comments: options.comments,
            propagate: options.propagate,
            max_propagated_share: options.max_propagated_share,
            given: options.given,
            ..LabelOptions::default()
        })
    }
}

/// Lists of whole numbers, one a row; null and the empty list are the same.
pub(super) struct Lines<'array> {
    rows: Option<(&'array ListArray, Int64Array)>,
}

impl<'array> Lines<'array> {
    /// Looks at an array as lists of line numbers.
    ///
    /// # Errors
    /// If it is of another type; `what` names the argument.
    pub(super) fn of(array: &'array ArrayRef, what: &str) -> Result<Self> {
        let Some(lists) = non_empty(array, what)? else {
            return Ok(Lines { rows: None });
        };
        Ok(Lines { rows: Some((lists, int64(lists.values())?)) })
    }

    /// Returns a row's numbers; what is no line number is left out.
    pub(super) fn get(&self, row: usize) -> Vec<u32> {
        match &self.rows {
            Some((lists, values)) if lists.is_valid(row) => range_of(lists, row)
                .filter(|place| values.is_valid(*place))
                .filter_map(|place| u32::try_from(values.value(place)).ok())
                .collect(),
            _ => Vec::new(),
        }
    }
}

/// Lists of structs, one a row; null and the empty list are the same.
pub(super) struct Structs<'array> {
    lists: Option<&'array ListArray>,
    what: &'static str,
}

impl<'array> Structs<'array> {
    /// Looks at an array as lists of structs.
    ///
    /// # Errors
    /// If it is of another type; `what` names the argument.
    pub(super) fn of(array: &'array ArrayRef, what: &'static str) -> Result<Self> {
        Ok(Structs { lists: non_empty(array, what)?, what })
    }

    /// Reads a row as files.
    ///
    /// # Errors
    /// A missing field, or one of another type.
    pub(super) fn file_ends(&self, row: usize) -> Result<Vec<FileEnds>> {
        let Some((lists, places)) = self.places(row) else { return Ok(Vec::new()) };
        let names = self.field(lists, "language")?;
        let languages = Texts::of(&names, self.what)?;
        let [vulnerable, secure] = [self.integers(lists, "vulnerable_end")?, self.integers(lists, "secure_end")?];
        Ok(places
            .map(|place| FileEnds {
                language: languages.get(place).and_then(|name| name.parse().ok()).unwrap_or(Language::Text),
                vulnerable: usize::try_from(vulnerable.value(place)).unwrap_or(usize::MAX),
                fixed: usize::try_from(secure.value(place)).unwrap_or(usize::MAX),
            })
            .collect())
    }

    /// Reads a row as findings.
    ///
    /// # Errors
    /// A missing field, or one of another type.
    pub(super) fn findings(&self, row: usize) -> Result<Vec<Finding>> {
        let Some((lists, places)) = self.places(row) else { return Ok(Vec::new()) };
        let files = self.integers(lists, "file")?;
        let [starts, ends] = [self.integers(lists, "start_line")?, self.integers(lists, "end_line")?];
        let rules = self.field(lists, "rule")?;
        let rules = Texts::of(&rules, self.what)?;
        let line = |lines: &Int64Array, place| u32::try_from(lines.value(place)).unwrap_or(0);
        Ok(places
            .map(|place| Finding {
                file: usize::try_from(files.value(place)).unwrap_or(usize::MAX),
                start_line: line(&starts, place),
                end_line: line(&ends, place),
                rule: rules.get(place).map(str::to_owned),
            })
            .collect())
    }

    fn places(&self, row: usize) -> Option<(&'array ListArray, std::ops::Range<usize>)> {
        let lists = self.lists.filter(|lists| lists.is_valid(row))?;
        let places = range_of(lists, row);
        (!places.is_empty()).then_some((lists, places))
    }

    fn field(&self, lists: &ListArray, name: &str) -> Result<ArrayRef> {
        let structs = lists.values().as_struct_opt();
        let column = structs.and_then(|structs| structs.column_by_name(name)).cloned();
        column.ok_or_else(|| exec_datafusion_err!("{} need a field {name}, they are {}", self.what, lists.data_type()))
    }

    fn integers(&self, lists: &ListArray, name: &str) -> Result<Int64Array> {
        int64(&self.field(lists, name)?)
    }
}

/// Returns the lists of an array, or nothing where all are null or empty, whatever their type.
fn non_empty<'array>(array: &'array ArrayRef, what: &str) -> Result<Option<&'array ListArray>> {
    if array.null_count() == array.len() || array.data_type().is_null() {
        return Ok(None);
    }
    let lists = lists(array, what)?;
    Ok(Some(lists).filter(|lists| !lists.values().is_empty()))
}
