//! Where a step's label comes from.

use std::fmt;

/// Holds the set of sources of one step's label, as bits; all of them are kept.
///
/// A step that nothing marks still has one: [`Sources::UNCHANGED`] in a vulnerable version (both versions share it, or the
/// fix only moved it), [`Sources::FIXED`] in a fixed one.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sources(u16);

impl Sources {
    /// No source: a label that was not decided yet.
    pub const NONE: Sources = Sources(0);
    /// A line of code of the vulnerable version that the fix changed or removed.
    pub const DIFF: Sources = Sources(1);
    /// The place where the fix inserts code.
    pub const INSERTION: Sources = Sources(1 << 1);
    /// A line that SVEN's experts marked.
    pub const EXPERT: Sources = Sources(1 << 2);
    /// A finding of a static analyser.
    pub const ANALYZER: Sources = Sources(1 << 3);
    /// A function that calls a vulnerable one.
    pub const CALLER: Sources = Sources(1 << 4);
    /// The label of the whole sequence, where there is no pair.
    pub const SEQUENCE: Sources = Sources(1 << 5);
    /// The published scripts' forced 0 on the last part of a pair without any difference.
    pub const FORCED: Sources = Sources(1 << 6);
    /// A step of a vulnerable version that no rule marks.
    pub const UNCHANGED: Sources = Sources(1 << 7);
    /// A step of a fixed version.
    pub const FIXED: Sources = Sources(1 << 8);

    const NAMED: [(Sources, &'static str); 9] = [
        (Sources::DIFF, "diff"),
        (Sources::INSERTION, "insertion"),
        (Sources::EXPERT, "expert"),
        (Sources::ANALYZER, "analyzer"),
        (Sources::CALLER, "caller"),
        (Sources::SEQUENCE, "sequence"),
        (Sources::FORCED, "forced"),
        (Sources::UNCHANGED, "unchanged"),
        (Sources::FIXED, "fixed"),
    ];

    /// Returns the union of both sets.
    #[must_use]
    pub fn with(self, other: Sources) -> Sources {
        Sources(self.0 | other.0)
    }

    /// Says whether every source of `other` is in this set.
    pub fn contains(self, other: Sources) -> bool {
        self.0 & other.0 == other.0
    }

    /// Says whether the set holds nothing.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Yields the names that tables hold, in a fixed order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Sources::NAMED.into_iter().filter(move |(source, _)| self.contains(*source)).map(|(_, name)| name)
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.names()).finish()
    }
}

impl fmt::Display for Sources {
    /// Writes the names joined by `+`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.names().enumerate() {
            if index > 0 {
                formatter.write_str("+")?;
            }
            formatter.write_str(name)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_names_all_its_sources_in_a_fixed_order() {
        let both = Sources::INSERTION.with(Sources::DIFF);
        assert_eq!(both.names().collect::<Vec<_>>(), ["diff", "insertion"]);
        assert_eq!(both.to_string(), "diff+insertion");
        assert!(both.contains(Sources::DIFF));
        assert!(!both.contains(Sources::EXPERT));
        assert!(Sources::NONE.is_empty());
    }
}
