//! The pairs that findings may belong to, and the way from a uri to one of them.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int32Type;
use percent_encoding::percent_decode_str;
use secprm_storage::conform;

use super::code_tree::{PairFiles, schema_of};
use super::finding::{FindingRejectReason, Flaw};
use crate::error::{Result, StageError};
use crate::ingest::PAIRS;

/// The columns of `pairs` that [`KnownPairs`] is made of.
pub const KNOWN_PAIR_COLUMNS: [&str; 6] = ["pair_id", "dataset", "slice", "file_path", "language", "files"];

/// All pairs by identifier, with the names of their files.
#[derive(Debug, Default)]
pub struct KnownPairs {
    pairs: HashMap<u128, KnownPair>,
    datasets: Vec<Arc<str>>,
}

#[derive(Debug)]
struct KnownPair {
    dataset: Arc<str>,
    slice: i32,
    files: Box<[Box<str>]>,
}

/// A file of a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairPlace {
    /// The pair.
    pub pair_id: u128,
    /// Its dataset.
    pub dataset: Arc<str>,
    /// Its slice.
    pub slice: i32,
    /// The file among the pair's, from 0.
    pub file_index: i32,
}

impl KnownPairs {
    /// Takes note of the pairs of a batch with [`KNOWN_PAIR_COLUMNS`].
    ///
    /// # Errors
    /// If the columns are not as the table `pairs` has them.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let batch = conform(PAIRS, &schema_of_known(), batch)?;
        self.add_rows(&batch).ok_or_else(|| StageError::Table {
            table: PAIRS.to_owned(),
            message: "it has other columns than this version writes".to_owned(),
        })
    }

    fn add_rows(&mut self, batch: &RecordBatch) -> Option<()> {
        let files = PairFiles::of(batch)?;
        let ids = batch.column_by_name("pair_id")?.as_string_opt::<i32>()?;
        let datasets = batch.column_by_name("dataset")?.as_string_opt::<i32>()?;
        let slices = batch.column_by_name("slice")?.as_primitive_opt::<Int32Type>()?;
        for row in 0..batch.num_rows() {
            let pair_id = parse_id(ids.value(row))?;
            let dataset = self.dataset(datasets.value(row));
            let files = files.names(row).into_iter().map(String::into_boxed_str).collect();
            self.pairs.insert(pair_id, KnownPair { dataset, slice: slices.value(row), files });
        }
        Some(())
    }

    fn dataset(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.datasets.iter().find(|known| known.as_ref() == name) {
            return known.clone();
        }
        let name: Arc<str> = name.into();
        self.datasets.push(name.clone());
        name
    }

    /// Finds the file that a uri names: below the first folder that is called as a known pair, whatever comes before it.
    ///
    /// # Errors
    /// A flaw, where there is no such folder, or no such file in that pair.
    pub(super) fn place(&self, uri: &str) -> Result<PairPlace, Flaw> {
        let path = percent_decode_str(uri).decode_utf8_lossy().replace('\\', "/");
        let mut parts = path.split('/').filter(|part| !part.is_empty() && *part != ".");
        let found = parts.by_ref().find_map(|part| {
            let pair_id = parse_id(part)?;
            Some((pair_id, self.pairs.get(&pair_id)?))
        });
        let Some((pair_id, pair)) = found else {
            let why = format!(
                "no folder of {uri} is called as a pair; the analyser has to read what `secprm export pairs DIR --code` wrote"
            );
            return Err((FindingRejectReason::FindingWithoutPair, why));
        };
        let name = parts.collect::<Vec<_>>().join("/");
        let index = pair.files.iter().position(|file| file.as_ref() == name);
        let Some(file_index) = index.and_then(|index| i32::try_from(index).ok()) else {
            let why = format!("pair {pair_id:032x} has no file {name}; its files are {}", pair.files.join(", "));
            return Err((FindingRejectReason::FindingWithoutFile, why));
        };
        Ok(PairPlace { pair_id, dataset: pair.dataset.clone(), slice: pair.slice, file_index })
    }
}

fn schema_of_known() -> arrow::datatypes::SchemaRef {
    schema_of(&KNOWN_PAIR_COLUMNS)
}

fn parse_id(text: &str) -> Option<u128> {
    let is_id = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn known() -> KnownPairs {
        let pair = |files: &[&str]| KnownPair {
            dataset: "sven".into(),
            slice: 3,
            files: files.iter().map(|file| (*file).into()).collect(),
        };
        let pairs = HashMap::from([(0xa, pair(&["get.c"])), (0xb, pair(&["src/x.c", "lib/x y.c"]))]);
        KnownPairs { pairs, datasets: Vec::new() }
    }

    fn place(uri: &str) -> Result<(u128, i32), &'static str> {
        let place = known().place(uri);
        place.map(|place| (place.pair_id, place.file_index)).map_err(|(reason, _)| reason.as_str())
    }

    #[test]
    fn the_folder_of_a_pair_is_found_in_uris_of_every_kind() {
        let (a, b) = (format!("{:032x}", 0xa), format!("{:032x}", 0xb));
        assert_eq!(place(&format!("sven/{a}/get.c")), Ok((0xa, 0)));
        assert_eq!(place(&format!("file:///home/some%20one/code/sven/{a}/get.c")), Ok((0xa, 0)));
        assert_eq!(place(&format!("C:\\code\\sven\\{a}\\get.c")), Ok((0xa, 0)));
        assert_eq!(place(&format!("./code//sven/{b}/./lib/x%20y.c")), Ok((0xb, 1)));
        assert_eq!(place(&format!("{b}/src/x.c")), Ok((0xb, 0)));
        // A folder that looks like a pair but is none is part of the way.
        assert_eq!(place(&format!("{}/sven/{b}/src/x.c", "c".repeat(32))), Ok((0xb, 0)));
    }

    #[test]
    fn what_is_of_no_pair_or_no_file_of_it_says_so() {
        let a = format!("{:032x}", 0xa);
        assert_eq!(place("src/get.c"), Err("finding_without_pair"));
        assert_eq!(place(""), Err("finding_without_pair"));
        assert_eq!(place(&format!("+{}/get.c", &a[1..])), Err("finding_without_pair"));
        assert_eq!(place(&format!("sven/{a}/set.c")), Err("finding_without_file"));
        assert_eq!(place(&format!("sven/{a}")), Err("finding_without_file"));
    }
}
