//! docs/tables.md is generated from the code: declarations of tables, headers of `.sql` files, planned schemas.
//!
//! `SECPRM_UPDATE_DOCS=1 cargo test --workspace --test tables_doc` writes it anew.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use arrow::datatypes::{DataType, SchemaRef};
use secprm::catalog::Rows;
use secprm::config::Project;
use secprm::open::open_project;
use secprm::relation::{RelationKind, Scope};
use secprm::schemas::rust_tables;

const HEAD: &str = "# Tables and views

Generated from the code (`tests/tests/tables_doc.rs`); a test compares. Tables are Delta tables in the warehouse, one folder each.
Views exist in `secprm sql` and `secprm export`; a view hides the table of its name, which stays reachable as `base.NAME`.
Sliced tables are partitioned by `dataset` and `slice`.
";

#[tokio::test(flavor = "multi_thread")]
async fn the_table_documentation_is_what_the_code_says() {
    let mut project = Project::load(None).unwrap();
    project.config.warehouse = "memory://".to_owned();
    let opened = open_project(project).unwrap();
    let session = opened.sessions.open(&BTreeMap::new(), Rows::All).unwrap();
    let mut text = HEAD.to_owned();
    text.push_str("\n## Tables\n");
    let mut tables: BTreeMap<String, (String, bool, BTreeMap<String, String>)> = BTreeMap::new();
    for spec in rust_tables() {
        let is_sliced = !spec.partition_columns.is_empty();
        tables.insert(spec.name, (spec.description, is_sliced, spec.column_comments));
    }
    for relation in opened.sessions.library().of_kind(RelationKind::Table) {
        let header = relation.header.clone();
        tables.insert(relation.name.clone(), (header.description, header.scope == Scope::Slice, header.columns));
    }
    let comments = known_comments(&tables);
    for (name, (description, is_sliced, columns)) in &tables {
        let schema = schema_of(&session, &format!("base.{name}")).await;
        let kind = if *is_sliced { "sliced" } else { "whole" };
        section(&mut text, name, &format!("{description} ({kind})."), &schema, columns, &comments);
    }
    text.push_str("\n## Views\n");
    for view in opened.sessions.library().of_kind(RelationKind::View) {
        let schema = schema_of(&session, &view.name).await;
        section(
            &mut text,
            &view.name,
            &format!("{}.", view.header.description),
            &schema,
            &view.header.columns,
            &comments,
        );
    }
    text.push_str("\n## Checks\n\n| check | severity | makes sure of |\n| --- | --- | --- |\n");
    for check in opened.sessions.library().of_kind(RelationKind::Check) {
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

/// A column that a relation passes on keeps the meaning it has where it comes from.
fn known_comments(tables: &BTreeMap<String, (String, bool, BTreeMap<String, String>)>) -> BTreeMap<String, String> {
    let origin = ["pairs", "splits", "samples", "models"];
    let mut comments = BTreeMap::new();
    for name in origin {
        for (column, comment) in &tables[name].2 {
            comments.entry(column.clone()).or_insert_with(|| comment.clone());
        }
    }
    comments
}

async fn schema_of(session: &datafusion::prelude::SessionContext, name: &str) -> SchemaRef {
    let frame = session.table(name).await.unwrap();
    std::sync::Arc::new(frame.schema().as_arrow().clone())
}

fn section(
    text: &mut String,
    name: &str,
    description: &str,
    schema: &SchemaRef,
    own: &BTreeMap<String, String>,
    known: &BTreeMap<String, String>,
) {
    writeln!(text, "\n### `{name}`\n\n{description}\n\n| column | type | holds |\n| --- | --- | --- |").unwrap();
    for field in schema.fields() {
        let comment = own.get(field.name()).or_else(|| known.get(field.name())).map_or("", String::as_str);
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
