//! Writes raw records in a dataset's layout, any number of them: `generate --dataset reposvul --bytes 1GB --out data`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{ArgGroup, Parser, ValueEnum};
use secprm_tests::generate::{Compression, Dataset, Request, Size, generate};

/// Writes raw records in a dataset's layout, made of the samples; prints what it wrote as one line of JSON.
#[derive(Parser)]
#[command(group(ArgGroup::new("size").required(true)))]
struct Arguments {
    /// The layout.
    #[arg(long, value_parser = parse_dataset)]
    dataset: Dataset,
    /// About so many bytes before compression: 500MB, 2GB.
    #[arg(long, value_parser = parse_bytes, group = "size")]
    bytes: Option<u64>,
    /// Exactly so many records.
    #[arg(long, group = "size")]
    records: Option<u64>,
    /// The same seed gives the same bytes.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The share of records that ingest must reject.
    #[arg(long, default_value_t = 0.0)]
    broken: f64,
    /// The folder to write to.
    #[arg(long)]
    out: PathBuf,
    /// Compress the files; PreciseBugs becomes one archive.
    #[arg(long)]
    compress: Option<Ending>,
    /// The folder of the samples.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/samples"))]
    samples: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Ending {
    Zst,
    Gz,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> std::io::Result<String> {
    let size = match (arguments.records, arguments.bytes) {
        (Some(records), _) => Size::Records(records),
        (None, bytes) => Size::Bytes(bytes.unwrap_or_default()),
    };
    let request = Request {
        dataset: arguments.dataset,
        size,
        seed: arguments.seed,
        broken: arguments.broken,
        out: arguments.out.clone(),
        compression: arguments.compress.map(|ending| match ending {
            Ending::Zst => Compression::Zstd,
            Ending::Gz => Compression::Gzip,
        }),
    };
    let summary = generate(&request, Path::new(&arguments.samples))?;
    Ok(serde_json::to_string(&summary)?)
}

fn parse_dataset(text: &str) -> Result<Dataset, String> {
    let names = Dataset::ALL.map(Dataset::name).join(", ");
    Dataset::ALL.into_iter().find(|dataset| dataset.name() == text).ok_or(format!("one of {names}"))
}

fn parse_bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return Err("a number and B, KB, MB or GB".to_owned()),
    };
    let number: f64 = digits.parse().map_err(|_| "a number and B, KB, MB or GB".to_owned())?;
    Ok((number * unit as f64) as u64)
}
