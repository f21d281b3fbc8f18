//! All relations of a project: the shipped ones, embedded in the binary, and the user's own beside the configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rayon::iter::{IntoParallelIterator, ParallelIterator};
use secprm_storage::TableSpec;

use super::{BASE_SCHEMA, PREVIOUS_SCHEMA, Relation, RelationKind};
use crate::error::{Error, Result};
use crate::schemas::rust_tables;

/// Kind, name and text of a file.
type Shipped = (RelationKind, &'static str, &'static str);

macro_rules! shipped {
    ($kind:ident, $folder:literal, $($name:literal),+ $(,)?) => {
        &[$((RelationKind::$kind, $name, include_str!(concat!("../../../sql/", $folder, "/", $name, ".sql")))),+]
    };
}

const TABLES: &[Shipped] = shipped!(
    Table,
    "tables",
    "code_keys",
    "samples",
    "label_rejects",
    "step_keys",
    "label_conflicts",
    "duplicates",
    "split_conflicts",
    "train_shards",
    "shard_rejects",
    "verdicts",
    "baseline_verdicts",
    "metrics",
    "sample_sums",
    "step_sums",
    "length_shortcut",
);
const VIEWS: &[Shipped] = shipped!(
    View,
    "views",
    "pairs",
    "pair_findings",
    "steps",
    "label_evidence",
    "step_findings",
    "rejects",
    "runs",
    "dataset_stats",
    "language_stats",
    "cwe_stats",
    "label_sources",
    "reject_stats",
    "languages_over_time",
    "cwes_over_time",
    "split_conflicts_live",
    "training_samples",
    "training_shards",
    "mixture",
);
const CHECKS: &[Shipped] = shipped!(
    Check,
    "checks",
    "ingest_accounting",
    "finding_accounting",
    "findings_in_steps",
    "label_accounting",
    "vulnerable_sample_without_a_zero",
    "sample_shape",
    "steps_cover_the_text",
    "unique_ids",
    "encoded_steps",
    "unscored_steps",
    "repeated_code",
    "split_leaks",
    "upstream_split_leaks",
    "large_groups",
    "labels_have_evidence",
    "duplicates_across_splits",
    "duplicates_across_datasets",
    "conflicting_labels",
    "prefix_conflicts",
    "identical_pairs",
    "unparsed_files",
    "reject_rate",
    "repeated_lines",
    "missing_cwe",
    "commit_fan_out",
    "project_leaks",
    "lost_steps",
    "drift",
    "shortcut_excess",
);

/// Returns kind, name and text of the shipped `.sql` files.
pub fn embedded_files() -> impl Iterator<Item = (RelationKind, &'static str, &'static str)> {
    TABLES.iter().chain(VIEWS).chain(CHECKS).copied()
}

/// The relations of a project by kind and name.
#[derive(Debug, Clone)]
pub struct Library {
    relations: BTreeMap<(RelationKind, String), Relation>,
    /// Those of the project's own folder.
    own: BTreeSet<(RelationKind, String)>,
    cyclic: BTreeSet<(RelationKind, String)>,
    /// The tables that no `.sql` file makes.
    pub(super) declared: BTreeMap<String, TableSpec>,
}

impl Library {
    /// Loads the shipped relations and those under `folder` (`tables/`, `views/`, `checks/`), which replace shipped ones of the same name.
    ///
    /// # Errors
    /// Of kind usage, naming the file: unreadable, no query, unknown parameter, a name that is no SQL identifier, a table and a view
    /// of the same name other than one over the other.
    pub fn load(folder: Option<&Path>, parameters: &BTreeMap<&'static str, String>) -> Result<Library> {
        let declared: BTreeMap<String, TableSpec> =
            rust_tables().into_iter().map(|spec| (spec.name.clone(), spec)).collect();
        let mut relations = BTreeMap::new();
        let mut own = BTreeSet::new();
        // Every command waits for this, and the files know nothing of each other.
        let shipped: Vec<Shipped> = embedded_files().collect();
        let shipped = shipped.into_par_iter().map(|(kind, name, text)| Relation::parse(name, kind, text, parameters));
        for relation in shipped.collect::<Result<Vec<_>>>()? {
            relations.insert(key(&relation), relation);
        }
        for kind in [RelationKind::Table, RelationKind::View, RelationKind::Check] {
            for (name, text) in read_folder(folder, kind)? {
                if kind == RelationKind::Table && declared.contains_key(&name) {
                    return Err(Error::usage(format!("sql/tables/{name}.sql: secprm writes a table {name} itself"))
                        .hint("give the file another name; a view may have it"));
                }
                let relation = Relation::parse(&name, kind, &text, parameters)?;
                own.insert(key(&relation));
                relations.insert((kind, name), relation);
            }
        }
        let mut library = Library { relations, own, cyclic: BTreeSet::new(), declared };
        library.cyclic =
            library.relations.values().filter(|relation| library.reads_itself(relation)).map(key).collect();
        Ok(library)
    }

