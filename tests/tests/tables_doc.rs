//! docs/tables.md is generated from the code: declarations of tables, headers of `.sql` files, planned schemas.
//!
//! `SECPRM_UPDATE_DOCS=1 cargo test --workspace --test tables_doc` writes it anew.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use arrow::array::AsArray;
use arrow::datatypes::DataType;
use datafusion::prelude::SessionContext;
use secprm::catalog::Rows;
use secprm::config::Project;
use secprm::open::{Opened, open_project};
use secprm::relation::{Library, RelationKind, Scope};
use secprm::schemas::rust_tables;

const HEAD: &str = "# Tables and views

Generated from the code (`tests/tests/tables_doc.rs`); a test compares. Tables are Delta tables in the warehouse, one folder each.
Views exist in `secprm sql` and `secprm export`; a view hides the table of its name, which stays reachable as `base.NAME`.
Sliced tables are partitioned by `dataset` and `slice`.
";

#[tokio::test(flavor = "multi_thread")]
async fn the_table_documentation_is_what_the_code_says() {
    let opened = empty_project();
    let session = opened.sessions.open(&BTreeMap::new(), Rows::All).unwrap();
    let mut text = HEAD.to_owned();
    text.push_str("\n## Tables\n");
    let library = opened.sessions.library();
    let mut tables: BTreeMap<String, bool> = BTreeMap::new();
    tables.extend(rust_tables().into_iter().map(|spec| (spec.name, !spec.partition_columns.is_empty())));
    let relations = library.of_kind(RelationKind::Table);
    tables.extend(relations.map(|relation| (relation.name.clone(), relation.header.scope == Scope::Slice)));
    for (name, is_sliced) in &tables {
        let kind = if *is_sliced { "sliced" } else { "whole" };
        section(&mut text, library, &session, (name, &format!("base.{name}")), &format!(" ({kind})")).await;
    }
    text.push_str("\n## Views\n");
    for view in library.of_kind(RelationKind::View) {
        section(&mut text, library, &session, (&view.name, &view.name), "").await;
    }
    text.push_str("\n## Checks\n\n| check | severity | makes sure of |\n| --- | --- | --- |\n");
    for check in library.of_kind(RelationKind::Check) {
        let severity = format!("{:?}", check.header.severity).to_lowercase();
        writeln!(text, "| `{}` | {severity} | {} |", check.name, check.header.description).unwrap();
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/tables.md");
    if std::env::var_os("SECPRM_UPDATE_DOCS").is_some() {
        std::fs::write(&file, &text).unwrap();
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(written == text, "docs/tables.md is out of date: run with SECPRM_UPDATE_DOCS=1");
}

#[tokio::test(flavor = "multi_thread")]
async fn information_schema_says_what_every_table_view_and_column_holds() {
    let session = empty_project().sessions.open_for_queries(&BTreeMap::new()).unwrap();
    let shipped = "table_schema IN ('base', 'public')";
    for (what, of) in
        [("concat(table_schema, '.', table_name)", "table"), ("concat(table_name, '.', column_name)", "column")]
    {
        let query =
            format!("SELECT DISTINCT {what} FROM information_schema.{of}s WHERE {shipped} AND {of}_comment IS NULL");
        assert_eq!(texts(&session, &query).await, BTreeSet::new(), "without a comment");
    }
    let of_pairs =
        "SELECT column_comment FROM information_schema.columns WHERE table_name = 'pairs' AND column_name = 'split'";
    let comments = texts(&session, of_pairs).await;
    assert!(comments.iter().all(|comment| comment.starts_with("train, validation or test")) && comments.len() == 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_statements_that_read_information_schema_still_do() {
    let session = empty_project().sessions.open_for_queries(&BTreeMap::new()).unwrap();
    for (statement, rows_at_least) in [
        ("SHOW TABLES", 40),
        ("SHOW COLUMNS FROM samples", 20),
        ("SHOW FULL COLUMNS FROM steps", 10),
        ("DESCRIBE dataset_stats", 10),
        ("SHOW FUNCTIONS LIKE 'count_zeros'", 0),
        ("SHOW ALL", 10),
        ("SHOW datafusion.execution.batch_size", 1),
        ("SHOW CREATE TABLE steps", 1),
        ("SELECT * FROM information_schema.schemata", 2),
        ("SELECT * FROM information_schema.routines", 10),
    ] {
        let batches = session.sql(statement).await.unwrap().collect().await.unwrap();
        let rows: usize = batches.iter().map(|batch| batch.num_rows()).sum();
        assert!(rows >= rows_at_least, "{statement}: {rows} rows");
    }
    let columns = session.sql("SHOW COLUMNS FROM steps").await.unwrap().collect().await.unwrap();
    let names = columns[0].column_by_name("column_name").unwrap().as_string::<i32>();
    assert_eq!((names.value(0), names.value(1)), ("sample_id", "pair_id"), "in the table's order");
}

fn empty_project() -> Opened {
    let mut project = Project::load(None).unwrap();
    project.config.warehouse = "memory://".to_owned();
    open_project(project).unwrap()
}

async fn texts(session: &SessionContext, query: &str) -> BTreeSet<String> {
    let batches = session.sql(query).await.unwrap().collect().await.unwrap();
    let columns = batches.iter().map(|batch| batch.column(0).as_string::<i32>());
    columns.flat_map(|column| column.iter().flatten()).map(str::to_owned).collect()
}

/// Writes the section of a table or view, which queries call by its second name.
async fn section(
    text: &mut String,
    library: &Library,
    session: &SessionContext,
    (name, in_query): (&str, &str),
    kind: &str,
) {
    let description = library.description(in_query).unwrap();
    writeln!(text, "\n### `{name}`\n\n{description}{kind}.\n\n| column | type | holds |\n| --- | --- | --- |").unwrap();
    for field in session.table(in_query).await.unwrap().schema().fields() {
        let comment = library.column_comment(in_query, field.name()).unwrap_or_default();
        writeln!(text, "| `{}` | {} | {} |", field.name(), type_name(field.data_type()), comment.replace('|', "\\|"))
            .unwrap();
    }
}

fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".to_owned(),
        DataType::Int8 => "int8".to_owned(),
        DataType::Int32 | DataType::UInt32 => "int32".to_owned(),
        DataType::Int64 | DataType::UInt64 => "int64".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Timestamp(_, _) => "timestamp".to_owned(),
        DataType::List(element) => format!("list of {}", type_name(element.data_type())),
        other => other.to_string(),
    }
}
