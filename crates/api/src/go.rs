//! JSON as Go's `encoding/json` writes and reads it, so that our documents are Docker's to the byte.
//!
//! [`document!`] makes a struct from a table of fields. Writing keeps the order of the table; `@omitempty` leaves
//! out what Go leaves out. Reading takes keys in any case, takes `null` as "not given", lets the last of two equal
//! keys win and passes over keys it does not know: exactly what clients of dockerd rely on.

use std::collections::BTreeMap;
use std::io::Read;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

/// Whether Go's `omitempty` would leave a value out.
pub trait Zero {
    /// Whether the field is left out.
    fn is_zero(&self) -> bool;
    /// Whether this is a list or map without entries: left out even behind an `Option`.
    fn is_empty_collection(&self) -> bool {
        false
    }
}

macro_rules! zero_numbers {
    ($($number:ty),*) => {
        $(impl Zero for $number {
            fn is_zero(&self) -> bool {
                *self == <$number>::default()
            }
        })*
    };
}
zero_numbers!(bool, u16, u32, u64, i32, i64, f64);

impl Zero for String {
    fn is_zero(&self) -> bool {
        self.is_empty()
    }
}

impl<T> Zero for Vec<T> {
    fn is_zero(&self) -> bool {
        self.is_empty()
    }
    fn is_empty_collection(&self) -> bool {
        self.is_empty()
    }
}

impl<K, V> Zero for BTreeMap<K, V> {
    fn is_zero(&self) -> bool {
        self.is_empty()
    }
    fn is_empty_collection(&self) -> bool {
        self.is_empty()
    }
}

impl<T: Zero> Zero for Option<T> {
    fn is_zero(&self) -> bool {
        self.as_ref().is_none_or(Zero::is_empty_collection)
    }
}

impl<T: Zero> Zero for Box<T> {
    fn is_zero(&self) -> bool {
        (**self).is_zero()
    }
}

/// Values that are never left out.
macro_rules! never_zero {
    ($($name:ty),* $(,)?) => {
        $(impl crate::go::Zero for $name {
            fn is_zero(&self) -> bool {
                false
            }
        })*
    };
}
pub(crate) use never_zero;

impl Zero for serde_json::Value {
    fn is_zero(&self) -> bool {
        false
    }
}

impl Zero for onggi_model::Timestamp {
    fn is_zero(&self) -> bool {
        (*self).is_zero()
    }
}

/// A struct made by [`document!`].
pub trait Document: Default {
    /// The field this key means: by its exact name, else by its name in another case.
    fn field(key: &str, exact: bool) -> Option<&'static str>;
    /// Writes the fields into an open object.
    fn write<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error>;
    /// Reads the value of the named field; `false` when there is no such field.
    fn read<'de, A: MapAccess<'de>>(
        &mut self,
        field: &'static str,
        map: &mut A,
    ) -> Result<bool, A::Error>;
}

/// Writes a document as an object.
pub fn serialize<D: Document, S: Serializer>(document: &D, to: S) -> Result<S::Ok, S::Error> {
    let mut map = to.serialize_map(None)?;
    document.write(&mut map)?;
    map.end()
}

/// Reads a document from an object or `null`.
pub fn deserialize<'de, D: Document, R: Deserializer<'de>>(from: R) -> Result<D, R::Error> {
    struct Fields<D>(std::marker::PhantomData<D>);
    impl<'de, D: Document> Visitor<'de> for Fields<D> {
        type Value = D;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }
        fn visit_unit<E>(self) -> Result<D, E> {
            Ok(D::default())
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<D, A::Error> {
            let mut document = D::default();
            while let Some(key) = map.next_key::<Key<'de>>()? {
                let field = D::field(&key.0, true).or_else(|| D::field(&key.0, false));
                let read = match field {
                    Some(field) => document.read(field, &mut map)?,
                    None => false,
                };
                if !read {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            Ok(document)
        }
    }
    from.deserialize_any(Fields(std::marker::PhantomData))
}

/// A key, borrowed where the input allows it.
struct Key<'de>(std::borrow::Cow<'de, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a key")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(text.into()))
            }
            fn visit_str<E>(self, text: &str) -> Result<Key<'de>, E> {
                Ok(Key(text.to_owned().into()))
            }
        }
        from.deserialize_str(Text)
    }
}

