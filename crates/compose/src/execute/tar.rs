//! Files as a tar, for a container that was just made.

use std::io;

use tar::{Builder, Header};

use crate::request::Copied;

/// A tar of these files.
///
/// # Errors
/// A path that leads out of the container.
pub(super) fn of(files: &[Copied]) -> io::Result<Vec<u8>> {
    let mut all = Builder::new(Vec::new());
    for file in files {
        let mut header = Header::new_gnu();
        header.set_size(file.content.len() as u64);
        header.set_mode(file.mode & 0o7777);
        header.set_uid(file.uid);
        header.set_gid(file.gid);
        let path = file.target.trim_start_matches('/');
        all.append_data(&mut header, path, file.content.as_slice())?;
    }
    all.into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn files_come_back() {
        let file = |target: &str, uid: u64| Copied {
            target: target.to_owned(),
            mode: 0o440,
            uid,
            gid: 0,
            content: b"secret".to_vec(),
        };
        let long = format!("/{}/{}", "a".repeat(200), "b".repeat(200));
        let bytes = of(&[file("/run/secrets/key", 1000), file(&long, 4_000_000_000)]).unwrap();
        let mut tar = tar::Archive::new(bytes.as_slice());
        let found = tar.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            let header = entry.header();
            let facts = (
                header.mode().unwrap(),
                header.uid().unwrap(),
                header.gid().unwrap(),
            );
            (format!("/{}", entry.path().unwrap().display()), facts, text)
        });
        let expected = [
            (
                "/run/secrets/key".to_owned(),
                (0o440, 1000, 0),
                "secret".to_owned(),
            ),
            (long, (0o440, 4_000_000_000, 0), "secret".to_owned()),
        ];
        assert_eq!(found.collect::<Vec<_>>(), expected);
        assert!(of(&[file("/a/../../b", 0)]).is_err());
    }
}
