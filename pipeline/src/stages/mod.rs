//! The stages of the DAG: thin adaptors between tables and the crate `secprm-stages`.

mod audit;
mod findings;
mod ingest;
mod relation;
mod score;
mod splits;
mod tokenizer;
mod train;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use secprm_stages::ingest::{DatasetKind, Source};
use secprm_storage::{Location, SourceFile};

use crate::checks::verify_severities;
use crate::config::Project;
use crate::dag::Dag;
use crate::error::{Error, Result};
use crate::relation::{Library, RelationKind};
use crate::sources::analyses;
use crate::stage::Stage;

pub use tokenizer::{load_tokenizer, load_tokenizer_of};
pub use train::{TrainStage, tell_nothing};

/// Builds the DAG of a project.
///
/// # Errors
/// Of kind usage: settings that make no sense, files that cannot be read, relations that do not fit together.
pub fn build_dag(project: &Project, library: &Library, sources: BTreeMap<DatasetKind, Vec<Source>>) -> Result<Dag> {
    let mut stages: Vec<Arc<dyn Stage>> = vec![
        Arc::new(ingest::IngestStage::new(project, sources)),
        Arc::new(findings::FindingsStage::new(project, analyses(project)?)),
        Arc::new(splits::SplitsStage::new(project)),
        Arc::new(audit::AuditStage::new(project)),
    ];
    for relation in library.of_kind(RelationKind::Table) {
        stages.push(Arc::new(relation::RelationStage::new(relation.clone(), library)));
    }
    stages.push(Arc::new(tokenizer::TokenizerStage::new(project)?));
    stages.push(Arc::new(train::TrainStage::new(project)?));
    stages.push(Arc::new(score::ScoreStage::new(project)));
    let dag = Dag::new(stages)?;
    for relation in [RelationKind::View, RelationKind::Check].into_iter().flat_map(|kind| library.of_kind(kind)) {
        dag.require_tables(&relation.path(), &library.physical_inputs(relation).0)?;
    }
    verify_severities(library, &project.config.checks)?;
    Ok(dag)
}

/// Notes files among a stage's inputs, as they are listed, so that `plan` can say which of them changed.
fn note_files(inputs: &mut BTreeMap<String, String>, what: &str, location: &Location, files: &[SourceFile]) {
    for file in files {
        let stamp = format!("{} {} {:?}", file.size, file.last_modified_micros, file.e_tag);
        inputs.insert(format!("{what} {}", location.display(file)), stamp);
    }
}

/// Reads a file that a configuration key names, relative to the project's folder.
fn read_named(project: &Project, key: &str, path: &str) -> Result<String> {
    let file = project.folder.join(path);
    std::fs::read_to_string(&file).map_err(|error| cannot_read(key, &file, &error))
}

fn cannot_read(key: &str, file: &Path, error: &std::io::Error) -> Error {
    Error::usage(format!("{key}: cannot read {}: {error}", file.display()))
        .hint("a path is relative to the configuration file")
}
