//! `--filter` and the `filters` query parameter: a set of values for each key.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::{ErrorKind, Fault};

/// Why filters are refused. Texts as Docker's.
#[derive(Debug, thiserror::Error)]
pub enum FiltersError {
    /// Not JSON of either shape.
    #[error("invalid filter")]
    Malformed(#[source] serde_json::Error),
    /// A key the resource has no filter for.
    #[error("invalid filter '{0}'")]
    Key(String),
    /// A value that does not fit the key.
    #[error("invalid filter '{key}={value}'")]
    Value {
        /// The key.
        key: String,
        /// Its value, or all its values as `[a b]`.
        value: String,
    },
}

impl Fault for FiltersError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidParameter
    }
}

/// Values by key. An absent key lets everything through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters(pub BTreeMap<String, BTreeSet<String>>);

impl Filters {
    /// Reads `{"label":["a=b"]}` and the older `{"label":{"a=b":true}}`; an empty text is no filter.
    ///
    /// # Errors
    /// [`FiltersError::Malformed`].
    pub fn from_json(text: &str) -> Result<Self, FiltersError> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_str(text).map_err(FiltersError::Malformed)
    }

    /// The text of the query parameter, in the shape every API version reads: `{"label":{"a=b":true}}`.
    pub fn to_json(&self) -> String {
        let map: BTreeMap<&str, BTreeMap<&str, bool>> = self
            .0
            .iter()
            .map(|(k, v)| (k.as_str(), v.iter().map(|v| (v.as_str(), true)).collect()))
            .collect();
        serde_json::to_string(&map).unwrap_or_default()
    }

    /// Adds a value.
    pub fn add(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.0.entry(key.into()).or_default().insert(value.into());
    }

    /// Whether nothing is filtered.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the key is there.
    pub fn contains(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// The values of a key, in order.
    pub fn values(&self, key: &str) -> impl Iterator<Item = &str> {
        self.0.get(key).into_iter().flatten().map(String::as_str)
    }

    /// Takes a key out and gives its values.
    pub fn take(&mut self, key: &str) -> Option<BTreeSet<String>> {
        self.0.remove(key)
    }

    /// Refuses keys that are not in the list.
    ///
    /// # Errors
    /// [`FiltersError::Key`] with Docker's text.
    pub fn check(&self, accepted: &[&str]) -> Result<(), FiltersError> {
        match self.0.keys().find(|key| !accepted.contains(&key.as_str())) {
            Some(key) => Err(FiltersError::Key(key.clone())),
            None => Ok(()),
        }
    }

    /// The value of a yes-or-no key (`dangling`); `None` when it is not given.
    ///
    /// # Errors
    /// [`FiltersError::Value`] when it has several values or one that is neither.
    pub fn boolean(&self, key: &str) -> Result<Option<bool>, FiltersError> {
        let Some(values) = self.0.get(key) else {
            return Ok(None);
        };
        let all: Vec<&str> = values.iter().map(String::as_str).collect();
        match all[..] {
            [] => Ok(None),
            ["1" | "true"] => Ok(Some(true)),
            ["0" | "false"] => Ok(Some(false)),
            _ => Err(FiltersError::Value {
                key: key.to_owned(),
                value: format!("[{}]", all.join(" ")),
            }),
        }
    }

    /// Whether the text equals one of the key's values, or the key is absent.
    pub fn exact(&self, key: &str, text: &str) -> bool {
        self.0
            .get(key)
            .is_none_or(|values| values.is_empty() || values.contains(text))
    }

    /// Whether the text begins with one of the key's values, or the key is absent: ids.
    pub fn prefix(&self, key: &str, text: &str) -> bool {
        self.0.get(key).is_none_or(|values| {
            values.is_empty() || values.iter().any(|value| text.starts_with(value.as_str()))
        })
    }

    /// Whether the text equals one of the key's values or one of them, as a regular expression, is found
    /// in it, or the key is absent: names.
    pub fn pattern(&self, key: &str, text: &str) -> bool {
        self.0.get(key).is_none_or(|values| {
            values.is_empty()
                || values.iter().any(|value| {
                    value == text
                        || regex_lite::Regex::new(value).is_ok_and(|regex| regex.is_match(text))
                })
        })
    }

    /// Whether the labels satisfy every value of the key (`k` or `k=v`), or the key is absent.
    pub fn labels<'a>(&self, key: &str, mut label: impl FnMut(&str) -> Option<&'a str>) -> bool {
        self.values(key).all(|value| match value.split_once('=') {
            Some((name, wanted)) => label(name) == Some(wanted),
            None => label(value).is_some(),
        })
    }
}

