//! Making parts visible: one commit replaces slices or the whole table, or appends.
//!
//! What a concurrent reader sees: the version before or the one after, never between. What two
//! concurrent writers see: of two commits that replace something, based on the same version, one
//! wins and the other fails with [`StorageError::Conflict`], whatever they replace, for each has
//! computed its rows from tables that were read as of one moment. Appends depend on nothing they
//! read and are retried on top of whatever came first.
//!
//! Exactly once: the fingerprints of replaced slices, and the transaction of an append, are part of
//! the same log entry as the files. A run that died after its commit finds them there.

use std::collections::{BTreeMap, BTreeSet};

use deltalake::kernel::transaction::{CommitBuilder, CommitProperties, TableReference};
use deltalake::kernel::{EagerSnapshot, Transaction};
use deltalake::logstore::LogStoreRef;
use serde::Serialize;
use serde_json::json;

use crate::cause::Cause;
use crate::error::{ErrorKind, Result, StorageError};
use crate::fingerprint::{Fingerprint, slice_key};
use crate::plan::{Plan, plan};
use crate::spec::TableSpec;
use crate::table::Table;
use crate::transactions::Transactions;
use crate::warehouse::Warehouse;
use crate::write::Part;

/// Appends try this often to get in between other writers.
const APPEND_ATTEMPTS: usize = 20;

/// What a commit does to the rows that are there.
#[derive(Debug, Clone)]
pub enum CommitMode {
    /// Replaces the rows of some slices and leaves all others.
    ReplaceSlices(Vec<SliceCommit>),
    /// Replaces all rows, and the schema too if it changed.
    ReplaceAll {
        /// What the table was computed from.
        fingerprint: Fingerprint,
    },
    /// Adds rows.
    Append {
        /// An application and a growing version: if the table has seen that version or a later one
        /// of the application, nothing is written.
        transaction: Option<(String, i64)>,
    },
}

/// One slice of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SliceCommit {
    /// The slice's partition columns and their values, for example `dataset` and `slice`. Columns
    /// that are left out may have any value; name the same columns in every commit of a table.
    pub partition: BTreeMap<String, String>,
    /// What the slice was computed from; none if the slice is no more.
    pub fingerprint: Option<Fingerprint>,
}

/// What the log says of a commit besides its files, for people.
#[derive(Debug, Clone, Default, Serialize)]
pub struct CommitNote {
    /// The run that commits.
    #[serde(rename = "run", skip_serializing_if = "String::is_empty")]
    pub run_id: String,
    /// The stage that computed the rows.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub stage: String,
}

impl SliceCommit {
    pub(crate) fn holds<'v>(&self, value: impl Fn(&str) -> Option<&'v str>) -> bool {
        self.partition.iter().all(|(column, wanted)| value(column) == Some(wanted.as_str()))
    }

    pub(crate) fn key(&self, spec: &TableSpec) -> String {
        slice_key(spec.partition_columns.iter().filter_map(|column| self.partition.get(column)))
    }
}

impl Warehouse {
    /// Commits parts to a table in one step and returns its new version; creates the table if needed.
    ///
    /// `base` is the version the caller's decision rests on, none if there was no such table. An
    /// append may pass any version it has, or none.
    ///
    /// # Errors
    /// [`StorageError::Conflict`] if a replacement is based on an older version than the newest;
    /// [`StorageError::Schema`] if the table that is there does not fit the declaration and is not
    /// replaced whole; [`StorageError::Misuse`] for parts outside of the replaced slices.
    pub async fn commit(
        &self,
        spec: &TableSpec,
        base: Option<&Table>,
        parts: Vec<Part>,
        mode: &CommitMode,
        note: &CommitNote,
    ) -> Result<Table> {
        check_parts(spec, mode, &parts)?;
        if let Some(table) = base.filter(|table| table.name() != spec.name) {
            let problem = format!("a commit to it is based on table `{}`", table.name());
            return Err(StorageError::misuse(&spec.name, problem));
        }
        let CommitMode::Append { transaction } = mode else {
            return self.try_commit(spec, base, &parts, mode, note).await;
        };
        let mut base = base.cloned();
        for _ in 0..APPEND_ATTEMPTS {
            if let (Some(table), Some((application, version))) = (&base, transaction)
                && table.transaction(application).await?.is_some_and(|seen| seen >= *version)
            {
                return Ok(table.clone());
            }
            match self.try_commit(spec, base.as_ref(), &parts, mode, note).await {
                Err(error) if error.kind() == ErrorKind::Conflict => {
                    base = self.table(&spec.name).await?;
                }
                other => return other,
            }
        }
        let message = format!("other writers were faster {APPEND_ATTEMPTS} times");
        let cause = Cause::new(ErrorKind::Transient, message);
        Err(StorageError::delta("append to", &spec.name, cause))
    }

