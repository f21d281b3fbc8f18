//! Leaves lists that nobody reads out of an `unnest`.
//!
//! The engine keeps every list that is unnested, since the longest says how many rows there are: a query that counts steps would
//! read the code of all of them. Of lists that [`of_length`](super::of_length()) says are equally long any one will do.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, Result};
use datafusion::logical_expr::{Expr, Filter, LogicalPlan, Projection, Unnest};
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use super::of_length::OfLength;

/// The rule. The engine's own rules then leave the columns unread that the lists came from.
#[derive(Debug)]
pub struct UnreadLists;

impl OptimizerRule for UnreadLists {
    fn name(&self) -> &str {
        "unread_lists"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let Some((unnest, filter)) = read_by(&plan) else { return Ok(Transformed::no(plan)) };
        let readers = plan.expressions();
        let read: HashSet<&Column> =
            readers.iter().chain(filter.map(|filter| &filter.predicate)).flat_map(Expr::column_refs).collect();
        let is_read = |output| read.contains(&Column::from(unnest.schema.qualified_field(output)));
        let Some(fewer) = without_unread(unnest, is_read)? else { return Ok(Transformed::no(plan)) };
        let mut input = LogicalPlan::Unnest(fewer);
        if let Some(filter) = filter {
            input = LogicalPlan::Filter(Filter::try_new(filter.predicate.clone(), Arc::new(input))?);
        }
        Ok(Transformed::yes(plan.with_new_exprs(readers, vec![input])?))
    }
}

/// The unnest whose rows a plan reads, naming all it needs of them. A filter passes all of them on, so it counts with its reader.
fn read_by(plan: &LogicalPlan) -> Option<(&Unnest, Option<&Filter>)> {
    let input = match plan {
        LogicalPlan::Projection(projection) => projection.input.as_ref(),
        LogicalPlan::Aggregate(aggregate) => aggregate.input.as_ref(),
        _ => return None,
    };
    match input {
        LogicalPlan::Unnest(unnest) => Some((unnest, None)),
        LogicalPlan::Filter(filter) => match filter.input.as_ref() {
            LogicalPlan::Unnest(unnest) => Some((unnest, Some(filter))),
            _ => None,
        },
        _ => None,
    }
}

/// An unnest of fewer lists; none where all are needed.
fn without_unread(unnest: &Unnest, is_read: impl Fn(usize) -> bool) -> Result<Option<Unnest>> {
    let LogicalPlan::Projection(lists) = unnest.input.as_ref() else { return Ok(None) };
    let outputs_of = |list: usize| {
        (0..unnest.dependency_indices.len()).filter(move |output| unnest.dependency_indices[*output] == list)
    };
    let (mut lengths, mut unread) = (HashSet::new(), Vec::new());
    for (list, _) in &unnest.list_type_columns {
        let Some(length) = lists.expr.get(*list).and_then(length_of) else { continue };
        match outputs_of(*list).any(&is_read) {
            true => {
                lengths.insert(length);
            }
            false => unread.push((*list, length)),
        }
    }
    // Where none of a length is read the first stands for all.
    unread.retain(|(_, length)| !lengths.insert(length));
    if unread.is_empty() {
        return Ok(None);
    }
    let is_kept = |list: usize| unread.iter().all(|(unread, _)| *unread != list);
    let schema = lists.schema.as_ref();
    let is_kept_name = |column: &_| schema.index_of_column(column).is_ok_and(is_kept);
    let kept = lists.expr.iter().enumerate().filter(|(list, _)| is_kept(*list)).map(|(_, list)| list.clone());
    let columns = unnest.exec_columns.iter().filter(|column| is_kept_name(column)).cloned().collect();
    let mut options = unnest.options.clone();
    options.recursions.retain(|recursion| is_kept_name(&recursion.input_column));
    let input = Projection::try_new(kept.collect(), lists.input.clone())?;
    Unnest::try_new(Arc::new(LogicalPlan::Projection(input)), columns, options).map(Some)
}

