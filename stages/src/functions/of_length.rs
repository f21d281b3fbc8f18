//! `of_length`: lists of one length, so that those of them that a query does not read need not be unnested.

use arrow::array::Array;
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::access::{int64, lists, range_of};

/// `of_length(list, length)`: the list as it is, which must have that length.
///
/// What is unnested beside it from lists of the same length has one row an entry each, whichever of them are read: see
/// [`super::unread_lists::UnreadLists`].
///
/// # Errors
/// Of a list of another length, or a null: a query that went on would give another number of rows by the columns it names.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct OfLength {
    signature: Signature,
}

/// Returns the function.
pub fn of_length() -> ScalarUDF {
    ScalarUDF::new_from_impl(OfLength { signature: Signature::any(2, Volatility::Immutable) })
}

impl ScalarUDFImpl for OfLength {
    fn name(&self) -> &str {
        "of_length"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [list @ DataType::List(_), length] if length.is_integer() => Ok(list.clone()),
            _ => plan_err!("of_length takes a list and its length"),
        }
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = arguments.number_rows;
        let arrays = arguments.args.into_iter().map(|value| value.into_array(rows)).collect::<Result<Vec<_>>>()?;
        let [array, lengths] = arrays.as_slice() else { return exec_err!("of_length takes a list and its length") };
        let (list, lengths) = (lists(array, "of_length's list")?, int64(lengths)?);
        for row in 0..rows {
            let entries = range_of(list, row).len();
            if list.is_null(row) || lengths.is_null(row) || lengths.value(row) != entries as i64 {
                let expected = lengths.is_valid(row).then(|| lengths.value(row));
                return exec_err!(
                    "of_length: a list has {entries} entries and not {}; if it is a sample's the table is damaged, compute it \
                     again: `secprm run --select samples --full-refresh`",
                    expected.map_or_else(|| "none".to_owned(), |expected| expected.to_string())
                );
            }
        }
        Ok(ColumnarValue::Array(array.clone()))
    }
}
