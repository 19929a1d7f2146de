//! Reading a bbolt database: the file in which dockerd keeps what it knows of volumes.
//!
//! Pages of a B+tree; see the format's description in go.etcd.io/bbolt. Only what is needed: the pairs of one bucket.
//! Every offset is checked: what is no such file gives an error and nothing else.

use std::cell::Cell;

/// The longest file that is read.
pub(super) const LIMIT: u64 = 256 << 20;

const MAGIC: u32 = 0xED0C_DAED;
const BRANCH: u16 = 0x01;
const LEAF: u16 = 0x02;
/// The value of a leaf is a bucket.
const BUCKET: u32 = 0x01;
/// Bytes of a page's header, of an entry, and of a bucket's header.
const HEADER: usize = 16;
/// A key and its value.
type Pair = (Vec<u8>, Vec<u8>);
/// Takes the flags of a pair, its key and its value.
type Take<'a> = dyn FnMut(u32, &[u8], &[u8]) + 'a;

/// A tree of any size is less deep.
const DEPTH: usize = 32;

/// The pairs of the bucket `name` at the top of a database; none where there is no such bucket.
///
/// # Errors
/// What is wrong with the file.
pub(super) fn bucket(file: &[u8], name: &str) -> Result<Vec<Pair>, String> {
    let meta = newest(file)?;
    let mut found = Vec::new();
    let database = Database {
        file,
        page_size: meta.page_size,
        pages: Cell::new(file.len() / 512 + DEPTH),
    };
    database.walk(meta.root, 0, &mut |flags, key, value| {
        if flags & BUCKET != 0 && key == name.as_bytes() {
            found.push(value.to_vec());
        }
    })?;
    let Some(inner) = found.pop() else {
        return Ok(Vec::new());
    };
    let root = u64_at(&inner, 0)?;
    let mut pairs = Vec::new();
    let mut take = |flags: u32, key: &[u8], value: &[u8]| {
        if flags & BUCKET == 0 {
            pairs.push((key.to_vec(), value.to_vec()));
        }
    };
    match root {
        // A small bucket is one page inside the value.
        0 => database.page(inner.get(HEADER..).unwrap_or_default(), 0, &mut take)?,
        root => database.walk(root, 0, &mut take)?,
    }
    Ok(pairs)
}

struct Meta {
    page_size: usize,
    root: u64,
    transaction: u64,
}

/// The newer one of the two pages that say where the tree begins.
fn newest(file: &[u8]) -> Result<Meta, String> {
    let first = meta(file);
    let page_size = match &first {
        Ok(meta) => meta.page_size,
        Err(_) => 4096,
    };
    let second = meta(file.get(page_size..).unwrap_or_default());
    match (first, second) {
        (Ok(a), Ok(b)) if b.transaction > a.transaction => Ok(b),
        (Ok(a), _) => Ok(a),
        (Err(_), Ok(b)) => Ok(b),
        (Err(why), Err(_)) => Err(why),
    }
}

fn meta(page: &[u8]) -> Result<Meta, String> {
    let body = page.get(HEADER..HEADER + 64).ok_or("too short")?;
    if u32_at(body, 0)? != MAGIC || u32_at(body, 4)? != 2 {
        return Err("no bbolt database".to_owned());
    }
    // FNV-1a of what precedes it: a page that was being written is not used.
    let sum = body[..56]
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
            (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
    if u64_at(body, 56)? != sum {
        return Err("a broken meta page".to_owned());
    }
    Ok(Meta {
        page_size: u32_at(body, 8)?.clamp(512, 1 << 20) as usize,
        root: u64_at(body, 16)?,
        transaction: u64_at(body, 48)?,
    })
}

struct Database<'a> {
    file: &'a [u8],
    page_size: usize,
    /// Pages that may still be read: each is in the tree once.
    pages: Cell<usize>,
}

