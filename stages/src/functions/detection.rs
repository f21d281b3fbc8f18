//! `detection_metrics`, an aggregate, and `count_zeros`.

use std::mem::{size_of, take};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Builder, Int64Builder, StringBuilder};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, exec_err, not_impl_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, ScalarUDF, Signature, Volatility};

use super::access::{float64, int8, list_of, lists, range_of, struct_of};
use super::scalar::RowFunction;
use super::tokens::list_of_structs;
use crate::evaluate::{Verdict, detection_metrics as measure};

const NAME: &str = "detection_metrics";

fn measure_fields() -> [(&'static str, DataType); 4] {
    [
        ("metric", DataType::Utf8),
        ("value", DataType::Float64),
        ("ci_low", DataType::Float64),
        ("ci_high", DataType::Float64),
    ]
}

/// `detection_metrics(label, prediction, reward)`: over all rows, a list of structs `metric, value, ci_low, ci_high`; positive is
/// vulnerable (0). Rows with a null are left out.
///
/// An aggregate of its own, and no function of lists that `array_agg` collects: there is a row for each sample, aggregation and judge, and
/// lists of three million asked for more than the memory limit.
pub fn detection_metrics() -> AggregateUDF {
    AggregateUDF::new_from_impl(DetectionMetrics { signature: Signature::any(3, Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct DetectionMetrics {
    signature: Signature,
}

impl AggregateUDFImpl for DetectionMetrics {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(list_of(struct_of(&measure_fields())))
    }

    fn state_fields(&self, arguments: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let name = format_state_name(arguments.name, "verdicts");
        Ok(vec![Arc::new(Field::new(name, DataType::LargeBinary, true))])
    }

    fn accumulator(&self, arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        if arguments.is_distinct {
            return not_impl_err!("{NAME} of distinct rows");
        }
        Ok(Box::new(Verdicts::default()))
    }
}

/// The verdicts of a group, packed: a reward of eight bytes, the lower first, and a byte that says what is vulnerable.
#[derive(Debug, Default)]
struct Verdicts {
    packed: Vec<u8>,
}

const PACKED_BYTES: usize = 9;
const VULNERABLE: u8 = 1;
const CALLED_VULNERABLE: u8 = 2;

impl Verdicts {
    fn unpack(&self) -> Vec<Verdict> {
        let (packed, _) = self.packed.as_chunks::<PACKED_BYTES>();
        let unpack = |[reward @ .., flags]: &[u8; PACKED_BYTES]| Verdict {
            vulnerable: flags & VULNERABLE != 0,
            called_vulnerable: flags & CALLED_VULNERABLE != 0,
            reward: f64::from_le_bytes(*reward),
        };
        packed.iter().map(unpack).collect()
    }
}

impl Accumulator for Verdicts {
    fn update_batch(&mut self, arguments: &[ArrayRef]) -> Result<()> {
        let [labels, predictions, rewards] = arguments else { return exec_err!("{NAME} needs three arguments") };
        let (labels, predictions, rewards) = (int8(labels)?, int8(predictions)?, float64(rewards)?);
        for ((label, prediction), reward) in labels.iter().zip(&predictions).zip(&rewards) {
            if let (Some(label), Some(prediction), Some(reward)) = (label, prediction, reward) {
                let vulnerable = if label == 0 { VULNERABLE } else { 0 };
                let called = if prediction == 0 { CALLED_VULNERABLE } else { 0 };
                self.packed.extend_from_slice(&reward.to_le_bytes());
                self.packed.push(vulnerable | called);
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let Some(states) = states.first().and_then(|states| states.as_binary_opt::<i64>()) else {
            return exec_err!("{NAME} got no state of its own");
        };
        states.iter().flatten().for_each(|state| self.packed.extend_from_slice(state));
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::LargeBinary(Some(take(&mut self.packed)))])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let measures = measure(&self.unpack());
        let (mut names, mut values) = (StringBuilder::new(), Float64Builder::new());
        let (mut lows, mut highs) = (Float64Builder::new(), Float64Builder::new());
        for measured in &measures {
            names.append_value(measured.name);
            values.append_option(measured.value);
            lows.append_option(measured.low);
            highs.append_option(measured.high);
        }
        let columns: Vec<ArrayRef> = vec![
            Arc::new(names.finish()),
            Arc::new(values.finish()),
            Arc::new(lows.finish()),
            Arc::new(highs.finish()),
        ];
        let list = list_of_structs(&measure_fields(), columns, vec![measures.len()])?;
        ScalarValue::try_from_array(&list, 0)
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.packed.capacity()
    }
}

/// `count_zeros(labels)`: how many of a sample's labels are 0; null for null.
pub fn count_zeros() -> ScalarUDF {
    RowFunction::udf("count_zeros", Some(1), DataType::Int64, |arguments, rows| {
        let label_lists = lists(&arguments[0], "count_zeros' argument")?;
        let labels = int8(label_lists.values())?;
        let mut counts = Int64Builder::with_capacity(rows);
        for row in 0..rows {
            let zeros =
                range_of(label_lists, row).filter(|label| labels.is_valid(*label) && labels.value(*label) == 0).count();
            counts.append_option(label_lists.is_valid(row).then_some(zeros as i64));
        }
        Ok(Arc::new(counts.finish()))
    })
}
