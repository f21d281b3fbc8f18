//! The tree that analysers read: `<dataset>/<pair_id>/<file>`, the vulnerable version of each pair.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, AsArray, ListArray, RecordBatch, StringArray};
use arrow::datatypes::{Field, Int64Type, Schema, SchemaRef};
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use secprm_storage::{NewFolder, conform};

use super::code_names::{code_names, plain_part};
use crate::error::{Result, StageError};
use crate::ingest::{PAIRS, ingest_tables};
use crate::language::Language;

/// The columns that the tree is made of; a row without vulnerable code has no files in it.
pub const CODE_COLUMNS: [&str; 6] = ["dataset", "pair_id", "file_path", "language", "files", "vulnerable_code"];

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WrittenCode {
    /// Pairs with a vulnerable version.
    pub pairs: u64,
    /// Their files.
    pub files: u64,
}

/// Writes the vulnerable version of each row as files into a folder, which appears complete or not at all.
///
/// Rows hold [`CODE_COLUMNS`], as the table `pairs` does. The bytes are those of the table, line for line.
///
/// # Errors
/// [`StageError::Storage`] if the folder holds anything, cannot be written, or would hold a pair twice; [`StageError::Table`] for a
/// `pair_id` that is none; and what the rows' query returns.
pub async fn write_code(mut rows: SendableRecordBatchStream, folder: &Path) -> Result<WrittenCode> {
    let begun = Arc::new(NewFolder::begin(folder)?);
    let schema = schema_of(&CODE_COLUMNS);
    let mut written = WrittenCode::default();
    while let Some(batch) = rows.next().await {
        let batch = conform(PAIRS, &schema, &batch?)?;
        let begun = begun.clone();
        let of_batch = tokio::task::spawn_blocking(move || write_batch(&batch, &begun)).await??;
        written.pairs += of_batch.pairs;
        written.files += of_batch.files;
    }
    // The tasks are through, so that nobody else holds the folder.
    match Arc::into_inner(begun) {
        Some(begun) => begun.finish()?,
        None => return Err(malformed("the folder is still being written")),
    }
    Ok(written)
}

/// The schema of some columns of `pairs`, none of which has to be filled.
pub(super) fn schema_of(columns: &[&str]) -> SchemaRef {
    let [pairs, ..] = ingest_tables();
    let fields = columns.iter().filter_map(|name| pairs.schema.field_with_name(name).ok());
    Arc::new(Schema::new(
        fields.map(|field| Field::new(field.name(), field.data_type().clone(), true)).collect::<Vec<_>>(),
    ))
}

fn malformed(message: &str) -> StageError {
    StageError::Table { table: PAIRS.to_owned(), message: message.to_owned() }
}

fn not_its_code(pair_id: &str) -> StageError {
    malformed(&format!("the files of pair {pair_id} do not add up to its code"))
}

fn write_batch(batch: &RecordBatch, folder: &NewFolder) -> Result<WrittenCode> {
    let pairs = PairFiles::of(batch).ok_or_else(|| malformed("it has other columns than this version writes"))?;
    let text = |name: &str| batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
    let (Some(ids), Some(datasets), Some(codes)) = (text("pair_id"), text("dataset"), text("vulnerable_code")) else {
        return Err(malformed("it has other columns than this version writes"));
    };
    let mut written = WrittenCode::default();
    for row in (0..batch.num_rows()).filter(|row| codes.is_valid(*row)) {
        let (pair_id, code) = (ids.value(row), codes.value(row));
        let dataset = plain_part(datasets.value(row)).unwrap_or_else(|| "dataset".to_owned());
        if pair_id.len() != 32 || !pair_id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(malformed(&format!("`{pair_id}` is no pair_id")));
        }
        let mut start = 0;
        for (name, end) in pairs.names(row).iter().zip(pairs.ends(row, code.len())) {
            let part = code.get(start..end).ok_or_else(|| not_its_code(pair_id))?;
            folder.write_file(&format!("{dataset}/{pair_id}/{name}"), part.as_bytes())?;
            start = end;
            written.files += 1;
        }
        if start != code.len() {
            return Err(not_its_code(pair_id));
        }
        written.pairs += 1;
    }
    Ok(written)
}

/// The files of the pairs in a batch.
pub(super) struct PairFiles<'batch> {
    paths: &'batch StringArray,
    languages: &'batch StringArray,
    lists: &'batch ListArray,
    file_paths: &'batch StringArray,
    file_languages: &'batch StringArray,
    ends: &'batch [i64],
}

