//! The sample data in the binary gives what its READMEs count.

use super::ingested::Ingested;

async fn samples() -> Ingested {
    let sources = [
        ("sven", "samples:sven"),
        ("primevul", "samples:primevul"),
        ("reposvul", "samples:reposvul"),
        ("precisebugs", "samples:precisebugs"),
        ("bigvul", "samples:bigvul"),
    ];
    Ingested::new(&sources).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_samples_give_what_their_readmes_count() {
    let samples = samples().await;
    let counted = "SELECT concat_ws(' ', dataset, sum(records), sum(records) - sum(accounted)) FROM sources GROUP BY dataset ORDER BY dataset";
    assert_eq!(
        samples.texts(counted).await,
        ["bigvul 33 0", "precisebugs 31 0", "primevul 64 0", "reposvul 19 0", "sven 110 0"]
    );
    let pairs = "SELECT concat_ws(' ', dataset, granularity, subset, count(*)) FROM pairs \
        GROUP BY dataset, granularity, subset ORDER BY dataset, granularity, subset";
    assert_eq!(
        samples.texts(pairs).await,
        [
            "bigvul function paired 24",
            "bigvul function unpaired 5",
            "precisebugs file paired 30",
            "precisebugs repository paired 6",
            "primevul function paired 24",
            "primevul function unpaired 6",
            "reposvul file paired 14",
            "reposvul file unpaired 6",
            "reposvul function paired 19",
            "reposvul function unpaired 18",
            "reposvul repository paired 9",
            "sven function paired 101",
        ]
    );
    let rejects = "SELECT concat_ws(' ', dataset, reason, count(*)) FROM ingest_rejects \
        GROUP BY dataset, reason ORDER BY dataset, reason";
    assert_eq!(
        samples.texts(rejects).await,
        [
            "bigvul empty_code 1",
            "bigvul invalid_csv 1",
            "bigvul invalid_utf8 1",
            "bigvul invalid_value 1",
            "precisebugs invalid_json 1",
            "precisebugs invalid_value 1",
            "precisebugs missing_field 1",
            "precisebugs no_counterpart 1",
            "precisebugs not_an_object 1",
            "precisebugs unsupported_language 3",
            "precisebugs wrong_type 1",
            "primevul empty_code 1",
            "primevul invalid_json 1",
            "primevul invalid_utf8 1",
            "primevul invalid_value 1",
            "primevul missing_field 1",
            "primevul no_counterpart 3",
            "primevul not_an_object 1",
            "primevul wrong_type 1",
            "reposvul invalid_json 1",
            "reposvul invalid_utf8 1",
            "reposvul missing_field 1",
            "reposvul no_counterpart 2",
            "reposvul not_an_object 1",
            "reposvul not_vulnerable 4",
            "reposvul outdated 3",
            "reposvul unsupported_language 5",
            "reposvul wrong_type 1",
            "sven empty_code 1",
            "sven invalid_json 1",
            "sven invalid_utf8 1",
            "sven invalid_value 1",
            "sven missing_field 3",
            "sven not_an_object 1",
            "sven wrong_type 1",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_samples_are_of_eleven_languages() {
    let samples = samples().await;
    let languages = samples.texts("SELECT DISTINCT language FROM pairs ORDER BY language").await;
    let expected = ["c", "cpp", "go", "java", "javascript", "kotlin", "php", "python", "rust", "scala", "typescript"];
    assert_eq!(languages, expected);
}
