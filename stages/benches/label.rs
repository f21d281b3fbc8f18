//! Labels every pair of SVEN, single-threaded; the throughput counts the bytes of both versions.
//!
//! `SECPRM_REAL_DATA` names the data folder (default: `../../shared/data` beside the workspace); without it the pairs are
//! synthetic, as many bytes as `SECPRM_BENCH_BYTES` says (default 4 MB). The floor of the same run copies all texts and
//! counts their line feeds.

#![allow(missing_docs)]
#![allow(clippy::unwrap_used)]

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use secprm_stages::label::{LabelMode, LabelOptions, SegmentOptions, label_pair, segment};
use secprm_stages::language::Language;

struct Pair {
    vulnerable: String,
    fixed: String,
    language: Language,
}

fn sven(folder: &Path) -> Vec<Pair> {
    let mut files: Vec<PathBuf> = ["train", "val"]
        .iter()
        .flat_map(|split| fs::read_dir(folder.join("sven").join(split)).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut pairs = Vec::new();
    for file in files {
        for line in fs::read_to_string(file).unwrap().lines() {
            let raw: serde_json::Value = serde_json::from_str(line).unwrap();
            let text = |key: &str| raw[key].as_str().unwrap().to_owned();
            pairs.push(Pair {
                vulnerable: text("func_src_before"),
                fixed: text("func_src_after"),
                language: Language::from_path(&text("file_name")),
            });
        }
    }
    pairs
}

fn synthetic(bytes: usize) -> Vec<Pair> {
    let mut pairs = Vec::new();
    let mut written = 0;
    while written < bytes {
        let number = pairs.len();
        let mut vulnerable = format!("static int read_{number}(struct device *dev, char *out)\n{{\n");
        for block in 0..(number % 12 + 2) {
            vulnerable.push_str(&format!(
                "    /* block {block} */\n    if (dev->state[{block}] != READY_{number})\n        return -EINVAL;\n\n    \
                 memcpy(out, dev->buffer + {block}, dev->length);\n\n"
            ));
        }
        vulnerable.push_str("    return 0;\n}\n");
        let fixed = vulnerable.replacen("dev->length", "min(dev->length, sizeof(dev->buffer))", 1);
        written += vulnerable.len() + fixed.len();
        pairs.push(Pair { vulnerable, fixed, language: Language::C });
    }
    pairs
}

fn pairs() -> Vec<Pair> {
    let folder = std::env::var_os("SECPRM_REAL_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"), PathBuf::from);
    if folder.join("sven").is_dir() {
        return sven(&folder);
    }
    let bytes = std::env::var("SECPRM_BENCH_BYTES").ok();
    let bytes = bytes.and_then(|bytes| bytes.parse().ok());
    synthetic(bytes.unwrap_or(4_000_000))
}

fn label(criterion: &mut Criterion) {
    let pairs = pairs();
    let bytes: usize = pairs.iter().map(|pair| pair.vulnerable.len() + pair.fixed.len()).sum();
    let options = LabelOptions::default();
    let mut group = criterion.benchmark_group("label");
    group.throughput(Throughput::Bytes(bytes as u64));
    group.sample_size(20);
    group.bench_function("floor: copy and count lines", |bencher| {
        bencher.iter(|| {
            for pair in &pairs {
                for text in [&pair.vulnerable, &pair.fixed] {
                    let copy = black_box(text.clone());
                    black_box(copy.bytes().filter(|byte| *byte == b'\n').count());
                }
            }
        });
    });
    for mode in LabelMode::ALL {
        group.bench_function(mode.as_str(), |bencher| {
            bencher.iter(|| {
                for pair in &pairs {
                    let labels =
                        label_pair(black_box(&pair.vulnerable), black_box(&pair.fixed), pair.language, mode, &options);
                    let _ = black_box(labels);
                }
            });
        });
    }
    let segment_options = SegmentOptions::default();
    group.bench_function("segment alone", |bencher| {
        bencher.iter(|| {
            for pair in &pairs {
                for text in [&pair.vulnerable, &pair.fixed] {
                    black_box(segment(black_box(text), pair.language, &segment_options));
                }
            }
        });
    });
    group.finish();
}

criterion_group!(benches, label);
criterion_main!(benches);
