//! All relations of a project: the shipped ones, embedded in the binary, and the user's own beside the configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{BASE_SCHEMA, Relation, RelationKind};
use crate::error::{Error, Result};
use crate::schemas::rust_tables;

macro_rules! shipped {
    ($kind:ident, $folder:literal, $($name:literal),+ $(,)?) => {
        [$((RelationKind::$kind, $name, include_str!(concat!("../../../sql/", $folder, "/", $name, ".sql")))),+]
    };
}

const TABLES: [(RelationKind, &str, &str); 8] = shipped!(
    Table,
    "tables",
    "code_keys",
    "samples",
    "label_rejects",
    "train_shards",
    "shard_rejects",
    "verdicts",
    "baseline_verdicts",
    "metrics",
);
const VIEWS: [(RelationKind, &str, &str); 11] = shipped!(
    View,
    "views",
    "pairs",
    "pair_findings",
    "steps",
    "step_findings",
    "rejects",
    "runs",
    "dataset_stats",
    "split_conflicts",
    "training_samples",
    "training_shards",
    "mixture",
);
const CHECKS: [(RelationKind, &str, &str); 14] = shipped!(
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
);

/// Returns kind, name and text of the shipped `.sql` files.
pub fn embedded_files() -> impl Iterator<Item = (RelationKind, &'static str, &'static str)> {
    TABLES.into_iter().chain(VIEWS).chain(CHECKS)
}

/// The relations of a project by kind and name.
#[derive(Debug, Clone)]
pub struct Library {
    relations: BTreeMap<(RelationKind, String), Relation>,
    cyclic: BTreeSet<(RelationKind, String)>,
}

impl Library {
    /// Loads the shipped relations and those under `folder` (`tables/`, `views/`, `checks/`), which replace shipped ones of the same name.
    ///
    /// # Errors
    /// Of kind usage, naming the file: unreadable, no query, unknown parameter, a name that is no SQL identifier, a table and a view
    /// of the same name other than one over the other.
    pub fn load(folder: Option<&Path>, parameters: &BTreeMap<&'static str, String>) -> Result<Library> {
        let mut relations = BTreeMap::new();
        for (kind, name, text) in embedded_files() {
            relations.insert((kind, name.to_owned()), Relation::parse(name, kind, text, parameters)?);
        }
        for kind in [RelationKind::Table, RelationKind::View, RelationKind::Check] {
            for (name, text) in read_folder(folder, kind)? {
                if kind == RelationKind::Table && rust_tables().iter().any(|spec| spec.name == name) {
                    return Err(Error::usage(format!("sql/tables/{name}.sql: secprm writes a table {name} itself"))
                        .hint("give the file another name; a view may have it"));
                }
                let relation = Relation::parse(&name, kind, &text, parameters)?;
                relations.insert((kind, name), relation);
            }
        }
        let mut library = Library { relations, cyclic: BTreeSet::new() };
        library.cyclic =
            library.relations.values().filter(|relation| library.reads_itself(relation)).map(key).collect();
        Ok(library)
    }

    /// Whether a relation reads itself, directly or through others.
    pub fn is_cyclic(&self, relation: &Relation) -> bool {
        self.cyclic.contains(&key(relation))
    }

    fn reads_itself(&self, start: &Relation) -> bool {
        let mut seen: BTreeSet<(RelationKind, String)> = BTreeSet::new();
        let mut waiting: Vec<&Relation> = vec![start];
        while let Some(next) = waiting.pop() {
            for input in next.inputs.iter().filter_map(|input| self.resolve(input)) {
                if key(input) == key(start) {
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
    fn resolve(&self, input: &str) -> Option<&Relation> {
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

fn table_of_base(input: &str) -> Option<&str> {
    input.strip_prefix(BASE_SCHEMA).and_then(|rest| rest.strip_prefix('.'))
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
