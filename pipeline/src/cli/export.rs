//! `secprm export` and `secprm files`: for tools that know no Delta.

use std::io::stdout;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use clap::Args;
use datafusion::prelude::DataFrame;
use secprm_stages::findings::{CODE_COLUMNS, write_code};
use secprm_storage::export_parquet;

use super::DataArgs;
use crate::config::nearest;
use crate::error::{Error, Result};
use crate::open::Opened;
use crate::output::{counted, print_batches};
use crate::release::{find_release, open_release};

/// Options of `export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The table or view.
    table: String,
    /// A folder that does not exist or is empty.
    folder: PathBuf,
    /// Write the vulnerable version of each pair as a file for static analysers: DATASET/PAIR_ID/FILE.
    #[arg(long, env = "SECPRM_CODE", value_parser = clap::builder::FalseyValueParser::new())]
    code: bool,
    /// Read this release instead of the newest.
    #[arg(long, env = "SECPRM_RELEASE", value_name = "N")]
    release: Option<i64>,
}

/// Options of `files`.
#[derive(Debug, Args)]
pub struct FilesArgs {
    /// The table.
    table: String,
    #[command(flatten)]
    data: DataArgs,
}

/// Writes a table or view of a release as plain Parquet, or its code as files.
pub async fn export(opened: Opened, args: &ExportArgs) -> Result<()> {
    let (session, release) = opened.session(args.release).await?;
    if release.is_none() {
        eprintln!("note: nothing is published yet, the tables are empty; `secprm run` fills them");
    }
    if !session.table_exist(args.table.as_str())? {
        let catalog = session.catalog("datafusion").and_then(|catalog| catalog.schema("public"));
        let names = catalog.map(|schema| schema.table_names()).unwrap_or_default();
        return Err(unknown(&args.table, names.iter().map(String::as_str)));
    }
    let table = session.table(args.table.as_str()).await?;
    if args.code {
        return export_code(table, args).await;
    }
    let rows = table.execute_stream().await?;
    let exported = export_parquet(rows, &args.folder).await?;
    eprintln!(
        "wrote {} in {} to {}",
        counted(exported.rows, "row"),
        counted(exported.files, "file"),
        args.folder.display()
    );
    Ok(())
}

/// Writes the vulnerable versions of a table with the columns of `pairs` as a tree of files.
async fn export_code(table: DataFrame, args: &ExportArgs) -> Result<()> {
    let lacking = CODE_COLUMNS.into_iter().find(|name| table.schema().field_with_unqualified_name(name).is_err());
    if let Some(column) = lacking {
        return Err(Error::usage(format!("{} has no column {column}, which --code needs", args.table))
            .hint("export `pairs`, or a view of your own that selects some of its rows"));
    }
    let rows = table.select_columns(&CODE_COLUMNS)?.execute_stream().await?;
    let written = write_code(rows, &args.folder).await?;
    eprintln!(
        "wrote the vulnerable version of {} in {} to {}",
        counted(written.pairs, "pair"),
        counted(written.files, "file"),
        args.folder.display()
    );
    Ok(())
}

/// Lists the Parquet files of a table in a release.
pub async fn files(opened: Opened, args: &FilesArgs) -> Result<()> {
    let release = find_release(&opened.warehouse, &opened.sessions, args.data.release).await?;
    let tables = open_release(&opened.warehouse, release.as_ref()).await?;
    let Some(table) = tables.get(&args.table) else {
        return Err(unknown(&args.table, tables.keys().map(String::as_str)));
    };
    let files = table.files();
    let urls: ArrayRef = Arc::new(files.iter().map(|file| Some(file.url.as_str())).collect::<StringArray>());
    let rows: ArrayRef = Arc::new(files.iter().map(|file| Some(file.rows as i64)).collect::<Int64Array>());
    let sizes: ArrayRef = Arc::new(files.iter().map(|file| Some(file.size as i64)).collect::<Int64Array>());
    let batch = RecordBatch::try_from_iter([("url", urls), ("rows", rows), ("bytes", sizes)])?;
    print_batches(batch.schema(), vec![batch], args.data.format, &mut stdout().lock()).await
}

fn unknown<'name>(name: &str, known: impl IntoIterator<Item = &'name str>) -> Error {
    let error = Error::usage(format!("this release has no table {name}"));
    match nearest(name, known) {
        Some(near) => error.hint(format!("did you mean {near}? `secprm status` lists the tables")),
        None => error.hint("`secprm status` lists the tables; `secprm run` makes them"),
    }
}
