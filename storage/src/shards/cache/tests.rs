#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::folder::{Claim, Folder, Partial, is_intact};

fn mine(folder: &Folder, key: &str, size: u64) -> Partial {
    match folder.claim(key, size).unwrap() {
        Claim::Mine(partial) => partial,
        _ => panic!("{key} is not ours to write"),
    }
}

fn add(folder: &Folder, key: &str, content: &[u8], age_seconds: u64) -> PathBuf {
    let mut partial = mine(folder, key, content.len() as u64);
    partial.file.write_all(content).unwrap();
    let path = folder.publish(partial, blake3::hash(content).to_hex().as_str()).unwrap();
    let used = SystemTime::now() - Duration::from_secs(age_seconds);
    fs::File::options().write(true).open(&path).unwrap().set_modified(used).unwrap();
    path
}

#[test]
fn a_file_is_claimed_once_and_found_when_it_is_whole() {
    let home = tempfile::tempdir().unwrap();
    let folder = Folder::open(&home.path().join("a/b"), 1000, Duration::ZERO).unwrap();
    let same = Folder::open(&home.path().join("a/b"), 1000, Duration::ZERO).unwrap();
    let partial = mine(&folder, "k", 10);
    assert!(matches!(same.claim("k", 10).unwrap(), Claim::Busy));
    drop(partial);
    let path = add(&same, "k", b"0123456789", 0);
    let Claim::Present { path: found, hash } = folder.claim("k", 10).unwrap() else { panic!("it is there") };
    assert_eq!(found, path);
    assert!(is_intact(&path, 10, &hash));
    assert!(!is_intact(&path, 11, &hash));
    fs::write(&path, b"0123456780").unwrap();
    assert!(!is_intact(&path, 10, &hash));
    assert!(!is_intact(&home.path().join("nothing"), 10, &hash));
}

#[test]
fn the_least_recently_used_go_first_and_those_in_use_stay() {
    let home = tempfile::tempdir().unwrap();
    let folder = Folder::open(home.path(), 100, Duration::from_secs(60)).unwrap();
    let [older, newer, used] = [("a", 500), ("b", 300), ("c", 10)].map(|(key, age)| add(&folder, key, &[1; 30], age));
    let partial = mine(&folder, "d", 30);
    assert!(!older.exists() && newer.exists() && used.exists());
    // What is being written takes room as well.
    assert!(matches!(folder.claim("e", 41).unwrap(), Claim::NoRoom));
    assert!(newer.exists());
    drop(partial);
    drop(mine(&folder, "e", 70));
    assert!(!newer.exists() && used.exists());
    assert!(matches!(folder.claim("f", 101).unwrap(), Claim::NoRoom));
}

#[test]
fn a_file_whose_writer_died_is_removed() {
    let home = tempfile::tempdir().unwrap();
    let folder = Folder::open(home.path(), 100, Duration::ZERO).unwrap();
    let left = home.path().join("k.0.partial");
    fs::write(&left, [0; 90]).unwrap();
    fs::write(home.path().join("notes.txt"), [0; 90]).unwrap();
    drop(mine(&folder, "k", 50));
    assert!(!left.exists());
    assert!(home.path().join("notes.txt").exists());
}
