//! A project of a handful of records, and the command run in it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::UNIX_EPOCH;

use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_secprm");

const CONFIG: &str = r#"version = 1
warehouse = "./warehouse"

[[source]]
dataset = "sven"
url = "data"

[tokenizer]
vocab_size = 300

[[train.stage]]
name = "head"
parameters = "head"
epochs = 1
max_steps = 2
learning_rate = 1e-3
"#;

/// A configuration, its raw data and, once it ran, its warehouse, in a folder that goes away with it.
pub struct Project {
    folder: TempDir,
}

impl Project {
    /// Writes configuration and data; nothing ran yet.
    pub fn new() -> Project {
        let folder = TempDir::new().unwrap();
        write_project(folder.path());
        Project { folder }
    }

    /// Copies a project whose first release is published.
    pub fn published() -> Project {
        let folder = TempDir::new().unwrap();
        copy(&prepared(), folder.path());
        Project { folder }
    }

    /// Returns the path of a file or folder in the project.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, folders included.
    pub fn write(&self, name: &str, text: &str) {
        write(&self.path(name), text);
    }

    /// Replaces a part of a file, which must be there.
    pub fn replace(&self, name: &str, old: &str, new: &str) {
        let text = fs::read_to_string(self.path(name)).unwrap();
        assert!(text.contains(old), "{old} is not in {name}");
        self.write(name, &text.replacen(old, new, 1));
    }

    /// Runs the command in the project's folder.
    pub fn output(&self, arguments: &[&str]) -> Output {
        secprm(self.folder.path(), arguments)
    }

    /// Prepares the command in the project's folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        command(self.folder.path(), arguments)
    }

    /// Starts the command and does not wait for it.
    pub fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// Runs the command and returns exit code, stdout and stderr as one text, the project's folder replaced.
    pub fn transcript(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        let [out, err] = [&output.stdout, &output.stderr].map(|bytes| tidy(bytes, self.folder.path()));
        format!("exit {}\n--- stdout\n{out}--- stderr\n{err}", output.status.code().unwrap())
    }

    /// Answers a query as CSV, which must succeed.
    pub fn query(&self, query: &str) -> String {
        let output = self.output(&["sql", "--format", "csv", "-c", query]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Returns what readers see: every release's tables and their versions.
    pub fn releases(&self) -> String {
        self.query("SELECT release_id, table_name, table_version FROM releases ORDER BY release_id, table_name")
    }
}

/// Replaces what differs from run to run; drop the guard to stop.
pub fn filters() -> impl Drop {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"\d+\.\d s\b", "[seconds]");
    settings.add_filter(r"process \d+, for \d+ (s|min)", "process [pid], for [seconds]");
    settings.add_filter(r"loss \d+\.\d+", "loss [loss]");
    settings.add_filter(r"(p_secure|reward|R =) -?\d\.\d{4}", "$1 [score]");
    settings.add_filter(r"[0-9a-f]{32}", "[hash]");
    settings.add_filter(r"part-\d+-[0-9a-f-]{36}-c\d+", "part-[uuid]");
    settings.bind_to_scope()
}

fn secprm(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().unwrap()
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SECPRM_")) {
        command.env_remove(name);
    }
    command.current_dir(folder).env("COLUMNS", "100").stdin(Stdio::null()).args(arguments);
    command
}

fn tidy(bytes: &[u8], folder: &Path) -> String {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let real = folder.canonicalize().unwrap();
    let text = text.replace(&*real.to_string_lossy(), "[project]").replace(&*folder.to_string_lossy(), "[project]");
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// Runs the pipeline once for all tests, which may be processes of their own, and returns the project's folder.
fn prepared() -> PathBuf {
    let binary = fs::metadata(BINARY).unwrap();
    let built = binary.modified().unwrap().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli");
    fs::create_dir_all(&root).unwrap();
    let lock = File::create(root.join("lock")).unwrap();
    lock.lock().unwrap();
    let folder = root.join(format!("{built}-{}", binary.len()));
    if !folder.exists() {
        // What earlier builds left, and what a killed test began.
        for entry in fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
            fs::remove_dir_all(entry).unwrap();
        }
        let begun = root.join("begun");
        write_project(&begun);
        let output = secprm(&begun, &["run"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        fs::rename(&begun, &folder).unwrap();
    }
    folder
}

fn write_project(folder: &Path) {
    write(&folder.join("secprm.toml"), CONFIG);
    let train: Vec<String> = (0..4).map(|number| bounds_check(&format!("read_{number}"))).collect();
    let unchanged = record("same", "int a;\n", "int a;\n", "src/same.c", "cwe-125");
    write(&folder.join("data/train/cwe-125.jsonl"), &format!("{}\n{unchanged}\n{{broken\n", train.join("\n")));
    write(&folder.join("data/val/cwe-089.jsonl"), &format!("{}\n{}\n", bounds_check("read_9"), bound_query()));
}

fn bounds_check(name: &str) -> String {
    let version = |check: &str| {
        format!("int {name}(int *values, int index) {{\n    int last = 8;\n{check}    return values[index];\n}}\n")
    };
    let check = "    if (index < 0 || index >= last)\n        return -1;\n";
    record(name, &version(""), &version(check), &format!("src/{name}.c"), "cwe-125")
}

fn bound_query() -> String {
    let version = |call: &str| {
        format!("def find(db, name):\n    cursor = db.cursor()\n    {call}\n    return cursor.fetchall()\n")
    };
    let (before, after) = (version("cursor.execute('SELECT ' + name)"), version("cursor.execute('SELECT ?', (name,))"));
    record("find", &before, &after, "app/db.py", "cwe-089")
}

fn record(name: &str, before: &str, after: &str, file: &str, cwe: &str) -> String {
    serde_json::json!({
        "func_name": name, "func_src_before": before, "func_src_after": after,
        "commit_link": format!("github.com/owner/repository/commit/{name}"), "file_name": file, "vul_type": cwe,
    })
    .to_string()
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
