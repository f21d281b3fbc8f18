//! Pairs as the audit knows them: shapes and counted words; no text is kept.

use super::words::Words;

/// What can be seen of a step whose every letter is covered up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StepShape {
    /// Code points.
    pub chars: u32,
    /// Code points that are not white space.
    pub visible: u32,
    /// Lines, a last one without an end included; 0 for an empty text.
    pub lines: u32,
}

impl StepShape {
    /// Measures a step.
    pub fn of(text: &str) -> StepShape {
        let mut shape = StepShape::default();
        let mut last = '\n';
        for letter in text.chars() {
            shape.chars += 1;
            shape.visible += u32::from(!letter.is_whitespace());
            shape.lines += u32::from(last == '\n');
            last = letter;
        }
        shape
    }

    /// Whether the step has nothing but white space.
    pub fn is_empty(&self) -> bool {
        self.visible == 0
    }
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditStep {
    /// Its shape.
    pub shape: StepShape,
    /// Its words, counted.
    pub words: Words,
    /// Whether it is labelled 0.
    pub is_vulnerable: bool,
    /// Whether it takes part in the loss (LABELS.md, rule 7); steps that do not are no part of the audit's step task.
    pub is_supervised: bool,
}

/// One version of a pair's code.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Version {
    /// Its steps, in order.
    pub steps: Vec<AuditStep>,
}

impl Version {
    /// Whether any step is labelled 0: the sample's own label.
    pub fn is_vulnerable(&self) -> bool {
        self.steps.iter().any(|step| step.is_vulnerable)
    }

    /// The shapes of its steps.
    pub fn shapes(&self) -> Vec<StepShape> {
        self.steps.iter().map(|step| step.shape).collect()
    }
}

/// Both versions of a pair, in one label mode.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditPair {
    /// The pair.
    pub pair_id: String,
    /// The pair's group: pairs of a commit, a CVE or of like code are drawn together, since they are not independent.
    pub group_id: String,
    /// The vulnerable version.
    pub vulnerable: Version,
    /// The fixed version.
    pub fixed: Version,
}

impl AuditPair {
    /// Both versions, the vulnerable one first.
    pub fn versions(&self) -> [&Version; 2] {
        [&self.vulnerable, &self.fixed]
    }
}
