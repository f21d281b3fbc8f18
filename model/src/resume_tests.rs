//! Stopping and going on, with one rank and with several.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::tests::{bits, config, mixed, samples, tiny};
use super::*;
use crate::collective::OneRank;
use crate::collective::threads::with_ranks;
use crate::optimizer_state::write_optimizer;

/// What a checkpoint holds: state, weights by name and this rank's optimiser file.
type Saved = (TrainState, Vec<(String, candle_core::Tensor)>, Vec<u8>);

/// Remembers the losses and the last checkpoint; ends the run after a number of steps.
struct Recorder {
    losses: Vec<f64>,
    end_after: u64,
    saved: Option<Saved>,
}

impl TrainObserver for Recorder {
    fn step(&mut self, metrics: &StepMetrics) -> ControlFlow<()> {
        self.losses.push(metrics.loss);
        if metrics.step + 1 == self.end_after { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn checkpoint(&mut self, snapshot: Snapshot) -> Result<()> {
        let weights = snapshot.model.parameters().iter();
        let weights = weights.map(|(name, parameter)| (name.clone(), parameter.as_tensor().copy().unwrap())).collect();
        // As it would be read from a file.
        let state = serde_json::from_str(&serde_json::to_string(snapshot.state).unwrap()).unwrap();
        self.saved = Some((state, weights, write_optimizer(snapshot.optimizer)?));
        Ok(())
    }
}

/// Trains until `end_after` steps; from a checkpoint's weights, state and the optimiser files of all ranks, if given.
fn part(
    collective: &dyn Collective,
    from: Option<(&Saved, SavedOptimizer)>,
    end_after: u64,
) -> (StepModel, Recorder, TrainSummary) {
    part_of(tiny(), collective, from, end_after)
}

/// As [`part`], of a model.
fn part_of(
    model: StepModel,
    collective: &dyn Collective,
    from: Option<(&Saved, SavedOptimizer)>,
    end_after: u64,
) -> (StepModel, Recorder, TrainSummary) {
    let start = from.map(|((state, weights, _), optimizer)| {
        weights.iter().for_each(|(name, weight)| model.parameters()[name].set(weight).unwrap());
        (state.clone(), optimizer)
    });
    let source = mixed(samples(11));
    let cadence = Cadence { checkpoint_every: Some(3), evaluate_every: None };
    let config = config(3);
    let training = Training { cadence, collective, ..Training::alone(&model, &source, &config) };
    let mut recorder = Recorder { losses: Vec::new(), end_after, saved: None };
    let summary = training.run(start, &mut recorder).unwrap();
    (model, recorder, summary)
}

fn alone(saved: &Saved) -> SavedOptimizer {
    SavedOptimizer::new(vec![("optimizer".to_owned(), saved.2.clone())])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn a_run_stopped_anywhere_goes_on_bit_by_bit(first in 1u64..12, second in 1u64..12) {
        let (through, whole, summary) = part(&OneRank, None, 0);
        let (_, stopped, _) = part(&OneRank, None, first);
        let saved = stopped.saved.unwrap();
        let (model, going_on, _) = part(&OneRank, Some((&saved, alone(&saved))), first + second);
        let mut losses = stopped.losses.clone();
        losses.extend(&going_on.losses);
        let (model, losses, found) = match going_on.saved.filter(|_| first + second < whole.losses.len() as u64) {
            None => (model, losses, None),
            Some(saved) => {
                let (model, last, summary) = part(&OneRank, Some((&saved, alone(&saved))), 0);
                losses.extend(last.losses);
                (model, losses, Some(summary))
            }
        };
        prop_assert_eq!(&losses, &whole.losses);
        prop_assert_eq!(bits(&model), bits(&through));
        if let Some(found) = found {
            prop_assert_eq!(found, summary);
        }
    }
}

#[test]
fn half_precision_goes_on_bit_by_bit() {
    let half = || tiny().to(candle_core::DType::BF16, &candle_core::Device::Cpu).unwrap();
    let (through, whole, _) = part_of(half(), &OneRank, None, 0);
    let (_, stopped, _) = part_of(half(), &OneRank, None, 7);
    let saved = stopped.saved.unwrap();
    let (model, going_on, _) = part_of(half(), &OneRank, Some((&saved, alone(&saved))), 0);
    assert_eq!(bits(&model), bits(&through));
    assert_eq!(whole.losses[7..], going_on.losses);
}

#[test]
fn any_number_of_ranks_sees_the_same_batches_and_losses() {
    let (model, one, summary) = part(&OneRank, None, 0);
    for ranks in [2, 4] {
        for (other, recorder, found) in with_ranks(ranks, |rank| part(rank, None, 0)) {
            assert_eq!((found.steps, found.tokens), (summary.steps, summary.tokens));
            for (left, right) in one.losses.iter().zip(&recorder.losses) {
                assert!((left - right).abs() < 1e-4, "{left} and {right} with {ranks} ranks");
            }
            for (left, right) in bits(&model).iter().zip(bits(&other)) {
                let (left, right) = (f32::from_bits(*left), f32::from_bits(right));
                assert!((left - right).abs() < 1e-3, "{left} and {right} with {ranks} ranks");
            }
        }
    }
}

#[test]
fn two_ranks_go_on_from_what_four_saved() {
    let (_, through, _) = part(&OneRank, None, 0);
    let saved: Vec<Saved> =
        with_ranks(4, |rank| part(rank, None, 6)).into_iter().map(|(_, recorder, _)| recorder.saved.unwrap()).collect();
    let files = saved.iter().enumerate().map(|(rank, saved)| (format!("optimizer-{rank}"), saved.2.clone())).collect();
    let optimizer = SavedOptimizer::new(files);
    for (_, recorder, _) in with_ranks(2, |rank| part(rank, Some((&saved[0], optimizer.clone())), 0)) {
        for (left, right) in through.losses[6..].iter().zip(&recorder.losses) {
            assert!((left - right).abs() < 1e-4, "{left} and {right}");
        }
        assert_eq!(through.losses.len(), 6 + recorder.losses.len());
    }
}
