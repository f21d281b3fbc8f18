//! The judges of the audit.

/// A judge that sees no meaning, the bar it is measured against, or one that sees words without their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Judge {
    /// The bar: how long the whole code is, and nothing of how it is cut. Of a step it knows the share of the code: a change that may fall
    /// on any character alike falls on a step in proportion to its length, however blindly the code was cut.
    Length,
    /// How many steps there are, and of a step which one it is.
    StepCount,
    /// Whether there is an empty step: a rule, which is fitted to nothing.
    EmptyStep,
    /// How many separators there are, and after which shares of the text they stand.
    Separators,
    /// How long each step is, in characters and lines; what the separators tell and the absolute lengths.
    StepLengths,
    /// Bag of words: which words there are and how often.
    Words,
}

impl Judge {
    /// All judges, the bar first.
    pub const ALL: [Judge; 6] =
        [Judge::Length, Judge::StepCount, Judge::EmptyStep, Judge::Separators, Judge::StepLengths, Judge::Words];

    /// Its name in `model_id`.
    pub fn name(self) -> &'static str {
        match self {
            Judge::Length => "audit:length",
            Judge::StepCount => "audit:step_count",
            Judge::EmptyStep => "audit:empty_step",
            Judge::Separators => "audit:separators",
            Judge::StepLengths => "audit:step_lengths",
            Judge::Words => "audit:words",
        }
    }
}

/// What is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Task {
    /// Whether a version is vulnerable.
    Detection,
    /// Which of a pair's versions is the vulnerable one.
    Pair,
    /// Whether a step is labelled 0.
    Step,
}

impl Task {
    /// Its name in `task`.
    pub fn as_str(self) -> &'static str {
        match self {
            Task::Detection => "detection",
            Task::Pair => "pair",
            Task::Step => "step",
        }
    }
}
