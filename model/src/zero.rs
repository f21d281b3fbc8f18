//! ZeRO stage 2: every rank holds all parameters, and a share of their gradients and of the optimiser's state.
//!
//! Parameters whose gradients are finished together form a group ([`StepModel::gradient_groups`]). A group's numbers lie one after the other
//! in one flat tensor, padded to a multiple of the ranks; rank r owns the r-th share of it. A finished group is reduce-scattered at once,
//! so that no rank ever holds all gradients of a large model.

use std::ops::Range;

use candle_core::{DType, Shape, Tensor};

use crate::collective::Collective;
use crate::error::{ModelError, Result};
use crate::qwen2::StepModel;
use crate::train_config::TrainedParameters;

/// A parameter's place in the flat tensor of its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The parameter's name.
    pub name: String,
    /// Its shape.
    pub shape: Shape,
    /// Where its numbers lie.
    pub place: Range<usize>,
}

/// Parameters that are reduced and updated together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The parameters, one after the other.
    pub members: Vec<Member>,
    /// Numbers that each rank owns.
    pub share: usize,
}

impl Group {
    /// Numbers of all parameters, without the padding.
    pub fn count(&self) -> usize {
        self.members.last().map_or(0, |member| member.place.end)
    }
}

/// Which rank owns what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    groups: Vec<Group>,
    rank: usize,
    ranks: usize,
}

/// A part of a parameter that this rank owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece<'a> {
    /// The group's index.
    pub group: usize,
    /// The parameter.
    pub member: &'a Member,
    /// The owned numbers of the parameter.
    pub of_parameter: Range<usize>,
    /// Where they lie in this rank's share of the group.
    pub of_share: Range<usize>,
}

impl Layout {
    /// Lays out the trained parameters of a model among ranks.
    pub fn new(model: &StepModel, trained: TrainedParameters, collective: &dyn Collective) -> Self {
        let ranks = collective.ranks();
        let groups = model.gradient_groups(trained).into_iter().map(|names| {
            let mut end = 0;
            let members: Vec<Member> = names
                .into_iter()
                .filter_map(|name| {
                    let shape = model.parameters().get(&name)?.shape().clone();
                    let place = end..end + shape.elem_count();
                    end = place.end;
                    Some(Member { name, shape, place })
                })
                .collect();
            Group { members, share: end.div_ceil(ranks) }
        });
        Self { groups: groups.collect(), rank: collective.rank(), ranks }
    }

    /// Returns the groups in the order in which their gradients are finished.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Lists what this rank owns.
    pub fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        self.groups.iter().enumerate().flat_map(move |(index, group)| {
            let own = self.rank * group.share..(self.rank + 1) * group.share;
            group.members.iter().filter_map(move |member| {
                let (start, end) = (member.place.start.max(own.start), member.place.end.min(own.end));
                (start < end).then(|| Piece {
                    group: index,
                    member,
                    of_parameter: start - member.place.start..end - member.place.start,
                    of_share: start - own.start..end - own.start,
                })
            })
        })
    }

    /// Lays tensors, a group's members in order, end to end, with zeros up to a multiple of the ranks.
    fn flat(&self, group: &Group, members: &[Tensor]) -> Result<Tensor> {
        let mut parts: Vec<Tensor> = members.iter().map(Tensor::flatten_all).collect::<candle_core::Result<_>>()?;
        let padding = group.share * self.ranks - group.count();
        if padding > 0 {
            parts.push(Tensor::zeros(padding, members[0].dtype(), members[0].device())?);
        }
        Ok(Tensor::cat(&parts, 0)?)
    }

    /// Returns this rank's share of the parameters themselves in f32.
    pub(crate) fn own_parameters(&self, model: &StepModel, group: &Group) -> Result<Tensor> {
        let members: Vec<Tensor> = group
            .members
            .iter()
            .filter_map(|member| Some(model.parameters().get(&member.name)?.as_detached_tensor()))
            .collect();
        let whole = self.flat(group, &members)?;
        Ok(whole.narrow(0, self.rank * group.share, group.share)?.to_dtype(DType::F32)?)
    }
}

/// Collects gradients of one optimiser step: each rank ends up with the sum over all passes and ranks of what it owns.
///
/// All ranks make the same number of passes, since each group is reduced among them as soon as it is finished.
pub struct ShardedGradients<'a> {
    layout: &'a Layout,
    model: &'a StepModel,
    collective: &'a dyn Collective,
    waiting: Vec<Tensor>,
    next_group: usize,
    sums: Vec<Option<Tensor>>,
}

impl<'a> ShardedGradients<'a> {
    /// Starts without a pass.
    pub fn new(layout: &'a Layout, model: &'a StepModel, collective: &'a dyn Collective) -> Self {
        let sums = layout.groups.iter().map(|_| None).collect();
        Self { layout, model, collective, waiting: Vec::new(), next_group: 0, sums }
    }

