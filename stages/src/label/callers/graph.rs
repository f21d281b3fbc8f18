//! Which function calls which, and how far each is from a vulnerable one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::functions::Functions;
use super::syntax::{are_kin, may_mean};

/// The calls between the functions of a version whose names have one definition in it.
pub(super) struct CallGraph {
    /// Callers of each function, with the lines of their calls.
    callers: Vec<BTreeMap<usize, BTreeSet<u32>>>,
}

/// A vulnerable function that a function reaches, over how many calls, and which function it calls first on the way.
#[derive(Clone, Copy)]
struct Reached {
    vulnerable: usize,
    calls: u32,
    first: usize,
}

/// The shortest ways from functions to vulnerable ones.
pub(super) struct Ways {
    /// The two nearest vulnerable functions of each function, itself included where it is one.
    reached: Vec<Vec<Reached>>,
}

impl CallGraph {
    /// Resolves the calls. A name that two functions have, or a function and a macro, is not resolved.
    pub(super) fn of(all: &Functions) -> CallGraph {
        let mut by_name: BTreeMap<&str, Option<usize>> = BTreeMap::new();
        for (index, function) in all.functions.iter().enumerate() {
            if let Some(name) = &function.name {
                by_name.entry(name).and_modify(|only| *only = None).or_insert(Some(index));
            }
        }
        for name in &all.macros {
            by_name.insert(name, None);
        }
        let mut callers = vec![BTreeMap::<usize, BTreeSet<u32>>::new(); all.functions.len()];
        for call in &all.calls {
            let Some(Some(target)) = by_name.get(call.name.as_str()) else { continue };
            let (Some(caller), Some(function)) = (all.functions.get(call.caller), all.functions.get(*target)) else {
                continue;
            };
            let means = are_kin(caller.language, function.language)
                && may_mean(caller.language, call.naming, caller.reach, function.reach);
            if means && call.caller != *target {
                callers[*target].entry(call.caller).or_default().insert(call.line);
            }
        }
        CallGraph { callers }
    }

    /// Makes a graph of bare edges, caller first.
    #[cfg(test)]
    pub(super) fn of_edges(functions: usize, edges: &[(usize, usize)]) -> CallGraph {
        let mut callers = vec![BTreeMap::<usize, BTreeSet<u32>>::new(); functions];
        for (caller, target) in edges.iter().filter(|(caller, target)| caller != target) {
            callers[*target].entry(*caller).or_default().insert(1);
        }
        CallGraph { callers }
    }

    /// Finds the nearest vulnerable functions that each function reaches.
    ///
    /// Breadth first from all vulnerable functions at once. Each function keeps the two nearest that it reaches, so that
    /// a vulnerable one has another than itself; two are enough, and end every cycle. More vulnerable functions make no
    /// way longer.
    pub(super) fn ways(&self, vulnerable: &BTreeSet<usize>) -> Ways {
        let mut reached: Vec<Vec<Reached>> = vec![Vec::new(); self.callers.len()];
        let mut queue = VecDeque::new();
        for function in vulnerable.iter().filter(|function| **function < self.callers.len()) {
            let itself = Reached { vulnerable: *function, calls: 0, first: *function };
            reached[*function].push(itself);
            queue.push_back((*function, itself));
        }
        while let Some((function, found)) = queue.pop_front() {
            for caller in self.callers[function].keys() {
                let known = &mut reached[*caller];
                if known.len() < 2 && known.iter().all(|other| other.vulnerable != found.vulnerable) {
                    let further = Reached { calls: found.calls + 1, first: function, ..found };
                    known.push(further);
                    queue.push_back((*caller, further));
                }
            }
        }
        Ways { reached }
    }

    /// Yields the functions that call a function, with the lines of their calls.
    pub(super) fn callers_of(&self, function: usize) -> impl Iterator<Item = (usize, &BTreeSet<u32>)> {
        self.callers.get(function).into_iter().flatten().map(|(caller, lines)| (*caller, lines))
    }
}

impl Ways {
    /// Returns over how many calls a function reaches a vulnerable function other than itself, if it does.
    pub(super) fn calls(&self, function: usize) -> Option<u32> {
        self.nearest(function).map(|found| found.calls)
    }

