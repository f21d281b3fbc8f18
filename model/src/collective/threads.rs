//! Ranks as threads of one process, so that tests of several ranks need no launcher.

use std::sync::{Arc, Barrier, Mutex, PoisonError};

use candle_core::{Device, Tensor};

use super::{Collective, require_shares, sum_in_order};
use crate::error::Result;

/// What the ranks hand each other: a place for each.
struct Exchange {
    barrier: Barrier,
    places: Mutex<Vec<Vec<u8>>>,
}

/// One rank of several in this process.
pub struct ThreadRank {
    rank: usize,
    ranks: usize,
    exchange: Arc<Exchange>,
}

/// Runs a function once per rank, each on a thread of its own; results in the order of ranks.
pub fn with_ranks<T: Send>(ranks: usize, call: impl Fn(&ThreadRank) -> T + Sync) -> Vec<T> {
    let exchange = Arc::new(Exchange { barrier: Barrier::new(ranks), places: Mutex::new(vec![Vec::new(); ranks]) });
    std::thread::scope(|scope| {
        let call = &call;
        let start = |rank| {
            let own = ThreadRank { rank, ranks, exchange: exchange.clone() };
            scope.spawn(move || call(&own))
        };
        let threads: Vec<_> = (0..ranks).map(start).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

impl ThreadRank {
    /// Puts down this rank's bytes and returns those of all.
    fn share(&self, bytes: Vec<u8>) -> Vec<Vec<u8>> {
        let places = || self.exchange.places.lock().unwrap_or_else(PoisonError::into_inner);
        places()[self.rank] = bytes;
        self.exchange.barrier.wait();
        let all = places().clone();
        self.exchange.barrier.wait();
        all
    }

    fn share_numbers(&self, tensor: &Tensor) -> Result<Vec<Vec<f32>>> {
        let bytes = tensor.to_vec1::<f32>()?.iter().flat_map(|value| value.to_le_bytes()).collect();
        let number = |bytes: &[u8]| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        Ok(self.share(bytes).iter().map(|bytes| bytes.chunks_exact(4).map(number).collect()).collect())
    }
}

impl Collective for ThreadRank {
    fn rank(&self) -> usize {
        self.rank
    }

    fn ranks(&self) -> usize {
        self.ranks
    }

    fn sum(&self, values: &mut [f64]) -> Result<()> {
        let shared = self.share(values.iter().flat_map(|value| value.to_le_bytes()).collect());
        let numbers =
            |bytes: &Vec<u8>| bytes.as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
        let numbers: Vec<Vec<f64>> = shared.iter().map(numbers).collect();
        sum_in_order(values, &numbers.concat());
        Ok(())
    }

    fn reduce_scatter(&self, whole: &Tensor) -> Result<Tensor> {
        let count = whole.dim(0)?;
        require_shares(count, self.ranks)?;
        let own = count / self.ranks;
        let mut sums = vec![0f32; own];
        for numbers in self.share_numbers(whole)? {
            sums.iter_mut().zip(&numbers[self.rank * own..]).for_each(|(sum, number)| *sum += number);
        }
        Ok(Tensor::from_vec(sums, own, &Device::Cpu)?)
    }

    fn all_gather(&self, part: &Tensor) -> Result<Tensor> {
        let all = self.share_numbers(part)?.concat();
        let count = all.len();
        Ok(Tensor::from_vec(all, count, &Device::Cpu)?)
    }

    fn broadcast(&self, bytes: Vec<u8>) -> Result<Vec<u8>> {
        Ok(self.share(bytes).swap_remove(0))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn ranks_sum_scatter_and_gather() {
        let results = with_ranks(3, |rank| {
            let own = rank.rank() as f32;
            let whole = Tensor::from_vec((0..6).map(|i| i as f32 + own).collect::<Vec<_>>(), 6, &Device::Cpu).unwrap();
            let part = rank.reduce_scatter(&whole).unwrap();
            let mut sums = [f64::from(own), 1.0];
            rank.sum(&mut sums).unwrap();
            let gathered = rank.all_gather(&part).unwrap().to_vec1::<f32>().unwrap();
            (part.to_vec1::<f32>().unwrap(), sums, gathered, rank.broadcast(vec![rank.rank() as u8]).unwrap())
        });
        for (rank, (part, sums, gathered, bytes)) in results.into_iter().enumerate() {
            let expected: Vec<f32> = (0..6).map(|i| 3.0 * i as f32 + 3.0).collect();
            assert_eq!(part, expected[2 * rank..2 * rank + 2]);
            assert_eq!((sums, gathered, bytes), ([3.0, 3.0], expected, vec![0]));
        }
    }
}
