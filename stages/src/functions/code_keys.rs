//! `code_keys`: what a pair's code is known by when splits look for equal and nearly equal code (LABELS.md, rule 13), and what its
//! versions differ in (rule 11).

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, Int32Builder, Int64Builder, ListArray, ListBuilder, StringBuilder,
    StructArray,
};
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_datafusion_err, exec_err};
use datafusion::logical_expr::ScalarUDF;

use super::access::{Texts, int64, list_of, lists, range_of, struct_of};
use super::scalar::RowFunction;
use super::tokens::renamed;
use crate::label::CodeDifference;
use crate::language::Language;
use crate::splits::{CodeKeys, FileVersions};

/// `code_keys(vulnerable, secure, language, files)`: a struct of `code_hashes`, one of the normal code of each file of each version,
/// `vulnerable_hashes` and `secure_hashes`, those of one version that the other has not, `signatures`, one of each file of the vulnerable (or only) version that is long enough, `repeated_lines`, and `code_difference`: none, whitespace,
/// comment or code, null where there is one version only.
///
/// `files` is the column of `pairs`: a list of structs `path, language, vulnerable_end, secure_end`; null or empty where a version is one
/// text, whose language is then the third argument.
pub fn code_keys() -> ScalarUDF {
    let fields = [
        ("code_hashes", list_of(DataType::Int64)),
        ("vulnerable_hashes", list_of(DataType::Int64)),
        ("secure_hashes", list_of(DataType::Int64)),
        ("signatures", list_of(DataType::Binary)),
        ("repeated_lines", DataType::Int32),
        ("code_difference", DataType::Utf8),
    ];
    let returns = struct_of(&fields);
    RowFunction::udf("code_keys", Some(4), returns.clone(), move |arguments, rows| {
        let vulnerable = Texts::of(&arguments[0], "code_keys' vulnerable code")?;
        let secure = Texts::of(&arguments[1], "code_keys' secure code")?;
        let languages = Texts::of(&arguments[2], "code_keys' language")?;
        let files = Files::of(&arguments[3])?;
        let mut hashes = [(); 3].map(|()| ListBuilder::new(Int64Builder::new()));
        let mut signatures = ListBuilder::new(BinaryBuilder::new());
        let mut repeated_lines = Int32Builder::new();
        let mut differences = StringBuilder::new();
        for row in 0..rows {
            let whole = FileVersions {
                language: language_of(languages.get(row)),
                vulnerable: vulnerable.get(row),
                secure: secure.get(row),
            };
            let keys = CodeKeys::of(files.cut(row, whole)?);
            let of_versions = [&keys.code_hashes, &keys.vulnerable_hashes, &keys.secure_hashes];
            for (column, of_row) in hashes.iter_mut().zip(of_versions) {
                of_row.iter().for_each(|hash| column.values().append_value(*hash));
                column.append(true);
            }
            keys.signatures.iter().for_each(|signature| signatures.values().append_value(signature.to_bytes()));
            signatures.append(true);
            repeated_lines.append_value(keys.repeated_lines as i32);
            differences.append_option(keys.difference.map(CodeDifference::as_str));
        }
        let DataType::Struct(fields) = &returns else { return exec_err!("code_keys returns no struct") };
        let [mut all, mut vulnerable, mut secure] = hashes;
        let columns: Vec<ArrayRef> = vec![
            renamed(Arc::new(all.finish()))?,
            renamed(Arc::new(vulnerable.finish()))?,
            renamed(Arc::new(secure.finish()))?,
            renamed(Arc::new(signatures.finish()))?,
            Arc::new(repeated_lines.finish()),
            Arc::new(differences.finish()),
        ];
        Ok(Arc::new(StructArray::try_new(fields.clone(), columns, None)?))
    })
}

fn language_of(name: Option<&str>) -> Language {
    name.and_then(|name| name.parse().ok()).unwrap_or(Language::Text)
}

/// The column `files`; all null where a pair's versions are one text each throughout.
enum Files<'array> {
    None,
    Lists(&'array ListArray),
}

impl<'array> Files<'array> {
    fn of(array: &'array ArrayRef) -> Result<Self> {
        match array.data_type() {
            DataType::Null => Ok(Files::None),
            _ => Ok(Files::Lists(lists(array, "code_keys' files")?)),
        }
    }

    /// Cuts both versions of a row into their files.
    fn cut<'text>(&self, row: usize, whole: FileVersions<'text>) -> Result<Vec<FileVersions<'text>>> {
        let Files::Lists(lists) = self else { return Ok(vec![whole]) };
        let range = range_of(lists, row);
        if lists.is_null(row) || range.is_empty() {
            return Ok(vec![whole]);
        }
        let field = |name: &str| {
            let structs = lists.values().as_struct_opt().and_then(|structs| structs.column_by_name(name));
            structs.ok_or_else(|| exec_datafusion_err!("code_keys' files have no {name}"))
        };
        let languages = Texts::of(field("language")?, "code_keys' files' language")?;
        let [vulnerable_ends, secure_ends] = [int64(field("vulnerable_end")?)?, int64(field("secure_end")?)?];
        let (mut vulnerable_start, mut secure_start) = (0, 0);
        let mut files = Vec::with_capacity(range.len());
        for file in range {
            let [vulnerable_end, secure_end] = [&vulnerable_ends, &secure_ends].map(|ends| ends.value(file) as usize);
            files.push(FileVersions {
                language: language_of(languages.get(file)),
                vulnerable: part(whole.vulnerable, vulnerable_start, vulnerable_end)?,
                secure: part(whole.secure, secure_start, secure_end)?,
            });
            (vulnerable_start, secure_start) = (vulnerable_end, secure_end);
        }
        Ok(files)
    }
}

fn part(text: Option<&str>, start: usize, end: usize) -> Result<Option<&str>> {
    let Some(text) = text else { return Ok(None) };
    match text.get(start..end) {
        Some(part) => Ok(Some(part)),
        None => {
            exec_err!("code_keys' files end at byte {end}, where a text of {} bytes has no end of a file", text.len())
        }
    }
}
