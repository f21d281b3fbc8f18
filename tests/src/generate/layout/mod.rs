//! The five raw layouts, a file each.

mod bigvul;
mod precisebugs;
mod primevul;
mod reposvul;
mod sven;

use super::Dataset;
use super::corpus::Corpus;
use super::draw::Draw;
use super::words::VOCABULARY;

/// A file that is to be written.
#[derive(Debug, Clone)]
pub struct FilePlan {
    /// Its path below the output folder, without the ending of a compression.
    pub path: String,
    /// How many units it has; a unit is what is broken or good as a whole.
    pub units: u64,
    /// Raw records in a unit: 2 for the lines of a pair of PrimeVul, else 1.
    pub records_per_unit: u64,
}

/// A unit that is to be written.
pub struct Unit<'plan> {
    /// Its file.
    pub file: &'plan FilePlan,
    /// Its number among all units, from 0.
    pub number: u64,
    /// Whether each of its records must be a reject of ingest.
    pub is_broken: bool,
}

/// Writes one dataset's raw records.
pub trait Layout {
    /// Plans the files for so many records, in the order they are written.
    fn files(&self, records: u64) -> Box<dyn Iterator<Item = FilePlan>>;

    /// What each file begins with.
    fn header(&self) -> Vec<u8> {
        Vec::new()
    }

    /// The archive that the files are put into when they are compressed; such files have one unit each.
    fn archive(&self) -> Option<&'static str> {
        None
    }

    /// Appends a unit; what follows from its number and the draws alone.
    fn write(&mut self, unit: &Unit<'_>, draw: &mut Draw, out: &mut Vec<u8>);
}

/// Returns the layout of a dataset.
pub fn layout_for(dataset: Dataset, corpus: &Corpus) -> Box<dyn Layout + '_> {
    match dataset {
        Dataset::Sven => Box::new(sven::Sven::new(corpus)),
        Dataset::PrimeVul => Box::new(primevul::PrimeVul::new(corpus)),
        Dataset::ReposVul => Box::new(reposvul::ReposVul::new(corpus)),
        Dataset::PreciseBugs => Box::new(precisebugs::PreciseBugs::new(corpus)),
        Dataset::BigVul => Box::new(bigvul::BigVul::new(corpus)),
    }
}

/// Shares a number of units out among files, by weight; the files in their order, empty ones left out.
fn share_out(units: u64, records_per_unit: u64, files: &[(String, u64)]) -> Vec<FilePlan> {
    let all: u64 = files.iter().map(|(_, weight)| weight).sum();
    let mut before = 0;
    let mut plans = Vec::new();
    for (path, weight) in files {
        let start = units * before / all;
        before += weight;
        let units = units * before / all - start;
        if units > 0 {
            plans.push(FilePlan { path: path.clone(), units, records_per_unit });
        }
    }
    plans
}

/// Weaknesses that the records are of.
const WEAKNESSES: [u32; 14] = [20, 22, 78, 79, 89, 119, 125, 190, 200, 352, 416, 476, 502, 787];

/// An invented project, `owner/name`.
fn project(draw: &mut Draw) -> String {
    format!("{}-{}/{}kit", draw.pick(VOCABULARY), draw.pick(VOCABULARY), draw.pick(VOCABULARY))
}

/// A path in a project.
fn path(ending: &str, draw: &mut Draw) -> String {
    format!("src/{}/{}.{ending}", draw.pick(VOCABULARY), draw.pick(VOCABULARY))
}

/// A sentence of so many words.
fn sentence(words: usize, draw: &mut Draw) -> String {
    let words: Vec<&str> = (0..words).map(|_| *draw.pick(VOCABULARY)).collect();
    words.join(" ")
}

/// The name of the function that a text begins with, as far as it can be read off.
fn function_name(text: &str) -> &str {
    let head = text.split('(').next().unwrap_or_default().trim_end();
    let start = head.rfind(|letter: char| !(letter.is_alphanumeric() || matches!(letter, '_' | ':' | '~')));
    &head[start.map_or(0, |before| before + head[before..].chars().next().map_or(1, char::len_utf8))..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_units_are_shared_out() {
        let files: Vec<(String, u64)> =
            [("a", 80), ("b", 10), ("c", 10)].map(|(name, weight)| (name.to_owned(), weight)).into();
        for units in [0, 1, 7, 1000, 1003] {
            assert_eq!(share_out(units, 1, &files).iter().map(|plan| plan.units).sum::<u64>(), units);
        }
    }

    #[test]
    fn a_function_is_called_what_stands_before_its_parameters() {
        assert_eq!(function_name("static int\nframe_read(const char *a)"), "frame_read");
        assert_eq!(function_name("bool Pane::Load() {"), "Pane::Load");
        assert_eq!(function_name("gräfin(x)"), "gräfin");
    }
}
