//! What training reads: encoded sequences with step labels, and how often an epoch sees each.

use std::borrow::Cow;

use crate::error::{ModelError, Result};

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

    /// Returns how often an epoch sees the example at an index: once, unless the source is a mixture.
    fn repeats(&self, _index: usize) -> u32 {
        1
    }
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

/// Holds examples that an epoch sees several times, each of them once in memory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MixedExamples {
    examples: Vec<Example>,
    repeats: Vec<u32>,
}

impl MixedExamples {
    /// Appends an example and how often an epoch sees it.
    ///
    /// # Errors
    /// No repeat at all: an example that is not trained on must not be handed in.
    pub fn push(&mut self, example: Example, repeats: u32) -> Result<()> {
        if repeats == 0 {
            return Err(ModelError::Input(format!("example {} is repeated 0 times, leave it out", example.key)));
        }
        self.examples.push(example);
        self.repeats.push(repeats);
        Ok(())
    }

    /// Returns how many different examples there are.
    pub fn len(&self) -> usize {
        self.examples.len()
    }

    /// Returns whether there is no example.
    pub fn is_empty(&self) -> bool {
        self.examples.is_empty()
    }

    /// Returns how many examples an epoch has, repeats counted.
    pub fn epoch_len(&self) -> u64 {
        self.repeats.iter().map(|repeats| u64::from(*repeats)).sum()
    }
}

impl ExampleSource for MixedExamples {
    fn keys(&self) -> Vec<&str> {
        self.examples.keys()
    }

    fn example(&self, index: usize) -> Result<Cow<'_, Example>> {
        self.examples.example(index)
    }

    fn repeats(&self, index: usize) -> u32 {
        self.repeats[index]
    }
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

/// The supervised steps of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct StepCounts {
    /// Steps that an epoch sees, by label [vulnerable, secure]: those of a repeated example count each time.
    pub mixed: [u64; 2],
    /// Different steps, whatever their label.
    pub different: u64,
}

impl StepCounts {
    /// Counts, and checks every example on the way.
    pub(crate) fn of<S: ExampleSource + ?Sized>(source: &S) -> Result<Self> {
        let mut counts = Self::default();
        for index in 0..source.keys().len() {
            let example = source.example(index)?;
            example.validate()?;
            for label in SupervisedSteps::of(&example).labels {
                counts.mixed[usize::from(label)] += u64::from(source.repeats(index));
                counts.different += 1;
            }
        }
        Ok(counts)
    }
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

    #[test]
    fn a_repeated_example_is_held_once_and_counts_each_time() {
        let example = |key: &str, labels: [u8; 2]| Example {
            key: key.to_owned(),
            input_ids: vec![1, 2, 3],
            step_positions: vec![1, 2],
            step_labels: labels.to_vec(),
            step_supervised: vec![true, true],
        };
        let mut mixed = MixedExamples::default();
        mixed.push(example("a", [0, 1]), 40).unwrap();
        mixed.push(example("b", [1, 1]), 1).unwrap();
        assert_eq!((mixed.len(), mixed.epoch_len()), (2, 41));
        assert_eq!(StepCounts::of(&mixed).unwrap(), StepCounts { mixed: [40, 42], different: 4 });
        assert!(mixed.push(example("c", [1, 1]), 0).unwrap_err().to_string().contains("example c"));
    }
}