impl Database<'_> {
    fn walk(&self, page: u64, depth: usize, take: &mut Take<'_>) -> Result<(), String> {
        let at = usize::try_from(page)
            .ok()
            .and_then(|page| page.checked_mul(self.page_size));
        let page = at.and_then(|at| self.file.get(at..));
        self.page(page.ok_or("a page beyond the end")?, depth, take)
    }

    /// A page, with those that overflow it behind it.
    fn page(&self, page: &[u8], depth: usize, take: &mut Take<'_>) -> Result<(), String> {
        let pages = self.pages.get().checked_sub(1);
        self.pages.set(pages.ok_or("a tree without end")?);
        if depth > DEPTH {
            return Err("a tree without end".to_owned());
        }
        let (flags, count) = (u16_at(page, 8)?, usize::from(u16_at(page, 10)?));
        for number in 0..count {
            let at = HEADER + number * HEADER;
            match flags {
                BRANCH => self.walk(u64_at(page, at + 8)?, depth + 1, take)?,
                LEAF => {
                    let [kind, start, key, value] = [0, 4, 8, 12].map(|i| u32_at(page, at + i));
                    let (start, key, value) =
                        (at + start? as usize, key? as usize, value? as usize);
                    let pair = page.get(start..start + key + value);
                    let (key, value) = pair.ok_or("a pair beyond the end")?.split_at(key);
                    take(kind?, key, value);
                }
                other => return Err(format!("a page of kind {other}")),
            }
        }
        Ok(())
    }
}

fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], String> {
    let found = bytes.get(at..).and_then(|bytes| bytes.first_chunk());
    found.copied().ok_or_else(|| "cut short".to_owned())
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, String> {
    bytes_at(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, String> {
    bytes_at(bytes, at).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Result<u64, String> {
    bytes_at(bytes, at).map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(pairs: &[(u32, &[u8], &[u8])]) -> Vec<u8> {
        let mut page = vec![0; HEADER];
        page[8..10].copy_from_slice(&LEAF.to_le_bytes());
        page[10..12].copy_from_slice(&u16::try_from(pairs.len()).unwrap().to_le_bytes());
        let mut start = pairs.len() * HEADER;
        for (number, (flags, key, value)) in pairs.iter().enumerate() {
            let offset = start - number * HEADER;
            for word in [*flags as usize, offset, key.len(), value.len()] {
                page.extend(u32::try_from(word).unwrap().to_le_bytes());
            }
            start += key.len() + value.len();
        }
        for (_, key, value) in pairs {
            page.extend(*key);
            page.extend(*value);
        }
        page
    }

    fn database(root: &[u8]) -> Vec<u8> {
        let mut file = vec![0; 3 * 4096];
        let mut body = Vec::new();
        body.extend(MAGIC.to_le_bytes());
        body.extend([2_u32, 4096, 0].map(u32::to_le_bytes).concat());
        body.extend([2_u64, 0, 9, 9, 1].map(u64::to_le_bytes).concat());
        let sum = body.iter().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
            (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        body.extend(sum.to_le_bytes());
        file[HEADER..HEADER + body.len()].copy_from_slice(&body);
        file[2 * 4096..2 * 4096 + root.len()].copy_from_slice(root);
        file
    }

    #[test]
    fn pairs_of_a_small_bucket_are_found() {
        let mut inner = vec![0; HEADER];
        inner.extend(leaf(&[(0, b"data", b"{}"), (0, b"logs", b"{1}")]));
        let file = database(&leaf(&[
            (BUCKET, b"other", &[0; 16]),
            (BUCKET, b"volumes", &inner),
        ]));
        let pairs = bucket(&file, "volumes").unwrap();
        assert_eq!(
            pairs,
            [
                (b"data".to_vec(), b"{}".to_vec()),
                (b"logs".to_vec(), b"{1}".to_vec())
            ]
        );
        assert!(bucket(&file, "nothing").unwrap().is_empty());
    }

    #[test]
    fn no_file_makes_it_fail_otherwise_than_by_an_error() {
        assert!(bucket(b"", "volumes").is_err());
        assert!(bucket(&[0; 9000], "volumes").is_err());
        let mut inner = vec![0; HEADER];
        inner.extend(leaf(&[(0, b"data", b"{}")]));
        let file = database(&leaf(&[(BUCKET, b"volumes", &inner)]));
        for length in 0..file.len() {
            let _ = bucket(&file[..length], "volumes");
        }
        for at in 2 * 4096..2 * 4096 + 120 {
            for byte in [0, 1, 0x7f, 0xff] {
                let mut bent = file.clone();
                bent[at] = byte;
                let _ = bucket(&bent, "volumes");
            }
        }
    }
}
