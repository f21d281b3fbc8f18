//! What training leaves in its tables.

use super::project::TestProject;

const TRAINING: &str = "[train]\nevaluate_every = 2\n\
    [[train.stage]]\nname = \"all\"\nparameters = \"all\"\nepochs = 1\nmax_steps = 5\nlearning_rate = 1e-3\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_evaluated_on_the_validation_split_while_it_is_trained() {
    let given = TestProject::new(&[("precisebugs", "samples:precisebugs")], TRAINING);
    given.run_selected(&[]).await;
    assert!(given.count("SELECT count(*) FROM train_shards WHERE split = 'validation'").await > 0);
    assert_eq!(given.count("SELECT count(*) FROM train_metrics").await, 5);
    assert_eq!(given.count("SELECT count(*) FROM train_metrics WHERE held_out_loss > 0 AND step IN (1, 3)").await, 2);
    assert_eq!(given.count("SELECT count(held_out_loss) FROM train_metrics").await, 2);
    let measured = "SELECT count(*) FROM train_metrics \
        WHERE tokens_per_second > 0 AND data_wait BETWEEN 0 AND 1 AND memory_bytes > 1000000 AND mfu IS NULL";
    assert_eq!(given.count(measured).await, 5);
}
