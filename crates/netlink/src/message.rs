//! Building and reading netlink messages. Every length is checked: an attribute that passes 65,535 bytes would wrap its
//! 16-bit length and be read as other attributes (CVE-2021-43784). A builder remembers its first fault and
//! [`Message::finish`] returns it, so that the code that builds stays a plain list.

use crate::error::{Error, Result};

/// Length of `struct nlmsghdr`.
pub(crate) const HEADER: usize = 16;
const ATTRIBUTE_HEADER: usize = 4;
const NESTED: u16 = 1 << 15;
const NETWORK_ORDER: u16 = 1 << 14;

/// One message while it is built.
#[derive(Debug)]
pub struct Message {
    bytes: Vec<u8>,
    fault: Option<Error>,
}

impl Message {
    /// Starts a message of this type with these `NLM_F_*` flags; `NLM_F_REQUEST` and the acknowledgement are the socket's.
    #[must_use]
    pub fn new(kind: u16, flags: u16) -> Self {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend_from_slice(&0_u32.to_ne_bytes());
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&flags.to_ne_bytes());
        bytes.extend_from_slice(&[0; 8]); // sequence and port are the socket's
        Self { bytes, fault: None }
    }

    /// Appends the fixed part of a message, padded to four bytes.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self.pad();
        self
    }

    /// Appends an attribute.
    pub fn attribute(&mut self, kind: u16, payload: &[u8]) -> &mut Self {
        let Ok(length) = u16::try_from(ATTRIBUTE_HEADER.saturating_add(payload.len())) else {
            return self.fail(format!("attribute {kind} of {} bytes", payload.len()));
        };
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(payload);
        self.pad();
        self
    }

    /// Appends one byte.
    pub fn u8(&mut self, kind: u16, value: u8) -> &mut Self {
        self.attribute(kind, &[value])
    }

    /// Appends 32 bits in the machine's order (rtnetlink).
    pub fn u32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.attribute(kind, &value.to_ne_bytes())
    }

    /// Appends 16 bits in network order.
    pub fn be16(&mut self, kind: u16, value: u16) -> &mut Self {
        self.attribute(kind, &value.to_be_bytes())
    }

    /// Appends 32 bits in network order (nfnetlink).
    pub fn be32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.attribute(kind, &value.to_be_bytes())
    }

    /// Appends 64 bits in network order.
    pub fn be64(&mut self, kind: u16, value: u64) -> &mut Self {
        self.attribute(kind, &value.to_be_bytes())
    }

    /// Appends a text with its closing NUL; a NUL inside is a fault.
    pub fn text(&mut self, kind: u16, value: &str) -> &mut Self {
        if value.as_bytes().contains(&0) {
            return self.fail(format!("{value:?}"));
        }
        let mut bytes = Vec::with_capacity(value.len() + 1);
        bytes.extend_from_slice(value.as_bytes());
        bytes.push(0);
        self.attribute(kind, &bytes)
    }

    /// Appends the name of a link: 1 to 15 bytes, as the kernel's `dev_valid_name` wants them.
    pub fn link_name(&mut self, kind: u16, name: &str) -> &mut Self {
        if !crate::link::is_valid_name(name) {
            return self.fail(format!("interface name {name:?}"));
        }
        self.text(kind, name)
    }

    /// Appends an attribute made of the attributes that `inner` appends.
    pub fn nest(&mut self, kind: u16, inner: impl FnOnce(&mut Self)) -> &mut Self {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; ATTRIBUTE_HEADER]);
        inner(self);
        let Ok(length) = u16::try_from(self.bytes.len() - start) else {
            return self.fail(format!(
                "nested attribute {kind} of {} bytes",
                self.bytes.len() - start
            ));
        };
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.bytes[start + 2..start + 4].copy_from_slice(&(kind | NESTED).to_ne_bytes());
        self
    }

    /// Length so far.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The finished bytes, with the length in the header.
    ///
    /// # Errors
    /// [`Error::DoesNotFit`] for the first value that did not fit.
    pub fn finish(mut self) -> Result<Vec<u8>> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let length = u32::try_from(self.bytes.len()).map_err(|_| Error::DoesNotFit {
            what: format!("a message of {} bytes", self.bytes.len()),
        })?;
        self.bytes[..4].copy_from_slice(&length.to_ne_bytes());
        Ok(self.bytes)
    }

    fn fail(&mut self, what: String) -> &mut Self {
        self.fault.get_or_insert(Error::DoesNotFit { what });
        self
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

/// Reads attributes one after the other; stops at the first that is cut off.
#[derive(Debug, Clone, Copy)]
pub struct Attributes<'a>(&'a [u8]);

