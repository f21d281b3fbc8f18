//! Times the reading of a table's rows at random, for `docs/performance.md`.
//!
//! ```text
//! shards write FOLDER ROWS IDS        makes a warehouse with a table of so many rows of about so many ids, and prints its pages
//! shards read FOLDER ROWS             reads rows in random order from there
//! shards read FOLDER ROWS URL [CACHE] copies the table to an object store and reads it from there, with a cache if it is named
//! ```

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{
    ArrayRef, BooleanBuilder, Int8Builder, Int32Array, Int32Builder, ListBuilder, RecordBatch, StringArray,
};
use arrow::datatypes::{DataType, Field, Schema};
use deltalake::parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataReader};
use futures::TryStreamExt;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt};
use secprm_storage::{
    CommitMode, CommitNote, Location, ReadSettings, RowAddress, ShardCache, ShardReader, ShardSet, Table, TableSpec,
    Warehouse, batch_bytes,
};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const TABLE: &str = "train_shards";
/// What training reads of each row.
const WIDE: [&str; 4] = ["input_ids", "step_positions", "step_labels", "step_supervised"];

#[tokio::main]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["write", folder, rows, ids] => write(folder, rows.parse()?, ids.parse()?).await,
        ["read", folder, rows] => read(folder, rows.parse()?, None, None).await,
        ["read", folder, rows, url] => read(folder, rows.parse()?, Some(url), None).await,
        ["read", folder, rows, url, cache] => read(folder, rows.parse()?, Some(url), Some(cache)).await,
        _ => Err("see the head of storage/examples/shards.rs".into()),
    }
}

/// Numbers without a pattern that are the same every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    /// From 0 to 1.
    fn share(&mut self) -> f64 {
        self.next() as f64 / (1_u64 << 31) as f64
    }
}

async fn write(folder: &str, rows: usize, ids: usize) -> Outcome<()> {
    let warehouse = Warehouse::open(folder, Path::new("."))?;
    let mut random = Random(1);
    let started = Instant::now();
    let mut writer = warehouse.part_writer(&spec())?;
    for start in (0..rows).step_by(1000) {
        writer.write(&batch(start..(start + 1000).min(rows), ids, &mut random)?).await?;
    }
    let parts = writer.finish().await?;
    let note = CommitNote { run_id: "measure".to_owned(), stage: "shards".to_owned() };
    let table = warehouse.commit(&spec(), None, parts, &CommitMode::Append { transaction: None }, &note).await?;
    let (files, bytes) = (table.files().len(), table.bytes());
    println!("{rows} rows in {files} files of {bytes} bytes, written in {:.1} s", started.elapsed().as_secs_f64());
    pages(&table)
}

fn spec() -> TableSpec {
    let list = |item: DataType| DataType::List(Arc::new(Field::new("element", item, true)));
    let schema = Schema::new(vec![
        Field::new("sample_id", DataType::Utf8, false),
        Field::new("window_index", DataType::Int32, false),
        Field::new("input_ids", list(DataType::Int32), true),
        Field::new("step_positions", list(DataType::Int32), true),
        Field::new("step_labels", list(DataType::Int8), true),
        Field::new("step_supervised", list(DataType::Boolean), true),
        Field::new("dataset", DataType::Utf8, false),
        Field::new("slice", DataType::Int32, false),
    ]);
    TableSpec {
        partition_columns: vec!["dataset".to_owned(), "slice".to_owned()],
        ..TableSpec::new(TABLE, Arc::new(schema))
    }
}

/// Rows of half to one and a half times `ids` token ids, small ones more often, and a step for every 40.
fn batch(rows: std::ops::Range<usize>, ids: usize, random: &mut Random) -> Outcome<RecordBatch> {
    let element = |data_type| Arc::new(Field::new("element", data_type, true));
    let mut input_ids = ListBuilder::new(Int32Builder::new()).with_field(element(DataType::Int32));
    let mut positions = ListBuilder::new(Int32Builder::new()).with_field(element(DataType::Int32));
    let mut labels = ListBuilder::new(Int8Builder::new()).with_field(element(DataType::Int8));
    let mut supervised = ListBuilder::new(BooleanBuilder::new()).with_field(element(DataType::Boolean));
    let mut names = Vec::new();
    for _ in rows.clone() {
        let length = ids / 2 + random.next() as usize % ids.max(1);
        input_ids.append_value((0..length).map(|_| Some((random.share().powi(4) * 151_000.0) as i32)));
        let steps = length / 40;
        positions.append_value((1..=steps).map(|step| Some((step * 40) as i32)));
        labels.append_value((0..steps).map(|_| Some(i8::from(!random.next().is_multiple_of(8)))));
        supervised.append_value((0..steps).map(|_| Some(!random.next().is_multiple_of(10))));
        names.push(format!("{:016x}{:016x}", random.next().wrapping_mul(0x9e37_79b9_7f4a_7c15), random.next()));
    }
    let slices = rows.clone().map(|row| (row % 16) as i32);
    Ok(RecordBatch::try_from_iter([
        ("sample_id", Arc::new(StringArray::from(names)) as ArrayRef),
        ("window_index", Arc::new(Int32Array::from_iter_values(rows.clone().map(|_| 0)))),
        ("input_ids", Arc::new(input_ids.finish())),
        ("step_positions", Arc::new(positions.finish())),
        ("step_labels", Arc::new(labels.finish())),
        ("step_supervised", Arc::new(supervised.finish())),
        ("dataset", Arc::new(StringArray::from_iter_values(rows.clone().map(|_| "sven")))),
        ("slice", Arc::new(Int32Array::from_iter_values(slices))),
    ])?)
}

