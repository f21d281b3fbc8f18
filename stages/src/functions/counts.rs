//! `count_zeros` and `source_counts`: what a sample's steps sum up to, read off their lists without a row for each step.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Builder, StringBuilder};
use arrow::datatypes::DataType;
use datafusion::common::exec_err;
use datafusion::logical_expr::ScalarUDF;

use super::access::{Texts, booleans, int8, list_of, lists, range_of, struct_of};
use super::scalar::RowFunction;
use super::tokens::list_of_structs;

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

fn source_fields() -> [(&'static str, DataType); 4] {
    [
        ("label_source", DataType::Utf8),
        ("steps", DataType::Int64),
        ("zeros", DataType::Int64),
        ("unsupervised", DataType::Int64),
    ]
}

/// The steps of one sample that share a label source.
#[derive(Default)]
struct SourceCount {
    steps: i64,
    zeros: i64,
    unsupervised: i64,
}

/// `source_counts(label_sources, labels, supervised)`: a list of structs `label_source, steps, zeros, unsupervised`, one for each
/// source that a sample's steps have, in the order in which they first appear.
pub fn source_counts() -> ScalarUDF {
    RowFunction::udf("source_counts", Some(3), list_of(struct_of(&source_fields())), |arguments, rows| {
        let source_lists = lists(&arguments[0], "source_counts' label_sources")?;
        let sources = Texts::of(source_lists.values(), "source_counts' label_sources")?;
        let label_lists = lists(&arguments[1], "source_counts' labels")?;
        let labels = int8(label_lists.values())?;
        let supervised_lists = lists(&arguments[2], "source_counts' supervised")?;
        let supervised = booleans(supervised_lists.values())?;
        let mut names = StringBuilder::new();
        let [mut steps, mut zeros, mut unsupervised] = std::array::from_fn(|_| Int64Builder::new());
        let mut lengths = Vec::with_capacity(rows);
        for row in 0..rows {
            let ranges = [range_of(source_lists, row), range_of(label_lists, row), range_of(supervised_lists, row)];
            if ranges.iter().any(|range| range.len() != ranges[0].len()) {
                return exec_err!("source_counts needs as many labels and supervised as label_sources");
            }
            let [source_range, label_range, supervised_range] = ranges;
            // A sample has two or three sources: looking through them costs less than hashing.
            let mut counts: Vec<(&str, SourceCount)> = Vec::new();
            for ((source, label), is_supervised) in source_range.zip(label_range).zip(supervised_range) {
                let name = sources.get(source).unwrap_or("");
                let index = counts.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
                    counts.push((name, SourceCount::default()));
                    counts.len() - 1
                });
                let count = &mut counts[index].1;
                count.steps += 1;
                count.zeros += i64::from(labels.value(label) == 0);
                count.unsupervised += i64::from(!supervised.value(is_supervised));
            }
            lengths.push(counts.len());
            for (name, count) in counts {
                names.append_value(name);
                steps.append_value(count.steps);
                zeros.append_value(count.zeros);
                unsupervised.append_value(count.unsupervised);
            }
        }
        let columns: Vec<ArrayRef> = vec![
            Arc::new(names.finish()),
            Arc::new(steps.finish()),
            Arc::new(zeros.finish()),
            Arc::new(unsupervised.finish()),
        ];
        list_of_structs(&source_fields(), columns, lengths)
    })
}
