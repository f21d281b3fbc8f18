//! Seeded choices: what a record looks like depends on the seed and its number alone.

use std::fmt::Write;

/// Draws what one record needs.
pub struct Draw(fastrand::Rng);

impl Draw {
    /// Starts the draws of one record.
    pub fn new(seed: u64, number: u64) -> Draw {
        Draw(fastrand::Rng::with_seed(mix(mix(seed) ^ number)))
    }

    /// Draws 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0.u64(..)
    }

    /// Draws a number below `end`, which must not be 0.
    pub fn below(&mut self, end: usize) -> usize {
        self.0.usize(..end)
    }

    /// Draws one of the items, of which there must be one.
    pub fn pick<'items, T>(&mut self, items: &'items [T]) -> &'items T {
        &items[self.below(items.len())]
    }

    /// Is true in this share of draws.
    pub fn chance(&mut self, share: f64) -> bool {
        self.0.f64() < share
    }

    /// Draws a size that is log-normal around its median; `sigma` is the spread of its logarithm.
    pub fn log_normal(&mut self, median: f64, sigma: f64) -> usize {
        // Box and Muller; 1 - x keeps the logarithm's argument away from 0.
        let radius = (-2.0 * (1.0 - self.0.f64()).ln()).sqrt();
        let normal = radius * (std::f64::consts::TAU * self.0.f64()).cos();
        (median * (sigma * normal).exp()) as usize
    }

    /// Draws a count of 1 or more; each further one has the given chance.
    pub fn at_least_one(&mut self, further: f64) -> usize {
        let mut count = 1;
        while count < 12 && self.chance(further) {
            count += 1;
        }
        count
    }

    /// Draws a commit's identifier, 40 hexadecimal digits.
    pub fn commit(&mut self) -> String {
        let mut text = String::with_capacity(48);
        for _ in 0..3 {
            // Writing to a string cannot fail.
            let _ = write!(text, "{:016x}", self.bits());
        }
        text.truncate(40);
        text
    }

    /// Draws a day of the years 2008 to 2023: year, month, day.
    pub fn day(&mut self) -> (usize, usize, usize) {
        (2008 + self.below(16), 1 + self.below(12), 1 + self.below(28))
    }
}

/// Spreads a number over 64 bits (the finisher of SplitMix64).
pub fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