/// Prints what the pages of the first file are like.
fn pages(table: &Table) -> Outcome<()> {
    let Some(file) = table.files().first() else { return Ok(()) };
    let path = file.url.to_file_path().map_err(|()| "the table is not on the local disk")?;
    let metadata = ParquetMetaDataReader::new()
        .with_page_index_policy(PageIndexPolicy::Required)
        .parse_and_finish(&std::fs::File::open(path)?)?;
    let index = metadata.offset_index().ok_or("the file has no offset index")?;
    println!("first file: {} bytes, {} row groups", file.size, metadata.num_row_groups());
    for (leaf, column) in metadata.row_group(0).columns().iter().enumerate() {
        let pages = index[0][leaf].page_locations();
        let bytes: i64 = pages.iter().map(|page| i64::from(page.compressed_page_size)).sum();
        let count = pages.len() as i64;
        println!(
            "{:40} {count:6} pages of {:8} bytes and {:6} rows; chunk {} bytes",
            column.column_path().string(),
            bytes / count,
            metadata.row_group(0).num_rows() / count,
            column.compressed_size()
        );
    }
    Ok(())
}

async fn read(folder: &str, rows: u64, url: Option<&str>, cache: Option<&str>) -> Outcome<()> {
    let table = Warehouse::open(folder, Path::new("."))?.table(TABLE).await?.ok_or("write the table first")?;
    let set = match url {
        None => ShardSet::of(&table)?,
        Some(url) => remote(&table, url).await?,
    };
    let started = Instant::now();
    let index = ShardReader::new(&set, &["sample_id", "window_index"], ReadSettings::default(), None)?;
    let scanned: u64 =
        index.scan().map_ok(|part| part.rows.num_rows() as u64).try_fold(0, async |a, b| Ok(a + b)).await?;
    println!("index of {scanned} rows: {:.2} s", started.elapsed().as_secs_f64());

    let cache = cache.map(|folder| ShardCache::open(Path::new(folder), 64 << 30)).transpose()?;
    let reader = ShardReader::new(&set, &WIDE, ReadSettings::default(), cache.clone())?;
    pass("first", &reader, &set, rows).await?;
    if let Some(cache) = &cache {
        let started = Instant::now();
        let mut one_each = 0;
        while reader.stats().cached_files < set.files().len() as u64 && !cache.is_off() {
            let heads = (0..set.files().len() as u32).map(|file| RowAddress { file, row: 0 }).collect::<Vec<_>>();
            one_each += reader.read(heads).try_fold(0, async |rows, batch| Ok(rows + batch.num_rows())).await?;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        println!("cache filled {:.1} s later ({one_each} rows read meanwhile)", started.elapsed().as_secs_f64());
        pass("cached", &reader, &set, rows).await?;
    }
    Ok(())
}

async fn pass(name: &str, reader: &ShardReader, set: &ShardSet, rows: u64) -> Outcome<()> {
    let mut random = Random(7);
    let total = set.rows();
    let of_set = set.clone();
    let order = (0..rows).map_while(move |_| of_set.address((random.next() << 31 | random.next()) % total));
    let (before, started) = (reader.stats(), Instant::now());
    let mut stream = reader.read(order);
    let (mut bytes, mut first) = (0_usize, None);
    while let Some(batch) = stream.try_next().await? {
        first.get_or_insert_with(|| started.elapsed());
        bytes += batch_bytes(&batch);
    }
    let (after, seconds) = (reader.stats(), started.elapsed().as_secs_f64());
    println!(
        "{name}: {rows} rows in {seconds:.2} s, first after {:.3} s: {:.0} rows/s, {:.1} MB/s decoded; {} requests, \
         {:.1} MB fetched, {:.1} MB from the cache, {} retries, peak {:.1} MB in flight",
        first.unwrap_or_default().as_secs_f64(),
        rows as f64 / seconds,
        bytes as f64 / seconds / 1e6,
        after.requests - before.requests,
        (after.bytes_fetched - before.bytes_fetched) as f64 / 1e6,
        (after.bytes_from_cache - before.bytes_from_cache) as f64 / 1e6,
        after.retries - before.retries,
        after.peak_bytes_in_flight as f64 / 1e6
    );
    Ok(())
}

async fn remote(table: &Table, url: &str) -> Outcome<ShardSet> {
    let place = Location::parse(url, Path::new("."))?;
    let store: Arc<dyn ObjectStore> = Arc::new(PrefixStore::new(Arc::clone(place.store()), place.path().clone()));
    let set = ShardSet::in_store(table, Arc::clone(&store), true)?;
    for shard in set.files() {
        let file = table.files().iter().find(|file| file.path == shard.path.as_ref()).ok_or("a file is missing")?;
        if store.head(&shard.path).await.is_err() {
            let path = file.url.to_file_path().map_err(|()| "the table is not on the local disk")?;
            store.put(&shard.path, std::fs::read(path)?.into()).await?;
        }
    }
    Ok(set)
}
