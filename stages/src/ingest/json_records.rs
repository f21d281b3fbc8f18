//! What the datasets in JSON lines have in common: bad records that become rejects, and files that turn out to be another dataset's.

use serde_json::Value;

use super::flaw::{Flaw, rejected, too_large};
use super::jsonl::{Line, Lines};
use super::reader::{FileContext, RawInput};
use super::record::{Reject, RejectReason};
use crate::error::{Result, StageError};

/// How many records of a file are looked at before it is called another dataset's.
const RECORDS_BEFORE_VERDICT: u64 = 64;

/// How files of a dataset are told from others.
pub struct Layout {
    /// The dataset's name for people.
    pub dataset: &'static str,
    /// A file none of whose first records names one of these keys is another dataset's.
    pub telling: &'static [&'static str],
    /// What its files are, for the remedy.
    pub described: &'static str,
}

impl Layout {
    /// The error that a file is not of this layout.
    pub fn stranger(&self, context: &FileContext) -> StageError {
        let keys = self.telling.join(" or ");
        StageError::Source {
            message: format!("{} is not a {} file: no record has {keys}", context.path, self.dataset),
            remedy: format!("check `dataset` and `url` of this [[source]]; {}", self.described),
        }
    }
}

/// One line of the file.
pub struct RawRecord {
    /// The record in the file, from 0.
    pub row: u64,
    /// The byte at which it starts.
    pub byte_offset: u64,
    /// Its bytes, or a reject where there are too many.
    pub bytes: Result<Vec<u8>, Reject>,
}

/// Reads JSON lines one by one and finds out whether they are the dataset's.
pub struct JsonRecords<'context, 'file> {
    lines: Lines<'file>,
    context: &'context FileContext,
    layout: &'static Layout,
    recognised: bool,
}

impl<'context, 'file> JsonRecords<'context, 'file> {
    /// Starts at the file's first byte.
    ///
    /// # Errors
    /// If the file was opened for random access.
    pub fn new(context: &'context FileContext, input: RawInput<'file>, layout: &'static Layout) -> Result<Self> {
        let lines = Lines::new(input.stream(&context.path)?, context.max_record_bytes);
        Ok(JsonRecords { lines, context, layout, recognised: false })
    }

    /// Returns the next record; `None` at the end.
    ///
    /// # Errors
    /// [`StageError::Read`], and [`StageError::Source`] once enough records were seen and none was the dataset's.
    pub fn next_record(&mut self) -> Result<Option<RawRecord>> {
        if !self.recognised && self.lines.rows() == RECORDS_BEFORE_VERDICT {
            return Err(self.layout.stranger(self.context));
        }
        let unreadable = |source| StageError::Read { file: self.context.path.clone(), source };
        let Some((row, byte_offset, line)) = self.lines.next_line().map_err(unreadable)? else {
            let is_stranger = !self.recognised && self.lines.rows() > 0;
            return if is_stranger { Err(self.layout.stranger(self.context)) } else { Ok(None) };
        };
        let bytes = match line {
            Line::Whole(bytes) => Ok(bytes),
            Line::TooLong { start, bytes } => Err(self.reject(too_large(bytes, self.context.max_record_bytes), &start)),
        };
        Ok(Some(RawRecord { row, byte_offset, bytes }))
    }

    /// Takes note of a record that can only be this dataset's.
    pub fn recognise(&mut self) {
        self.recognised = true;
    }

    /// Makes a reject of a record; one that names a telling key shows that the file is the dataset's all the same.
    pub fn reject(&mut self, flaw: Flaw, bytes: &[u8]) -> Reject {
        self.recognised |= self.layout.telling.iter().any(|key| contains(bytes, key));
        rejected(flaw, bytes)
    }

    /// Returns how many records were seen.
    pub fn count(&self) -> u64 {
        self.lines.rows()
    }
}

fn contains(bytes: &[u8], key: &str) -> bool {
    bytes.windows(key.len()).any(|window| window == key.as_bytes())
}

/// What a field of a record must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldType {
    /// A string.
    Text,
    /// A number.
    Number,
    /// An array.
    List,
}

impl FieldType {
    fn matches(self, value: &Value) -> bool {
        match self {
            FieldType::Text => value.is_string(),
            FieldType::Number => value.is_number(),
            FieldType::List => value.is_array(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            FieldType::Text => "a string",
            FieldType::Number => "a number",
            FieldType::List => "an array",
        }
    }
}

/// Finds out why a record could not be read, given the fields that it must have: the slow road, for bad records only.
pub fn diagnose(bytes: &[u8], error: &serde_json::Error, required: &[(&str, FieldType)]) -> Flaw {
    if let Err(utf8) = std::str::from_utf8(bytes) {
        return (RejectReason::InvalidUtf8, format!("byte {} of the record is no UTF-8", utf8.valid_up_to()));
    }
    let fields = match serde_json::from_slice::<Value>(bytes) {
        Err(error) => return (RejectReason::InvalidJson, error.to_string()),
        Ok(Value::Object(fields)) => fields,
        Ok(other) => return (RejectReason::NotAnObject, format!("the record is {}, not an object", type_name(&other))),
    };
    for (key, wanted) in required {
        match fields.get(*key) {
            None => return (RejectReason::MissingField, format!("{key} is missing")),
            Some(Value::Null) => return (RejectReason::MissingField, format!("{key} is null")),
            Some(value) if wanted.matches(value) => {}
            Some(other) => {
                return (RejectReason::WrongType, format!("{key} is {}, not {}", type_name(other), wanted.name()));
            }
        }
    }
    // All is there, so it is the type of something within a field, or a text that is no Unicode.
    match error.classify() {
        serde_json::error::Category::Data => (RejectReason::WrongType, error.to_string()),
        _ => (RejectReason::InvalidJson, error.to_string()),
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
