//! Several sequences laid end to end without padding, each with its own positions and its own attention.

use std::ops::Range;

use crate::error::{ModelError, Result};

/// Holds sequences for one forward pass.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PackedBatch {
    input_ids: Vec<u32>,
    positions: Vec<u32>,
    sequences: Vec<Range<usize>>,
    separators: Vec<u32>,
}

impl PackedBatch {
    /// Starts an empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Packs one sequence.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn of(input_ids: &[u32], step_positions: &[u32]) -> Result<Self> {
        let mut batch = Self::new();
        batch.push(input_ids, step_positions)?;
        Ok(batch)
    }

    /// Appends a sequence and the positions in it that logits are wanted for.
    ///
    /// # Errors
    /// The sequence is empty or a position lies past its end.
    pub fn push(&mut self, input_ids: &[u32], step_positions: &[u32]) -> Result<()> {
        if input_ids.is_empty() {
            return Err(ModelError::Input("a sequence has no token".to_owned()));
        }
        let first = self.input_ids.len();
        let last = first + input_ids.len();
        if u32::try_from(last).is_err() {
            return Err(ModelError::Input(format!("a batch of {last} tokens exceeds 32 bits")));
        }
        if let Some(position) = step_positions.iter().find(|position| **position as usize >= input_ids.len()) {
            let reason = format!("step position {position} lies past the end of {} tokens", input_ids.len());
            return Err(ModelError::Input(reason));
        }
        self.input_ids.extend_from_slice(input_ids);
        self.positions.extend(0..input_ids.len() as u32);
        self.separators.extend(step_positions.iter().map(|position| first as u32 + position));
        self.sequences.push(first..last);
        Ok(())
    }

    /// Returns the ids of all sequences.
    pub fn input_ids(&self) -> &[u32] {
        &self.input_ids
    }

    /// Returns each token's position within its sequence.
    pub fn positions(&self) -> &[u32] {
        &self.positions
    }

    /// Returns the rows of each sequence.
    pub fn sequences(&self) -> &[Range<usize>] {
        &self.sequences
    }

    /// Returns the rows that logits are wanted for, in the order they were given.
    pub fn separators(&self) -> &[u32] {
        &self.separators
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn positions_start_again_and_separators_are_rows_of_the_batch() {
        let mut batch = PackedBatch::of(&[5, 6, 7], &[2]).unwrap();
        batch.push(&[8, 9], &[0, 1]).unwrap();
        assert_eq!(batch.positions(), [0, 1, 2, 0, 1]);
        assert_eq!(batch.separators(), [2, 3, 4]);
        assert_eq!(batch.sequences(), [0..3, 3..5]);
    }

    #[test]
    fn a_position_past_the_end_and_an_empty_sequence_are_refused() {
        assert!(PackedBatch::of(&[5, 6], &[2]).unwrap_err().to_string().contains("position 2"));
        assert!(PackedBatch::of(&[], &[]).is_err());
    }
}
