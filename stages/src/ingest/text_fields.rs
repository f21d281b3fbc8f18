//! Field types for records whose texts may be null, and whose lists may be a single text.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};

/// A text that borrows from the record where it can; null and a missing field are the empty text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text<'record>(pub Cow<'record, str>);

impl Text<'_> {
    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de: 'record, 'record> Deserialize<'de> for Text<'record> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string or null")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text)))
    }

    fn visit_unit<E: Error>(self) -> Result<Text<'de>, E> {
        Ok(Text::default())
    }
}

/// A list of texts; a text alone is a list of one, null and a missing field are the empty list.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct TextList<'record>(pub Vec<Text<'record>>);

impl<'de: 'record, 'record> Deserialize<'de> for TextList<'record> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextListVisitor)
    }
}

struct TextListVisitor;

impl<'de> Visitor<'de> for TextListVisitor {
    type Value = TextList<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of strings, a string or null")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<TextList<'de>, A::Error> {
        let mut texts = Vec::new();
        while let Some(text) = elements.next_element()? {
            texts.push(text);
        }
        Ok(TextList(texts))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<TextList<'de>, E> {
        Ok(TextList(vec![TextVisitor.visit_borrowed_str(text)?]))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<TextList<'de>, E> {
        Ok(TextList(vec![TextVisitor.visit_str(text)?]))
    }

    fn visit_unit<E: Error>(self) -> Result<TextList<'de>, E> {
        Ok(TextList::default())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn null_is_the_empty_text_and_plain_text_is_borrowed() {
        assert!(matches!(serde_json::from_str::<Text<'_>>("\"ab\"").unwrap().0, Cow::Borrowed("ab")));
        assert_eq!(serde_json::from_str::<Text<'_>>("\"a\\nb\"").unwrap().as_str(), "a\nb");
        assert_eq!(serde_json::from_str::<Text<'_>>("null").unwrap(), Text::default());
        let error = serde_json::from_str::<Text<'_>>("7").unwrap_err().to_string();
        assert!(error.contains("expected a string or null"), "{error}");
    }

    #[test]
    fn a_text_alone_is_a_list_of_one() {
        let texts = |json| -> Vec<String> {
            let list: TextList<'_> = serde_json::from_str(json).unwrap();
            list.0.iter().map(|text| text.as_str().to_owned()).collect()
        };
        assert_eq!(texts("[\"a\", null]"), ["a", ""]);
        assert_eq!(texts("\"a\\t\""), ["a\t"]);
        assert!(texts("null").is_empty());
        assert!(serde_json::from_str::<TextList<'_>>("[[]]").is_err());
    }
}