    /// Takes a finished gradient, in the order of the layout's groups.
    ///
    /// # Errors
    /// Another gradient was due, or a rank is gone.
    pub fn take(&mut self, name: &str, gradient: Tensor) -> Result<()> {
        let due = self.layout.groups.get(self.next_group).and_then(|group| group.members.get(self.waiting.len()));
        if due.is_none_or(|member| member.name != name) {
            let due = due.map_or("no gradient", |member| member.name.as_str());
            return Err(ModelError::Input(format!("the gradient of {name} came where {due} was due")));
        }
        self.waiting.push(gradient);
        let group = &self.layout.groups[self.next_group];
        if self.waiting.len() < group.members.len() {
            return Ok(());
        }
        let whole = self.layout.flat(group, &self.waiting)?;
        self.waiting.clear();
        self.reduce(whole)
    }

    /// Takes part in a pass of the other ranks without having a sequence.
    ///
    /// # Errors
    /// A rank is gone.
    pub fn take_nothing(&mut self) -> Result<()> {
        for group in &self.layout.groups {
            let zeros = Tensor::zeros(group.share * self.layout.ranks, self.model.dtype(), self.model.device())?;
            self.reduce(zeros)?;
        }
        Ok(())
    }

    fn reduce(&mut self, whole: Tensor) -> Result<()> {
        let own = self.collective.reduce_scatter(&whole)?.to_dtype(DType::F32)?;
        let sum = &mut self.sums[self.next_group];
        *sum = Some(match sum.take() {
            Some(before) => (before + own)?,
            None => own,
        });
        self.next_group = (self.next_group + 1) % self.layout.groups.len();
        Ok(())
    }

    /// Returns this rank's share of each group's gradient in f32, in the layout's order.
    ///
    /// # Errors
    /// A pass is not complete, or there was none.
    pub fn finish(self) -> Result<Vec<Tensor>> {
        if self.next_group != 0 || !self.waiting.is_empty() {
            return Err(ModelError::Input("a pass ended before all gradients were there".to_owned()));
        }
        let sums: Option<Vec<Tensor>> = self.sums.into_iter().collect();
        sums.ok_or_else(|| ModelError::Input("an optimiser step needs at least one pass".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::collective::threads::with_ranks;
    use crate::config::Qwen2Config;

    fn model() -> StepModel {
        StepModel::random(Qwen2Config::small(301), 1).unwrap()
    }

    #[test]
    fn every_number_of_every_parameter_has_one_owner() {
        for ranks in [1, 2, 3, 7] {
            let mut owned = std::collections::BTreeMap::<String, Vec<Range<usize>>>::new();
            let layouts = with_ranks(ranks, |rank| Layout::new(&model(), TrainedParameters::All, rank));
            for layout in &layouts {
                for piece in layout.pieces() {
                    assert_eq!(piece.of_share.len(), piece.of_parameter.len());
                    assert!(piece.of_share.end <= layout.groups()[piece.group].share);
                    owned.entry(piece.member.name.clone()).or_default().push(piece.of_parameter);
                }
            }
            for (name, parameter) in model().parameters() {
                let mut end = 0;
                for piece in &owned[name] {
                    assert_eq!(piece.start, end, "{name} among {ranks}");
                    end = piece.end;
                }
                assert_eq!(end, parameter.elem_count(), "{name} among {ranks}");
            }
        }
    }

    #[test]
    fn shares_of_all_ranks_are_the_sum_of_their_gradients() {
        let shares = with_ranks(3, |rank| {
            let model = model();
            let layout = Layout::new(&model, TrainedParameters::All, rank);
            let mut gradients = ShardedGradients::new(&layout, &model, rank);
            for pass in 0..2 {
                if rank.rank() == 1 && pass == 1 {
                    gradients.take_nothing().unwrap();
                    continue;
                }
                for member in layout.groups().iter().flat_map(|group| &group.members) {
                    let numbers: Vec<f32> = (0..member.shape.elem_count()).map(|at| (at % 97) as f32).collect();
                    let gradient = Tensor::from_vec(numbers, member.shape.clone(), model.device()).unwrap();
                    gradients.take(&member.name, gradient).unwrap();
                }
            }
            gradients.finish().unwrap().iter().map(|share| share.to_vec1::<f32>().unwrap()).collect::<Vec<_>>()
        });
        let model = model();
        let layout = Layout::new(&model, TrainedParameters::All, &crate::collective::OneRank);
        for (index, group) in layout.groups().iter().enumerate() {
            let whole: Vec<f32> = shares.iter().flat_map(|of_rank| of_rank[index].clone()).collect();
            for member in &group.members {
                for (at, number) in whole[member.place.clone()].iter().enumerate() {
                    assert_eq!(*number, 5.0 * (at % 97) as f32);
                }
            }
            assert!(whole[group.count()..].iter().all(|padding| *padding == 0.0));
        }
    }

    #[test]
    fn a_gradient_out_of_order_is_refused() {
        let model = model();
        let layout = Layout::new(&model, TrainedParameters::Head, &crate::collective::OneRank);
        let mut gradients = ShardedGradients::new(&layout, &model, &crate::collective::OneRank);
        let zeros = model.parameters()["score.weight"].zeros_like().unwrap();
        assert!(gradients.take("score.weight", zeros.clone()).unwrap_err().to_string().contains("score.bias was due"));
        gradients.take("score.bias", zeros.clone()).unwrap();
        assert!(gradients.finish().is_err());
    }
}
