//! What can be set on the command line.

use std::path::PathBuf;

use crate::Result;

/// Settings of all parts.
#[derive(Debug, Clone)]
pub struct Options {
    /// Number of the GPU; none for the CPU, which checks this program and is too slow for its sizes.
    pub gpu: Option<usize>,
    /// Tokens of one sequence, for throughput.
    pub tokens: usize,
    /// Tokens of the long sequence.
    pub long_tokens: usize,
    /// Layers of the 7B-shaped model.
    pub layers: usize,
    /// Layers of the model whose training pass sees the long sequence.
    pub long_train_layers: usize,
    /// What the card can do at most in bf16, for MFU: 989 for H100 and H200.
    pub peak_tflops: f64,
    /// Time limit of each part, instead of its own.
    pub seconds: Option<u64>,
    /// Where `parity` leaves what PyTorch is to be compared with.
    pub folder: Option<PathBuf>,
}

impl Options {
    /// Reads `--name value` pairs.
    pub fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self {
            gpu: Some(0),
            tokens: 8192,
            long_tokens: 131_072,
            layers: 28,
            long_train_layers: 1,
            peak_tflops: 989.0,
            seconds: None,
            folder: None,
        };
        for pair in arguments.chunks(2) {
            let [name, value] = pair else {
                return Err(format!("{} needs a value", pair[0]).into());
            };
            match name.as_str() {
                "--gpu" if value == "cpu" => options.gpu = None,
                "--gpu" => options.gpu = Some(value.parse()?),
                "--tokens" => options.tokens = value.parse()?,
                "--long-tokens" => options.long_tokens = value.parse()?,
                "--layers" => options.layers = value.parse()?,
                "--long-train-layers" => options.long_train_layers = value.parse()?,
                "--peak-tflops" => options.peak_tflops = value.parse()?,
                "--seconds" => options.seconds = Some(value.parse()?),
                "--folder" => options.folder = Some(PathBuf::from(value)),
                other => return Err(format!("unknown option {other}").into()),
            }
        }
        Ok(options)
    }
}
