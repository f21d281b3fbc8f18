//! ReposVul and PreciseBugs from raw files to samples, on real records; skipped where the data is absent.

use super::project::{NO_TRAINING, TestProject, real_data};

#[tokio::test(flavor = "multi_thread")]
async fn records_that_are_commits_give_pairs_of_every_granularity_and_all_are_accounted_for() {
    let (Some(reposvul), Some(precisebugs)) = (real_data("reposvul"), real_data("precisebugs")) else { return };
    let given = TestProject::new(&[("reposvul", &reposvul), ("precisebugs", &precisebugs)], NO_TRAINING);
    // The run ends with the checks, `ingest_accounting` among them.
    assert!(given.run_selected(&[]).await.is_published);
    assert_eq!(given.count("SELECT sum(records) FROM sources WHERE dataset = 'reposvul'").await, 25);
    assert_eq!(given.count("SELECT sum(records) FROM sources WHERE dataset = 'precisebugs'").await, 4);
    assert_eq!(given.count("SELECT count(*) FROM pairs WHERE dataset = 'reposvul'").await, 77);
    assert_eq!(given.count("SELECT count(*) FROM pairs WHERE dataset = 'precisebugs'").await, 5);
    let of_several = "SELECT count(*) FROM pairs WHERE granularity = 'repository' AND cardinality(files) > 1";
    assert_eq!(given.count(of_several).await, 7);
    assert_eq!(given.count("SELECT count(DISTINCT granularity) FROM samples").await, 3);
}
