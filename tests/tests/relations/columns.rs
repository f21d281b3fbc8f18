//! Which columns statistics read: narrow ones, so that their time does not depend on how much code there is.

use std::collections::BTreeMap;

use secprm::config::Project;
use secprm::open::{Opened, open_project};

const STATISTICS: [&str; 11] = [
    "sample_sums",
    "step_sums",
    "dataset_stats",
    "language_stats",
    "cwe_stats",
    "label_sources",
    "reject_stats",
    "languages_over_time",
    "cwes_over_time",
    "length_shortcut",
    "mixture",
];

/// The columns that hold code, tokens, or text of raw records.
const WIDE: [&str; 7] =
    ["completions", "vulnerable_code", "secure_code", "input_ids", "step_supervised", "prompt", "raw"];

fn empty_project() -> Opened {
    let mut project = Project::load(None).unwrap();
    project.config.warehouse = "memory://".to_owned();
    open_project(project).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_shipped_relation_can_be_planned() {
    // A run takes this for granted.
    empty_project().sessions.verify_all().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn statistics_read_no_code() {
    let opened = empty_project();
    let session = opened.sessions.open_for_queries(&BTreeMap::new()).unwrap();
    for name in STATISTICS {
        let query = match opened.sessions.library().view(name) {
            Some(_) => format!("SELECT * FROM {name}"),
            None => opened.sessions.library().table(name).unwrap().sql(),
        };
        let plan = session.sql(&query).await.unwrap().into_optimized_plan().unwrap().display_indent().to_string();
        let scans: Vec<&str> = plan.lines().filter(|line| line.contains("TableScan")).collect();
        assert!(!scans.is_empty(), "{plan}");
        for scan in scans {
            let read = scan.split("projection=[").nth(1).and_then(|rest| rest.split(']').next());
            let read: Vec<&str> =
                read.unwrap_or_else(|| panic!("{name} reads all columns: {scan}")).split(", ").collect();
            assert!(WIDE.iter().all(|wide| !read.contains(wide)), "{name}: {scan}");
        }
    }
}