/// The length that `of_length` says a list has.
fn length_of(list: &Expr) -> Option<&Expr> {
    match list {
        Expr::Alias(alias) => length_of(&alias.expr),
        Expr::ScalarFunction(call) if call.func.inner().downcast_ref::<OfLength>().is_some() => call.args.get(1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use datafusion::arrow::util::pretty::pretty_format_batches;
    use datafusion::prelude::SessionContext;

    use crate::functions::{TokenizerRegistry, register};

    async fn session() -> SessionContext {
        let context = SessionContext::new();
        register(&context, &TokenizerRegistry::default());
        let table = "CREATE TABLE t AS SELECT * FROM (VALUES (2, ['a', 'b'], [1, 0], [7]), (0, [], [], [8, 9, 10]), (1, ['c'], [0], [])) \
                     AS t(n, texts, labels, other)";
        let view = "CREATE VIEW v AS SELECT unnest(of_length(range(0, n), n)) AS i, unnest(of_length(texts, n)) AS text, \
                    unnest(of_length(labels, n)) AS label, unnest(other) AS other, n FROM t";
        let equal = "CREATE VIEW e AS SELECT unnest(of_length(range(0, n), n)) AS i, unnest(of_length(texts, n)) AS text, \
                     unnest(of_length(labels, n)) AS label, n FROM t";
        for statement in [table, view, equal] {
            context.sql(statement).await.unwrap().collect().await.unwrap();
        }
        context
    }

    async fn scanned(context: &SessionContext, query: &str) -> String {
        let plan = context.sql(query).await.unwrap().into_optimized_plan().unwrap().display_indent().to_string();
        plan.lines().last().unwrap().trim().to_owned()
    }

    #[tokio::test]
    async fn lists_that_are_not_read_are_not_scanned() {
        let context = session().await;
        for (query, columns) in [
            ("SELECT label, count(*) FROM e GROUP BY label", "n, labels"),
            ("SELECT count(*) FROM e", "n"),
            ("SELECT count(*) FROM e WHERE label = 0", "n, labels"),
            ("SELECT text FROM e WHERE label = 0", "n, texts, labels"),
            ("SELECT label FROM (SELECT * FROM e) AS inner_one WHERE n > 1", "n, labels"),
            ("SELECT * FROM e", "n, texts, labels"),
            // Nothing is said of the length of `other`, which may be the longest.
            ("SELECT label FROM v", "n, labels, other"),
        ] {
            assert_eq!(scanned(&context, query).await, format!("TableScan: t projection=[{columns}]"), "{query}");
        }
    }

    #[tokio::test]
    async fn rows_are_the_same_with_and_without_the_rule() {
        let with = session().await;
        let without = session().await;
        assert!(without.remove_optimizer_rule("unread_lists"));
        for view in ["e", "v"] {
            for query in ["count(*)", "i", "text", "label, n", "max(label)", "text, label"] {
                for condition in ["", "WHERE label = 0", "WHERE text <> 'a'", "WHERE n = 0", "LIMIT 1"] {
                    let query = format!("SELECT {query} FROM {view} {condition}");
                    let [given, expected] = [&with, &without].map(async |context| {
                        let batches = context.sql(&query).await.unwrap().collect().await.unwrap();
                        pretty_format_batches(&batches).unwrap().to_string()
                    });
                    assert_eq!(given.await, expected.await, "{query}");
                }
            }
        }
    }

    #[tokio::test]
    async fn a_list_of_another_length_is_an_error() {
        let context = session().await;
        for (list, told) in [("[1, 2]", "a list has 2 entries and not 3"), ("CAST(NULL AS INT[])", "and not 3")] {
            let rows = context.sql(&format!("SELECT unnest(of_length({list}, 3))")).await;
            let error = match rows {
                Ok(rows) => rows.collect().await.unwrap_err(),
                Err(error) => error,
            };
            assert!(error.to_string().contains(told), "{error}");
        }
        let error = context.sql("SELECT of_length(1, 3)").await.unwrap_err();
        assert!(error.to_string().contains("of_length takes a list and its length"), "{error}");
    }
}