impl<'a> Attributes<'a> {
    /// Over these bytes.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The payload of the first attribute of this kind.
    #[must_use]
    pub fn find(self, kind: u16) -> Option<&'a [u8]> {
        let mut all = self;
        all.find_map(|(found, payload)| (found == kind).then_some(payload))
    }

    /// The attributes inside the first attribute of this kind; none if it is not there.
    #[must_use]
    pub fn inside(self, kind: u16) -> Self {
        Self(self.find(kind).unwrap_or_default())
    }

    /// A text without its closing NUL.
    #[must_use]
    pub fn text(self, kind: u16) -> Option<&'a str> {
        let bytes = self.find(kind)?;
        let end = bytes
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(bytes.len());
        std::str::from_utf8(&bytes[..end]).ok()
    }

    /// 32 bits in the machine's order.
    #[must_use]
    pub fn u32(self, kind: u16) -> Option<u32> {
        Some(u32::from_ne_bytes(
            self.find(kind)?.get(..4)?.try_into().ok()?,
        ))
    }

    /// 16 bits in network order.
    #[must_use]
    pub fn be16(self, kind: u16) -> Option<u16> {
        Some(u16::from_be_bytes(
            self.find(kind)?.get(..2)?.try_into().ok()?,
        ))
    }

    /// 32 bits in network order.
    #[must_use]
    pub fn be32(self, kind: u16) -> Option<u32> {
        Some(u32::from_be_bytes(
            self.find(kind)?.get(..4)?.try_into().ok()?,
        ))
    }

    /// 64 bits in network order.
    #[must_use]
    pub fn be64(self, kind: u16) -> Option<u64> {
        Some(u64::from_be_bytes(
            self.find(kind)?.get(..8)?.try_into().ok()?,
        ))
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let length = usize::from(u16::from_ne_bytes(self.0.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(self.0.get(2..4)?.try_into().ok()?);
        let payload = self.0.get(ATTRIBUTE_HEADER..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind & !(NESTED | NETWORK_ORDER), payload))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_counted() {
        let mut message = Message::new(16, 0x600);
        message.raw(&[1, 2, 3, 4]).text(3, "lo").nest(18, |m| {
            m.u8(1, 7);
        });
        let bytes = message.finish().unwrap();
        #[rustfmt::skip]
        let golden = [
            40, 0, 0, 0, 16, 0, 0x00, 0x06, 0, 0, 0, 0, 0, 0, 0, 0,
            1, 2, 3, 4,
            7, 0, 3, 0, b'l', b'o', 0, 0,
            12, 0, 18, 0x80, 5, 0, 1, 0, 7, 0, 0, 0,
        ];
        assert_eq!(bytes, golden);
        let all = Attributes::new(&bytes[20..]);
        assert_eq!(all.text(3), Some("lo"));
        assert_eq!(all.inside(18).find(1), Some(&[7][..]));
    }

    #[test]
    fn a_length_that_would_wrap_is_a_fault() {
        let mut message = Message::new(1, 0);
        message.attribute(1, &vec![0; 65_531]);
        assert!(message.finish().is_ok());
        let mut message = Message::new(1, 0);
        message.attribute(1, &vec![0; 65_532]).u8(2, 1);
        assert!(matches!(message.finish(), Err(Error::DoesNotFit { .. })));
        let mut message = Message::new(1, 0);
        message.nest(1, |m| {
            m.attribute(1, &vec![0; 40_000])
                .attribute(2, &vec![0; 40_000]);
        });
        assert!(matches!(message.finish(), Err(Error::DoesNotFit { .. })));
    }

    #[test]
    fn names_that_the_kernel_would_refuse_are_faults() {
        for name in [
            "",
            "sixteen-bytes-xx",
            "a/b",
            "a b",
            ".",
            "..",
            "a\0b",
            "a:b",
        ] {
            let mut message = Message::new(1, 0);
            message.link_name(3, name);
            assert!(message.finish().is_err(), "{name:?}");
        }
    }

    #[test]
    fn cut_off_attributes_end_the_walk() {
        for bytes in [&[3, 0, 1, 0][..], &[9, 0, 1, 0, 1], &[0, 0, 1, 0], &[4]] {
            assert_eq!(Attributes::new(bytes).next(), None, "{bytes:?}");
        }
    }
}