impl<'de> Deserialize<'de> for Filters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Values {
            List(Vec<String>),
            Map(BTreeMap<String, bool>),
        }
        struct Shape;
        impl<'de> Visitor<'de> for Shape {
            type Value = Filters;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of lists of text, or of objects of booleans")
            }
            fn visit_unit<E>(self) -> Result<Filters, E> {
                Ok(Filters::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Filters, A::Error> {
                let mut filters = Filters::default();
                while let Some((key, values)) = map.next_entry::<String, Values>()? {
                    let set = filters.0.entry(key).or_default();
                    match values {
                        Values::List(list) => set.extend(list),
                        // Docker reads the keys and never looks at the booleans.
                        Values::Map(map) => set.extend(map.into_keys()),
                    }
                }
                Ok(filters)
            }
        }
        deserializer.deserialize_any(Shape)
    }
}

impl Serialize for Filters {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_shapes() {
        let new = Filters::from_json(r#"{"label":["a=b","c"],"name":["x"]}"#).unwrap();
        let old =
            Filters::from_json(r#"{"label":{"a=b":true,"c":true},"name":{"x":true}}"#).unwrap();
        assert_eq!(new, old);
        assert_eq!(Filters::from_json(&new.to_json()).unwrap(), new);
        assert_eq!(Filters::from_json("").unwrap(), Filters::default());
        assert_eq!(new.values("label").collect::<Vec<_>>(), ["a=b", "c"]);
        for bad in ["x", "[]", r#"{"a":1}"#, r#"{"a":"b"}"#, r#"{"a":[1]}"#] {
            assert!(Filters::from_json(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn matches_as_docker_does() {
        let filters = Filters::from_json(
            r#"{"label":["a=b","c"],"name":["^/we.$"],"id":["abc"],"status":["running","exited"]}"#,
        )
        .unwrap();
        let labels = |set: &'static [(&'static str, &'static str)]| {
            filters.labels("label", |k| {
                set.iter().find(|(n, _)| *n == k).map(|(_, v)| *v)
            })
        };
        assert!(labels(&[("a", "b"), ("c", "")]));
        assert!(!labels(&[("a", "x"), ("c", "")]));
        assert!(!labels(&[("a", "b")]));
        assert!(filters.pattern("name", "/web"));
        assert!(!filters.pattern("name", "/webs"));
        assert!(filters.prefix("id", "abcdef"));
        assert!(!filters.prefix("id", "ab"));
        assert!(filters.exact("status", "running"));
        assert!(!filters.exact("status", "paused"));
        assert!(filters.exact("absent", "anything"));
    }

    #[test]
    fn refuses_in_dockers_words() {
        let filters = Filters::from_json(r#"{"dangling":["maybe"],"foo":["x"]}"#).unwrap();
        assert_eq!(
            filters.check(&["dangling"]).unwrap_err().to_string(),
            "invalid filter 'foo'"
        );
        assert_eq!(
            filters.boolean("dangling").unwrap_err().to_string(),
            "invalid filter 'dangling=[maybe]'"
        );
        let filters = Filters::from_json(r#"{"dangling":["true"]}"#).unwrap();
        assert_eq!(filters.boolean("dangling").unwrap(), Some(true));
        assert_eq!(filters.boolean("other").unwrap(), None);
    }
}
