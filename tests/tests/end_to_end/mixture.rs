//! What is left out of training: it leaves no trace in the model, and is scored and measured all the same.

use super::project::{TestProject, stages};

/// A training that takes a second.
const SHORT_TRAINING: &str =
    "[[train.stage]]\nname = \"all\"\nparameters = \"all\"\nepochs = 1\nmax_steps = 4\nlearning_rate = 1e-3\n";

const SVEN: (&str, &str) = ("sven", "samples:sven");
const BIGVUL: (&str, &str) = ("bigvul", "samples:bigvul");

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_out_leaves_no_trace_in_the_model_and_is_scored_and_measured_all_the_same() {
    let model = "SELECT model_id FROM models";
    let alone = TestProject::new(&[SVEN], SHORT_TRAINING);
    alone.run_selected(&[]).await;
    let trained_alone = alone.texts(model).await;
    let given = TestProject::new(&[SVEN, BIGVUL], SHORT_TRAINING);
    given.run_selected(&[]).await;
    assert_eq!(given.texts(model).await, trained_alone);
    assert_eq!(given.texts("SELECT DISTINCT left_out FROM mixture WHERE left_out IS NOT NULL").await, ["bigvul"]);
    let unscored = "SELECT count(*) FROM train_shards AS t WHERE dataset = 'bigvul' AND NOT EXISTS \
        (SELECT 1 FROM step_scores AS c WHERE c.sample_id = t.sample_id)";
    assert_eq!(given.count(unscored).await, 0);
    let judges = "SELECT count(DISTINCT model_id) FROM metrics WHERE dataset = 'bigvul' AND split = 'train'";
    assert_eq!(given.count(judges).await, 4);

    // Overridden, it is trained on: a new vocabulary, so new shards, a new model and a new median of lengths.
    given.configure(&[SVEN, BIGVUL], &format!("[mix]\nleave_out = []\n{SHORT_TRAINING}"));
    let outcome = given.run_selected(&[]).await;
    let mut ran = stages(&outcome);
    ran.sort_unstable();
    // Lengths in tokens are new too.
    let expected = [
        "baseline_verdicts",
        "length_shortcut",
        "metrics",
        "sample_sums",
        "score",
        "shard_rejects",
        "tokenizer",
        "train",
        "train_shards",
        "verdicts",
    ];
    assert_eq!(ran, expected);
    assert_ne!(given.texts(model).await, trained_alone);
    assert_eq!(given.count("SELECT count(*) FROM mixture WHERE left_out IS NOT NULL OR repeats <> 1").await, 0);
}
