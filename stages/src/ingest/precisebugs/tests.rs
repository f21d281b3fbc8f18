#![allow(clippy::unwrap_used)]

use std::io::{Cursor, Write};

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};
use tar::{EntryType, Header};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::super::random_access::RandomAccess;
use super::super::record::{Granularity, Located, Reject, RejectReason, Subset};
use super::*;

const LIMIT: usize = 20_000;

fn read(path: &str, bytes: &[u8], granularities: &[Granularity]) -> Result<(Vec<Located>, u64)> {
    let context = FileContext { path: path.to_owned(), max_record_bytes: LIMIT, granularities: granularities.to_vec() };
    let mut found = Vec::new();
    let mut sink = |located: Located| {
        found.push(located);
        Ok(())
    };
    let mut stream = bytes;
    let records = match PreciseBugsReader.access(path) {
        Access::Stream => PreciseBugsReader.read(&context, RawInput::Stream(&mut stream), &mut sink)?,
        Access::Random => {
            let file = RandomAccess::in_memory(Bytes::copy_from_slice(bytes));
            PreciseBugsReader.read(&context, RawInput::Random(&file), &mut sink)?
        }
    };
    Ok((found, records))
}

fn read_entry(entry: &Value, granularities: &[Granularity]) -> Vec<Result<Box<super::super::record::Pair>, Reject>> {
    let (found, records) = read("CVEs/CVE-2020-7/BugEntry.json", entry.to_string().as_bytes(), granularities).unwrap();
    assert_eq!(records, 1);
    found.into_iter().map(|located| located.outcome).collect()
}

fn reasons(path: &str, bytes: &[u8]) -> Vec<Option<RejectReason>> {
    let (found, _) = read(path, bytes, &[Granularity::File]).unwrap();
    found.into_iter().map(|located| located.outcome.err().map(|reject| reject.reason)).collect()
}

fn entry(files: &[(&str, &str, &str)]) -> Value {
    json!({
        "filenames": files.iter().map(|file| file.0).collect::<Vec<_>>(),
        "buggy_code": files.iter().map(|file| file.1).collect::<Vec<_>>(),
        "fixing_code": files.iter().map(|file| file.2).collect::<Vec<_>>(),
        "buggy_code_start_loc": [1], "type": "CWE-79", "message": "m",
        "other": {"cve": {"id": "CVE-2020-7", "published": "1970-01-02T00:00:00.000"},
            "github_commit_url": "https://github.com/lighthouse/lamp/commit/ab12"},
    })
}

fn good() -> String {
    entry(&[("a.php", "a\r\n", "b\r\n")]).to_string()
}

#[test]
fn each_known_file_is_a_pair_and_the_others_are_named() {
    let outcomes = read_entry(
        &entry(&[("b.js", "x\r\n", "y\r\n"), ("a.html", "p", "q"), ("a.c", "1", "2"), ("NEWS", "", "n")]),
        &Granularity::ALL,
    );
    let pairs: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()).collect();
    let rows: Vec<_> = pairs
        .iter()
        .map(|pair| (pair.granularity, pair.file_path.as_deref(), pair.vulnerable_code.as_deref().unwrap()))
        .collect();
    let expected = [
        (Granularity::File, Some("b.js"), "x\r\n"),
        (Granularity::File, Some("a.c"), "1"),
        (Granularity::Repository, None, "1x\r\n"),
    ];
    assert_eq!(rows, expected);
    assert!(pairs.iter().all(|pair| pair.subset == Subset::Paired
        && pair.cwe == ["CWE-79"]
        && pair.published_at == Some(86_400_000_000)));
    assert_eq!((pairs[0].project.as_deref(), pairs[0].commit_id.as_deref()), (Some("lighthouse/lamp"), Some("ab12")));
    let rejects: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
    let [reject] = rejects.as_slice() else { panic!("{rejects:?}") };
    assert_eq!(reject.reason, RejectReason::UnsupportedLanguage);
    assert_eq!(reject.detail, "left out of the entry: a.html, NEWS");
}

