//! What `stats` prints.

use insta::assert_snapshot;
use serde_json::Value;

use crate::project::{Project, filters};

#[test]
fn a_table_for_people_shows_all_that_describes_the_data_in_the_order_of_use() {
    let project = Project::published();
    let output = project.output(&["stats"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    let titles: Vec<&str> = text.split("\n\n").filter_map(|part| part.lines().next()).collect();
    assert_snapshot!(titles.join("\n"), @"
    Datasets: V are vulnerable samples, S secure ones; lengths are means
    Languages
    CWE identifiers
    Where labels come from
    What was left out
    What length alone tells
    What an epoch of training is made of
    ");
}

#[test]
fn programs_get_the_datasets_or_the_one_table_they_ask_for() {
    let project = Project::published();
    let rows = |arguments: &[&str]| -> Vec<Value> {
        let output = project.output(&[&["stats", "--format", "json"], arguments].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    for table in ["datasets", "languages", "cwes", "sources", "rejects", "length", "years", "metrics"] {
        assert!(!rows(&["--table", table]).is_empty(), "{table}");
    }
    assert_eq!(rows(&[]), rows(&["--table", "datasets"]));
    assert_eq!(rows(&["--metrics"]), rows(&["--table", "metrics"]));
    assert_eq!(rows(&["--metrics", "--table", "years"]), rows(&["--table", "years"]));
    assert!(rows(&["--table", "shortcuts"]).iter().all(|row| row["model_id"].as_str().unwrap().starts_with("audit:")));
    let csv = project.output(&["stats", "--format", "csv", "--table", "rejects"]);
    assert_snapshot!(String::from_utf8(csv.stdout).unwrap(), @"
    stage,dataset,label_mode,reason,rejects,given,unit,share
    ingest,sven,,invalid_json,1,8,records,0.125
    label,sven,natural,no_code_difference,1,7,pairs,0.14285714285714285
    ");
}

#[test]
fn table_11_has_tokens_steps_and_shares() {
    let project = Project::published();
    assert_snapshot!(project.transcript(&["stats", "--table", "datasets"]), @"
    exit 0
    --- stdout
    ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
     dataset   subset   label_mode   split   V:S   tokens V / S   chars V / S   steps V / S   Step_v %   Step_a %   one step V:S   all 0
    ═════════════════════════════════════════════════════════════════════════════════════════════════════════════════════════════════════
     sven      paired   natural      train   4/4   27 / 48        83 / 138      1 / 1              100         50   4/4                4
     sven      paired   natural      test    2/2   61 / 72        97 / 126      1 / 1              100         50   2/2                2
    ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
    --- stderr
    ");
}

#[test]
fn an_unknown_table_of_statistics_names_the_nearest_one() {
    let _filters = filters();
    let project = Project::published();
    assert_snapshot!(project.transcript(&["stats", "--table", "yaers"]), @"
    exit 2
    --- stdout
    --- stderr
    error: invalid value 'yaers' for '--table <NAME>'
      [possible values: datasets, languages, cwes, sources, rejects, length, mixture, years, metrics, shortcuts]

      tip: a similar value exists: 'years'

    For more information, try '--help'.
    ");
}

#[test]
fn comments_of_tables_views_and_columns_are_in_information_schema() {
    let project = Project::published();
    assert_snapshot!(project.query(
        "SELECT table_schema, column_name, column_comment FROM information_schema.columns \
         WHERE table_name IN ('step_scores', 'steps') AND column_name IN ('label', 'reward', 'dataset') ORDER BY 1, 2, 3"
    ), @r#"
    table_schema,column_name,column_comment
    base,dataset,The dataset (partition)
    base,reward,"Step reward (FORMULAS, equation 1), in [-1, 1]"
    public,dataset,The dataset (partition)
    public,dataset,The dataset (partition)
    public,label,"1 secure, 0 vulnerable"
    public,reward,"Step reward (FORMULAS, equation 1), in [-1, 1]"
    "#);
    assert_snapshot!(project.query(
        "SELECT table_schema, table_type, table_comment FROM information_schema.tables WHERE table_name = 'pairs' ORDER BY 1"
    ), @r#"
    table_schema,table_type,table_comment
    base,BASE TABLE,"A vulnerable/fixed pair, or one side alone; the split is in `splits`"
    public,VIEW,"A vulnerable/fixed pair, or one side alone, with the split it was given and what its versions differ in"
    "#);
    assert!(project.output(&["sql", "-c", "SHOW TABLES; SHOW COLUMNS FROM samples; DESCRIBE steps"]).status.success());
}