    /// Whether a relation reads itself, directly or through others.
    pub fn is_cyclic(&self, relation: &Relation) -> bool {
        self.cyclic.contains(&key(relation))
    }

    /// Whether the project has relations of its own.
    pub fn has_own(&self) -> bool {
        !self.own.is_empty()
    }

    /// Whether a relation is the project's own or reads one that is: what nobody has planned before.
    pub fn is_own(&self, relation: &Relation) -> bool {
        let is_listed = |relation: &Relation| self.own.contains(&key(relation));
        is_listed(relation) || self.reads_any(relation, is_listed)
    }

    fn reads_itself(&self, start: &Relation) -> bool {
        self.reads_any(start, |input| key(input) == key(start))
    }

    /// Whether something that a relation reads, directly or through others, is as asked for.
    fn reads_any(&self, start: &Relation, is_wanted: impl Fn(&Relation) -> bool) -> bool {
        let mut seen: BTreeSet<(RelationKind, String)> = BTreeSet::new();
        let mut waiting: Vec<&Relation> = vec![start];
        while let Some(next) = waiting.pop() {
            for input in next.inputs.iter().filter_map(|input| self.resolve(input)) {
                if is_wanted(input) {
                    return true;
                }
                if seen.insert(key(input)) {
                    waiting.push(input);
                }
            }
        }
        false
    }

    /// Finds what a name in a query stands for: a view before the table of its name, the table alone in schema `base`.
    pub(super) fn resolve(&self, input: &str) -> Option<&Relation> {
        match table_of_base(input) {
            Some(table) => self.table(table),
            None => self.view(input).or_else(|| self.table(input)),
        }
    }

    /// Returns the relations of a kind, by name.
    pub fn of_kind(&self, kind: RelationKind) -> impl Iterator<Item = &Relation> {
        self.relations.values().filter(move |relation| relation.kind == kind)
    }

    /// Returns a view.
    pub fn view(&self, name: &str) -> Option<&Relation> {
        self.relations.get(&(RelationKind::View, name.to_owned()))
    }

    /// Returns a table that a query makes.
    pub fn table(&self, name: &str) -> Option<&Relation> {
        self.relations.get(&(RelationKind::Table, name.to_owned()))
    }

    /// Returns the physical tables a relation reads, views followed down to theirs, and the views on the way.
    pub fn physical_inputs<'library>(
        &'library self,
        relation: &'library Relation,
    ) -> (Vec<String>, Vec<&'library Relation>) {
        let mut tables = BTreeSet::new();
        let mut views: BTreeMap<&str, &Relation> = BTreeMap::new();
        let mut waiting = vec![relation];
        while let Some(next) = waiting.pop() {
            for input in &next.inputs {
                match (table_of_base(input), self.view(input)) {
                    (Some(table), _) => {
                        tables.insert(table.to_owned());
                    }
                    (None, Some(view)) => {
                        if views.insert(&view.name, view).is_none() {
                            waiting.push(view);
                        }
                    }
                    (None, None) => {
                        tables.insert(input.clone());
                    }
                }
            }
        }
        (tables.into_iter().collect(), views.into_values().collect())
    }
}

fn key(relation: &Relation) -> (RelationKind, String) {
    (relation.kind, relation.name.clone())
}

/// The table that a name in a schema of tables alone stands for.
pub(super) fn table_of_base(input: &str) -> Option<&str> {
    let (schema, table) = input.split_once('.')?;
    [BASE_SCHEMA, PREVIOUS_SCHEMA].contains(&schema).then_some(table)
}

fn read_folder(folder: Option<&Path>, kind: RelationKind) -> Result<Vec<(String, String)>> {
    let Some(folder) = folder.map(|folder| folder.join(kind.folder())).filter(|folder| folder.is_dir()) else {
        return Ok(Vec::new());
    };
    let unreadable =
        |path: &Path, error: std::io::Error| Error::usage(format!("cannot read {}: {error}", path.display()));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(|error| unreadable(&folder, error))? {
        let path = entry.map_err(|error| unreadable(&folder, error))?.path();
        if path.extension().is_some_and(|extension| extension == "sql") {
            let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            let plain =
                name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_');
            if !plain || name.starts_with(|letter: char| letter.is_ascii_digit()) {
                return Err(Error::usage(format!("{}: the file's name is the relation's name", path.display()))
                    .hint("use lower-case letters, digits and underscores"));
            }
            let text = std::fs::read_to_string(&path).map_err(|error| unreadable(&path, error))?;
            files.push((name, text));
        }
    }
    files.sort();
    Ok(files)
}
