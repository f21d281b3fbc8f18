//! What training reads: encoded sequences with step labels, and the order they come in.

use std::borrow::Cow;

use crate::error::{ModelError, Result};
use crate::random::stable_hash;

/// Holds one encoded window with the labels of its steps.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Example {
    /// Identifies the window among all of a run; the order of training depends on it.
    pub key: String,
    /// The window's ids.
    pub input_ids: Vec<u32>,
    /// Positions of the steps in `input_ids`, ascending.
    pub step_positions: Vec<u32>,
    /// Each step's label: 0 vulnerable, 1 secure.
    pub step_labels: Vec<u8>,
    /// Whether each step counts in the loss; the others are context.
    pub step_supervised: Vec<bool>,
}

impl Example {
    /// Checks that lists have equal lengths, labels are 0 or 1 and positions ascend within the ids.
    ///
    /// # Errors
    /// Names the example and what does not fit.
    pub fn validate(&self) -> Result<()> {
        let steps = self.step_positions.len();
        let refuse = |reason: String| Err(ModelError::Input(format!("example {}: {reason}", self.key)));
        if self.step_labels.len() != steps || self.step_supervised.len() != steps {
            return refuse(format!(
                "{steps} step positions, {} labels and {} supervision marks",
                self.step_labels.len(),
                self.step_supervised.len()
            ));
        }
        if let Some(label) = self.step_labels.iter().find(|label| **label > 1) {
            return refuse(format!("label {label} is neither 0 (vulnerable) nor 1 (secure)"));
        }
        if self.step_positions.windows(2).any(|pair| pair[0] >= pair[1]) {
            return refuse("step positions do not ascend".to_owned());
        }
        match self.step_positions.last() {
            Some(last) if *last as usize >= self.input_ids.len() => {
                refuse(format!("step position {last} lies past the end of {} tokens", self.input_ids.len()))
            }
            _ => Ok(()),
        }
    }
}

/// Gives access to examples that need not all be in memory.
pub trait ExampleSource {
    /// Returns the key of every example.
    fn keys(&self) -> Vec<&str>;

    /// Returns the example at an index into [`Self::keys`].
    ///
    /// # Errors
    /// The example can't be read.
    fn example(&self, index: usize) -> Result<Cow<'_, Example>>;
}

impl ExampleSource for [Example] {
    fn keys(&self) -> Vec<&str> {
        self.iter().map(|example| example.key.as_str()).collect()
    }

    fn example(&self, index: usize) -> Result<Cow<'_, Example>> {
        match self.get(index) {
            Some(example) => Ok(Cow::Borrowed(example)),
            None => Err(ModelError::Input(format!("example {index} of {} does not exist", self.len()))),
        }
    }
}

impl ExampleSource for Vec<Example> {
    fn keys(&self) -> Vec<&str> {
        self.as_slice().keys()
    }

    fn example(&self, index: usize) -> Result<Cow<'_, Example>> {
        self.as_slice().example(index)
    }
}

/// Returns the order of an epoch as indices: sorted by a hash of seed, epoch and key, whatever the order of `keys`.
pub fn epoch_order(seed: u64, epoch: u64, keys: &[&str]) -> Vec<usize> {
    let hash = |key: &str| stable_hash(&[&seed.to_le_bytes(), &epoch.to_le_bytes(), key.as_bytes()]);
    let mut order: Vec<(u64, &str, usize)> = keys.iter().enumerate().map(|(i, key)| (hash(key), *key, i)).collect();
    order.sort_unstable();
    order.into_iter().map(|(_, _, index)| index).collect()
}

/// Refuses keys that repeat, because their order would depend on how the examples were handed in.
pub(crate) fn require_unique(keys: &[&str]) -> Result<()> {
    let mut sorted = keys.to_vec();
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(ModelError::Input(format!("two examples have the key {}", pair[0]))),
        None => Ok(()),
    }
}

/// Counts supervised labels [vulnerable, secure] and checks every example on the way.
pub(crate) fn count_labels<S: ExampleSource + ?Sized>(source: &S) -> Result<[u64; 2]> {
    let mut counts = [0; 2];
    for index in 0..source.keys().len() {
        let example = source.example(index)?;
        example.validate()?;
        for label in SupervisedSteps::of(&example).labels {
            counts[usize::from(label)] += 1;
        }
    }
    Ok(counts)
}

/// The supervised steps of one example.
pub(crate) struct SupervisedSteps {
    pub positions: Vec<u32>,
    pub labels: Vec<u8>,
}

impl SupervisedSteps {
    pub(crate) fn of(example: &Example) -> Self {
        let steps = example.step_positions.iter().zip(&example.step_labels).zip(&example.step_supervised);
        let supervised = steps.filter(|(_, supervised)| **supervised).map(|((position, label), _)| (*position, *label));
        let (positions, labels) = supervised.unzip();
        Self { positions, labels }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_order_of_an_epoch_does_not_depend_on_the_order_given() {
        let keys: Vec<String> = (0..50).map(|n| format!("sample-{n}")).collect();
        let given: Vec<&str> = keys.iter().map(String::as_str).collect();
        let mut other = given.clone();
        other.reverse();
        let named = |keys: &[&str], epoch| -> Vec<String> {
            epoch_order(3, epoch, keys).into_iter().map(|index| keys[index].to_owned()).collect()
        };
        assert_eq!(named(&given, 0), named(&other, 0));
        assert_ne!(named(&given, 0), named(&given, 1));
        assert_ne!(named(&given, 0), keys);
    }

    #[test]
    fn lists_that_do_not_fit_are_refused_by_key() {
        let good = Example {
            key: "k".to_owned(),
            input_ids: vec![1, 2, 3],
            step_positions: vec![1, 2],
            step_labels: vec![0, 1],
            step_supervised: vec![true, false],
        };
        good.validate().unwrap();
        let broken = |change: fn(&mut Example)| {
            let mut example = good.clone();
            change(&mut example);
            example.validate().unwrap_err().to_string()
        };
        assert!(broken(|e| e.step_labels = vec![0]).contains("example k"));
        assert!(broken(|e| e.step_labels[0] = 2).contains("label 2"));
        assert!(broken(|e| e.step_positions[1] = 3).contains("past the end"));
        assert!(broken(|e| e.step_positions[0] = 2).contains("ascend"));
        assert!(require_unique(&["a", "b", "a"]).is_err());
    }
}
