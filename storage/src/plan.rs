//! What goes into the log entry of a commit.

use std::collections::{BTreeMap, HashMap};

use deltalake::kernel::{Action, Protocol, Remove};
use deltalake::protocol::{DeltaOperation, SaveMode};
use serde::Serialize;
use serde_json::json;

use crate::cause::Cause;
use crate::commit::{CommitMode, CommitNote};
use crate::error::{ErrorKind, Result, StorageError};
use crate::fingerprint::{Fingerprint, application_id, key_of_application_id};
use crate::spec::{Difference, TableSpec};
use crate::table::{LiveFile, Table};
use crate::transactions::Transactions;
use crate::write::Part;

/// A commit that has been thought through but not tried.
pub(crate) struct Plan {
    pub(crate) actions: Vec<Action>,
    pub(crate) transactions: Transactions,
    pub(crate) operation: DeltaOperation,
    pub(crate) user_metadata: String,
}

/// Thinks a commit through: which files go and come, and what the log says besides.
pub(crate) async fn plan(
    spec: &TableSpec,
    base: Option<&Table>,
    parts: &[Part],
    mode: &CommitMode,
    note: &CommitNote,
) -> Result<Plan> {
    let mut actions = describe(spec, base, mode)?;
    let files = base.map(Table::files).unwrap_or_default();
    let removed = files.iter().filter(|file| replaces(mode, file));
    actions.extend(removed.map(|file| Action::Remove(remove(file))));
    actions.extend(parts.iter().map(|part| Action::Add(part.add.clone())));
    let fingerprints = fingerprints(spec, mode);
    let mut transactions = Transactions::new();
    if let CommitMode::Append { transaction } = mode {
        transactions.extend(transaction.clone());
    } else {
        forget_replaced(spec, base, mode, &mut transactions).await?;
    }
    for (key, fingerprint) in &fingerprints {
        let version = fingerprint.map_or(0, Fingerprint::as_version);
        transactions.insert(application_id(&spec.name, key), version);
    }
    let save_mode = match mode {
        CommitMode::Append { .. } => SaveMode::Append,
        _ => SaveMode::Overwrite,
    };
    Ok(Plan {
        actions,
        transactions,
        operation: DeltaOperation::Write {
            mode: save_mode,
            partition_by: Some(spec.partition_columns.clone()),
            predicate: None,
        },
        user_metadata: user_metadata(note, &fingerprints)?,
    })
}

/// The actions that make the table what its declaration says, if it is not that already.
fn describe(spec: &TableSpec, base: Option<&Table>, mode: &CommitMode) -> Result<Vec<Action>> {
    let Some(table) = base else {
        return Ok(vec![Action::Protocol(protocol(&spec.name)?), Action::Metadata(spec.metadata(None)?)]);
    };
    // Where no old file stays, whole or slice by slice, nothing has to fit the old columns.
    let keeps_rows = table.files().iter().any(|file| !replaces(mode, file));
    match spec.compare(table)? {
        Difference::None => Ok(Vec::new()),
        Difference::Incompatible(problem) if keeps_rows => {
            let problem = format!(
                "{problem}, and other rows of the table stay; start a new warehouse if another version of secprm wrote this one"
            );
            Err(StorageError::schema(&spec.name, problem))
        }
        Difference::Metadata | Difference::Incompatible(_) => Ok(vec![Action::Metadata(spec.metadata(base)?)]),
    }
}

/// The oldest protocol, which every reader of Delta knows.
fn protocol(table: &str) -> Result<Protocol> {
    serde_json::from_value(json!({ "minReaderVersion": 1, "minWriterVersion": 2 }))
        .map_err(|error| StorageError::delta("create", table, Cause::new(ErrorKind::Internal, error.to_string())))
}

fn replaces(mode: &CommitMode, file: &LiveFile) -> bool {
    match mode {
        CommitMode::ReplaceAll { .. } => true,
        CommitMode::Append { .. } => false,
        CommitMode::ReplaceSlices(slices) => {
            let value = |column: &str| file.partition.get(column)?.as_deref();
            slices.iter().any(|slice| slice.holds(value))
        }
    }
}

fn remove(file: &LiveFile) -> Remove {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Remove {
        path: file.path.clone(),
        data_change: true,
        deletion_timestamp: now.ok().and_then(|since| i64::try_from(since.as_millis()).ok()),
        extended_file_metadata: Some(true),
        partition_values: Some(file.partition.clone().into_iter().collect::<HashMap<_, _>>()),
        size: i64::try_from(file.size).ok(),
        ..Remove::default()
    }
}

/// The fingerprints that a commit sets, by slice key.
fn fingerprints(spec: &TableSpec, mode: &CommitMode) -> BTreeMap<String, Option<Fingerprint>> {
    match mode {
        CommitMode::Append { .. } => BTreeMap::new(),
        CommitMode::ReplaceAll { fingerprint } => [(String::new(), Some(*fingerprint))].into(),
        CommitMode::ReplaceSlices(slices) => slices.iter().map(|slice| (slice.key(spec), slice.fingerprint)).collect(),
    }
}

/// Sets to zero the fingerprints that no longer say where the rows came from: those of all slices
/// when the table is replaced whole, and that of the whole table when slices are.
async fn forget_replaced(
    spec: &TableSpec,
    base: Option<&Table>,
    mode: &CommitMode,
    transactions: &mut Transactions,
) -> Result<()> {
    let Some(table) = base else {
        return Ok(());
    };
    for (application, version) in table.transactions().await? {
        let is_gone = match (key_of_application_id(&spec.name, application), mode) {
            (Some(key), CommitMode::ReplaceAll { .. }) => !key.is_empty(),
            (Some(key), CommitMode::ReplaceSlices(_)) => key.is_empty(),
            _ => false,
        };
        if is_gone && *version != 0 {
            transactions.insert(application.clone(), 0);
        }
    }
    Ok(())
}

fn user_metadata(note: &CommitNote, fingerprints: &BTreeMap<String, Option<Fingerprint>>) -> Result<String> {
    #[derive(Serialize)]
    struct UserMetadata<'a> {
        #[serde(flatten)]
        note: &'a CommitNote,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        fingerprints: BTreeMap<&'a str, Option<String>>,
    }
    let fingerprints = fingerprints.iter().map(|(key, f)| (key.as_str(), f.map(|f| f.to_string()))).collect();
    serde_json::to_string(&UserMetadata { note, fingerprints })
        .map_err(|error| StorageError::Session { source: Cause::new(ErrorKind::Internal, error.to_string()) })
}
