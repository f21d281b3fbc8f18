//! What a table or slice was computed from, as one number that lives in the table's own log.

use std::fmt;

/// A fingerprint over everything a table or slice was computed from.
///
/// Delta stores it as the version of a transaction, which is signed: 63 bits are kept, and zero is
/// reserved for "removed". Two fingerprints are compared after that narrowing, so a value computed
/// now and one read from a table agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// Keeps the lower 63 bits of a hash; the hash 0 becomes 1.
    pub fn new(hash: u64) -> Self {
        Self((hash & i64::MAX as u64).max(1))
    }

    /// The 63 bits.
    pub fn bits(self) -> u64 {
        self.0
    }

    pub(crate) fn as_version(self) -> i64 {
        self.0 as i64
    }

    pub(crate) fn from_version(version: i64) -> Option<Self> {
        u64::try_from(version).ok().filter(|v| *v > 0).map(Self)
    }
}

impl From<u64> for Fingerprint {
    fn from(hash: u64) -> Self {
        Self::new(hash)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The key of a slice in [`Table::fingerprints`](crate::Table::fingerprints): its partition values
/// in the table's column order, joined with `/`.
///
/// `/` and `%` inside a value are written `%2F` and `%25`, so that two slices never share a key.
/// The whole table has the key `""`.
pub fn slice_key<V: AsRef<str>>(values: impl IntoIterator<Item = V>) -> String {
    let values: Vec<String> =
        values.into_iter().map(|value| value.as_ref().replace('%', "%25").replace('/', "%2F")).collect();
    values.join("/")
}

/// The values of the partition columns of the slice of a key, as [`slice_key`] put them together.
pub fn slice_values(key: &str) -> impl Iterator<Item = String> {
    key.split('/').map(|value| value.replace("%2F", "/").replace("%25", "%"))
}

/// The application identifier under which a table's log keeps a fingerprint.
pub(crate) fn application_id(table: &str, key: &str) -> String {
    if key.is_empty() { format!("secprm:{table}") } else { format!("secprm:{table}:{key}") }
}

/// The slice key within an application identifier; none for those of other applications.
pub(crate) fn key_of_application_id<'a>(table: &str, application: &'a str) -> Option<&'a str> {
    let rest = application.strip_prefix("secprm:")?.strip_prefix(table)?;
    if rest.is_empty() { Some("") } else { rest.strip_prefix(':') }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_different_slices_differ() {
        assert_eq!(slice_key(["sven", "0"]), "sven/0");
        assert_ne!(slice_key(["a/b", "c"]), slice_key(["a", "b/c"]));
        assert_ne!(slice_key(["a%2Fb"]), slice_key(["a/b"]));
        let values = ["a/b%2F", "", "%25"];
        assert!(slice_values(&slice_key(values)).eq(values));
    }

    #[test]
    fn application_ids_round_trip_and_do_not_mix_tables() {
        assert_eq!(key_of_application_id("pairs", &application_id("pairs", "")), Some(""));
        assert_eq!(key_of_application_id("pairs", &application_id("pairs", "a:b/0")), Some("a:b/0"));
        assert_eq!(key_of_application_id("pair", &application_id("pairs", "x")), None);
        assert_eq!(key_of_application_id("pairs", "spark:pairs"), None);
    }

    #[test]
    fn narrowing_is_stable_and_never_zero() {
        for hash in [0, 1, u64::MAX, 1 << 63, 42] {
            let fingerprint = Fingerprint::new(hash);
            assert_eq!(Fingerprint::new(fingerprint.bits()), fingerprint);
            assert_eq!(Fingerprint::from_version(fingerprint.as_version()), Some(fingerprint));
        }
        assert_eq!(Fingerprint::from_version(0), None);
    }
}
