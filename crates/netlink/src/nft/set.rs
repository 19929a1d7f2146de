//! Sets, maps and verdict maps, and what is in them.

use super::expression::{Verdict, put_value};
use super::{CREATE, FIXED, Family, SUBSYSTEM, header, put_tag, read_tag};
use crate::error::Result;
use crate::message::{Attributes, Message};
use crate::socket::Socket;

const NEW: u16 = 9;
const GET: u16 = 10;
const DELETE: u16 = 11;
const NEW_ELEMENTS: u16 = 12;
const GET_ELEMENTS: u16 = 13;
const DELETE_ELEMENTS: u16 = 14;

const TABLE: u16 = 1;
const NAME: u16 = 2;
const FLAGS: u16 = 3;
const KEY_TYPE: u16 = 4;
const KEY_LENGTH: u16 = 5;
const DATA_TYPE: u16 = 6;
const DATA_LENGTH: u16 = 7;
const DESCRIPTION: u16 = 9;
const ID: u16 = 10;
const USERDATA: u16 = 13;
const DESCRIPTION_CONCAT: u16 = 2;
const FIELD_LENGTH: u16 = 1;
const LIST_ELEMENT: u16 = 1;

const INTERVAL: u32 = 4;
const MAP: u32 = 8;
const CONCAT: u32 = 0x80;
const VERDICTS: u32 = 0xffff_ff00;

const ELEMENT_SET: u16 = 2;
const ELEMENTS: u16 = 3;
const ELEMENT_KEY: u16 = 1;
const ELEMENT_DATA: u16 = 2;
const ELEMENT_FLAGS: u16 = 3;
const ELEMENT_USERDATA: u16 = 6;
const ELEMENT_KEY_END: u16 = 10;
const INTERVAL_END: u32 = 1;

/// A list of elements in one message stays well below the 64 KiB of an attribute.
const ELEMENTS_A_MESSAGE: usize = 128;

/// The type of a field, by nft's number, which makes `nft list` show it well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// An IPv4 address.
    Ipv4Address,
    /// An IPv6 address.
    Ipv6Address,
    /// A transport protocol.
    Protocol,
    /// A port.
    Service,
    /// The name of a link.
    LinkName,
}

impl Field {
    fn number(self) -> u32 {
        match self {
            Self::Ipv4Address => 7,
            Self::Ipv6Address => 8,
            Self::Protocol => 12,
            Self::Service => 13,
            Self::LinkName => 41,
        }
    }

    fn length(self) -> u32 {
        match self {
            Self::Ipv4Address => 4,
            Self::Ipv6Address | Self::LinkName => 16,
            Self::Protocol => 1,
            Self::Service => 2,
        }
    }
}

/// What the elements of a set carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataType<'a> {
    /// Nothing: a plain set.
    None,
    /// A value made of these fields: a map.
    Fields(&'a [Field]),
    /// A verdict: a verdict map.
    Verdict,
}

/// A set to be made.
#[derive(Debug, Clone, Copy)]
pub struct Set<'a> {
    /// Its name.
    pub name: &'a str,
    /// The fields of its key; several are a concatenation.
    pub key: &'a [Field],
    /// What its elements carry.
    pub data: DataType<'a>,
    /// Whether its elements are ranges.
    pub ranges: bool,
}

/// What an element carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// A value.
    Value(Vec<u8>),
    /// A verdict.
    Verdict(Verdict),
}

/// An element of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// Its key, or the first key of its range. Concatenations: see [`concatenate`].
    pub key: Vec<u8>,
    /// The last key of its range, in concatenations.
    pub last: Option<Vec<u8>>,
    /// Marks the first key behind a range, in sets with one field.
    pub ends: bool,
    /// What it carries.
    pub data: Option<Data>,
    /// Its comment.
    pub tag: Option<String>,
}

