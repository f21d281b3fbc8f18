//! `stable_id`, `hash_bucket`, `fingerprint`: identifiers that are hashes of what they stand for.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Builder, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::ScalarUDF;

use super::access::{Texts, int64};
use super::scalar::RowFunction;

/// `stable_id(part, …)`: 32 hexadecimal digits of BLAKE3 over all parts as text; a null part counts as such.
pub fn stable_id() -> ScalarUDF {
    RowFunction::udf("stable_id", None, DataType::Utf8, |arguments, rows| {
        let parts: Vec<ArrayRef> = arguments
            .iter()
            .map(|array| match array.data_type() {
                DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => Ok(array.clone()),
                _ => cast(array, &DataType::Utf8),
            })
            .collect::<Result<_, _>>()?;
        let texts = parts.iter().map(|part| Texts::of(part, "stable_id's parts")).collect::<Result<Vec<_>>>()?;
        let mut ids = StringBuilder::with_capacity(rows, rows * 32);
        for row in 0..rows {
            let mut hasher = blake3::Hasher::new();
            for text in &texts {
                let part = text.get(row);
                hasher.update(&part.map_or(0, |part| part.len() as u64 + 1).to_le_bytes());
                hasher.update(part.unwrap_or("").as_bytes());
            }
            ids.append_value(&hasher.finalize().to_hex()[..32]);
        }
        Ok(Arc::new(ids.finish()))
    })
}

/// `hash_bucket(text, n)`: a number from 0 to n - 1 that depends on the text alone; null for null.
pub fn hash_bucket() -> ScalarUDF {
    RowFunction::udf("hash_bucket", Some(2), DataType::Int64, |arguments, rows| {
        let texts = Texts::of(&arguments[0], "hash_bucket's first argument")?;
        let counts = int64(&arguments[1])?;
        let mut buckets = Int64Builder::with_capacity(rows);
        for row in 0..rows {
            if counts.is_null(row) || counts.value(row) < 1 {
                return exec_err!("hash_bucket needs a number of buckets of at least 1");
            }
            buckets.append_option(texts.get(row).map(|text| {
                let mut first = [0u8; 8];
                first.copy_from_slice(&blake3::hash(text.as_bytes()).as_bytes()[..8]);
                (u64::from_be_bytes(first) % counts.value(row) as u64) as i64
            }));
        }
        Ok(Arc::new(buckets.finish()))
    })
}

/// `fingerprint(code)`: a hash of the code without its white space, equal for copies that differ in layout only.
pub fn fingerprint() -> ScalarUDF {
    RowFunction::udf("fingerprint", Some(1), DataType::Utf8, |arguments, rows| {
        let texts = Texts::of(&arguments[0], "fingerprint's argument")?;
        let mut hashes = StringBuilder::with_capacity(rows, rows * 32);
        for row in 0..rows {
            hashes.append_option(texts.get(row).map(|code| {
                let mut hasher = blake3::Hasher::new();
                code.split_whitespace().for_each(|word| {
                    hasher.update(word.as_bytes());
                });
                hasher.finalize().to_hex()[..32].to_owned()
            }));
        }
        Ok(Arc::new(hashes.finish()))
    })
}
