//! What training reads: encoded sequences with step labels, and how often an epoch sees each.

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
    /// Returns what a source lists of it.
    pub fn listed(&self, repeats: u32) -> Listed {
        let mut supervised = [0; 2];
        for label in SupervisedSteps::of(self).labels {
            supervised[usize::from(label)] += 1;
        }
        Listed { key: self.key.clone(), repeats, tokens: self.input_ids.len() as u32, supervised }
    }

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

/// What is known of an example before it is read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listed {
    /// The example's key.
    pub key: String,
    /// How often an epoch sees it; at least once.
    pub repeats: u32,
    /// Its ids.
    pub tokens: u32,
    /// Its supervised steps by label [vulnerable, secure].
    pub supervised: [u32; 2],
}

/// Reads examples in an order that was asked for.
pub type Reading<'a> = Box<dyn Iterator<Item = Result<Example>> + Send + 'a>;

/// Gives access to examples that need not all be in memory.
pub trait ExampleSource: Sync {
    /// Returns what is known of every example; elsewhere an example is named by its index in here.
    fn listed(&self) -> &[Listed];

    /// Reads examples by index, in the order given and as often as given; a source that has them elsewhere reads ahead.
    ///
    /// What an item holds must be what [`Self::listed`] says of it; an item that can't be read is an error and ends the iteration.
    fn read(&self, order: Vec<usize>) -> Reading<'_>;
}

/// Holds examples in memory, each of them once, however often an epoch sees it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MixedExamples {
    examples: Vec<Example>,
    listed: Vec<Listed>,
}

impl MixedExamples {
    /// Takes examples that an epoch sees once each.
    ///
    /// # Errors
    /// An example whose lists do not fit.
    pub fn once(examples: impl IntoIterator<Item = Example>) -> Result<Self> {
        let mut mixed = Self::default();
        for example in examples {
            mixed.push(example, 1)?;
        }
        Ok(mixed)
    }

    /// Appends an example and how often an epoch sees it.
    ///
    /// # Errors
    /// Lists that do not fit, or no repeat at all: an example that is not trained on must not be handed in.
    pub fn push(&mut self, example: Example, repeats: u32) -> Result<()> {
        if repeats == 0 {
            return Err(ModelError::Input(format!("example {} is repeated 0 times, leave it out", example.key)));
        }
        example.validate()?;
        self.listed.push(example.listed(repeats));
        self.examples.push(example);
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
}

impl ExampleSource for MixedExamples {
    fn listed(&self) -> &[Listed] {
        &self.listed
    }

    fn read(&self, order: Vec<usize>) -> Reading<'_> {
        Box::new(order.into_iter().map(|index| match self.examples.get(index) {
            Some(example) => Ok(example.clone()),
            None => Err(ModelError::Input(format!("example {index} of {} does not exist", self.examples.len()))),
        }))
    }
}

/// Counts the examples of an epoch, repeats included.
pub fn epoch_len(listed: &[Listed]) -> u64 {
    listed.iter().map(|one| u64::from(one.repeats)).sum()
}

/// Counts the supervised steps that an epoch sees by label [vulnerable, secure]: those of a repeated example count each time.
pub fn supervised_steps(listed: &[Listed]) -> [u64; 2] {
    let mut sums = [0; 2];
    for one in listed {
        for (sum, count) in sums.iter_mut().zip(one.supervised) {
            *sum += u64::from(count) * u64::from(one.repeats);
        }
    }
    sums
}

/// Refuses keys that repeat, because their order would depend on how the examples were handed in.
pub(crate) fn require_unique(listed: &[Listed]) -> Result<()> {
    let mut sorted: Vec<&str> = listed.iter().map(|one| one.key.as_str()).collect();
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(ModelError::Input(format!("two examples have the key {}", pair[0]))),
        None => Ok(()),
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
        let mixed = MixedExamples::once([good.clone(), good.clone()]).unwrap();
        assert!(require_unique(mixed.listed()).unwrap_err().to_string().contains("key k"));
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
        assert_eq!((mixed.len(), epoch_len(mixed.listed())), (2, 41));
        assert_eq!(supervised_steps(mixed.listed()), [40, 42]);
        assert!(mixed.push(example("c", [1, 1]), 0).unwrap_err().to_string().contains("example c"));
    }
}
