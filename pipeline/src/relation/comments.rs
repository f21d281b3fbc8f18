//! What relations and their columns hold, in words: as headers of `.sql` files and declarations of tables say.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Library;
use super::library::table_of_base;

impl Library {
    /// Returns what one row of a table or view is, by its name in a query (`base.pairs` is the table under the view `pairs`).
    pub fn description(&self, name: &str) -> Option<&str> {
        match self.resolve(name) {
            Some(relation) => Some(&relation.header.description),
            None => self.declared(name).map(|spec| spec.description.as_str()),
        }
    }

    /// Returns what a column holds.
    ///
    /// A column that a relation does not describe means what it means where it comes from: in the nearest of the relations read that
    /// describes a column of this name, the alphabetically first among equally near ones.
    pub fn column_comment(&self, name: &str, column: &str) -> Option<&str> {
        let mut seen = BTreeSet::new();
        let mut waiting = VecDeque::from([name]);
        while let Some(next) = waiting.pop_front() {
            if !seen.insert(next) {
                continue;
            }
            if let Some(comment) = self.own_comments(next).and_then(|comments| comments.get(column)) {
                return Some(comment);
            }
            if let Some(relation) = self.resolve(next) {
                waiting.extend(relation.inputs.iter().map(String::as_str));
            }
        }
        None
    }

    fn own_comments(&self, name: &str) -> Option<&BTreeMap<String, String>> {
        match self.resolve(name) {
            Some(relation) => Some(&relation.header.columns),
            None => self.declared(name).map(|spec| &spec.column_comments),
        }
    }

    fn declared(&self, name: &str) -> Option<&secprm_storage::TableSpec> {
        self.declared.get(table_of_base(name).unwrap_or(name))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::config::Project;
    use crate::relation::Library;

    #[test]
    fn a_column_means_what_its_relation_says_or_else_what_it_means_where_it_comes_from() {
        let library = Library::load(None, &Project::load(None).unwrap().config.sql_parameters()).unwrap();
        let own = library.column_comment("steps", "label").unwrap();
        assert!(own.contains("secure"), "{own}");
        assert_eq!(library.column_comment("steps", "pair_id"), Some("The pair the version belongs to"), "of samples");
        assert_eq!(library.column_comment("steps", "cwe"), Some("CWE identifiers as CWE-79"), "of base.pairs");
        assert_eq!(library.column_comment("base.pairs", "split"), None, "of the view alone");
        assert!(library.column_comment("pairs", "split").is_some());
        assert_eq!(library.column_comment("steps", "no such column"), None);
        assert_ne!(library.description("runs"), library.description("base.runs"));
        assert_eq!(library.description("no such table"), None);
    }
}
