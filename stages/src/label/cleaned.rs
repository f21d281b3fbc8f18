//! The cleaning of the paper's section 4, for mode `paper_cleaned`.
//!
//! Each step is judged on its own text. What is empty, white space or comments only goes; a step that only ends a block joins
//! the step before it and one that only declares joins the step after it, where the labels are equal; so does a step that
//! is one of the configured texts. A joined step reaches from the start of its first part to the end of its last, so that
//! a comment between them comes back with it.

use super::chunk::Nature;
use super::{Label, SegmentOptions, Sources, Step, VersionLabels};
use crate::language::Language;

struct Cleaned {
    step: Step,
    label: Label,
    sources: Sources,
    supervised: bool,
    joins_next: bool,
}

/// Cleans one version of one file; nothing may be left of it.
pub(super) fn clean(version: &mut VersionLabels<'_>, language: Language, options: &SegmentOptions) {
    let mut kept: Vec<Cleaned> = Vec::with_capacity(version.steps.len());
    // Where each step went; what is no step any more takes its evidence with it.
    let mut places: Vec<Option<usize>> = Vec::with_capacity(version.steps.len());
    for (index, step) in version.steps.iter().enumerate() {
        let text = step.text(&version.text);
        let nature = Nature::of(text, language);
        if nature.is_empty() {
            places.push(None);
            continue;
        }
        let (label, sources) = (version.labels[index], version.sources[index]);
        let is_one_of = |texts: &[String]| texts.iter().any(|listed| listed.trim() == text.trim());
        let ends_block = nature.ends_block() || !nature.has_code() || is_one_of(&options.suffix_texts);
        let declares = nature.declares() || is_one_of(&options.prefix_texts);
        match kept.last_mut() {
            Some(last) if last.label == label && (ends_block || last.joins_next) => {
                last.step.bytes.end = step.bytes.end;
                last.step.lines.1 = step.lines.1;
                last.sources = last.sources.with(sources);
                last.joins_next = declares && !ends_block;
            }
            _ => kept.push(Cleaned {
                step: step.clone(),
                label,
                sources,
                supervised: version.supervised[index],
                joins_next: declares,
            }),
        }
        places.push(Some(kept.len() - 1));
    }
    version.evidence.retain_mut(|one| match places.get(one.step).copied().flatten() {
        Some(place) => {
            one.step = place;
            true
        }
        None => false,
    });
    version.order_evidence();
    version.labels = kept.iter().map(|kept| kept.label).collect();
    version.sources = kept.iter().map(|kept| kept.sources).collect();
    version.files.truncate(kept.len());
    version.supervised = kept.iter().map(|kept| kept.supervised).collect();
    version.steps = kept.into_iter().map(|kept| kept.step).collect();
}
