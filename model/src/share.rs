//! How a batch is shared out among ranks: a function of its lengths alone, so that every rank knows what all do.

/// Returns for each rank its passes, each a list of indices into `tokens`, in the batch's order.
///
/// The longest sequence goes first, to the rank with the fewest tokens. A pass holds whole sequences of up to `pass_tokens` tokens together,
/// at least one. Ranks may have different numbers of passes.
pub fn share_batch(tokens: &[u32], ranks: usize, pass_tokens: usize) -> Vec<Vec<Vec<usize>>> {
    let mut longest_first: Vec<usize> = (0..tokens.len()).collect();
    longest_first.sort_by_key(|index| (std::cmp::Reverse(tokens[*index]), *index));
    let mut loads = vec![0u64; ranks];
    let mut owned = vec![Vec::new(); ranks];
    for index in longest_first {
        let least = (0..ranks).min_by_key(|rank| (loads[*rank], *rank)).unwrap_or(0);
        loads[least] += u64::from(tokens[index]);
        owned[least].push(index);
    }
    let passes = |mut indices: Vec<usize>| {
        indices.sort_unstable();
        let mut passes: Vec<Vec<usize>> = Vec::new();
        let mut size = 0;
        for index in indices {
            let length = tokens[index] as usize;
            match passes.last_mut() {
                Some(pass) if size + length <= pass_tokens => pass.push(index),
                _ => {
                    passes.push(vec![index]);
                    size = 0;
                }
            }
            size += length;
        }
        passes
    };
    owned.into_iter().map(passes).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_sequence_runs_on_one_rank_in_one_pass(
            tokens in prop::collection::vec(1u32..500, 0..40), ranks in 1usize..6, pass_tokens in 1usize..900
        ) {
            let shares = share_batch(&tokens, ranks, pass_tokens);
            prop_assert_eq!(shares.len(), ranks);
            let mut seen: Vec<usize> = shares.iter().flatten().flatten().copied().collect();
            for share in &shares {
                let order: Vec<usize> = share.iter().flatten().copied().collect();
                prop_assert!(order.is_sorted(), "a rank reads in the batch's order");
                for pass in share {
                    let size: usize = pass.iter().map(|index| tokens[*index] as usize).sum();
                    prop_assert!(pass.len() == 1 || size <= pass_tokens);
                }
            }
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..tokens.len()).collect::<Vec<_>>());
            let loads: Vec<u64> =
                shares.iter().map(|share| share.iter().flatten().map(|index| u64::from(tokens[*index])).sum()).collect();
            let (most, least) = (loads.iter().max().copied().unwrap_or(0), loads.iter().min().copied().unwrap_or(0));
            prop_assert!(most - least <= u64::from(tokens.iter().max().copied().unwrap_or(0)));
        }
    }

    #[test]
    fn one_rank_takes_all_in_order() {
        assert_eq!(share_batch(&[5, 9, 2, 4], 1, 11), [[vec![0], vec![1, 2], vec![3]]]);
        assert_eq!(share_batch(&[5, 9, 2], 2, 100), [vec![vec![1]], vec![vec![0, 2]]]);
    }
}
