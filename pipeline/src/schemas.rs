//! The tables that Rust writes: of ingest, of static analysers' findings, of splits, of the model, of the shortcut audit, and of the run history.

use secprm_storage::TableSpec;

use crate::history::history_tables;

/// Returns the declarations of all tables that no `.sql` file makes.
pub fn rust_tables() -> Vec<TableSpec> {
    let mut specs: Vec<TableSpec> = secprm_stages::ingest::ingest_tables().into();
    specs.extend(secprm_stages::findings::finding_tables());
    specs.extend(secprm_stages::splits::split_tables());
    specs.extend(secprm_stages::train::model_tables());
    specs.push(secprm_stages::score::step_scores_table());
    specs.push(secprm_stages::audit::audit_metrics_table());
    specs.extend(history_tables());
    specs
}
