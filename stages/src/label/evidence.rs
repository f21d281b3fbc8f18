//! Why a step is labelled vulnerable: what the label ledger keeps of each reason.

use super::Sources;

/// Version of what evidence says beside the labels themselves; it grows with every change that can alter a reason.
pub const EVIDENCE_VERSION: u32 = 1;

/// Says what the fix does to the lines that a reason names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// It puts other lines in their place.
    Replace,
    /// It removes them.
    Delete,
    /// It adds lines beside them.
    Insert,
}

impl Operation {
    /// Returns the name that tables hold.
    pub fn as_str(self) -> &'static str {
        match self {
            Operation::Replace => "replace",
            Operation::Delete => "delete",
            Operation::Insert => "insert",
        }
    }
}

/// First and last line, from 1, as [`super::Step::lines`] counts them; an empty place ends on the line before it starts.
pub type LineSpan = (u32, u32);

/// One reason for the label of a step.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reason {
    /// The rule that speaks, one of [`Sources`].
    pub source: Sources,
    /// Lines of the vulnerable version: what a hunk removes, the line that stands for an insertion, what experts or analysers
    /// marked, a caller or its call.
    pub lines: LineSpan,
    /// What the fix does to the lines; nothing where the reason is no difference.
    pub operation: Option<Operation>,
    /// Lines of the fixed version that a hunk brings.
    pub fixed_lines: Option<LineSpan>,
    /// The chain of calls down to the vulnerable function, the analyser's rule, or what is special about a hunk.
    pub detail: Option<String>,
}

impl Reason {
    /// Makes a reason that is no difference between the versions.
    pub(super) fn given(source: Sources, lines: LineSpan, detail: Option<String>) -> Reason {
        Reason { source, lines, operation: None, fixed_lines: None, detail }
    }

    /// Moves both spans to where the lines of a file begin in either version.
    pub(super) fn moved(mut self, vulnerable_lines: u32, fixed_lines: u32) -> Reason {
        self.lines = shifted(self.lines, vulnerable_lines);
        self.fixed_lines = self.fixed_lines.map(|lines| shifted(lines, fixed_lines));
        self
    }
}

fn shifted((first, last): LineSpan, lines: u32) -> LineSpan {
    (first + lines, last + lines)
}

/// A reason and the step that it makes vulnerable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Evidence {
    /// The step's position in its version.
    pub step: usize,
    /// Why it is labelled 0.
    pub reason: Reason,
}

/// Adds a reason to those of a version. Lines that experts marked one below the other become one reason, and the lines of one
/// hunk are said once a step.
pub(super) fn note(evidence: &mut Vec<Evidence>, step: usize, reason: Reason) {
    match evidence.last_mut().filter(|last| last.step == step) {
        Some(last) if last.reason == reason => {}
        Some(last) if is_next_expert_line(&last.reason, &reason) => last.reason.lines.1 = reason.lines.1,
        _ => evidence.push(Evidence { step, reason }),
    }
}

fn is_next_expert_line(before: &Reason, reason: &Reason) -> bool {
    let both_expert = before.source == Sources::EXPERT && reason.source == Sources::EXPERT;
    both_expert && before.lines.1 + 1 == reason.lines.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_experts_that_follow_each_other_are_one_reason() {
        let mut evidence = Vec::new();
        for line in [3, 4, 5, 9] {
            note(&mut evidence, 1, Reason::given(Sources::EXPERT, (line, line), None));
        }
        let lines: Vec<LineSpan> = evidence.iter().map(|one| one.reason.lines).collect();
        assert_eq!(lines, [(3, 5), (9, 9)]);
    }

    #[test]
    fn a_hunk_is_noted_once_a_step() {
        let hunk = Reason {
            source: Sources::DIFF,
            lines: (2, 7),
            operation: Some(Operation::Replace),
            fixed_lines: Some((2, 3)),
            detail: None,
        };
        let mut evidence = Vec::new();
        for step in [0, 0, 1] {
            note(&mut evidence, step, hunk.clone());
        }
        assert_eq!(evidence.iter().map(|one| one.step).collect::<Vec<_>>(), [0, 1]);
    }
}
