//! The optimiser's state in files: each rank writes the pieces of parameters that it owns, under names that say which numbers of which parameter
//! they are, so that any other number of ranks can go on from them.
//!
//! A file is safetensors with `master/NAME/START`, `exp_avg/NAME/START` and `exp_avg_sq/NAME/START` in f32, START being the index in the
//! flattened parameter of the piece's first number, and the number of updates as metadata `steps`.

use std::collections::{BTreeMap, BTreeSet};

use candle_core::Tensor;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::error::{ModelError, Result};
use crate::optimizer::{AdamW, STATE_ROWS};

const STEPS: &str = "steps";

/// Writes what this rank owns.
///
/// # Errors
/// The device fails.
pub fn write_optimizer(optimizer: &AdamW) -> Result<Vec<u8>> {
    let mut tensors: Vec<(String, Vec<u8>)> = Vec::new();
    for piece in optimizer.layout().pieces() {
        for (row, kind) in STATE_ROWS.iter().enumerate() {
            let numbers = optimizer.numbers(&piece, row)?;
            let name = format!("{kind}/{}/{}", piece.member.name, piece.of_parameter.start);
            tensors.push((name, numbers.iter().flat_map(|number| number.to_le_bytes()).collect()));
        }
    }
    let refused = |error: safetensors::SafeTensorError| ModelError::Checkpoint(format!("optimiser state: {error}"));
    let mut views = Vec::with_capacity(tensors.len());
    for (name, bytes) in &tensors {
        views.push((name.as_str(), TensorView::new(Dtype::F32, vec![bytes.len() / 4], bytes).map_err(refused)?));
    }
    let metadata = [(STEPS.to_owned(), optimizer.steps().to_string())].into_iter().collect();
    safetensors::serialize(views, Some(metadata)).map_err(refused)
}

/// What files of all ranks hold of a saved optimiser.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SavedOptimizer {
    files: Vec<(String, Vec<u8>)>,
}

impl SavedOptimizer {
    /// Takes the files of all ranks that saved, by name.
    pub fn new(files: Vec<(String, Vec<u8>)>) -> Self {
        Self { files }
    }

    /// Puts an optimiser of any number of ranks into the saved state.
    ///
    /// # Errors
    /// A file is damaged, is of other parameters, or a number is missing.
    pub fn restore(&self, optimizer: &mut AdamW) -> Result<()> {
        let layout = optimizer.layout();
        let mut states: Vec<Vec<f32>> =
            layout.groups().iter().map(|group| vec![0f32; STATE_ROWS.len() * group.share]).collect();
        let (mut wanted, mut seen) = (BTreeMap::new(), BTreeSet::new());
        let mut missing = 0;
        for piece in layout.pieces() {
            missing += STATE_ROWS.len() * piece.of_parameter.len();
            wanted.insert(piece.member.name.as_str(), piece);
        }
        let mut steps = None;
        for (file, bytes) in &self.files {
            let refused = |reason: String| ModelError::Checkpoint(format!("{file}: {reason}"));
            let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|error| refused(error.to_string()))?;
            let count = metadata.metadata().as_ref().and_then(|entries| entries.get(STEPS)?.parse::<u64>().ok());
            let count = count.ok_or_else(|| refused("the number of updates is missing".to_owned()))?;
            if *steps.get_or_insert(count) != count {
                return Err(refused("it is of another step than the others".to_owned()));
            }
            for (name, view) in SafeTensors::deserialize(bytes).map_err(|error| refused(error.to_string()))?.iter() {
                let (row, parameter, start) = parse_name(name)
                    .ok_or_else(|| refused(format!("tensor {name} is no part of an optimiser's state")))?;
                let Some(piece) = wanted.get(parameter) else { continue };
                if view.dtype() != Dtype::F32 {
                    return Err(refused(format!("tensor {name} is not in f32")));
                }
                if !seen.insert(name.to_owned()) {
                    return Err(refused(format!("tensor {name} is in another file as well")));
                }
                let end = start.checked_add(view.data().len() / 4);
                let saved = start..end.ok_or_else(|| refused(format!("tensor {name} ends nowhere")))?;
                let from = saved.start.max(piece.of_parameter.start);
                let to = saved.end.min(piece.of_parameter.end);
                if from < to {
                    let bytes = view.data().as_chunks::<4>().0;
                    let numbers = bytes[from - start..to - start].iter().map(|bytes| f32::from_le_bytes(*bytes));
                    let share = layout.groups()[piece.group].share;
                    let place = row * share + piece.of_share.start + from - piece.of_parameter.start;
                    states[piece.group][place..].iter_mut().zip(numbers).for_each(|(place, number)| *place = number);
                    missing = missing.saturating_sub(to - from);
                }
            }
        }
        if missing > 0 {
            let reason = format!("{missing} numbers of the optimiser's state are missing: a rank's file is not there");
            return Err(ModelError::Checkpoint(reason));
        }
        let tensors = states.into_iter().zip(layout.groups()).map(|(numbers, group)| {
            Ok(Tensor::from_vec(numbers, (STATE_ROWS.len(), group.share), optimizer.device())?)
        });
        let tensors = tensors.collect::<Result<_>>()?;
        optimizer.restore(steps.unwrap_or(0), tensors)
    }
}

/// `kind/NAME/START` as (row, NAME, START).
fn parse_name(name: &str) -> Option<(usize, &str, usize)> {
    let (kind, rest) = name.split_once('/')?;
    let (parameter, start) = rest.rsplit_once('/')?;
    Some((STATE_ROWS.iter().position(|row| *row == kind)?, parameter, start.parse().ok()?))
}

#[cfg(test)]
#[path = "optimizer_state_tests.rs"]
mod tests;
