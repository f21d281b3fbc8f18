//! What a dataset's sources hold right now, and the fingerprint of it.

use std::collections::BTreeMap;

use secprm_storage::{Fingerprint, Location, SourceFile};

use super::compression::logical_name;
use super::identity::RecordSum;
use super::open::hash_of;
use super::reader::{DatasetKind, reader_for};
use super::record::Granularity;
use super::run::IngestOptions;
use crate::error::{Result, StageError};

/// One `[[source]]` of a dataset.
#[derive(Debug, Clone)]
pub struct Source {
    /// The url as configured, without credentials.
    pub url: String,
    /// Where it is.
    pub location: Location,
    /// The granularities that pairs are made of, where the dataset has several.
    pub granularities: Vec<Granularity>,
}

impl Source {
    /// What rows depend on beside the files: the url, and which granularities are wanted.
    pub(super) fn key(&self) -> String {
        let names: Vec<&str> = self.granularities.iter().map(|granularity| granularity.as_str()).collect();
        format!("{}\n{}", self.url, names.join(","))
    }
}

/// The files of one `[[source]]` that belong to its dataset.
#[derive(Debug, Clone)]
pub struct Listing {
    /// The source.
    pub source: Source,
    /// Its files, by name.
    pub files: Vec<SourceFile>,
}

impl Listing {
    fn listed(&self) -> Vec<ListedFile<'_>> {
        let Source { url, location, .. } = &self.source;
        self.files.iter().map(|file| ListedFile { key: self.source.key(), url, location, file }).collect()
    }
}

/// What an earlier run found out about a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownFile {
    /// Bytes.
    pub size: u64,
    /// When it was last modified, in microseconds since 1970 UTC.
    pub modified_micros: i64,
    /// The store's tag of its content.
    pub e_tag: Option<String>,
    /// BLAKE3 of its content.
    pub hash: String,
}

/// Known files by source url and name.
pub type KnownFiles = BTreeMap<(String, String), KnownFile>;

/// Lists the files of a dataset's sources, by name.
///
/// # Errors
/// [`StageError::Source`] if a source does not exist, cannot be read, or holds no file of the dataset.
pub async fn list_dataset(kind: DatasetKind, sources: &[Source]) -> Result<Vec<Listing>> {
    let reader = reader_for(kind);
    let mut listings = Vec::new();
    for source in sources {
        let sought = Sought {
            what: format!("source {} of dataset {kind}", source.url),
            section: "[[source]]",
            lacking: format!("no file is one of {}", reader.expected_files()),
            keys: "`dataset` and `url`",
        };
        let files = list_sought(&source.location, &sought, |name| reader.accepts(name)).await?;
        listings.push(Listing { source: source.clone(), files });
    }
    Ok(listings)
}

/// What is looked for in a place, in the words of its errors.
pub(crate) struct Sought {
    /// Whose files: `source data/sven of dataset sven`.
    pub what: String,
    /// The section of the configuration that names the place.
    pub section: &'static str,
    /// What is said where there are none.
    pub lacking: String,
    /// The keys to look at then.
    pub keys: &'static str,
}

/// Lists the wanted files of a place, by name; `is_wanted` is asked with the name without the ending of a compression.
///
/// # Errors
/// [`StageError::Source`] if the place does not exist, cannot be read, or holds no such file.
pub(crate) async fn list_sought(
    location: &Location,
    sought: &Sought,
    is_wanted: impl Fn(&str) -> bool,
) -> Result<Vec<SourceFile>> {
    let Sought { what, section, lacking, keys } = sought;
    let listed = location.list().await.map_err(|error| {
        let cause = std::error::Error::source(&error).map_or(String::new(), |cause| format!(": {cause}"));
        StageError::Source {
            message: format!("{what}: {error}{cause}"),
            remedy: format!("check `url` of this {section}; a path is relative to the configuration file"),
        }
    })?;
    let seen = listed.len();
    let mut files: Vec<SourceFile> = listed.into_iter().filter(|file| is_wanted(logical_name(&file.name))).collect();
    if files.is_empty() {
        return Err(StageError::Source {
            message: format!("{what}: {lacking} (it holds {seen})"),
            remedy: format!("check {keys} of this {section}"),
        });
    }
    files.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(files)
}

