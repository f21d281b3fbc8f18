//! The frame all our scalar functions share.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

type Body = dyn Fn(&[ArrayRef], usize) -> Result<ArrayRef> + Send + Sync;

/// A scalar function: a name, its number of arguments, its type and its body.
pub struct RowFunction {
    name: &'static str,
    signature: Signature,
    returns: DataType,
    body: Arc<Body>,
}

impl RowFunction {
    /// Makes a function of exactly `arity` arguments (any number if `None`), pure in its arguments.
    ///
    /// The body gets one array an argument, constants repeated, and the number of rows.
    pub fn udf(
        name: &'static str,
        arity: Option<usize>,
        returns: DataType,
        body: impl Fn(&[ArrayRef], usize) -> Result<ArrayRef> + Send + Sync + 'static,
    ) -> ScalarUDF {
        let signature = match arity {
            Some(arity) => Signature::any(arity, Volatility::Immutable),
            None => Signature::variadic_any(Volatility::Immutable),
        };
        ScalarUDF::new_from_impl(RowFunction { name, signature, returns, body: Arc::new(body) })
    }
}

impl fmt::Debug for RowFunction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RowFunction").field("name", &self.name).finish_non_exhaustive()
    }
}

// Two functions are the same if they have the same name and body: a session holds one of each name.
impl PartialEq for RowFunction {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.body, &other.body)
    }
}

impl Eq for RowFunction {}

impl Hash for RowFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for RowFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(self.returns.clone())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = arguments.number_rows;
        let arrays = arguments.args.into_iter().map(|value| value.into_array(rows)).collect::<Result<Vec<_>>>()?;
        (self.body)(&arrays, rows).map(ColumnarValue::Array)
    }
}
