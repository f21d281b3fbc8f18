//! Every query that the documentation shows, asked of a published release of the embedded samples.

use std::path::Path;

use datafusion::prelude::SessionContext;

use super::project::TestProject;

/// All samples in two label modes, and a training that takes a second.
const SECTIONS: &str = "[label]\nmodes = [\"natural\", \"paper\"]\n\
    [[train.stage]]\nname = \"all\"\nparameters = \"all\"\nepochs = 1\nmax_steps = 2\nlearning_rate = 1e-3\n";

const DATASETS: [(&str, &str); 5] = [
    ("sven", "samples:sven"),
    ("primevul", "samples:primevul"),
    ("reposvul", "samples:reposvul"),
    ("precisebugs", "samples:precisebugs"),
    ("bigvul", "samples:bigvul"),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_query_in_the_documentation_has_an_answer() {
    let given = TestProject::new(&DATASETS, SECTIONS);
    assert!(given.run_selected(&[]).await.is_published);
    let (session, _) = given.open().session(None).await.unwrap();
    let mut failures = Vec::new();
    let mut asked = 0;
    for page in ["docs/analysts.md", "docs/operations.md", "docs/training.md", "README.md"] {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(page)).unwrap();
        for query in queries(&text) {
            asked += 1;
            if let Err(failure) = ask(&session, &query).await {
                failures.push(format!("{page}: {failure}\n{query}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    assert!(asked > 30, "{asked} queries are found");
}

/// The statements of all blocks marked as SQL, each with the comment before it.
fn queries(page: &str) -> Vec<String> {
    let blocks = page.split("```sql\n").skip(1).filter_map(|rest| rest.split("```").next());
    let statements = blocks.flat_map(|block| block.split(";\n"));
    statements.map(|statement| statement.trim().to_owned()).filter(|statement| !statement.is_empty()).collect()
}

/// A file for a project's own SQL begins with `--!`; it has to work, and may find nothing.
async fn ask(session: &SessionContext, query: &str) -> Result<(), String> {
    let frame = session.sql(query).await.map_err(|error| error.to_string())?;
    let batches = frame.collect().await.map_err(|error| error.to_string())?;
    let rows: usize = batches.iter().map(|batch| batch.num_rows()).sum();
    let comment = query.lines().take_while(|line| line.starts_with("--")).collect::<String>();
    let may_be_empty = query.starts_with("--!") || comment.to_lowercase().contains("may be empty");
    if rows == 0 && !may_be_empty { Err("no row, and no comment says that it may be empty".to_owned()) } else { Ok(()) }
}
