//! The audit as a whole: what it must find, what it must not, and what must not matter to it.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::features::{step_features, version_features};
use super::*;
use crate::splits::Split;

const STRUCTURE: [Judge; 4] = [Judge::StepCount, Judge::EmptyStep, Judge::Separators, Judge::StepLengths];

fn step(text: &str, is_vulnerable: bool) -> AuditStep {
    AuditStep { shape: StepShape::of(text), words: Words::of(text), is_vulnerable, is_supervised: true }
}

/// A number that looks drawn by lot.
fn noise(seed: u64) -> u64 {
    crate::splits::mix(seed)
}

/// Code of three to eight steps, of one to five words each, that two versions differ in by one word of a step.
fn honest_pair(number: u64) -> AuditPair {
    let changed = noise(number ^ 1 << 40) % (3 + noise(number) % 6);
    let version = |is_vulnerable: bool| {
        let steps = (0..3 + noise(number) % 6).map(|index| {
            let words = (0..1 + noise(number << 8 | index) % 5)
                .map(|at| format!("word{} ", noise(number << 16 | index << 8 | at) % 50));
            let is_changed = index == changed;
            let change = if is_changed {
                format!("w{}\n", noise(number << 20 | u64::from(is_vulnerable)) % 10_000)
            } else {
                "\n".to_owned()
            };
            step(&words.chain([change]).collect::<String>(), is_vulnerable && is_changed)
        });
        Version { steps: steps.collect() }
    };
    AuditPair {
        pair_id: format!("{:016x}", noise(number)),
        group_id: format!("group {}", number / 2),
        vulnerable: version(true),
        fixed: version(false),
    }
}

/// The same, but what is labelled 0 is an empty step that is there for this reason only.
fn leaking_pair(number: u64) -> AuditPair {
    let mut pair = honest_pair(number);
    pair.vulnerable.steps.iter_mut().for_each(|step| step.is_vulnerable = false);
    pair.vulnerable.steps.insert(noise(number) as usize % 3, step("", true));
    pair
}

fn pairs(of: fn(u64) -> AuditPair) -> [Vec<AuditPair>; 2] {
    [(0..150).map(of).collect(), (1000..1100).map(of).collect()]
}

fn audited([train, test]: &[Vec<AuditPair>; 2]) -> Vec<AuditNumber> {
    audit(train, test, 0).unwrap()
}

fn find<'numbers>(numbers: &'numbers [AuditNumber], judge: Judge, task: Task, metric: &str) -> &'numbers AuditNumber {
    let is_it = |number: &&AuditNumber| {
        (number.judge, number.task, number.metric, number.split) == (judge, task, metric, Split::Test)
    };
    numbers.iter().find(is_it).unwrap()
}

#[test]
fn a_planted_shortcut_is_found_at_every_task() {
    let numbers = audited(&pairs(leaking_pair));
    for judge in STRUCTURE {
        let pair = find(&numbers, judge, Task::Pair, "accuracy_excess_over_length");
        assert!(pair.interval.unwrap()[0] > 0.2, "{pair:?}");
    }
    for (task, metric) in [(Task::Detection, "auroc"), (Task::Pair, "both_right"), (Task::Step, "f1")] {
        let found = find(&numbers, Judge::EmptyStep, task, metric);
        assert_eq!(found.value, Some(1.0), "{found:?}");
        assert_eq!(found.interval, Some([1.0, 1.0]));
        let lengths = find(&numbers, Judge::StepLengths, task, metric);
        assert!(lengths.value.unwrap() > 0.9, "{lengths:?}");
    }
    let in_train = |number: &&AuditNumber| number.split == Split::Train && number.metric == "both_right";
    assert_eq!(numbers.iter().find(in_train).unwrap().value, Some(1.0));
}

#[test]
fn where_there_is_no_shortcut_none_is_found() {
    let numbers = audited(&pairs(honest_pair));
    let excess = numbers.iter().filter(|number| {
        STRUCTURE.contains(&number.judge) && number.task != Task::Step && number.metric.ends_with("_excess_over_length")
    });
    for number in excess {
        assert!(number.interval.unwrap()[0] < 0.05, "{number:?}");
    }
    let rule = find(&numbers, Judge::EmptyStep, Task::Pair, "accuracy");
    assert_eq!((rule.value, rule.interval), (Some(0.5), Some([0.5, 0.5])));
}

#[test]
fn the_order_of_pairs_does_not_matter_and_the_same_seed_gives_the_same_numbers() {
    let given = pairs(leaking_pair);
    let mut turned = given.clone();
    turned.iter_mut().for_each(|pairs| pairs.reverse());
    assert_eq!(audited(&given), audited(&turned));
    assert_eq!(audited(&given), audited(&given));
    assert_ne!(audited(&given), audit(&given[0], &given[1], 1).unwrap());
}

#[test]
fn too_few_pairs_give_rows_without_values() {
    let [train, mut test] = pairs(honest_pair);
    test.truncate(LEAST_PAIRS - 1);
    let numbers = audit(&train, &test, 0).unwrap();
    assert!(numbers.iter().all(|number| number.value.is_none() && number.interval.is_none()));
    assert_eq!(find(&numbers, Judge::Length, Task::Pair, "accuracy").n, LEAST_PAIRS - 1);
    assert!(audit(&[], &[], 0).unwrap().iter().all(|number| number.n == 0));
}

#[test]
fn a_step_that_is_not_supervised_is_not_judged() {
    let mut given = pairs(honest_pair);
    let all = find(&audited(&given), Judge::Length, Task::Step, "auroc").n;
    given[1][0].vulnerable.steps[0].is_supervised = false;
    assert_eq!(find(&audited(&given), Judge::Length, Task::Step, "auroc").n, all - 1);
}

/// Replaces every letter that is not white space.
fn covered_up(text: &str) -> String {
    text.chars().map(|letter| if letter.is_whitespace() { letter } else { 'x' }).collect()
}

proptest! {
    #[test]
    fn judges_of_structure_are_blind_to_what_is_written(steps in prop::collection::vec("[a-z{};=ä \n\t]{0,40}", 0..8)) {
        let shapes = |of: &dyn Fn(&str) -> String| steps.iter().map(|step| StepShape::of(&of(step))).collect::<Vec<_>>();
        let (seen, blind) = (shapes(&str::to_owned), shapes(&covered_up));
        for judge in Judge::ALL {
            prop_assert_eq!(version_features(judge, &seen), version_features(judge, &blind));
            prop_assert_eq!(step_features(judge, &seen), step_features(judge, &blind));
        }
    }

    #[test]
    fn a_judge_is_told_as_many_numbers_of_every_version_and_step(steps in prop::collection::vec("[a-z \n]{0,20}", 0..8)) {
        let shapes: Vec<StepShape> = steps.iter().map(|step| StepShape::of(step)).collect();
        for judge in Judge::ALL {
            prop_assert_eq!(version_features(judge, &shapes).len(), version_features(judge, &[]).len());
            let told = step_features(judge, &shapes);
            prop_assert_eq!(told.len(), shapes.len());
            let one = step_features(judge, &[StepShape::default()]);
            prop_assert!(told.iter().all(|features| features.len() == one[0].len()));
        }
    }

    #[test]
    fn a_step_has_as_many_lines_as_an_editor_counts(text in "[a \n]{0,30}") {
        prop_assert_eq!(StepShape::of(&text).lines as usize, text.lines().count());
    }
}
