//! The command `train`: killed and resumed, checked beforehand, told that there is nothing to do.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use insta::assert_snapshot;

use super::project::{Project, filters};

/// Replaces the published project's training, which has two steps, by one of so many that takes a few seconds.
fn configure(project: &Project, steps: u64, train: &str) {
    let config = std::fs::read_to_string(project.path("secprm.toml")).unwrap();
    let (before, _) = config.split_once("[[train.stage]]").unwrap();
    let stage = format!(
        "[[train.stage]]\nname = \"all\"\nparameters = \"all\"\nepochs = 1000\nmax_steps = {steps}\nlearning_rate = 1e-3\n"
    );
    project.write("secprm.toml", &format!("{before}[train]\n{train}{stage}"));
}

fn model(project: &Project) -> String {
    // The newest version, which no release names before it is scored.
    let folder = std::fs::read_dir(project.path("warehouse/checkpoints")).unwrap();
    let newest = folder.map(|entry| entry.unwrap()).max_by_key(|entry| entry.metadata().unwrap().modified().unwrap());
    newest.unwrap().file_name().into_string().unwrap()
}

fn list_of_checkpoints(project: &Project) -> Option<PathBuf> {
    let jobs = std::fs::read_dir(project.path("warehouse/training")).ok()?;
    jobs.map(|job| job.unwrap().path().join("checkpoints.json")).find(|list| list.exists())
}

#[test]
fn a_killed_training_run_goes_on_to_the_weights_of_one_that_was_not() {
    const STEPS: u64 = 120;
    let through = Project::published();
    configure(&through, STEPS, "checkpoint_every = 0\nevaluate_every = 0\n");
    assert!(through.output(&["train"]).status.success());

    let killed = Project::published();
    configure(&killed, STEPS, "checkpoint_every = 5\nevaluate_every = 10\n");
    let mut child = killed.start(&["train"]);
    let start = Instant::now();
    while list_of_checkpoints(&killed).is_none() {
        assert!(start.elapsed() < Duration::from_secs(120), "no checkpoint appeared");
        assert!(child.try_wait().unwrap().is_none(), "it ended before it could be killed");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let output = killed.output(&["train"]);
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{talk}");
    assert!(talk.contains("train: went on from step "), "{talk}");
    assert_eq!(model(&killed), model(&through), "the model's name is a hash of its weights");
    assert!(list_of_checkpoints(&killed).is_none(), "checkpoints of a finished run are gone");
    assert!(!killed.path("warehouse/training").exists(), "and what the killed attempt left");

    assert!(killed.output(&["run"]).status.success());
    let steps = killed.query("SELECT count(*), count(DISTINCT step), max(step) FROM train_metrics");
    assert_eq!(steps.lines().nth(1), Some(format!("{STEPS},{STEPS},{}", STEPS - 1).as_str()));
}

#[test]
fn a_damaged_checkpoint_is_passed_over() {
    let project = Project::published();
    configure(&project, 60, "checkpoint_every = 5\n");
    let mut child = project.start(&["train"]);
    let start = Instant::now();
    while list_of_checkpoints(&project).is_none() {
        assert!(start.elapsed() < Duration::from_secs(120), "no checkpoint appeared");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let list = list_of_checkpoints(&project).unwrap();
    for folder in std::fs::read_dir(list.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path()) {
        if folder.join("state.json").exists() {
            std::fs::write(folder.join("state.json"), "{}").unwrap();
        }
    }
    let output = project.output(&["train"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!String::from_utf8_lossy(&output.stderr).contains("went on"));
}

#[test]
fn a_self_check_says_what_it_found_and_writes_nothing() {
    let project = Project::published();
    let before = project.releases();
    let output = project.output(&["train", "--self-check"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    let names: Vec<&str> = said.lines().map(|line| line.split_once(':').unwrap().0).collect();
    assert_snapshot!(names.join("\n"), @r"
    ok   every parameter gets a finite gradient
    ok   every step has one position, at the separator
    ok   the first loss is not above the prior's entropy
    ok   a run that stops goes on exactly
    ");
    assert_eq!(project.releases(), before);
}

#[test]
fn training_alone_says_when_there_is_nothing_to_do_and_what_is_left_to_run() {
    let _filters = filters();
    let project = Project::published();
    assert_snapshot!(project.transcript(&["train"]), @r"
    exit 0
    --- stdout
    --- stderr
    nothing to train: the newest model has these shards and settings; --full-refresh begins anew
    ");
    configure(&project, 3, "tensorboard = \"events\"\n");
    let output = project.output(&["train"]);
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(talk.contains("not published: ") && talk.contains("score"), "{talk}");
    let events: Vec<_> = std::fs::read_dir(project.path("events")).unwrap().map(|entry| entry.unwrap()).collect();
    assert_eq!(events.len(), 1);
    assert!(events[0].metadata().unwrap().len() > 3 * 100);
}

#[cfg(not(feature = "mpi"))]
#[test]
fn several_ranks_in_a_build_for_one_are_a_mistake() {
    let project = Project::published();
    let launched = [("RANK", "0"), ("WORLD_SIZE", "2"), ("MASTER_ADDR", "127.0.0.1"), ("MASTER_PORT", "29400")];
    let output = project.command(&["train"]).envs(launched).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_snapshot!(String::from_utf8(output.stderr).unwrap(), @r"
    error: ranks: Torchrun started 2 of them, and this build trains on one CPU: build with `--features mpi` for CPUs, `--features cuda` for GPUs, see docs/distributed.md
    ");
}

#[cfg(not(feature = "cuda"))]
#[test]
fn a_gpu_in_a_build_without_gpus_is_a_mistake_and_half_precision_is_none() {
    let project = Project::published();
    configure(&project, 3, "dtype = \"bf16\"\n");
    let config = std::fs::read_to_string(project.path("secprm.toml")).unwrap();
    project.write("secprm.toml", &format!("{config}\n[limits]\ndevice = \"cuda\"\n"));
    let _filters = filters();
    assert_snapshot!(project.transcript(&["train"]), @"
    exit 2
    --- stdout
    --- stderr
    ✗ train              device: is cuda, but this build knows no GPUs: build with `--features cuda`, see docs/gpu.md
    error: stage train: device: is cuda, but this build knows no GPUs: build with `--features cuda`, see docs/gpu.md
    ");
    project.replace("secprm.toml", "device = \"cuda\"", "device = \"auto\"");
    assert!(project.output(&["train"]).status.success());
    let config = project.path("warehouse/checkpoints").join(model(&project)).join("config.json");
    assert!(std::fs::read_to_string(config).unwrap().contains("bfloat16"));
}
