//! What records are made of, language by language.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::draw::Draw;
use super::samples::{SamplePair, sample_pairs};
use super::seed::{Fillers, Rendered, Seed, Shape};

/// The seeds and fillers of one language and one kind of text.
#[derive(Debug, Default)]
pub struct Pool {
    seeds: Vec<Seed>,
    fillers: Fillers,
}

/// All pools; a language is the ending of its files' names: `c`, `cpp`, `py`.
#[derive(Debug, Default)]
pub struct Corpus {
    functions: BTreeMap<String, Pool>,
    files: BTreeMap<String, Pool>,
}

impl Corpus {
    /// Makes the pools from the sample data.
    ///
    /// # Errors
    /// If the samples cannot be read, or a language that the layouts need has none.
    pub fn load(samples: &Path) -> io::Result<Corpus> {
        let mut corpus = Corpus::default();
        for pair in sample_pairs(samples)? {
            corpus.add(&pair);
        }
        let enough = |pools: &BTreeMap<String, Pool>, ending: &&&str| {
            pools.get(**ending).is_some_and(|pool| pool.seeds.len() > 1)
        };
        let functions = FUNCTION_LANGUAGES.iter().find(|ending| !enough(&corpus.functions, ending));
        let files = FILE_LANGUAGES.iter().find(|ending| !corpus.files.contains_key(**ending));
        match functions.or(files) {
            Some(ending) => Err(io::Error::other(format!("{}: too few samples of .{ending}", samples.display()))),
            None => Ok(corpus),
        }
    }

    fn add(&mut self, pair: &SamplePair) {
        let files = self.files.entry(pair.ending.clone()).or_default();
        match pair.is_file {
            true => files.fillers.add_inner_blocks(&pair.secure),
            false => files.fillers.add_whole(&pair.secure),
        }
        let Some(seed) = Seed::new(&pair.vulnerable, &pair.secure) else { return };
        if pair.is_file {
            files.seeds.push(seed);
        } else {
            let functions = self.functions.entry(pair.ending.clone()).or_default();
            functions.fillers.add_inner_blocks(&pair.secure);
            functions.seeds.push(seed);
        }
    }

    /// Returns the functions of a language, one of [`FUNCTION_LANGUAGES`].
    pub fn functions(&self, ending: &str) -> &Pool {
        &self.functions[ending]
    }

    /// Returns the files of a language, one of [`FILE_LANGUAGES`].
    pub fn files(&self, ending: &str) -> &Pool {
        &self.files[ending]
    }
}

/// Languages that there are functions of.
pub const FUNCTION_LANGUAGES: [&str; 4] = ["c", "cpp", "java", "py"];

/// Languages that there are files of.
pub const FILE_LANGUAGES: [&str; 11] = ["c", "cpp", "go", "java", "js", "kt", "php", "py", "rs", "scala", "ts"];

impl Pool {
    /// Returns how many seeds there are.
    pub fn seeds(&self) -> usize {
        self.seeds.len()
    }

    /// Chooses a seed that is not larger than wanted, as far as a few draws find one.
    pub fn choose(&self, bytes: usize, draw: &mut Draw) -> usize {
        let mut best = draw.below(self.seeds.len());
        for _ in 0..3 {
            if self.seeds[best].bytes() <= bytes {
                break;
            }
            let other = draw.below(self.seeds.len());
            if self.seeds[other].bytes() < self.seeds[best].bytes() {
                best = other;
            }
        }
        best
    }

    /// Writes a pair over `out`, grown from a seed.
    pub fn render(&self, seed: usize, shape: Shape, draw: &mut Draw, out: &mut Rendered) {
        self.seeds[seed].render(&self.fillers, shape, draw, out);
    }
}
