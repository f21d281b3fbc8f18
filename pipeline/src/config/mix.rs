//! `[mix]`: how often an epoch sees the examples of each dataset, and what training leaves out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use secprm_stages::ingest::{DatasetKind, Subset};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Repeats past it are taken for a mistake: an epoch would see nothing else.
const MOST_REPEATS: u32 = 10_000;

/// `[mix]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MixConfig {
    /// How often each epoch sees the training examples of a dataset; once when not given.
    pub repeats: BTreeMap<DatasetKind, u32>,
    /// What training leaves out. It is labelled, scored and measured all the same.
    pub leave_out: BTreeSet<Part>,
}

impl Default for MixConfig {
    /// As the paper trains (section 4.1): without the data whose length alone tells the label.
    fn default() -> Self {
        let unpaired = Part { dataset: DatasetKind::PrimeVul, subset: Some(Subset::Unpaired) };
        let leave_out = BTreeSet::from([unpaired, Part { dataset: DatasetKind::BigVul, subset: None }]);
        MixConfig { repeats: BTreeMap::new(), leave_out }
    }
}

impl MixConfig {
    /// Returns how often an epoch sees an example of a dataset that is not left out.
    pub fn repeats_of(&self, dataset: DatasetKind) -> u32 {
        self.repeats.get(&dataset).copied().unwrap_or(1)
    }

    /// Returns the repeats of every dataset as text: the same whether a 1 is given or not.
    pub fn repeats_as_text(&self) -> String {
        DatasetKind::ALL.map(|dataset| format!("{dataset} {}", self.repeats_of(dataset))).join(", ")
    }

    /// Returns what is left out as text, in the same order however it is given.
    pub fn leave_out_as_text(&self) -> String {
        self.leave_out.iter().map(Part::to_string).collect::<Vec<_>>().join(", ")
    }

    /// Whether training leaves out all of a dataset.
    pub fn leaves_out(&self, dataset: DatasetKind) -> bool {
        let is_listed = |subset| self.leave_out.contains(&Part { dataset, subset });
        is_listed(None) || Subset::ALL.into_iter().all(|subset| is_listed(Some(subset)))
    }

    /// Checks the repeats.
    ///
    /// # Errors
    /// Of kind usage: no repeat or too many; repeats of a dataset that is left out, since they would say nothing.
    pub fn validate(&self) -> Result<()> {
        for (dataset, repeats) in &self.repeats {
            let complaint = |reason: &str| Error::usage(format!("[mix] repeats: {dataset} = {repeats} {reason}"));
            if *repeats == 0 {
                return Err(complaint("trains on nothing of it")
                    .hint(format!("to leave a dataset out of training, list it: leave_out = [\"{dataset}\"]")));
            }
            if *repeats > MOST_REPEATS {
                return Err(complaint("is too often").hint(format!("a dataset repeats at most {MOST_REPEATS} times")));
            }
            if self.leaves_out(*dataset) {
                return Err(complaint("says nothing, for [mix] leave_out leaves it out of training")
                    .hint("set leave_out without it (`[]` leaves nothing out), or take it out of repeats"));
            }
        }
        Ok(())
    }
}

/// A dataset, or one of its subsets: `bigvul`, `primevul/unpaired`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Part {
    /// The dataset.
    pub dataset: DatasetKind,
    /// The subset; `None` is the whole dataset.
    pub subset: Option<Subset>,
}

impl Part {
    /// Lists every dataset, and then every subset of one.
    fn all() -> impl Iterator<Item = Part> {
        let subsets = [None].into_iter().chain(Subset::ALL.map(Some));
        subsets.flat_map(|subset| DatasetKind::ALL.map(|dataset| Part { dataset, subset }))
    }
}

impl fmt::Display for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.subset {
            Some(subset) => write!(formatter, "{}/{}", self.dataset, subset.as_str()),
            None => write!(formatter, "{}", self.dataset),
        }
    }
}

impl From<Part> for String {
    fn from(part: Part) -> String {
        part.to_string()
    }
}

impl TryFrom<String> for Part {
    type Error = String;

    fn try_from(text: String) -> Result<Part, String> {
        text.parse()
    }
}

impl FromStr for Part {
    type Err = String;

    /// Parses a name; the error is worded as serde words an unknown variant, so that a hint names the nearest.
    fn from_str(text: &str) -> Result<Part, String> {
        Part::all().find(|part| part.to_string() == text).ok_or_else(|| {
            let known: Vec<String> = Part::all().map(|part| format!("`{part}`")).collect();
            format!("unknown variant `{text}`, expected a dataset or a subset of one: {}", known.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parsed(text: &str) -> MixConfig {
        toml::from_str(text).unwrap()
    }

    fn failure(text: &str) -> String {
        let error = parsed(text).validate().unwrap_err();
        format!("{error} | {}", error.remedy().unwrap_or(""))
    }

    #[test]
    fn without_a_word_training_leaves_out_what_the_paper_leaves_out() {
        let mix = parsed("");
        let parts: Vec<String> = mix.leave_out.iter().map(Part::to_string).collect();
        assert_eq!(parts, ["primevul/unpaired", "bigvul"]);
        let left_out: Vec<DatasetKind> = DatasetKind::ALL.into_iter().filter(|kind| mix.leaves_out(*kind)).collect();
        assert_eq!(left_out, [DatasetKind::BigVul]);
        assert_eq!(mix.repeats_of(DatasetKind::Sven), 1);
    }

    #[test]
    fn a_dataset_is_left_out_by_its_name_or_by_both_its_subsets() {
        assert!(parsed("leave_out = []").leave_out.is_empty());
        assert!(parsed("leave_out = [\"sven\"]").leaves_out(DatasetKind::Sven));
        assert!(!parsed("leave_out = [\"sven/paired\"]").leaves_out(DatasetKind::Sven));
        assert!(parsed("leave_out = [\"sven/paired\", \"sven/unpaired\"]").leaves_out(DatasetKind::Sven));
    }

    #[test]
    fn every_name_is_read_as_it_is_written() {
        for part in Part::all() {
            assert_eq!(part.to_string().parse(), Ok(part));
        }
        assert!("primevul/unpared".parse::<Part>().is_err());
    }

    #[test]
    fn no_repeat_too_many_and_repeats_of_what_is_left_out_are_refused() {
        let none = failure("repeats = { sven = 0 }");
        assert!(none.contains("sven = 0 trains on nothing") && none.contains("leave_out = [\"sven\"]"), "{none}");
        assert!(failure("repeats = { sven = 10001 }").contains("is too often | a dataset repeats at most 10000 times"));
        assert!(failure("repeats = { bigvul = 2 }").contains("leave_out leaves it out of training"));
        assert!(parsed("repeats = { bigvul = 2, sven = 10000 }\nleave_out = []").validate().is_ok());
        assert!(parsed("repeats = { primevul = 2 }").validate().is_ok());
    }

    #[test]
    fn what_says_nothing_new_is_no_other_mixture() {
        assert_eq!(parsed("repeats = { sven = 1 }").repeats_as_text(), parsed("").repeats_as_text());
        let turned = parsed("leave_out = [\"primevul/unpaired\", \"bigvul\", \"bigvul\"]");
        assert_eq!(turned.leave_out_as_text(), parsed("").leave_out_as_text());
    }
}
