//! Bag of words: which words a text has and how often, and a naive Bayes classifier over them.

use smartcore::linalg::basic::matrix::DenseMatrix;
use smartcore::naive_bayes::multinomial::{MultinomialNB, MultinomialNBParameters};

use super::fit::failed;
use crate::error::Result;
use crate::splits::{Tokens, mix};

/// Words are told apart by their hash, cut to this many values; words that share one count as one.
const BUCKETS: usize = 1 << 14;

/// The words of a text: hash and count, in ascending order of hashes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words(Vec<(u16, u16)>);

impl Words {
    /// Counts the words of a text.
    pub fn of(text: &str) -> Words {
        let mut buckets: Vec<u16> =
            Tokens::of(text.as_bytes()).map(|token| (mix(token) as usize % BUCKETS) as u16).collect();
        buckets.sort_unstable();
        let runs = buckets.chunk_by(|one, next| one == next);
        Words(runs.filter_map(|run| Some((*run.first()?, u16::try_from(run.len()).unwrap_or(u16::MAX)))).collect())
    }
}

/// A multinomial naive Bayes classifier: how much each word speaks for vulnerable code.
pub struct WordJudge {
    log_odds: Vec<f64>,
}

impl WordJudge {
    /// Fits the classifier to texts and their labels.
    ///
    /// Counts of a class add up before they are fitted, so that memory does not grow with the rows.
    ///
    /// # Errors
    /// Of kind stage if a class is missing.
    pub fn fit<'rows>(rows: impl Iterator<Item = (&'rows Words, bool)>) -> Result<WordJudge> {
        let mut counts = vec![0u64; 2 * BUCKETS];
        for (words, is_vulnerable) in rows {
            let class = if is_vulnerable { BUCKETS } else { 0 };
            for (bucket, count) in &words.0 {
                counts[class + usize::from(*bucket)] += u64::from(*count);
            }
        }
        let counts = DenseMatrix::new(2, BUCKETS, counts, false).map_err(failed)?;
        let fitted = MultinomialNB::fit(&counts, &vec![0u64, 1], MultinomialNBParameters::default()).map_err(failed)?;
        let [secure, vulnerable] = [0, 1].map(|class| fitted.feature_log_prob().get(class));
        let pairs = secure.into_iter().flatten().zip(vulnerable.into_iter().flatten());
        Ok(WordJudge { log_odds: pairs.map(|(secure, vulnerable)| vulnerable - secure).collect() })
    }

    /// Returns the evidence that a text is vulnerable: the log-odds of its words, summed.
    pub fn score<'rows>(&self, words: impl IntoIterator<Item = &'rows Words>) -> f64 {
        let odds = |(bucket, count): &(u16, u16)| {
            self.log_odds.get(usize::from(*bucket)).map_or(0.0, |odds| odds * f64::from(*count))
        };
        words.into_iter().flat_map(|words| &words.0).map(odds).sum()
    }
}
