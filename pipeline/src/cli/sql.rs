//! `secprm sql`: a query, a file of queries, or an interactive shell; read-only.

use std::io::{IsTerminal, Read, stdin, stdout};
use std::path::PathBuf;

use clap::Args;
use datafusion::execution::context::SQLOptions;
use datafusion::prelude::SessionContext;
use rustyline::error::ReadlineError;

use super::DataArgs;
use crate::catalog::unknown_relation;
use crate::error::{Error, Kind, Result, in_plain_words};
use crate::open::Opened;
use crate::output::{Format, print_stream};

/// Options of `sql`.
#[derive(Debug, Args)]
pub struct SqlArgs {
    /// A query (several are separated by semicolons).
    #[arg(
        short,
        long,
        env = "SECPRM_SQL_COMMAND",
        value_name = "QUERY",
        allow_hyphen_values = true,
        conflicts_with = "file"
    )]
    command: Option<String>,
    /// A file of queries.
    #[arg(short, long, env = "SECPRM_SQL_FILE", value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    data: DataArgs,
}

/// Answers queries over the newest release, or the one asked for.
pub async fn sql(opened: Opened, args: &SqlArgs) -> Result<()> {
    let text = text_of(args)?;
    let (session, release) = opened.session_for(args.data.release, text.as_deref()).await?;
    if release.is_none() {
        eprintln!("note: nothing is published yet, the tables are empty; `secprm run` fills them");
    }
    match text {
        Some(text) => answer(&session, &text, args.data.format).await,
        None => shell(&session, args.data.format).await,
    }
}

/// Returns the queries; `None` where they are typed.
fn text_of(args: &SqlArgs) -> Result<Option<String>> {
    if let Some(text) = &args.command {
        return Ok(Some(text.clone()));
    }
    if let Some(file) = &args.file {
        let text = std::fs::read_to_string(file)
            .map_err(|error| Error::usage(format!("cannot read {}: {error}", file.display())).hint("check --file"))?;
        return Ok(Some(text));
    }
    if stdin().is_terminal() {
        return Ok(None);
    }
    let mut text = String::new();
    stdin().read_to_string(&mut text).map_err(|error| Error::usage(format!("cannot read stdin: {error}")))?;
    Ok(Some(text))
}

async fn answer(session: &SessionContext, text: &str, format: Format) -> Result<()> {
    use datafusion::sql::parser::DFParser;
    let statements = DFParser::parse_sql(text)
        .map_err(|error| Error::usage(in_plain_words(&error)).hint("one SELECT, SHOW or EXPLAIN a statement"))?;
    if statements.is_empty() {
        return Err(Error::usage("there is no query").hint("secprm sql -c 'SELECT * FROM dataset_stats'"));
    }
    let read_only = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    for statement in statements {
        let plan = session.state().statement_to_plan(statement).await.map_err(|error| explain(session, &error))?;
        read_only.verify_plan(&plan).map_err(|error| {
            Error::usage(in_plain_words(&error))
                .hint("secprm's SQL only reads; tables are made by .sql files and `secprm run`")
        })?;
        let rows =
            session.execute_logical_plan(plan).await.map_err(|error| explain(session, &error))?.execute_stream().await;
        let rows = rows.map_err(|error| explain(session, &error))?;
        print_stream(rows, format, &mut stdout().lock()).await?;
    }
    Ok(())
}

/// A planner's complaint about a table gets a remedy.
fn explain(session: &SessionContext, error: &datafusion::error::DataFusionError) -> Error {
    if let Some(error) = Error::within(error) {
        return error.clone();
    }
    let message = in_plain_words(error);
    if message.starts_with("sql/") {
        return Error::usage(message).hint("correct the file; other tables and views can be asked meanwhile");
    }
    let missing = message.split("table '").nth(1).and_then(|rest| rest.split('\'').next());
    let Some(missing) = missing.map(|name| name.rsplit('.').next().unwrap_or(name).to_owned()) else {
        let kind = if error.strip_backtrace().contains("Execution error") { Kind::Stage } else { Kind::Usage };
        return Error::new(kind, message);
    };
    unknown_relation(session, &missing)
}

/// Reads queries from the terminal until the end of input; a query ends with a semicolon.
async fn shell(session: &SessionContext, format: Format) -> Result<()> {
    let broken = |error: ReadlineError| Error::new(Kind::Stage, format!("the terminal failed: {error}"));
    let mut editor = rustyline::DefaultEditor::new().map_err(broken)?;
    eprintln!("secprm {}: SHOW TABLES; lists tables, \\q leaves", env!("CARGO_PKG_VERSION"));
    let mut query = String::new();
    loop {
        let prompt = if query.is_empty() { "secprm> " } else { "   ...> " };
        match tokio::task::block_in_place(|| editor.readline(prompt)) {
            Ok(line) if query.is_empty() && matches!(line.trim(), "\\q" | "quit" | "exit") => return Ok(()),
            Ok(line) => {
                query.push_str(&line);
                query.push('\n');
                if query.trim().is_empty() {
                    query.clear();
                } else if query.trim_end().ends_with(';') {
                    editor.add_history_entry(query.trim()).map_err(broken)?;
                    if let Err(error) = answer(session, &query, format).await {
                        eprintln!("error: {error}");
                        error.remedy().into_iter().for_each(|hint| eprintln!("hint: {hint}"));
                    }
                    query.clear();
                }
            }
            Err(ReadlineError::Interrupted) => query.clear(),
            Err(ReadlineError::Eof) => return Ok(()),
            Err(error) => return Err(broken(error)),
        }
    }
}
