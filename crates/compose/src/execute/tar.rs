//! Files as a tar, for a container that was just made: the few fields of ustar that a plain file needs.

use std::io;

use crate::request::Copied;

const BLOCK: usize = 512;

/// A tar of these files.
///
/// # Errors
/// A name that ustar cannot hold.
pub(super) fn of(files: &[Copied]) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    for file in files {
        all.extend(header(file)?);
        all.extend(&file.content);
        all.resize(all.len().next_multiple_of(BLOCK), 0);
    }
    all.resize(all.len() + 2 * BLOCK, 0);
    Ok(all)
}

fn header(file: &Copied) -> io::Result<[u8; BLOCK]> {
    let mut block = [0; BLOCK];
    let path = file.target.trim_start_matches('/');
    let (prefix, name) = split(path).ok_or_else(|| {
        let text = format!("{}: the name is too long", file.target);
        io::Error::new(io::ErrorKind::InvalidInput, text)
    })?;
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name.as_bytes());
    put(100, format!("{:07o}", file.mode & 0o7777).as_bytes());
    put(108, octal(file.uid)?.as_bytes());
    put(116, octal(file.gid)?.as_bytes());
    put(124, format!("{:011o}", file.content.len()).as_bytes());
    put(136, b"00000000000");
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    put(345, prefix.as_bytes());
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Ok(block)
}

/// Seven octal digits are all there is.
fn octal(number: u64) -> io::Result<String> {
    if number > 0o7_777_777 {
        let text = format!("{number}: no such owner can be given to a file");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    Ok(format!("{number:07o}"))
}

/// A path in the two fields it may have.
fn split(path: &str) -> Option<(&str, &str)> {
    if path.len() <= 100 {
        return Some(("", path));
    }
    let cut = path.match_indices('/').map(|(at, _)| at);
    let mut cut = cut.filter(|at| *at <= 155 && path.len() - at - 1 <= 100);
    cut.next().map(|at| (&path[..at], &path[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_a_header_and_whole_blocks() {
        let file = Copied {
            target: "/run/secrets/key".to_owned(),
            mode: 0o440,
            uid: 1000,
            gid: 0,
            content: b"secret".to_vec(),
        };
        let tar = of(&[file]).unwrap();
        assert_eq!(tar.len(), 4 * BLOCK);
        assert_eq!(&tar[..16], b"run/secrets/key\0");
        assert_eq!(&tar[100..107], b"0000440");
        assert_eq!(&tar[108..115], b"0001750");
        assert_eq!(&tar[BLOCK..BLOCK + 6], b"secret");
        let sum: u32 = (0..BLOCK)
            .map(|at| {
                if (148..156).contains(&at) {
                    32
                } else {
                    u32::from(tar[at])
                }
            })
            .sum();
        assert_eq!(&tar[148..154], format!("{sum:06o}").as_bytes());
    }

    #[test]
    fn long_names_are_cut_at_a_slash() {
        let long = format!("{}/{}", "a".repeat(120), "b".repeat(90));
        assert_eq!(split(&long).unwrap().1, "b".repeat(90));
        assert_eq!(split(&"a".repeat(101)), None);
    }
}
