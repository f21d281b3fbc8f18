//! The dates that datasets write, as microseconds since 1970 UTC.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};

/// Reads a moment: `2012-06-12T13:20:10Z`, with any offset, or without one, which is UTC. `None` for anything else.
pub fn parse_moment(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Some(moment.timestamp_micros());
    }
    let without_zone = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"]
        .into_iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .or_else(|| Some(midnight(NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?)))?;
    Some(without_zone.and_utc().timestamp_micros())
}

/// Reads a day written out in English, `November 23, 2011`, as its midnight in UTC; failing that, a moment.
pub fn parse_day(text: &str) -> Option<i64> {
    match NaiveDate::parse_from_str(text.trim(), "%B %d, %Y") {
        Ok(day) => Some(midnight(day).and_utc().timestamp_micros()),
        Err(_) => parse_moment(text),
    }
}

fn midnight(day: NaiveDate) -> NaiveDateTime {
    day.and_time(NaiveTime::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000_000;

    #[test]
    fn moments_are_read_with_and_without_a_zone() {
        for text in ["1970-01-02T00:00:00Z", "1970-01-02T01:00:00+01:00", "1970-01-02T00:00:00.000", "1970-01-02"] {
            assert_eq!(parse_moment(text), Some(DAY), "{text}");
        }
        assert_eq!(parse_moment("1970-01-02 00:00:00.25"), Some(DAY + 250_000));
        for text in ["", "yesterday", "2011-02-30", "1970-01-02T25:00:00Z", "99999999999-01-01"] {
            assert_eq!(parse_moment(text), None, "{text}");
        }
    }

    #[test]
    fn a_day_in_words_is_its_midnight() {
        assert_eq!(parse_day("January 2, 1970"), Some(DAY));
        assert_eq!(parse_day("January 02, 1970"), Some(DAY));
        assert_eq!(parse_day("1970-01-02T00:00:00"), Some(DAY));
        assert_eq!(parse_day("Smarch 2, 1970"), None);
    }
}