#[test]
fn an_irregular_nvd_record_never_costs_the_entry() {
    for other in [
        json!("text"),
        json!(null),
        json!([1]),
        json!({"cve": "CVE-2020-7"}),
        json!({"cve": {"id": 7, "published": {}}, "github_commit_url": 3}),
    ] {
        let mut odd = entry(&[("a.c", "1", "2")]);
        odd["other"] = other.clone();
        let outcomes = read_entry(&odd, &[Granularity::File]);
        let pair = outcomes[0].as_ref().unwrap();
        assert_eq!((pair.cve.as_deref(), pair.published_at), (Some("CVE-2020-7"), None), "{other}");
    }
    let mut without = entry(&[("a.c", "1", "2")]);
    without.as_object_mut().unwrap().remove("other");
    without["type"] = json!("NVD-CWE-noinfo");
    assert!(read_entry(&without, &[Granularity::File])[0].as_ref().unwrap().cwe.is_empty());
}

#[test]
fn each_defect_has_its_reason() {
    let mut uneven = entry(&[("a.c", "1", "2")]);
    uneven["filenames"] = json!(["a.c", "b.c"]);
    let mut wrong = entry(&[]);
    wrong["buggy_code"] = json!("x");
    let cases = [
        (uneven.to_string(), RejectReason::InvalidValue),
        (wrong.to_string(), RejectReason::WrongType),
        (entry(&[]).to_string(), RejectReason::EmptyCode),
        (entry(&[("a.txt", "1", "2")]).to_string(), RejectReason::UnsupportedLanguage),
        (entry(&[("a.c", "", "2")]).to_string(), RejectReason::NoCounterpart),
        (entry(&[("a.c", "1", "")]).to_string(), RejectReason::NoCounterpart),
        (json!({"filenames": [], "buggy_code": []}).to_string(), RejectReason::MissingField),
        ("[]".to_owned(), RejectReason::NotAnObject),
        (String::new(), RejectReason::InvalidJson),
        (" ".repeat(LIMIT + 1), RejectReason::TooLarge),
    ];
    for (text, reason) in cases {
        assert_eq!(reasons("x/BugEntry.json", text.as_bytes()), [Some(reason)], "{text:.80}");
    }
    let outcomes = read_entry(&entry(&[("a.c", "1", "2")]), &[Granularity::Function, Granularity::Repository]);
    assert_eq!(outcomes[0].as_ref().unwrap_err().reason, RejectReason::NoCounterpart);
}

