//! The order of an epoch: a function of seed, epoch, keys and repeats alone.

use crate::examples::Listed;
use crate::random::stable_hash;

/// Returns the order of an epoch as indices into a source's listing, each as often as its example repeats; the order
/// in which the source has its examples plays no part, nor do ranks and workers.
///
/// An epoch is a circle. A hash of seed, epoch and key says where an example stands on it. An example of n repeats
/// stands there first and then once in the first half of each further nth of the circle, where a hash of the repeat
/// says. So two copies are at least half an nth of the circle apart, and meet other neighbours each time.
pub fn epoch_order(seed: u64, epoch: u64, listed: &[Listed]) -> Vec<usize> {
    let (seed, epoch) = (seed.to_le_bytes(), epoch.to_le_bytes());
    let mut order: Vec<(u64, usize)> = Vec::new();
    for (index, Listed { key, repeats, .. }) in listed.iter().enumerate() {
        let start = stable_hash(&[&seed, &epoch, key.as_bytes()]);
        order.push((start, index));
        for repeat in 1..*repeats {
            let within = stable_hash(&[&seed, &epoch, key.as_bytes(), &repeat.to_le_bytes()]) / 2;
            let turn = ((u128::from(repeat) << 64) + u128::from(within)) / u128::from(*repeats);
            order.push((start.wrapping_add(turn as u64), index));
        }
    }
    order.sort_unstable_by(|left, right| {
        left.0.cmp(&right.0).then_with(|| listed[left.1].key.cmp(&listed[right.1].key))
    });
    order.into_iter().map(|(_, index)| index).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn mixture(repeats: &[(String, u32)]) -> Vec<Listed> {
        let listed =
            |(key, repeats): &(String, u32)| Listed { key: key.clone(), repeats: *repeats, ..Listed::default() };
        repeats.iter().map(listed).collect()
    }

    fn named(repeats: &[(String, u32)], seed: u64, epoch: u64) -> Vec<String> {
        epoch_order(seed, epoch, &mixture(repeats)).into_iter().map(|index| repeats[index].0.clone()).collect()
    }

    proptest! {
        #[test]
        fn an_epoch_sees_each_example_as_often_as_it_repeats_in_whatever_order_it_is_handed_in(
            repeats in prop::collection::vec(1u32..9, 1..40), seed: u64, epoch: u64, rotation in 0usize..40
        ) {
            let given: Vec<(String, u32)> =
                repeats.iter().enumerate().map(|(n, repeats)| (format!("sample-{n}"), *repeats)).collect();
            let order = named(&given, seed, epoch);
            for (key, repeats) in &given {
                prop_assert_eq!(order.iter().filter(|seen| *seen == key).count(), *repeats as usize);
            }
            let mut turned = given.clone();
            turned.rotate_left(rotation % given.len());
            turned.reverse();
            prop_assert_eq!(named(&turned, seed, epoch), order);
        }
    }

    #[test]
    fn epochs_and_seeds_have_orders_of_their_own() {
        let given: Vec<(String, u32)> = (0..50).map(|n| (format!("sample-{n}"), 1 + n % 3)).collect();
        let order = named(&given, 3, 0);
        assert_ne!(order, named(&given, 3, 1));
        assert_ne!(order, named(&given, 4, 0));
        let sorted = order.windows(2).filter(|pair| pair[0] <= pair[1]).count();
        assert!((30..70).contains(&sorted), "{sorted} of {} neighbours ascend", order.len() - 1);
    }

    #[test]
    fn an_example_that_does_not_repeat_keeps_its_place_among_its_like_when_others_repeat() {
        let given = |others: u32| -> Vec<(String, u32)> {
            (0..60).map(|n| (format!("sample-{n:02}"), if n < 20 { others } else { 1 })).collect()
        };
        let once = |order: Vec<String>| order.into_iter().filter(|key| key.as_str() >= "sample-20").collect::<Vec<_>>();
        assert_eq!(once(named(&given(1), 5, 2)), once(named(&given(40), 5, 2)));
    }

    #[test]
    fn copies_of_an_example_are_spread_over_the_epoch() {
        // As where a small dataset of 20 examples is repeated 40 times beside a large one.
        let given: Vec<(String, u32)> =
            (0..1020).map(|n| (format!("sample-{n}"), if n < 20 { 40 } else { 1 })).collect();
        for seed in 0..20 {
            let order = epoch_order(seed, 0, &mixture(&given));
            assert_eq!(order.len(), 1800);
            for copied in 0..20 {
                let places: Vec<usize> =
                    order.iter().enumerate().filter(|(_, index)| **index == copied).map(|(place, _)| place).collect();
                let nearest = places.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap();
                // An even spread would be 45 apart, the least that the places allow is about half of it.
                assert!(nearest >= 10, "seed {seed}: copies of {copied} are {nearest} apart");
            }
        }
    }
}