/// The key or data of a concatenation: each field padded to four bytes.
#[must_use]
pub fn concatenate(fields: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(fields.len() * 4);
    for field in fields {
        bytes.extend_from_slice(field);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes
}

/// The two elements of a range in a set with one field: its first key, and the first key behind it unless the range
/// reaches the end.
#[must_use]
pub fn interval(
    first: Vec<u8>,
    last: &[u8],
    data: Option<Data>,
    tag: Option<String>,
) -> Vec<Element> {
    let mut behind = last.to_vec();
    let overflow = !behind.iter_mut().rev().any(|byte| {
        *byte = byte.wrapping_add(1);
        *byte != 0
    });
    let mut elements = vec![Element {
        key: first,
        last: None,
        ends: false,
        data,
        tag,
    }];
    if !overflow {
        elements.push(Element {
            key: behind,
            last: None,
            ends: true,
            data: None,
            tag: None,
        });
    }
    elements
}

/// The message that makes a set; refused if it is there with another shape.
#[must_use]
pub fn add_set(family: Family, table: &str, set: &Set<'_>) -> Message {
    let mut message = header(NEW, CREATE, family);
    let (key_type, key_length) = shape(set.key);
    let concatenated_ranges = set.ranges && set.key.len() > 1;
    let mut flags = 0;
    if set.ranges {
        flags |= INTERVAL;
    }
    if concatenated_ranges {
        flags |= CONCAT;
    }
    if set.data != DataType::None {
        flags |= MAP;
    }
    message
        .text(TABLE, table)
        .text(NAME, set.name)
        .be32(FLAGS, flags)
        .be32(KEY_TYPE, key_type)
        .be32(KEY_LENGTH, key_length)
        .be32(ID, 1);
    if set.key == [Field::LinkName] {
        // Tells nft that the name is not a number in network order: kind 0, length 4, 1 = the machine's order.
        let [a, b, c, d] = 1_u32.to_ne_bytes();
        message.attribute(USERDATA, &[0, 4, a, b, c, d]);
    }
    match set.data {
        DataType::None => {}
        DataType::Fields(fields) => {
            let (data_type, data_length) = shape(fields);
            message
                .be32(DATA_TYPE, data_type)
                .be32(DATA_LENGTH, data_length);
        }
        DataType::Verdict => {
            message.be32(DATA_TYPE, VERDICTS);
        }
    }
    if concatenated_ranges {
        message.nest(DESCRIPTION, |description| {
            description.nest(DESCRIPTION_CONCAT, |list| {
                for field in set.key {
                    list.nest(LIST_ELEMENT, |element| {
                        element.be32(FIELD_LENGTH, field.length());
                    });
                }
            });
        });
    }
    message
}

/// The message that deletes a set that no rule uses.
#[must_use]
pub fn delete_set(family: Family, table: &str, name: &str) -> Message {
    let mut message = header(DELETE, 0, family);
    message.text(TABLE, table).text(NAME, name);
    message
}

/// The messages that add elements. One that is there already is left alone; refused if it is there with other data.
#[must_use]
pub fn add_elements(family: Family, table: &str, set: &str, elements: &[Element]) -> Vec<Message> {
    element_messages(NEW_ELEMENTS, CREATE, family, table, set, elements)
}

/// The messages that delete elements, by their keys; refused if one is not there.
#[must_use]
pub fn delete_elements(
    family: Family,
    table: &str,
    set: &str,
    elements: &[Element],
) -> Vec<Message> {
    element_messages(DELETE_ELEMENTS, 0, family, table, set, elements)
}

/// The names of the sets of a table; none if there is no such table.
///
/// # Errors
/// As [`Socket::dump`].
pub fn sets(socket: &mut Socket, family: Family, table: &str) -> Result<Vec<String>> {
    let replies = socket.dump("list sets", header(GET, 0, family))?;
    Ok(replies
        .iter()
        .filter(|reply| reply.kind == SUBSYSTEM | NEW)
        .map(|reply| reply.attributes(FIXED))
        .filter(|attributes| attributes.text(TABLE) == Some(table))
        .filter_map(|attributes| attributes.text(NAME).map(str::to_owned))
        .collect())
}

/// The elements of a set.
///
/// # Errors
/// As [`Socket::dump`]; `ENOENT` if there is no such set.
pub fn elements(
    socket: &mut Socket,
    family: Family,
    table: &str,
    set: &str,
) -> Result<Vec<Element>> {
    let mut message = header(GET_ELEMENTS, 0, family);
    message.text(TABLE, table).text(ELEMENT_SET, set);
    let replies = socket.dump("list elements", message)?;
    Ok(replies
        .iter()
        .filter(|reply| reply.kind == SUBSYSTEM | NEW_ELEMENTS)
        .flat_map(|reply| reply.attributes(FIXED).inside(ELEMENTS))
        .filter_map(|(_, element)| parse(Attributes::new(element)))
        .collect())
}

/// The lengths of the fields of a set's key, where the kernel tells them: of concatenations of ranges.
pub(super) fn field_lengths(set: Attributes<'_>) -> Vec<usize> {
    let fields = set.inside(DESCRIPTION).inside(DESCRIPTION_CONCAT);
    let lengths = fields.filter_map(|(_, field)| Attributes::new(field).be32(FIELD_LENGTH));
    lengths
        .filter_map(|length| length.try_into().ok())
        .collect()
}

fn shape(fields: &[Field]) -> (u32, u32) {
    match fields {
        [field] => (field.number(), field.length()),
        fields => fields.iter().fold((0, 0), |(number, length), field| {
            (
                (number << 6) | field.number(),
                length + field.length().next_multiple_of(4),
            )
        }),
    }
}

fn element_messages(
    kind: u16,
    flags: u16,
    family: Family,
    table: &str,
    set: &str,
    elements: &[Element],
) -> Vec<Message> {
    let chunk = |chunk: &[Element]| {
        let mut message = header(kind, flags, family);
        message
            .text(TABLE, table)
            .text(ELEMENT_SET, set)
            .nest(ELEMENTS, |list| {
                for element in chunk {
                    list.nest(LIST_ELEMENT, |item| put(item, element));
                }
            });
        message
    };
    elements.chunks(ELEMENTS_A_MESSAGE).map(chunk).collect()
}

fn put(message: &mut Message, element: &Element) {
    put_value(message, ELEMENT_KEY, &element.key);
    if let Some(last) = &element.last {
        put_value(message, ELEMENT_KEY_END, last);
    }
    if element.ends {
        message.be32(ELEMENT_FLAGS, INTERVAL_END);
    }
    match &element.data {
        None => {}
        Some(Data::Value(value)) => put_value(message, ELEMENT_DATA, value),
        Some(Data::Verdict(verdict)) => {
            message.nest(ELEMENT_DATA, |data| verdict.put(data));
        }
    }
    put_tag(message, ELEMENT_USERDATA, element.tag.as_deref());
}

fn parse(attributes: Attributes<'_>) -> Option<Element> {
    Some(Element {
        key: attributes.inside(ELEMENT_KEY).find(1)?.to_vec(),
        last: attributes
            .inside(ELEMENT_KEY_END)
            .find(1)
            .map(<[u8]>::to_vec),
        ends: attributes.be32(ELEMENT_FLAGS).unwrap_or_default() & INTERVAL_END != 0,
        data: match attributes.inside(ELEMENT_DATA).find(1) {
            Some(value) => Some(Data::Value(value.to_vec())),
            None => Verdict::read(attributes.inside(ELEMENT_DATA)).map(Data::Verdict),
        },
        tag: read_tag(attributes, ELEMENT_USERDATA),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn concatenations_are_padded_field_by_field() {
        assert_eq!(
            concatenate(&[&[6], &[127, 0, 0, 1], &[0x1f, 0x90]]),
            [6, 0, 0, 0, 127, 0, 0, 1, 0x1f, 0x90, 0, 0]
        );
        assert_eq!(
            shape(&[Field::Protocol, Field::Ipv4Address, Field::Service]),
            ((12 << 12) | (7 << 6) | 13, 12)
        );
        assert_eq!(shape(&[Field::Service]), (13, 2));
    }

    #[test]
    fn an_interval_ends_one_behind_its_last() {
        let range = interval(vec![0, 80], &[0, 255], None, None);
        assert_eq!(range.len(), 2);
        assert_eq!(
            (range[1].key.as_slice(), range[1].ends),
            (&[1, 0][..], true)
        );
        assert_eq!(interval(vec![0, 80], &[255, 255], None, None).len(), 1);
    }

    #[test]
    fn many_elements_are_several_messages() {
        let element = Element {
            key: vec![0; 12],
            last: None,
            ends: false,
            data: None,
            tag: Some("t".repeat(100)),
        };
        let messages = add_elements(Family::Ip, "onggi", "publish", &vec![element; 1000]);
        assert_eq!(messages.len(), 8);
        assert!(messages.into_iter().all(|message| message.finish().is_ok()));
    }
}
