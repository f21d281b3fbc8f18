//! Sets of numbers that are joined one by one.

/// Keeps the numbers from 0 to n - 1 in disjoint sets; a set is known by its smallest number, whatever the order of the unions.
#[derive(Debug, Clone)]
pub struct UnionFind {
    /// Another number of the set, never a larger one; the number itself where it is the smallest.
    parents: Vec<u32>,
}

impl UnionFind {
    /// Starts with every number in a set of its own.
    pub fn new(numbers: usize) -> UnionFind {
        UnionFind { parents: (0..numbers as u32).collect() }
    }

    /// Returns the smallest number of a number's set, and shortens the way to it.
    pub fn find(&mut self, number: u32) -> u32 {
        let mut at = number;
        loop {
            let parent = self.parent(at);
            if parent == at {
                return at;
            }
            let grandparent = self.parent(parent);
            if let Some(shortened) = self.parents.get_mut(at as usize) {
                *shortened = grandparent;
            }
            at = grandparent;
        }
    }

    /// Joins the sets of two numbers and says whether they were two.
    pub fn union(&mut self, first: u32, second: u32) -> bool {
        let (first, second) = (self.find(first), self.find(second));
        let (smaller, larger) = (first.min(second), first.max(second));
        if let Some(parent) = self.parents.get_mut(larger as usize) {
            *parent = smaller;
        }
        first != second
    }

    /// Returns how many numbers are in the set of each smallest number; 0 for all others.
    pub fn sizes(&mut self) -> Vec<u32> {
        let mut sizes = vec![0; self.parents.len()];
        for number in 0..self.parents.len() as u32 {
            let smallest = self.find(number);
            if let Some(size) = sizes.get_mut(smallest as usize) {
                *size += 1;
            }
        }
        sizes
    }

    fn parent(&self, number: u32) -> u32 {
        self.parents.get(number as usize).copied().unwrap_or(number)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The sets by repeated passes over all edges, until nothing changes.
    fn closure(numbers: usize, edges: &[(u32, u32)]) -> Vec<u32> {
        let mut smallest: Vec<u32> = (0..numbers as u32).collect();
        loop {
            let before = smallest.clone();
            for (first, second) in edges {
                let least = smallest[*first as usize].min(smallest[*second as usize]);
                smallest[*first as usize] = least;
                smallest[*second as usize] = least;
            }
            if smallest == before {
                return smallest;
            }
        }
    }

    proptest! {
        #[test]
        fn the_sets_are_those_of_a_naive_closure_in_any_order_of_unions(
            edges in prop::collection::vec((0u32..40, 0u32..40), 0..60),
        ) {
            let expected = closure(40, &edges);
            for edges in [edges.clone(), edges.iter().rev().map(|(first, second)| (*second, *first)).collect()] {
                let mut sets = UnionFind::new(40);
                let joined = edges.iter().filter(|(first, second)| sets.union(*first, *second)).count();
                let found: Vec<u32> = (0..40).map(|number| sets.find(number)).collect();
                prop_assert_eq!(&found, &expected);
                let sizes = sets.sizes();
                prop_assert_eq!(sizes.iter().sum::<u32>(), 40);
                prop_assert_eq!(sizes.iter().filter(|size| **size > 0).count() + joined, 40);
            }
        }
    }
}