    async fn try_commit(
        &self,
        spec: &TableSpec,
        base: Option<&Table>,
        parts: &[Part],
        mode: &CommitMode,
        note: &CommitNote,
    ) -> Result<Table> {
        let plan = plan(spec, base, parts, mode, note).await?;
        let log_store = match base {
            Some(table) => table.log_store().clone(),
            None => self.log_store(&spec.name)?,
        };
        let before = match base {
            Some(table) => table.known_transactions().cloned(),
            None => Some(Transactions::new()),
        };
        let transactions = before.map(|mut known| {
            known.extend(plan.transactions.clone());
            known
        });
        let snapshot = write_log(spec, base, log_store.clone(), plan).await?;
        Table::from_snapshot(self, &spec.name, log_store, snapshot, transactions)
    }
}

async fn write_log(
    spec: &TableSpec,
    base: Option<&Table>,
    log_store: LogStoreRef,
    plan: Plan,
) -> Result<EagerSnapshot> {
    let transactions =
        plan.transactions.into_iter().map(|(application, version)| Transaction::new(application, version)).collect();
    let properties = CommitProperties::default()
        // Conflicts are ours to judge: see the head of this file.
        .with_max_retries(0)
        .with_application_transactions(transactions)
        .with_metadata([("userMetadata".to_owned(), json!(plan.user_metadata))])
        // Versions stay readable as long as a release may refer to them.
        .with_cleanup_expired_logs(Some(false));
    let snapshot = base.map(|table| table.snapshot() as &dyn TableReference);
    let commit =
        CommitBuilder::from(properties).with_actions(plan.actions).build(snapshot, log_store, plan.operation).await;
    match commit {
        Ok(commit) => Ok(commit.snapshot.snapshot().clone()),
        Err(error) => {
            let cause = Cause::from(error);
            if cause.kind() == ErrorKind::Conflict {
                let read_version = base.map(Table::version);
                return Err(StorageError::Conflict { table: spec.name.clone(), read_version });
            }
            Err(StorageError::Delta { action: "commit to", table: spec.name.clone(), source: cause })
        }
    }
}

/// Checks that parts belong to the table and to the slices that are replaced, and slices to each other.
fn check_parts(spec: &TableSpec, mode: &CommitMode, parts: &[Part]) -> Result<()> {
    let declared: BTreeSet<&String> = spec.partition_columns.iter().collect();
    for part in parts {
        let found: BTreeSet<&String> = part.add.partition_values.keys().collect();
        if found != declared {
            let problem = format!("part `{}` has other partition columns", part.path());
            return Err(StorageError::misuse(&spec.name, problem));
        }
    }
    let CommitMode::ReplaceSlices(slices) = mode else {
        return Ok(());
    };
    let mut keys = BTreeSet::new();
    for slice in slices {
        let is_declared = slice.partition.keys().all(|column| declared.contains(column));
        if slice.partition.is_empty() || !is_declared || !keys.insert(slice.key(spec)) {
            let problem = format!("slice {:?} is empty, listed twice or no slice of it", slice.partition);
            return Err(StorageError::misuse(&spec.name, problem));
        }
    }
    for part in parts {
        let slice = slices.iter().find(|slice| slice.holds(|column| part.partition_value(column)));
        let problem = match slice {
            Some(SliceCommit { fingerprint: Some(_), .. }) => continue,
            Some(_) => "belongs to a removed slice",
            None => "lies outside of the replaced slices",
        };
        let problem = format!("part `{}` {problem}", part.path());
        return Err(StorageError::misuse(&spec.name, problem));
    }
    Ok(())
}