/// Returns the fingerprint that the dataset's tables have if they were made from these files with these options; none if they cannot have
/// been.
///
/// # Errors
/// [`StageError::Read`] if a file cannot be read.
pub async fn dataset_fingerprint(
    kind: DatasetKind,
    listings: &[Listing],
    known: &KnownFiles,
    options: &IngestOptions,
) -> Result<Option<Fingerprint>> {
    let hashes = hashes_of_known(known, &listings.iter().flat_map(Listing::listed).collect::<Vec<_>>()).await?;
    Ok(hashes.map(|hashes| fingerprint_of(kind, &hashes, options)))
}

/// What the fingerprint of a dataset is called that will be read: of what is known of its files without reading them.
pub fn unread_fingerprint(kind: DatasetKind, listings: &[Listing], options: &IngestOptions) -> Fingerprint {
    let mut sum = RecordSum::seeded(&[&content_seed(kind, options), "unread files"]);
    for listing in listings {
        add_unread(&mut sum, &listing.source.key(), &listing.files);
    }
    sum.fingerprint()
}

/// Adds what is known of a source's files without reading them.
pub(crate) fn add_unread(sum: &mut RecordSum, source: &str, files: &[SourceFile]) {
    for SourceFile { name, size, last_modified_micros, e_tag, .. } in files {
        sum.add(format!("{source}\n{name}\n{size}\n{last_modified_micros}\n{e_tag:?}").as_bytes());
    }
}

/// Combines what a dataset's tables depend on: files, reader, options.
pub(super) fn fingerprint_of(
    kind: DatasetKind,
    hashes: &[(String, String, String)],
    options: &IngestOptions,
) -> Fingerprint {
    let seed = content_seed(kind, options);
    let mut sum = RecordSum::seeded(&[&seed, "files"]);
    for (url, name, hash) in hashes {
        sum.add(format!("{url}\n{name}\n{hash}").as_bytes());
    }
    sum.fingerprint()
}

/// What every row depends on beside its record: versions and options.
pub(super) fn content_seed(kind: DatasetKind, options: &IngestOptions) -> String {
    let reader_version = reader_for(kind).version();
    format!("{kind} reader {reader_version} limit {} slice {}", options.max_record_bytes, options.slice_bytes)
}

/// A file and where it is listed.
pub(crate) struct ListedFile<'listing> {
    /// What rows depend on beside the file.
    pub key: String,
    /// The url of its source or analysis, as configured.
    pub url: &'listing str,
    /// Where that is.
    pub location: &'listing Location,
    /// The file.
    pub file: &'listing SourceFile,
}

/// Returns key, name and hash of each file, in their order; none if one is new or of another size, which says enough without reading any.
///
/// A file whose size, time and tag are as known is not read. Any other is hashed, so that a touched file with the same content reruns
/// nothing.
///
/// # Errors
/// [`StageError::Read`] if a file cannot be read.
pub(crate) async fn hashes_of_known(
    known: &KnownFiles,
    files: &[ListedFile<'_>],
) -> Result<Option<Vec<(String, String, String)>>> {
    let mut like_known = Vec::new();
    for listed in files {
        match known.get(&(listed.url.to_owned(), listed.file.name.clone())) {
            Some(earlier) if earlier.size == listed.file.size => like_known.push((listed, earlier)),
            _ => return Ok(None),
        }
    }
    let mut hashes = Vec::new();
    for (listed, earlier) in like_known {
        let hash = match is_untouched(earlier, listed.file) {
            true => earlier.hash.clone(),
            false => hash_of(listed.location, listed.file).await?,
        };
        hashes.push((listed.key.clone(), listed.file.name.clone(), hash));
    }
    Ok(Some(hashes))
}

fn is_untouched(earlier: &KnownFile, file: &SourceFile) -> bool {
    earlier.size == file.size && earlier.modified_micros == file.last_modified_micros && earlier.e_tag == file.e_tag
}
