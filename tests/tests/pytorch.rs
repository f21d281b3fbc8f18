//! Our model beside PyTorch's and our encoding beside TRL's, where a Python that has them is found.

use std::process::{Command, Stdio};

/// `$SECPRM_PYTHON`, or the first `python` of the path that has the packages; with none the test has nothing to say.
fn python_with_torch() -> Option<String> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders).map(|folder| folder.join("python").display().to_string());
    let has_packages = |python: &String| {
        let import = "import torch, transformers; from trl.experimental.prm import PRMTrainer";
        let status = Command::new(python).args(["-c", import]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    if let Ok(named) = std::env::var("SECPRM_PYTHON") {
        assert!(
            has_packages(&named),
            "SECPRM_PYTHON names {named}, which lacks torch, transformers or trl with a PRMTrainer"
        );
        return Some(named);
    }
    found.into_iter().find(has_packages)
}

#[test]
fn logits_gradients_and_steps_equal_pytorchs_and_ids_equal_trls() {
    let Some(python) = python_with_torch() else {
        eprintln!("skipped: no Python with torch, transformers and trl; SECPRM_PYTHON can name one (see .ci/run)");
        return;
    };
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    // As part of the workspace, where `cargo test` has built it already.
    let build = ["build", "--quiet", "--workspace", "--example", "parity", "--message-format=json"];
    let built = Command::new(env!("CARGO")).args(build).current_dir(root).stderr(Stdio::inherit()).output();
    let built = built.expect("cargo starts");
    assert!(built.status.success(), "the example parity does not build");
    let messages = String::from_utf8_lossy(&built.stdout);
    let executable = messages.lines().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        message.get("executable")?.as_str().map(str::to_owned)
    });
    let parity = executable.expect("cargo names the example's executable");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/interop/pytorch.py");
    let status = Command::new(python)
        .args([script, &parity])
        .env("TRL_EXPERIMENTAL_SILENCE", "1")
        .env("HF_HUB_OFFLINE", "1")
        .status();
    assert!(status.is_ok_and(|status| status.success()), "{script} found a difference");
}
