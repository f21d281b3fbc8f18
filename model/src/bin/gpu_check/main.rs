//! Checks the model on a GPU and measures it there: parity with the CPU, block-wise attention, throughput, NCCL and a
//! sequence of 128k tokens. Needs nothing but a GPU and NVIDIA's libraries: weights are random.
//!
//! `gpu_check PART [OPTIONS]` runs a part and prints a line of JSON a measurement; `gpu_check all` runs every part in a
//! process of its own with a time limit; `gpu_check table FILE…` prints such lines as one table. See docs/gpu.md.

mod attention;
mod children;
mod flops;
mod long;
mod measure;
mod nccl;
mod options;
mod parity;
mod pass;
mod report;
mod throughput;

use std::error::Error;
use std::process::ExitCode;

use candle_core::Device;
use options::Options;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A part's name, its time limit in seconds, and what runs it.
type Part = (&'static str, u64, fn(&Device, &Options) -> Result<()>);

const PARTS: [Part; 6] = [
    ("parity", 60, parity::run),
    ("attention", 90, attention::run),
    ("nccl", 60, nccl::run),
    ("forward", 90, throughput::forward),
    ("train", 120, throughput::train),
    ("long", 180, long::run),
];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    match run(&command, &rest) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("gpu_check {command}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Tells whether all measurements are within their limits.
fn run(command: &str, arguments: &[String]) -> Result<bool> {
    if command == "table" {
        return report::table(arguments);
    }
    let options = Options::parse(arguments)?;
    if command == "all" {
        return children::run_all(&PARTS, arguments, options.seconds);
    }
    let Some((_, _, part)) = PARTS.iter().find(|(name, _, _)| *name == command) else {
        let names: Vec<&str> = PARTS.iter().map(|(name, _, _)| *name).collect();
        return Err(format!("the parts are all, {}; table prints what they found", names.join(", ")).into());
    };
    // A stream of its own: the other kind of device has one a host thread.
    let device = match options.gpu {
        Some(number) => Device::new_cuda_with_stream(number)?,
        None => Device::Cpu,
    };
    part(&device, &options)?;
    Ok(report::all_within())
}
