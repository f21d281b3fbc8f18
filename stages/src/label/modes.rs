//! The label modes, the labels, and the version of each mode's rules.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Names one way of splitting code into steps and labelling them; part of every sample's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelMode {
    /// Blind, causal and complete steps: what a model should be trained on.
    Natural,
    /// The published scripts, flaw by flaw.
    Paper,
    /// [`LabelMode::Paper`], followed by the cleaning of the paper's section 4.
    PaperCleaned,
}

/// Says that a name is not one of [`LabelMode::ALL`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown label mode {0:?}: use natural, paper or paper_cleaned")]
pub struct UnknownLabelMode(
    /// The name as it was given.
    pub String,
);

impl LabelMode {
    /// Lists every mode, in the order of declaration.
    pub const ALL: [LabelMode; 3] = [LabelMode::Natural, LabelMode::Paper, LabelMode::PaperCleaned];

    /// Returns the name that configuration and tables use.
    pub fn as_str(self) -> &'static str {
        match self {
            LabelMode::Natural => "natural",
            LabelMode::Paper => "paper",
            LabelMode::PaperCleaned => "paper_cleaned",
        }
    }

    /// Returns the version of this mode's rules; it grows with every change that can alter a step or a label, another version
    /// of a grammar (`tree-sitter-*`) included.
    pub fn rule_version(self) -> u32 {
        match self {
            LabelMode::Natural => 3,
            LabelMode::Paper => 1,
            LabelMode::PaperCleaned => 2,
        }
    }
}

impl fmt::Display for LabelMode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for LabelMode {
    type Err = UnknownLabelMode;

    fn from_str(name: &str) -> Result<LabelMode, UnknownLabelMode> {
        LabelMode::ALL.into_iter().find(|mode| mode.as_str() == name).ok_or_else(|| UnknownLabelMode(name.to_owned()))
    }
}

/// Says whether a step is vulnerable; the number is the class index of the model's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i8)]
pub enum Label {
    /// The step meets what the fix changed.
    Vulnerable = 0,
    /// Anything else.
    Secure = 1,
}

impl Label {
    /// Returns the number that tables hold: 0 vulnerable, 1 secure.
    pub fn as_i8(self) -> i8 {
        self as i8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mode_reads_back_from_its_name() {
        for mode in LabelMode::ALL {
            assert_eq!(mode.as_str().parse(), Ok(mode));
        }
        assert!("Natural".parse::<LabelMode>().is_err());
    }

    #[test]
    fn vulnerable_is_class_zero() {
        assert_eq!(Label::Vulnerable.as_i8(), 0);
        assert_eq!(Label::Secure.as_i8(), 1);
    }
}
