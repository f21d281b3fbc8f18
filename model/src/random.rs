//! A small seeded generator whose numbers stay the same across platforms and library versions.

/// Yields reproducible pseudo-random numbers (SplitMix64).
#[derive(Debug, Clone)]
pub struct SeededRng {
    state: u64,
}

impl SeededRng {
    /// Starts a stream; streams of one seed with different names are independent of each other.
    pub fn new(seed: u64, name: &str) -> Self {
        Self { state: stable_hash(&[&seed.to_le_bytes(), name.as_bytes()]) }
    }

    /// Returns the next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number in (0, 1).
    pub fn uniform(&mut self) -> f64 {
        ((self.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// Returns a number of the standard normal distribution (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Returns `count` normal numbers with mean 0 and the given standard deviation.
    pub fn normals(&mut self, count: usize, deviation: f64) -> Vec<f32> {
        (0..count).map(|_| (self.normal() * deviation) as f32).collect()
    }
}

/// Hashes parts to 64 bits, the same everywhere; parts are framed by their length.
pub fn stable_hash(parts: &[&[u8]]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let mut first = [0u8; 8];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_le_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normals_have_mean_zero_and_the_asked_deviation() {
        let values = SeededRng::new(7, "test").normals(20_000, 0.5);
        let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / 20_000.0;
        let square = values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / 20_000.0;
        assert!(mean.abs() < 0.02, "{mean}");
        assert!((square.sqrt() - 0.5).abs() < 0.02, "{square}");
    }

    #[test]
    fn streams_differ_by_seed_and_by_name() {
        let first = SeededRng::new(1, "a").next_u64();
        assert_eq!(first, SeededRng::new(1, "a").next_u64());
        assert_ne!(first, SeededRng::new(2, "a").next_u64());
        assert_ne!(first, SeededRng::new(1, "b").next_u64());
    }
}
