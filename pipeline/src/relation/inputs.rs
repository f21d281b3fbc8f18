//! Reads a query: which relations and functions it names, and which parameters it waits for.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast::{Expr, Statement, Value, visit_expressions, visit_expressions_mut};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

use crate::config::nearest;
use crate::error::{Error, Result};

/// The schema that holds the tables under the views of the same name.
pub const BASE_SCHEMA: &str = "base";

/// The schema that holds the tables of an earlier release, for what compares two: checks, and `secprm diff`.
pub const PREVIOUS_SCHEMA: &str = "previous";

/// Returns the relations and the functions a query names; common table expressions are not among them.
pub fn inputs_of(query: &Statement) -> (BTreeSet<String>, BTreeSet<String>) {
    let wrapped = DfStatement::Statement(Box::new(query.clone()));
    let inputs = match resolve_table_references(&wrapped, true) {
        Ok((relations, _)) => relations.into_iter().map(|relation| relation.to_string()).collect(),
        Err(_) => BTreeSet::new(),
    };
    let mut functions = BTreeSet::new();
    let _: ControlFlow<()> = visit_expressions(query, |expression| {
        if let Expr::Function(function) = expression {
            functions.insert(function.name.to_string().to_lowercase());
        }
        ControlFlow::Continue(())
    });
    (inputs, functions)
}

/// Puts the values of `$name` parameters into a query and returns those it named.
///
/// The value goes in as parsed SQL before planning, so that a constant argument is a constant to the planner.
///
/// # Errors
/// Of kind usage: a parameter that is not known.
pub fn substitute(query: &mut Statement, known: &BTreeMap<&'static str, String>) -> Result<BTreeMap<String, String>> {
    let mut used = BTreeMap::new();
    let outcome = visit_expressions_mut(query, |expression| {
        let Expr::Value(value) = expression else { return ControlFlow::Continue(()) };
        let Value::Placeholder(placeholder) = &value.value else { return ControlFlow::Continue(()) };
        let name = placeholder.trim_start_matches('$').to_owned();
        let Some(text) = known.get(name.as_str()) else {
            return ControlFlow::Break(unknown(&name, known));
        };
        match parse_value(text) {
            Ok(parsed) => *expression = parsed,
            Err(error) => return ControlFlow::Break(error),
        }
        used.insert(name, text.clone());
        ControlFlow::Continue(())
    });
    match outcome {
        ControlFlow::Continue(()) => Ok(used),
        ControlFlow::Break(error) => Err(error),
    }
}

fn parse_value(text: &str) -> Result<Expr> {
    Parser::new(&GenericDialect {})
        .try_with_sql(text)
        .and_then(|mut parser| parser.parse_expr())
        .map_err(|error| Error::bug(format!("the parameter value {text} is no SQL: {error}")))
}

fn unknown(name: &str, known: &BTreeMap<&'static str, String>) -> Error {
    let error = Error::usage(format!("the parameter ${name} is not known"));
    match nearest(name, known.keys().copied()) {
        Some(near) => error.hint(format!("did you mean ${near}?")),
        None => error
            .hint(format!("known are {}", known.keys().map(|key| format!("${key}")).collect::<Vec<_>>().join(", "))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::relation::parse_query;

    #[test]
    fn inputs_are_read_off_the_query_without_its_own_ctes() {
        let query =
            parse_query("WITH a AS (SELECT * FROM base.pairs) SELECT f(x) FROM a JOIN samples ON a.i = samples.i")
                .unwrap();
        let (inputs, functions) = inputs_of(&query);
        assert_eq!(inputs.into_iter().collect::<Vec<_>>(), ["base.pairs", "samples"]);
        assert_eq!(functions.into_iter().collect::<Vec<_>>(), ["f"]);
    }

    #[test]
    fn parameters_are_filled_in_and_unknown_ones_are_named() {
        let known = BTreeMap::from([("tau", "0.1".to_owned()), ("modes", "['a', 'b']".to_owned())]);
        let mut query = parse_query("SELECT $tau, unnest($modes)").unwrap();
        let used = substitute(&mut query, &known).unwrap();
        assert_eq!(used.len(), 2);
        assert_eq!(query.to_string(), "SELECT 0.1, unnest(['a', 'b'])");
        let mut query = parse_query("SELECT $tua").unwrap();
        assert_eq!(substitute(&mut query, &known).unwrap_err().remedy(), Some("did you mean $tau?"));
    }
}