    /// Returns the functions on the way to that vulnerable function, both ends included.
    pub(super) fn chain(&self, function: usize) -> Vec<usize> {
        let mut chain = vec![function];
        let mut next = self.nearest(function).copied();
        while let Some(found) = next.filter(|found| found.calls > 0) {
            chain.push(found.first);
            let known = self.reached.get(found.first).into_iter().flatten();
            next = known.copied().find(|other| other.vulnerable == found.vulnerable && other.calls < found.calls);
        }
        chain
    }

    fn nearest(&self, function: usize) -> Option<&Reached> {
        let others = self.reached.get(function)?.iter().filter(|found| found.vulnerable != function);
        others.min_by_key(|found| found.calls)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn distances(functions: usize, edges: &[(usize, usize)], vulnerable: &[usize]) -> Vec<Option<u32>> {
        all_calls(&CallGraph::of_edges(functions, edges), &vulnerable.iter().copied().collect())
    }

    fn all_calls(graph: &CallGraph, vulnerable: &BTreeSet<usize>) -> Vec<Option<u32>> {
        let ways = graph.ways(vulnerable);
        (0..graph.callers.len()).map(|function| ways.calls(function)).collect()
    }

    #[test]
    fn a_chain_names_every_function_down_to_the_vulnerable_one() {
        let chain = |edges: &[(usize, usize)], vulnerable: &[usize], from: usize| {
            CallGraph::of_edges(4, edges).ways(&vulnerable.iter().copied().collect()).chain(from)
        };
        assert_eq!(chain(&[(1, 0), (2, 1), (3, 2)], &[0], 3), [3, 2, 1, 0]);
        // A vulnerable function on a cycle reaches the other vulnerable one, not itself.
        assert_eq!(chain(&[(0, 1), (1, 2), (2, 0)], &[0, 2], 0), [0, 1, 2]);
        assert_eq!(chain(&[(0, 0)], &[0], 0), [0]);
    }

    #[test]
    fn callers_are_found_through_others_and_cycles_end() {
        assert_eq!(distances(4, &[(1, 0), (2, 1), (3, 3)], &[0]), [None, Some(1), Some(2), None]);
        // 0 calls 1 and 1 calls 0: the vulnerable one reaches nothing but itself.
        assert_eq!(distances(2, &[(0, 1), (1, 0)], &[0]), [None, Some(1)]);
        assert_eq!(distances(2, &[(0, 1), (1, 0)], &[0, 1]), [Some(1), Some(1)]);
        assert_eq!(distances(1, &[(0, 0)], &[0]), [None]);
    }

    /// The definition itself: the shortest way from a function to a vulnerable one other than itself.
    fn by_hand(functions: usize, edges: &[(usize, usize)], vulnerable: &BTreeSet<usize>) -> Vec<Option<u32>> {
        let way = |from: usize, to: usize| {
            let mut seen = vec![false; functions];
            let mut front = vec![from];
            for calls in 0..=functions as u32 {
                if front.contains(&to) {
                    return Some(calls);
                }
                front.iter().for_each(|function| seen[*function] = true);
                let next = edges.iter().filter(|(caller, _)| front.contains(caller)).map(|(_, target)| *target);
                front = next.filter(|target| !seen[*target]).collect();
            }
            None
        };
        let nearest = |from: usize| vulnerable.iter().filter(|to| **to != from).filter_map(|to| way(from, *to)).min();
        (0..functions).map(nearest).collect()
    }

    proptest! {
        #[test]
        fn distances_are_the_shortest_ways_and_more_vulnerable_functions_make_none_longer(
            edges in proptest::collection::vec((0usize..9, 0usize..9), 0..30),
            fewer in proptest::collection::btree_set(0usize..9, 0..4),
            more in proptest::collection::btree_set(0usize..9, 0..4),
        ) {
            let graph = CallGraph::of_edges(9, &edges);
            let few = all_calls(&graph, &fewer);
            prop_assert_eq!(&few, &by_hand(9, &edges, &fewer));
            let many = all_calls(&graph, &fewer.union(&more).copied().collect());
            for (few, many) in few.iter().zip(&many) {
                prop_assert!(few.is_none() || many.is_some_and(|many| Some(many) <= *few));
            }
        }
    }
}
