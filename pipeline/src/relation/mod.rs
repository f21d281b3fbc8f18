//! Relations: every `.sql` file is one, named as its file, with its options in `--!` lines and its inputs read off the query.

mod comments;
mod header;
mod inputs;
mod library;

pub use header::{Header, Scope};
pub use inputs::{BASE_SCHEMA, PREVIOUS_SCHEMA, inputs_of, substitute};
pub use library::{Library, embedded_files};

use std::collections::{BTreeMap, BTreeSet};

use datafusion::sql::parser::{DFParser, Statement as DfStatement};
use datafusion::sql::sqlparser::ast::Statement;

use crate::error::{Error, Result, in_plain_words};

/// Where a relation's file lies, and so what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RelationKind {
    /// `sql/tables/`: materialised by a stage of the same name.
    Table,
    /// `sql/views/`: evaluated by who asks.
    View,
    /// `sql/checks/`: must return no rows.
    Check,
}

impl RelationKind {
    /// Returns the folder's name under `sql/`.
    pub fn folder(self) -> &'static str {
        match self {
            RelationKind::Table => "tables",
            RelationKind::View => "views",
            RelationKind::Check => "checks",
        }
    }
}

/// One `.sql` file, parsed, its parameters filled in.
#[derive(Debug, Clone)]
pub struct Relation {
    /// The file's name without `.sql`.
    pub name: String,
    /// What it is.
    pub kind: RelationKind,
    /// The options of its header.
    pub header: Header,
    /// The query, parameters filled in.
    pub query: Statement,
    /// The relations it reads, as written: `base.pairs` is the table under the view `pairs`.
    pub inputs: BTreeSet<String>,
    /// The parameters it names, with their values.
    pub parameters: BTreeMap<String, String>,
    /// The functions it calls, lower case.
    pub functions: BTreeSet<String>,
    /// The file's text, as hashed into fingerprints.
    pub text: String,
}

impl Relation {
    /// Parses a relation.
    ///
    /// # Errors
    /// Of kind usage, naming the file: a header that is no TOML or has unknown keys, text that is not exactly one query, a
    /// parameter nobody knows.
    pub fn parse(
        name: &str,
        kind: RelationKind,
        text: &str,
        known: &BTreeMap<&'static str, String>,
    ) -> Result<Relation> {
        let file = format!("sql/{}/{name}.sql", kind.folder());
        let header = Header::parse(text).map_err(|error| error.context(&file))?;
        let mut query = parse_query(text).map_err(|error| error.context(&file))?;
        let parameters = substitute(&mut query, known).map_err(|error| error.context(&file))?;
        let (inputs, functions) = inputs_of(&query);
        Ok(Relation {
            name: name.to_owned(),
            kind,
            header,
            query,
            inputs,
            parameters,
            functions,
            text: text.to_owned(),
        })
    }

    /// Returns the file's path in a project, for messages.
    pub fn path(&self) -> String {
        format!("sql/{}/{}.sql", self.kind.folder(), self.name)
    }

    /// Returns the query's text, parameters filled in.
    pub fn sql(&self) -> String {
        self.query.to_string()
    }
}

/// Parses text that must be exactly one query (`SELECT` or `WITH`).
pub fn parse_query(text: &str) -> Result<Statement> {
    let hint = "a relation is one SELECT (or WITH … SELECT) statement";
    let mut statements = DFParser::parse_sql(text).map_err(|error| Error::usage(in_plain_words(&error)).hint(hint))?;
    match (statements.pop_front(), statements.is_empty()) {
        (Some(DfStatement::Statement(statement)), true) if matches!(*statement, Statement::Query(_)) => Ok(*statement),
        _ => Err(Error::usage("the file does not hold exactly one query").hint(hint)),
    }
}