/// A list of texts that may also be written as one text: `Cmd`, `Entrypoint`.
pub(crate) struct StrSlice(Option<Vec<String>>);

impl From<StrSlice> for Option<Vec<String>> {
    fn from(value: StrSlice) -> Self {
        value.0
    }
}

impl<'de> Deserialize<'de> for StrSlice {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = StrSlice;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text or a list of texts")
            }
            fn visit_str<E>(self, text: &str) -> Result<StrSlice, E> {
                Ok(StrSlice(Some(vec![text.to_owned()])))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, seq: A) -> Result<StrSlice, A::Error> {
                let list = serde::de::value::SeqAccessDeserializer::new(seq);
                Ok(StrSlice(Some(Vec::deserialize(list)?)))
            }
        }
        from.deserialize_any(Either)
    }
}

/// An object without fields, Go's `struct{}`: the values of sets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Empty;

impl Zero for Empty {
    fn is_zero(&self) -> bool {
        false
    }
}

impl Serialize for Empty {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_map(Some(0))?.end()
    }
}

impl<'de> Deserialize<'de> for Empty {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(from).map(|_| Empty)
    }
}

/// Makes a struct of the API from a table of its fields; see the module.
macro_rules! document {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $(
                $(#[$field_meta:meta])*
                pub $field:ident : $ty:ty => $json:literal $(via $via:ident)? $(@ $flag:ident)? ;
            )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $name {
            $(
                #[doc = concat!("`", $json, "`")]
                #[doc = ""]
                $(#[$field_meta])*
                pub $field: $ty,
            )*
        }

        impl crate::go::Document for $name {
            fn field(key: &str, exact: bool) -> Option<&'static str> {
                $(crate::go::match_field!(key, exact, $ty, $json $(, $flag)?);)*
                None
            }
            fn write<M: serde::ser::SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
                $(crate::go::write_field!(self.$field, map, $json $(, $flag)?);)*
                Ok(())
            }
            fn read<'de, A: serde::de::MapAccess<'de>>(
                &mut self,
                field: &'static str,
                map: &mut A,
            ) -> Result<bool, A::Error> {
                $(crate::go::read_field!(self.$field, field, map, $json, ($($via)?), ($($flag)?));)*
                Ok(false)
            }
        }

        impl crate::go::Zero for $name {
            fn is_zero(&self) -> bool {
                false
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                crate::go::serialize(self, to)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                crate::go::deserialize(from)
            }
        }
    };
}
pub(crate) use document;

macro_rules! match_field {
    ($key:ident, $exact:ident, $ty:ty, $json:literal, flatten) => {
        if let Some(field) = <$ty as crate::go::Document>::field($key, $exact) {
            return Some(field);
        }
    };
    ($key:ident, $exact:ident, $ty:ty, $json:literal $(, $flag:ident)?) => {
        if (if $exact {
            $key == $json
        } else {
            $key.eq_ignore_ascii_case($json)
        }) {
            return Some($json);
        }
    };
}
pub(crate) use match_field;

macro_rules! write_field {
    ($value:expr, $map:ident, $json:literal, flatten) => {
        crate::go::Document::write(&$value, $map)?;
    };
    ($value:expr, $map:ident, $json:literal, omitempty) => {
        if !crate::go::Zero::is_zero(&$value) {
            $map.serialize_entry($json, &$value)?;
        }
    };
    ($value:expr, $map:ident, $json:literal) => {
        $map.serialize_entry($json, &$value)?;
    };
}
pub(crate) use write_field;

macro_rules! read_field {
    ($value:expr, $field:ident, $map:ident, $json:literal, (), (flatten)) => {
        if crate::go::Document::read(&mut $value, $field, $map)? {
            return Ok(true);
        }
    };
    ($value:expr, $field:ident, $map:ident, $json:literal, ($via:ident), ($($flag:ident)?)) => {
        if $field == $json {
            if let Some(value) = $map.next_value::<Option<crate::go::$via>>()? {
                $value = value.into();
            }
            return Ok(true);
        }
    };
    ($value:expr, $field:ident, $map:ident, $json:literal, (), ($($flag:ident)?)) => {
        if $field == $json {
            if let Some(value) = $map.next_value()? {
                $value = value;
            }
            return Ok(true);
        }
    };
}
pub(crate) use read_field;

