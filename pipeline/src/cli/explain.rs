//! `secprm explain`.

use std::io::{IsTerminal, stdout};

use clap::Args;

use super::DataArgs;
use crate::error::{Error, Kind, Result};
use crate::explain::{Style, find_sample, load_facts, write_text};
use crate::open::Opened;
use crate::output::{Format, print_batches};

/// Characters of a line where there is no terminal that says how many it has.
const WIDTH: usize = 160;

/// Options of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The sample: its sample_id, or the first digits of it.
    sample: String,
    /// The step, from 0; without one, all steps in short.
    step: Option<usize>,
    #[command(flatten)]
    data: DataArgs,
}

/// Prints where a sample comes from, why its steps are labelled as they are, and what became of it.
pub async fn explain(opened: Opened, args: &ExplainArgs) -> Result<()> {
    let (session, release) = opened.session(args.data.release).await?;
    if release.is_none() {
        eprintln!("note: nothing is published yet, the tables are empty; `secprm run` fills them");
    }
    let sample_id = find_sample(&session, &args.sample).await?;
    let facts = load_facts(&session, &sample_id).await?;
    let step = match args.step {
        None => None,
        Some(wanted) => Some(facts.steps.get(wanted).ok_or_else(|| {
            Error::usage(format!("the sample {sample_id} has no step {wanted}"))
                .hint(format!("its steps are 0 to {}", facts.steps.len() - 1))
        })?),
    };
    if args.data.format != Format::Table {
        let rows = match args.step {
            Some(step) => facts.rows.slice(step, 1),
            None => facts.rows.clone(),
        };
        return print_batches(rows.schema(), vec![rows], args.data.format, &mut stdout().lock()).await;
    }
    let is_coloured = stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let style = if is_coloured { Style::Coloured } else { Style::Plain };
    match write_text(&mut stdout().lock(), &facts, step, WIDTH, style) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::new(Kind::Stage, format!("cannot write to stdout: {error}")))
        }
        _ => Ok(()),
    }
}
