//! A state saved by one number of ranks goes on with another.
#![allow(clippy::unwrap_used)]

use candle_core::Device;

use super::*;
use crate::collective::threads::with_ranks;
use crate::collective::{Collective, OneRank};
use crate::config::Qwen2Config;
use crate::optimizer::AdamWConfig;
use crate::qwen2::StepModel;
use crate::train_config::TrainedParameters;
use crate::zero::Layout;

const CONFIG: AdamWConfig = AdamWConfig { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weight_decay: 0.1 };

fn fresh(collective: &dyn Collective) -> (StepModel, AdamW) {
    let model = StepModel::random(Qwen2Config { num_hidden_layers: 1, ..Qwen2Config::small(301) }, 3).unwrap();
    let layout = Layout::new(&model, TrainedParameters::All, collective);
    let optimizer = AdamW::new(CONFIG, layout, &model).unwrap();
    (model, optimizer)
}

/// The same update of every number, whoever owns it.
fn step(model: &StepModel, optimizer: &mut AdamW, collective: &dyn Collective) {
    let shares = optimizer.layout().groups().iter().map(|group| group.share).collect::<Vec<_>>();
    let gradients: Vec<Tensor> = shares
        .iter()
        .map(|share| (Tensor::ones(*share, candle_core::DType::F32, &Device::Cpu).unwrap() * 0.3).unwrap())
        .collect();
    optimizer.step(model, &gradients, 1.0, 0.01, collective).unwrap();
}

fn numbers(model: &StepModel) -> Vec<f32> {
    model.parameters().values().flat_map(|p| p.flatten_all().unwrap().to_vec1::<f32>().unwrap()).collect()
}

/// Files of a state after two updates.
fn saved_by(ranks: usize) -> Vec<(String, Vec<u8>)> {
    let files = with_ranks(ranks, |rank| {
        let (model, mut optimizer) = fresh(rank);
        step(&model, &mut optimizer, rank);
        step(&model, &mut optimizer, rank);
        write_optimizer(&optimizer).unwrap()
    });
    files.into_iter().enumerate().map(|(rank, bytes)| (format!("optimizer-{rank}"), bytes)).collect()
}

#[test]
fn any_number_of_ranks_goes_on_from_any_other() {
    let (model, mut optimizer) = fresh(&OneRank);
    for _ in 0..3 {
        step(&model, &mut optimizer, &OneRank);
    }
    let expected = numbers(&model);
    for saved_ranks in [1, 2, 4] {
        let saved = SavedOptimizer::new(saved_by(saved_ranks));
        for ranks in [1, 2, 3] {
            let resumed = with_ranks(ranks, |rank| {
                let (model, mut optimizer) = fresh(rank);
                saved.restore(&mut optimizer).unwrap();
                assert_eq!(optimizer.steps(), 2);
                step(&model, &mut optimizer, rank);
                numbers(&model)
            });
            assert!(resumed.iter().all(|found| *found == expected), "saved by {saved_ranks}, resumed by {ranks}");
        }
    }
}

#[test]
fn a_missing_rank_and_a_damaged_file_are_named() {
    let mut files = saved_by(2);
    files[1].1.truncate(100);
    let (_, mut optimizer) = fresh(&OneRank);
    let error = SavedOptimizer::new(files.clone()).restore(&mut optimizer).unwrap_err();
    assert!(error.to_string().contains("optimizer-1"), "{error}");
    files.pop();
    let error = SavedOptimizer::new(files).restore(&mut optimizer).unwrap_err();
    assert!(error.to_string().contains("missing"), "{error}");
}
