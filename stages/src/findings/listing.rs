//! What the configured analyses hold right now, and the fingerprint of it.

use secprm_storage::{Fingerprint, Location, SourceFile};

use super::run::{FINDINGS_VERSION, FindingOptions};
use crate::error::Result;
use crate::ingest::{KnownFiles, ListedFile, RecordSum, Sought, add_unread, hashes_of_known, list_sought};

/// One `[[analysis]]`.
#[derive(Debug, Clone)]
pub struct Analysis {
    /// The url as configured, without credentials.
    pub url: String,
    /// Where it is.
    pub location: Location,
}

/// The SARIF files of one `[[analysis]]`.
#[derive(Debug, Clone)]
pub struct AnalysisListing {
    /// The analysis.
    pub analysis: Analysis,
    /// Its files, by name.
    pub files: Vec<SourceFile>,
}

impl AnalysisListing {
    fn listed(&self) -> Vec<ListedFile<'_>> {
        let Analysis { url, location } = &self.analysis;
        self.files.iter().map(|file| ListedFile { key: url.clone(), url, location, file }).collect()
    }
}

/// Lists the SARIF files of analyses: those whose name ends in `.sarif` or `.json`, compressed or not.
///
/// # Errors
/// [`crate::StageError::Source`] if an analysis does not exist, cannot be read, or holds no such file.
pub async fn list_analyses(analyses: &[Analysis]) -> Result<Vec<AnalysisListing>> {
    let mut listings = Vec::new();
    for analysis in analyses {
        let sought = Sought {
            what: format!("analysis {}", analysis.url),
            section: "[[analysis]]",
            lacking: "no file is called *.sarif or *.json".to_owned(),
            keys: "`url`",
        };
        let files = list_sought(&analysis.location, &sought, is_sarif).await?;
        listings.push(AnalysisListing { analysis: analysis.clone(), files });
    }
    Ok(listings)
}

fn is_sarif(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [".sarif", ".json"].iter().any(|ending| name.ends_with(ending))
}

/// Returns the fingerprint that the tables have if they were made from these files; none if they cannot have been. `pairs` stands for the
/// pairs they are matched with.
///
/// # Errors
/// [`crate::StageError::Read`] if a file cannot be read.
pub async fn analyses_fingerprint(
    listings: &[AnalysisListing],
    known: &KnownFiles,
    pairs: &str,
    options: &FindingOptions,
) -> Result<Option<Fingerprint>> {
    let hashes = hashes_of_known(known, &listings.iter().flat_map(AnalysisListing::listed).collect::<Vec<_>>()).await?;
    Ok(hashes.map(|hashes| fingerprint_of(&hashes, pairs, options)))
}

/// What the fingerprint of analyses is called that will be read: of what is known of their files without reading them.
pub fn unread_analyses_fingerprint(listings: &[AnalysisListing], pairs: &str, options: &FindingOptions) -> Fingerprint {
    let mut sum = RecordSum::seeded(&["unread findings", pairs, &options.max_result_bytes.to_string()]);
    for listing in listings {
        add_unread(&mut sum, &listing.analysis.url, &listing.files);
    }
    sum.fingerprint()
}

/// Combines what the tables depend on: files by (url, name, hash), pairs, options.
pub(super) fn fingerprint_of(
    hashes: &[(String, String, String)],
    pairs: &str,
    options: &FindingOptions,
) -> Fingerprint {
    let mut sum =
        RecordSum::seeded(&["findings", &FINDINGS_VERSION.to_string(), pairs, &options.max_result_bytes.to_string()]);
    for (url, name, hash) in hashes {
        sum.add(format!("{url}\n{name}\n{hash}").as_bytes());
    }
    sum.fingerprint()
}