fn tar_of(entries: &[(&str, EntryType, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, kind, text) in entries {
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_size(text.len() as u64);
        // The crate refuses to write hostile paths.
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_cksum();
        builder.append(&header, text.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

fn zip_of(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (path, text) in entries {
        writer.start_file(*path, SimpleFileOptions::default()).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn an_archive_gives_what_its_folders_would() {
    let good = good();
    let tar = tar_of(&[
        ("CVEs/CVE-1/", EntryType::Directory, ""),
        ("CVEs/CVE-1/BugEntry.json", EntryType::Regular, &good),
        ("CVEs/CVE-1/NotBugEntry.json", EntryType::Regular, "{}"),
        ("inner.tar", EntryType::Regular, "x"),
        ("CVEs/CVE-2/BugEntry.json", EntryType::Regular, "{}"),
    ]);
    let (found, records) = read("a.tar", &tar, &[Granularity::File]).unwrap();
    assert_eq!(records, 2);
    let places: Vec<_> =
        found.iter().map(|located| (located.row, located.byte_offset, located.outcome.is_ok())).collect();
    assert_eq!(places, [(0, 512, true), (1, 512 + 512 + 512 + 1024 + 1024, false)]);
    assert!(found[1].outcome.as_ref().unwrap_err().detail.starts_with("CVEs/CVE-2/BugEntry.json: "));
    let zip = zip_of(&[("CVEs/CVE-1/BugEntry.json", &good), ("NEWS", "x"), ("CVEs/CVE-2/BugEntry.json", &good)]);
    let (zipped, records) = read("a.zip", &zip, &[Granularity::File]).unwrap();
    assert_eq!(records, 2);
    assert_eq!(zipped[0].outcome, found[0].outcome);
    assert!(zipped[0].byte_offset == 0 && zipped[1].byte_offset > 0);
    // The crate `zip` cannot write links; a table of contents without any file is an archive all the same.
    for (path, bytes) in [("a.tar", tar_of(&[("NEWS", EntryType::Regular, "x")])), ("a.zip", zip_of(&[]))] {
        let error = read(path, &bytes, &[Granularity::File]).unwrap_err().to_string();
        assert_eq!(error, format!("{path} holds no BugEntry.json"));
    }
}

#[test]
fn long_names_are_followed_and_appended_tars_are_read_on() {
    let good = good();
    let folder = "f".repeat(200);
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_size(good.len() as u64);
    builder.append_data(&mut header, format!("{folder}/BugEntry.json"), good.as_bytes()).unwrap();
    builder.append_pax_extensions([("path", format!("{folder}/CVE-3/BugEntry.json").as_bytes())]).unwrap();
    let mut header = Header::new_ustar();
    header.set_path("short").unwrap();
    header.set_size(2);
    header.set_cksum();
    builder.append(&header, &b"{}"[..]).unwrap();
    let mut tar = builder.into_inner().unwrap();
    tar.extend(tar_of(&[("BugEntry.json", EntryType::Regular, &good)]));
    let (found, records) = read("a.tar", &tar, &[Granularity::File]).unwrap();
    assert_eq!(records, 3);
    assert!(found[1].outcome.as_ref().unwrap_err().detail.contains("CVE-3/BugEntry.json: buggy_code is missing"));
    assert!(found[0].outcome.is_ok() && found[2].outcome.is_ok());
}

#[test]
fn a_size_that_only_an_extended_header_gives_ends_the_reading() {
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_pax_extensions([("size", b"9999999999".as_slice())]).unwrap();
    let error = read("a.tar", &builder.into_inner().unwrap(), &[Granularity::File]).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("pack the BugEntry.json files alone"), "{cause}");
}

#[test]
fn hostile_entries_of_a_tar_are_rejects() {
    let large = " ".repeat(LIMIT + 1);
    let tar = tar_of(&[
        ("../BugEntry.json", EntryType::Regular, "{}"),
        ("/etc/BugEntry.json", EntryType::Regular, "{}"),
        ("C:\\x\\BugEntry.json", EntryType::Regular, "{}"),
        ("a/BugEntry.json", EntryType::Symlink, ""),
        ("b/BugEntry.json", EntryType::Link, ""),
        ("c/BugEntry.json", EntryType::Fifo, ""),
        ("x", EntryType::GNULongName, &"n".repeat(65 << 10)),
        ("d", EntryType::Regular, ""),
        ("e/BugEntry.json", EntryType::Regular, &large),
        ("f/BugEntry.json", EntryType::Regular, &good()),
    ]);
    let invalid = Some(RejectReason::InvalidArchiveEntry);
    let expected = [invalid, invalid, invalid, invalid, invalid, invalid, invalid, Some(RejectReason::TooLarge), None];
    assert_eq!(reasons("a.tar", &tar), expected);
}

/// Changes all places of a zip where `from` stands.
fn patched(mut zip: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let places: Vec<usize> = (0..zip.len()).filter(|at| zip[*at..].starts_with(from)).collect();
    assert!(!places.is_empty());
    places.into_iter().for_each(|at| zip[at..at + to.len()].copy_from_slice(to));
    zip
}

#[test]
fn hostile_entries_of_a_zip_are_rejects() {
    let bomb = " ".repeat(4 << 20);
    let zip = zip_of(&[("__/BugEntry.json", "{}"), ("a/BugEntry.json", &bomb), ("b/BugEntry.json", &good())]);
    let zip = patched(zip, b"__/BugEntry", b"../BugEntry");
    let expected = [Some(RejectReason::InvalidArchiveEntry), Some(RejectReason::TooLarge), None];
    assert_eq!(reasons("a.zip", &zip), expected);
    // A bomb that says it is small is still read no further than a record may be long.
    let lying = patched(zip, &(4u32 << 20).to_le_bytes(), &9u32.to_le_bytes());
    assert!(matches!(reasons("a.zip", &lying)[1], Some(RejectReason::TooLarge | RejectReason::InvalidArchiveEntry)));
}

#[test]
fn an_encrypted_or_damaged_entry_of_a_zip_is_a_reject() {
    let good = good();
    let zip = zip_of(&[("a/BugEntry.json", &good)]);
    let local = [b"PK\x03\x04".as_slice(), &zip[4..8]].concat();
    let central_at = zip.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
    let mut encrypted = zip.clone();
    assert!(encrypted.starts_with(&local));
    encrypted[6] |= 1;
    encrypted[central_at + 8] |= 1;
    assert_eq!(reasons("a.zip", &encrypted), [Some(RejectReason::InvalidArchiveEntry)]);
    let mut damaged = zip.clone();
    damaged[14] ^= 1;
    damaged[central_at + 16] ^= 1;
    assert_eq!(reasons("a.zip", &damaged), [Some(RejectReason::InvalidArchiveEntry)]);
    assert!(
        read("a.zip", b"no zip at all", &[Granularity::File]).unwrap_err().to_string().contains("is no zip archive")
    );
}

#[test]
fn only_entries_and_archives_of_them_are_accepted() {
    for path in ["BugEntry.json", "CVEs/CVE-1/BugEntry.json", "other/7/BugEntry.json", "a.tar", "x/a.tgz", "a.zip"] {
        assert!(PreciseBugsReader.accepts(path), "{path}");
    }
    for path in ["MyBugEntry.json", "CVEs/CVE-1/report.json", "a.tar.bz2", "BugEntry.json.md"] {
        assert!(!PreciseBugsReader.accepts(path), "{path}");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000), zeros in 0..2000usize) {
        let padded = [bytes, vec![0; zeros]].concat();
        for path in ["BugEntry.json", "a.tar", "a.zip"] {
            let _ = read(path, &padded, &Granularity::ALL);
        }
    }

    #[test]
    fn a_damaged_archive_never_panics_nor_holds_more_records_than_entries(at in 0..100_000usize, byte in any::<u8>()) {
        let good = good();
        let tar = tar_of(&[("a/BugEntry.json", EntryType::Regular, &good), ("b/BugEntry.json", EntryType::Regular, &good)]);
        let zip = zip_of(&[("a/BugEntry.json", &good), ("b/BugEntry.json", &good)]);
        for (path, mut bytes) in [("a.tar", tar), ("a.zip", zip)] {
            let at = at % bytes.len();
            bytes[at] = byte;
            if let Ok((found, records)) = read(path, &bytes, &[Granularity::File]) {
                let rows: Vec<u64> = found.iter().map(|located| located.row).collect();
                prop_assert_eq!(rows, (0..records).collect::<Vec<_>>());
                prop_assert!(records <= 2);
            }
        }
    }

    #[test]
    fn an_archive_that_is_cut_off_is_an_error(cut in 0..10_000usize) {
        let good = good();
        let tar = tar_of(&[("a/BugEntry.json", EntryType::Regular, &good), ("b/BugEntry.json", EntryType::Regular, &good)]);
        // The last two blocks are zeros, and the first of them ends the archive.
        let end = tar.len() - 512;
        let cut_tar = &tar[..cut * (end - 1) / 10_000];
        prop_assert!(read("a.tar", cut_tar, &[Granularity::File]).is_err());
        let zip = zip_of(&[("a/BugEntry.json", &good), ("b/BugEntry.json", &good)]);
        prop_assert!(read("a.zip", &zip[..cut * (zip.len() - 1) / 10_000], &[Granularity::File]).is_err());
    }
}
