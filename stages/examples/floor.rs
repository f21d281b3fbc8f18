//! The least that turning raw records into labelled tables can cost: `floor sven paper data/sven`.
//!
//! Reads the records, aligns the lines of each pair once, parses with tree-sitter what mode `natural` parses, and writes both versions
//! twice (as `pairs` and `samples` do) to zstd Parquet: two threads that work, one that reads. No identifier, key, split, step, label, log
//! or check. docs/performance.md sets a whole run beside it.

use std::collections::HashMap;
use std::error::Error;
use std::fs::File;
use std::hash::{BuildHasherDefault, Hasher};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use secprm_stages::ingest::{DatasetKind, DatasetReader, FileContext, Granularity, Pair, RawInput, reader_for};
use secprm_stages::label::{Popularity, align, grammar, possible_definitions};
use tree_sitter::Parser;

type Failure = Box<dyn Error + Send + Sync>;

/// Pairs that a thread takes at once.
const CHUNK: usize = 64;
const THREADS: usize = 2;
const ALIGNMENT_BUDGET: u64 = 50_000_000;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, dataset, mode, folder] = arguments.as_slice() else {
        return Err("floor DATASET paper|natural FOLDER".into());
    };
    let kind = DatasetKind::ALL.into_iter().find(|kind| kind.as_str() == dataset).ok_or("no such dataset")?;
    let out = tempfile::tempdir()?;
    let mut files = Vec::new();
    list(Path::new(folder), &mut files)?;
    files.sort();
    let start = Instant::now();
    let (sender, receiver) = sync_channel(4);
    let receiver = Mutex::new(receiver);
    let bytes = std::thread::scope(|scope| {
        let workers = [0; THREADS].map(|_| scope.spawn(|| work(&receiver, mode == "natural", out.path())));
        let read = read_all(kind, Path::new(folder), &files, &sender);
        drop(sender);
        for worker in workers {
            worker.join().map_err(|_| "a thread panicked")??;
        }
        read
    })?;
    let seconds = start.elapsed().as_secs_f64();
    println!("floor {dataset} {mode}: {bytes} bytes, {seconds:.2} s, {:.1} MB/s", bytes as f64 / 1e6 / seconds);
    Ok(())
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        match path.is_dir() {
            true => list(&path, files)?,
            false => files.push(path),
        }
    }
    Ok(())
}

fn read_all(kind: DatasetKind, root: &Path, files: &[PathBuf], sender: &SyncSender<Vec<Pair>>) -> Result<u64, Failure> {
    let reader = reader_for(kind);
    let mut bytes = 0;
    for file in files {
        let path = file.strip_prefix(root)?.to_string_lossy().into_owned();
        if reader.accepts(&path) {
            bytes += file.metadata()?.len();
            read(&*reader, path, file, sender)?;
        }
    }
    Ok(bytes)
}

fn read(reader: &dyn DatasetReader, path: String, file: &Path, sender: &SyncSender<Vec<Pair>>) -> Result<(), Failure> {
    let context = FileContext { path, max_record_bytes: 64 << 20, granularities: Granularity::ALL.to_vec() };
    let mut stream = BufReader::with_capacity(1 << 20, File::open(file)?);
    let mut chunk = Vec::new();
    let mut is_open = true;
    reader.read(&context, RawInput::Stream(&mut stream), &mut |located| {
        chunk.extend(located.outcome.ok().map(|pair| *pair));
        if chunk.len() >= CHUNK {
            is_open &= sender.send(std::mem::take(&mut chunk)).is_ok();
        }
        Ok(())
    })?;
    match is_open && sender.send(chunk).is_ok() {
        true => Ok(()),
        false => Err("the workers stopped".into()),
    }
}

fn work(receiver: &Mutex<Receiver<Vec<Pair>>>, parses: bool, folder: &Path) -> Result<(), Failure> {
    let columns =
        |names: [&str; 2]| Arc::new(Schema::new(names.map(|name| Field::new(name, DataType::Utf8, true)).to_vec()));
    let [pairs, samples] = [columns(["vulnerable", "secure"]), columns(["vulnerable_steps", "secure_steps"])];
    let mut writers = [open(folder, &pairs)?, open(folder, &samples)?];
    loop {
        let next = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(chunk) = next else { break };
        for pair in &chunk {
            if let (Some(vulnerable), Some(secure)) = (&pair.vulnerable_code, &pair.secure_code) {
                std::hint::black_box(align_lines(vulnerable, secure));
            }
            if parses {
                parse(pair);
            }
        }
        let texts = [
            StringArray::from_iter(chunk.iter().map(|pair| pair.vulnerable_code.as_deref())),
            StringArray::from_iter(chunk.iter().map(|pair| pair.secure_code.as_deref())),
        ];
        for (writer, schema) in writers.iter_mut().zip([&pairs, &samples]) {
            let columns = texts.iter().map(|texts| Arc::new(texts.clone()) as _).collect();
            writer.write(&RecordBatch::try_new(schema.clone(), columns)?)?;
        }
    }
    for writer in writers {
        writer.close()?;
    }
    Ok(())
}

fn open(folder: &Path, schema: &Arc<Schema>) -> Result<ArrowWriter<File>, Failure> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_dictionary_enabled(false)
        .set_max_row_group_bytes(Some(64 << 20))
        .build();
    let file = tempfile::NamedTempFile::new_in(folder)?.into_file();
    Ok(ArrowWriter::try_new(file, schema.clone(), Some(properties))?)
}

fn align_lines(first: &str, second: &str) -> usize {
    let mut numbers: HashMap<&str, u32, BuildHasherDefault<WordHasher>> = HashMap::default();
    let [first, second] = [first, second].map(|text| {
        let number = |line| {
            let next = numbers.len() as u32;
            *numbers.entry(line).or_insert(next)
        };
        text.split('\n').map(number).collect::<Vec<u32>>()
    });
    align(&first, &second, Popularity::DropPopular, ALIGNMENT_BUDGET).0.len()
}

/// Parses the vulnerable version where it may define two functions, as mode `natural` does when it looks for callers.
fn parse(pair: &Pair) {
    let Some(text) = pair.vulnerable_code.as_deref() else { return };
    if pair.secure_code.is_none() {
        return;
    }
    let mut files = Vec::new();
    let mut start = 0;
    for file in &pair.files {
        files.push((text.get(start..file.vulnerable_end).unwrap_or(""), file.language));
        start = file.vulnerable_end;
    }
    if files.is_empty() {
        files.push((text, pair.language));
    }
    // The one thing here that a floor would know without looking.
    if files.iter().map(|(text, language)| possible_definitions(text, *language)).sum::<usize>() < 2 {
        return;
    }
    for (text, language) in files {
        let mut parser = Parser::new();
        let known = grammar(language, text).is_some_and(|grammar| parser.set_language(&grammar).is_ok());
        if known && text.len() <= 512 << 10 {
            std::hint::black_box(parser.parse(text, None));
        }
    }
}

/// Eight bytes at a time; a slow hash would make the floor higher than it is.
#[derive(Default)]
struct WordHasher(u64);

impl Hasher for WordHasher {
    fn write(&mut self, bytes: &[u8]) {
        for word in bytes.chunks(8) {
            let mut padded = [0; 8];
            padded[..word.len()].copy_from_slice(word);
            self.0 = (self.0.rotate_left(5) ^ u64::from_le_bytes(padded)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}