impl<'batch> PairFiles<'batch> {
    /// Looks at the columns `file_path`, `language` and `files`; `None` where they are not as `pairs` has them.
    pub(super) fn of(batch: &'batch RecordBatch) -> Option<Self> {
        let text = |name: &str| batch.column_by_name(name)?.as_string_opt::<i32>();
        let lists = batch.column_by_name("files")?.as_list_opt::<i32>()?;
        let structs = lists.values().as_struct_opt()?;
        Some(PairFiles {
            paths: text("file_path")?,
            languages: text("language")?,
            lists,
            file_paths: structs.column_by_name("path")?.as_string_opt::<i32>()?,
            file_languages: structs.column_by_name("language")?.as_string_opt::<i32>()?,
            ends: structs.column_by_name("vulnerable_end")?.as_primitive_opt::<Int64Type>()?.values(),
        })
    }

    /// Returns the name of each of a pair's files.
    pub(super) fn names(&self, row: usize) -> Vec<String> {
        let path = self.paths.is_valid(row).then(|| self.paths.value(row));
        let files: Vec<(&str, Language)> = self
            .range(row)
            .map(|file| (self.file_paths.value(file), language_of(self.file_languages.value(file))))
            .collect();
        code_names(path, language_of(self.languages.value(row)), &files)
    }

    /// Returns the byte behind each of a pair's files; one text ends at `whole`.
    fn ends(&self, row: usize, whole: usize) -> Vec<usize> {
        let range = self.range(row);
        if range.is_empty() {
            return vec![whole];
        }
        range.map(|file| usize::try_from(self.ends[file]).unwrap_or(usize::MAX)).collect()
    }

    fn range(&self, row: usize) -> std::ops::Range<usize> {
        match self.lists.is_valid(row) {
            true => {
                let offsets = self.lists.value_offsets();
                offsets[row] as usize..offsets[row + 1] as usize
            }
            false => 0..0,
        }
    }
}

fn language_of(name: &str) -> Language {
    name.parse().unwrap_or(Language::Text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use datafusion::prelude::SessionContext;

    use super::*;

    async fn rows(query: &str) -> SendableRecordBatchStream {
        SessionContext::new().sql(query).await.unwrap().execute_stream().await.unwrap()
    }

    fn pair(pair_id: char, path: &str, files: &str, code: &str) -> String {
        let pair_id = pair_id.to_string().repeat(32);
        format!(
            "SELECT 'sven' AS dataset, '{pair_id}' AS pair_id, {path} AS file_path, 'c' AS language, {files} AS files, {code} AS vulnerable_code"
        )
    }

    fn file(path: &str, end: usize) -> String {
        format!("named_struct('path', '{path}', 'language', 'c', 'vulnerable_end', {end}, 'secure_end', 0)")
    }

    #[tokio::test]
    async fn each_vulnerable_version_is_a_file_or_several() {
        let home = tempfile::tempdir().unwrap();
        let target = home.path().join("code");
        let none = format!("array_slice([{}], 2, 2)", file("x", 0));
        let query = [
            pair('a', "'src/one.c'", &none, "'int a;'"),
            pair('b', "NULL", &format!("[{}, {}]", file("src/x.c", 2), file("../lib/x.c", 5)), "'1;23;'"),
            pair('c', "NULL", &none, "NULL"),
        ];
        let written = write_code(rows(&query.join(" UNION ALL ")).await, &target).await.unwrap();
        assert_eq!(written, WrittenCode { pairs: 2, files: 3 });
        let read = |path: String| std::fs::read_to_string(target.join("sven").join(path)).unwrap();
        assert_eq!(read(format!("{}/one.c", "a".repeat(32))), "int a;");
        assert_eq!(read(format!("{}/src/x.c", "b".repeat(32))), "1;");
        assert_eq!(read(format!("{}/lib/x.c", "b".repeat(32))), "23;");
        assert!(!target.join("sven").join("c".repeat(32)).exists());
    }

    #[tokio::test]
    async fn a_pair_that_cannot_be_written_leaves_no_folder() {
        let home = tempfile::tempdir().unwrap();
        let target = home.path().join("code");
        let failure = async |query: String| {
            let failure = write_code(rows(&query).await, &target).await.unwrap_err().to_string();
            assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
            failure
        };
        let none = format!("array_slice([{}], 2, 2)", file("x", 0));
        let one = pair('a', "NULL", &none, "'int a;'");
        assert!(failure(format!("{one} UNION ALL {one}")).await.contains("is there already"));
        assert!(failure(one.replace(&"a".repeat(32), "../a")).await.contains("is no pair_id"));
        let overlapping = pair('a', "NULL", &format!("[{}, {}]", file("x", 3), file("y", 2)), "'int a;'");
        assert!(failure(overlapping).await.contains("do not add up"));
        let short = pair('a', "NULL", &format!("[{}]", file("x", 3)), "'int a;'");
        assert!(failure(short).await.contains("do not add up"));
    }
}
