//! The tar of a layer, put together again from what dockerd keeps of it: headers and padding in `tar-split.json.gz`,
//! contents in the unpacked files.
//!
//! One JSON document a line: of type 2 a piece of the tar as it was, of type 1 a file whose content follows. Whether the
//! whole is what it was is for the reader to prove, by its digest; the files may have been changed since.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Take};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, openat, openat2};
use serde::Deserialize;

/// The longest line that is read: headers with what belongs to them, in base64.
const LINE: u64 = 16 << 20;
/// What precedes the content of a file.
const FILE: u8 = 1;
/// A piece of the tar.
const SEGMENT: u8 = 2;

/// One line.
#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: u8,
    #[serde(default)]
    name: Option<String>,
    /// In base64, where the name is not UTF-8.
    #[serde(default)]
    name_raw: Option<String>,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    payload: Option<String>,
}

/// A tar that is put together as it is read.
pub(super) struct TarSplit {
    lines: BufReader<Box<dyn Read + Send>>,
    root: OwnedFd,
    now: Now,
}

/// What is being read.
enum Now {
    Piece(io::Cursor<Vec<u8>>),
    Content(Take<File>, PathBuf),
}

impl TarSplit {
    /// The tar whose description is in `description`, compressed, and whose files are below `root`.
    pub(super) fn open(description: &Path, root: &Path) -> io::Result<Self> {
        let described = |error: io::Error| named(description, &error);
        let file = File::open(description).map_err(described)?;
        let (_, lines) = onggi_archive::decompress(file)
            .map_err(|error| described(io::Error::other(onggi_model::chain(&error))))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = openat(CWD, root, flags, Mode::empty())
            .map_err(|errno| named(root, &io::Error::from(errno)))?;
        Ok(Self {
            lines: BufReader::with_capacity(64 << 10, lines),
            root,
            now: Now::Piece(io::Cursor::default()),
        })
    }

    /// The next line that says something; `None` at the end.
    fn next(&mut self) -> io::Result<Option<Now>> {
        let mut text = Vec::new();
        if self
            .lines
            .by_ref()
            .take(LINE)
            .read_until(b'\n', &mut text)?
            == 0
        {
            return Ok(None);
        }
        let malformed =
            |why: String| io::Error::other(format!("malformed tar-split.json.gz: {why}"));
        let line: Line =
            serde_json::from_slice(&text).map_err(|error| malformed(error.to_string()))?;
        let decode = |text: &str| {
            STANDARD
                .decode(text)
                .map_err(|error| malformed(error.to_string()))
        };
        match line.kind {
            SEGMENT => {
                let bytes = decode(line.payload.as_deref().unwrap_or_default())?;
                Ok(Some(Now::Piece(io::Cursor::new(bytes))))
            }
            // Everything but files with content is all in its header.
            FILE if line.size == 0 => Ok(Some(Now::Piece(io::Cursor::default()))),
            FILE => {
                use std::os::unix::ffi::OsStringExt as _;
                let name = match (line.name, line.name_raw) {
                    (_, Some(raw)) => std::ffi::OsString::from_vec(decode(&raw)?).into(),
                    (Some(name), None) => PathBuf::from(name),
                    (None, None) => return Err(malformed("a file without a name".to_owned())),
                };
                let file = self.file(&name, line.size);
                let file = file.map_err(|error| named(&name, &error))?;
                Ok(Some(Now::Content(file.take(line.size), name)))
            }
            other => Err(malformed(format!("a line of type {other}"))),
        }
    }

    /// A file of the layer; links in its path lead, as when it was unpacked, to places in the layer.
    fn file(&self, name: &Path, size: u64) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let file = openat2(&self.root, name, flags, Mode::empty(), resolve)?;
        let status = rustix::fs::fstat(&file)?;
        if FileType::from_raw_mode(status.st_mode) != FileType::RegularFile {
            return Err(io::Error::other("not a file any more"));
        }
        match u64::try_from(status.st_size) {
            Ok(found) if found == size => Ok(File::from(file)),
            _ => Err(io::Error::other(format!(
                "{} bytes where there were {size}",
                status.st_size
            ))),
        }
    }
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::other(format!("{}: {error}", path.display()))
}

impl Read for TarSplit {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let count = match &mut self.now {
                Now::Piece(piece) => piece.read(buffer)?,
                Now::Content(file, name) => match file.read(buffer)? {
                    0 if file.limit() > 0 => {
                        return Err(named(name, &io::ErrorKind::UnexpectedEof.into()));
                    }
                    count => count,
                },
            };
            if count > 0 {
                return Ok(count);
            }
            match self.next()? {
                Some(now) => self.now = now,
                None => return Ok(0),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn described(lines: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let file = File::create(folder.path().join("split")).unwrap();
        let mut writer = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        for line in lines {
            writeln!(writer, "{line}").unwrap();
        }
        writer.finish().unwrap();
        std::fs::create_dir(folder.path().join("root")).unwrap();
        folder
    }

    fn read(folder: &Path) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        TarSplit::open(&folder.join("split"), &folder.join("root"))?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    #[test]
    fn pieces_and_contents_follow_each_other() {
        let folder = described(&[
            r#"{"type":2,"payload":"aGVhZA==","position":0}"#,
            r#"{"type":1,"name":"usr/a","size":3,"payload":"AAAAAAAAAAA=","position":1}"#,
            r#"{"type":2,"payload":"fA==","position":2}"#,
            r#"{"type":1,"name":"dir/","payload":null,"position":3}"#,
            r#"{"type":1,"name_raw":"/2I=","size":1,"payload":"AAAAAAAAAAA=","position":4}"#,
        ]);
        let root = folder.path().join("root");
        // An absolute link leads to the root of the layer.
        std::fs::create_dir(root.join("data")).unwrap();
        std::os::unix::fs::symlink("/data", root.join("usr")).unwrap();
        std::fs::write(root.join("data/a"), "one").unwrap();
        use std::os::unix::ffi::OsStrExt as _;
        std::fs::write(root.join(std::ffi::OsStr::from_bytes(b"\xffb")), "2").unwrap();
        assert_eq!(read(folder.path()).unwrap(), b"headone|2");
    }

    #[test]
    fn what_changed_is_named() {
        let line = r#"{"type":1,"name":"a","size":3,"payload":"AAAAAAAAAAA=","position":0}"#;
        let folder = described(&[line]);
        let root = folder.path().join("root");
        let says = |text: &str| {
            let error = read(folder.path()).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        };
        says("a: No such file");
        std::fs::write(root.join("a"), "four").unwrap();
        says("a: 4 bytes where there were 3");
        std::fs::remove_file(root.join("a")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", root.join("a")).unwrap();
        assert!(read(folder.path()).is_err());
        let folder = described(&["nonsense"]);
        let error = read(folder.path()).unwrap_err().to_string();
        assert!(error.starts_with("malformed tar-split.json.gz"), "{error}");
    }
}
