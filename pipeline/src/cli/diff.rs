//! `secprm diff`.

use std::io::stdout;

use clap::Args;

use crate::error::{Error, Result};
use crate::open::Opened;
use crate::output::{Format, print_batches};
use crate::relation::parse_query;
use crate::release::{find_release, open_release};

/// What changed, one row a kind of change; reads schema `previous` beside the tables.
const DIFF: &str = include_str!("../../../sql/reports/diff.sql");

/// Options of `diff`.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// The earlier release.
    earlier: i64,
    /// The later release; the newest when not given.
    later: Option<i64>,
    /// How to print.
    #[arg(long, env = "SECPRM_FORMAT", default_value = "table")]
    format: Format,
}

/// Prints which rows and labels changed between two releases, by which rule, with counts and an example each.
pub async fn diff(opened: Opened, args: &DiffArgs) -> Result<()> {
    let find = |id| find_release(&opened.warehouse, &opened.sessions, id);
    let Some(later) = find(args.later).await? else {
        return Err(Error::usage("nothing is published yet").hint("`secprm run` publishes the first release"));
    };
    let earlier = find(Some(args.earlier)).await?;
    if earlier.as_ref().is_some_and(|earlier| earlier.id > later.id) {
        return Err(Error::usage(format!("release {} is later than release {}", args.earlier, later.id))
            .hint("name the earlier release first"));
    }
    let previous = open_release(&opened.warehouse, earlier.as_ref()).await?;
    let tables = open_release(&opened.warehouse, Some(&later)).await?;
    let session = opened.sessions.open_beside(&tables, &previous)?;
    let query = format!(
        "SELECT what, dataset, label_mode, change, before, after, n, rules, example FROM ({}) AS changes \
         WHERE n <> 0 ORDER BY section, dataset, label_mode, n DESC, change, before, after",
        parse_query(DIFF)?
    );
    let changes = session.sql(&query).await?;
    let schema = changes.schema().inner().clone();
    // A row a kind of change: few, whatever the size of the releases.
    let changes = changes.collect().await?;
    if args.format == Format::Table && changes.iter().all(|batch| batch.num_rows() == 0) {
        eprintln!("no row and no label differs between release {} and release {}", args.earlier, later.id);
        return Ok(());
    }
    print_batches(schema, changes, args.format, &mut stdout().lock()).await
}