/// Why a body was not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not JSON, or JSON of another shape.
    #[error("invalid JSON: {0}")]
    Json(String),
    /// More after the document.
    #[error("unexpected content after JSON")]
    Trailing,
    /// A value the API does not have, in the words the engine itself would use.
    #[error("{0}")]
    Refused(String),
}

impl onggi_model::Fault for DecodeError {
    fn kind(&self) -> onggi_model::ErrorKind {
        onggi_model::ErrorKind::InvalidParameter
    }
}

/// Stands before the texts of [`refuse`], so that [`decode`] knows them from serde's own.
const REFUSED: char = '\u{1}';

/// An error of a field's value that is told to the client in these words, without "invalid JSON".
pub(crate) fn refuse<E: serde::de::Error>(text: impl std::fmt::Display) -> E {
    E::custom(format_args!("{REFUSED}{text}{REFUSED}"))
}

/// Reads one document.
///
/// # Errors
/// [`DecodeError`], of kind `InvalidParameter`.
pub fn decode<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, DecodeError> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = T::deserialize(&mut reader).map_err(|error| wrong(&error))?;
    reader.end().map_err(|_| DecodeError::Trailing)?;
    Ok(value)
}

/// As [`decode`], of a document that comes piece by piece: it is never in memory as a whole.
///
/// # Errors
/// As [`decode`]; what the reader fails with has the text of [`DecodeError::Json`].
pub fn decode_from<T: DeserializeOwned>(reader: impl Read) -> Result<T, DecodeError> {
    let mut reader = serde_json::Deserializer::from_reader(reader);
    let value = T::deserialize(&mut reader).map_err(|error| wrong(&error))?;
    reader.end().map_err(|_| DecodeError::Trailing)?;
    Ok(value)
}

fn wrong(error: &serde_json::Error) -> DecodeError {
    let text = error.to_string();
    match text.split(REFUSED).nth(1) {
        Some(refused) => DecodeError::Refused(refused.to_owned()),
        None => DecodeError::Json(text),
    }
}

#[cfg(test)]
#[expect(unreachable_pub, reason = "the macro makes public structs")]
mod tests {
    use super::*;

    document! {
        /// Inner.
        pub struct Inner {
            pub size: i64 => "Size";
        }
    }
    document! {
        /// Outer.
        pub struct Outer {
            pub name: String => "Name";
            pub inner: Inner => "" @flatten;
            pub list: Option<Vec<String>> => "List";
            pub cmd: Option<Vec<String>> => "Cmd" via StrSlice;
            pub left_out: Option<Vec<String>> => "LeftOut" @omitempty;
        }
    }

    #[test]
    fn writes_as_go_writes() {
        let outer = Outer {
            left_out: Some(Vec::new()),
            ..Outer::default()
        };
        let text = serde_json::to_string(&outer).unwrap();
        assert_eq!(text, r#"{"Name":"","Size":0,"List":null,"Cmd":null}"#);
    }

    #[test]
    fn reads_as_go_reads() {
        let text = br#"{"name":"a","SIZE":3,"List":null,"Unknown":{"x":[1]},"Cmd":"sh","Name":"b","Size":null}"#;
        let outer: Outer = decode(text).unwrap();
        assert_eq!(outer.name, "b");
        assert_eq!(outer.inner.size, 3);
        assert_eq!(outer.cmd, Some(vec!["sh".to_owned()]));
        assert_eq!(decode::<Outer>(b"null").unwrap(), Outer::default());
        assert_eq!(
            decode::<Outer>(b"{} {}").unwrap_err(),
            DecodeError::Trailing
        );
        let error = decode::<Outer>(br#"{"Name":1}"#).unwrap_err().to_string();
        assert!(error.starts_with("invalid JSON: "), "{error}");
        assert!(decode::<Outer>(b"[]").is_err());
    }
}
