//! Checkpoints are whole or not there, and only so many are kept.
#![allow(clippy::unwrap_used)]

use super::*;

fn folder(warehouse: &Warehouse, rank: usize, ranks: usize, attempt: &str) -> JobFolder {
    JobFolder { warehouse: warehouse.clone(), job: "job".to_owned(), attempt: attempt.to_owned(), rank, ranks }
}

fn checkpoint(steps: u64, held_out_loss: Option<f64>) -> KeptCheckpoint {
    KeptCheckpoint { folder: format!("step-{steps}"), steps, held_out_loss }
}

fn files(steps: u64) -> Vec<(String, Vec<u8>)> {
    let state = TrainState { steps, ..TrainState::default() };
    vec![
        ("optimizer-00001-of-00001.safetensors".to_owned(), vec![1, 2]),
        ("config.json".to_owned(), b"{}".to_vec()),
        (STATE.to_owned(), json(&state).unwrap()),
        (HISTORY.to_owned(), b"[]".to_vec()),
    ]
}

fn warehouse() -> (tempfile::TempDir, Warehouse) {
    let place = tempfile::tempdir().unwrap();
    let warehouse = Warehouse::open("warehouse", place.path()).unwrap();
    (place, warehouse)
}

#[tokio::test]
async fn the_newest_and_the_best_stay() {
    let (place, warehouse) = warehouse();
    let own = folder(&warehouse, 0, 1, "a");
    for (steps, loss) in [(1, None), (2, Some(0.3)), (3, Some(0.5)), (4, None), (5, None)] {
        own.clone().write(checkpoint(steps, loss), files(steps), 2).await.unwrap();
    }
    assert_eq!(own.checkpoints().await.unwrap(), ["step-5", "step-4", "step-2"]);
    assert_eq!(own.kept().await.unwrap().best().map(|one| one.folder.as_str()), Some("step-2"));
    let left = std::fs::read_dir(place.path().join("warehouse/training/job/step-1")).map_or(0, Iterator::count);
    assert_eq!(left, 0, "files of a dropped checkpoint are gone");
    let loaded = own.load("step-4").await.unwrap();
    assert_eq!((loaded.state.steps, loaded.model.files.len()), (4, 1));
    own.remove_all().await.unwrap();
    assert!(own.checkpoints().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_checkpoint_appears_once_every_rank_has_written() {
    let (_place, warehouse) = warehouse();
    let first = tokio::spawn(folder(&warehouse, 0, 2, "a").write(checkpoint(3, None), files(3), 2));
    tokio::time::sleep(Duration::from_millis(300)).await;
    let own = folder(&warehouse, 0, 2, "a");
    assert!(own.checkpoints().await.unwrap().is_empty());
    let second = vec![("optimizer-00002-of-00002.safetensors".to_owned(), vec![3])];
    folder(&warehouse, 1, 2, "a").write(checkpoint(3, None), second, 2).await.unwrap();
    first.await.unwrap().unwrap();
    assert_eq!(own.checkpoints().await.unwrap(), ["step-3"]);
    assert_eq!(
        own.load("step-3").await.unwrap().optimizer,
        SavedOptimizer::new(vec![
            ("optimizer-00001-of-00001.safetensors".to_owned(), vec![1, 2]),
            ("optimizer-00002-of-00002.safetensors".to_owned(), vec![3]),
        ])
    );
}

#[tokio::test]
async fn a_changed_file_and_another_job_are_refused() {
    let (place, warehouse) = warehouse();
    let own = folder(&warehouse, 0, 1, "a");
    own.clone().write(checkpoint(3, None), files(3), 2).await.unwrap();
    let base = place.path().join("warehouse/training");
    std::fs::write(base.join("job/step-3/config.json"), "{ }").unwrap();
    assert!(own.load("step-3").await.err().unwrap().to_string().contains("config.json"));
    std::fs::rename(base.join("job"), base.join("other")).unwrap();
    let other = JobFolder { job: "other".to_owned(), ..own };
    assert!(other.load("step-3").await.err().unwrap().to_string().contains("another job"));
}

#[test]
fn a_run_that_went_back_forgets_what_came_after() {
    let mut kept = Kept { checkpoints: vec![checkpoint(2, None), checkpoint(4, Some(1.0)), checkpoint(6, None)] };
    kept.checkpoints.retain(|one| one.steps < 4);
    kept.checkpoints.push(checkpoint(4, None));
    assert!(kept.prune(5).is_empty());
    assert_eq!(kept.prune(1), [checkpoint(2, None)]);
    assert_eq!(kept.best(), None);
}
