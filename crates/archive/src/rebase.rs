//! Giving the entries of an archive other names on their way: `cp a b` sends `a` as `b`.

use std::io::{BufRead, Read, Write};

use crate::header::Kind;
use crate::{Error, TarReader, TarWriter};

/// Copies a tar from `source` to `sink` with the first `old` in every name (and in the targets of hard links) replaced
/// by `new`, as Docker's clients do it: `/` counts as nothing.
///
/// # Errors
/// Every [`Error`] of reading and writing.
pub fn rebase(source: impl BufRead, sink: impl Write, old: &[u8], new: &[u8]) -> Result<(), Error> {
    let old = if old == b"/" { b"" } else { old };
    let mut reader = TarReader::new(source);
    let mut writer = TarWriter::new(std::io::BufWriter::with_capacity(128 << 10, sink));
    while let Some(mut entry) = reader.next()? {
        entry.path = replaced(&entry.path, old, new);
        if entry.kind == Kind::HardLink {
            entry.link = replaced(&entry.link, old, new);
        }
        match entry.size {
            0 => writer.header(&entry)?,
            _ => {
                writer.file(&entry, Data(&mut reader))?;
            }
        }
    }
    writer.finish()?.flush().map_err(Error::Write)
}

fn replaced(name: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let at = match old.is_empty() {
        true => Some(0),
        false => name.windows(old.len()).position(|window| window == old),
    };
    match at {
        None => name.to_vec(),
        Some(at) => [&name[..at], new, &name[at + old.len()..]].concat(),
    }
}

/// The data of the current entry.
struct Data<'a, R>(&'a mut TarReader<R>);

impl<R: BufRead> Read for Data<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let bytes = self.0.data().map_err(std::io::Error::other)?;
        let count = bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        self.0.consume(count);
        Ok(count)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::Entry;

    #[test]
    fn names_and_links_are_rebased() {
        let mut tar = TarWriter::new(Vec::new());
        tar.header(&Entry::new("a/", Kind::Directory, 0o755))
            .unwrap();
        let mut file = Entry::new("a/a", Kind::File, 0o644);
        file.size = 5;
        tar.file(&file, &b"hello"[..]).unwrap();
        let mut link = Entry::new("a/b", Kind::HardLink, 0o644);
        link.link = b"a/a".to_vec();
        tar.header(&link).unwrap();
        let mut symlink = Entry::new("a/c", Kind::Symlink, 0o777);
        symlink.link = b"a".to_vec();
        tar.header(&symlink).unwrap();
        let tar = tar.finish().unwrap();

        let mut out = Vec::new();
        rebase(&tar[..], &mut out, b"a", b"new").unwrap();
        let mut reader = TarReader::new(&out[..]);
        let mut found = Vec::new();
        while let Some(entry) = reader.next().unwrap() {
            let mut data = Vec::new();
            Data(&mut reader).read_to_end(&mut data).unwrap();
            found.push((entry.path, entry.link, data));
        }
        let expected = [
            ("new/", "", ""),
            ("new/a", "", "hello"),
            ("new/b", "new/a", ""),
            ("new/c", "a", ""),
        ];
        let expected = expected.map(|(path, link, data)| {
            (
                path.as_bytes().to_vec(),
                link.as_bytes().to_vec(),
                data.as_bytes().to_vec(),
            )
        });
        assert_eq!(found, expected);
        assert_eq!(replaced(b"./x", b".", b"d"), b"d/x");
        assert_eq!(replaced(b"/etc", b"", b"d"), b"d/etc");
    }
}
