//! The user of a container by its own `/etc/passwd` and `/etc/group`, for files that are given to it.

use std::fs::File;
use std::io::Read;
use std::os::fd::BorrowedFd;

use rustix::fs::OFlags;

use super::place;
use crate::error::{Error, Result};

/// The most of a file of accounts that is read.
const LIMIT: u64 = 4 << 20;

/// User and group of `user[:group]`, by name or number, below `root`.
///
/// # Errors
/// `InvalidParameter` for names that the container does not know.
pub(crate) fn find(root: BorrowedFd<'_>, text: &str) -> Result<(u32, u32)> {
    resolve(text, &read(root, b"etc/passwd"), &read(root, b"etc/group"))
}

fn read(root: BorrowedFd<'_>, path: &[u8]) -> String {
    let mut bytes = Vec::new();
    let flags = OFlags::RDONLY | OFlags::NONBLOCK;
    if let Ok(file) = place::open(root, path, flags) {
        // What cannot be read knows nobody.
        let _ = File::from(file).take(LIMIT).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn resolve(text: &str, passwd: &str, groups: &str) -> Result<(u32, u32)> {
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (text, None),
    };
    let number = user.parse::<u32>().ok();
    let account = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let id: u32 = fields.nth(1)?.parse().ok()?;
        let group: u32 = fields.next()?.parse().ok()?;
        (name == user || number == Some(id)).then_some((id, group))
    });
    let (uid, primary) = match (account, number) {
        (Some(account), _) => account,
        (None, Some(number)) => (number, 0),
        (None, None) => {
            return Err(Error::invalid(format!(
                "unable to find user {user}: no matching entries in passwd file"
            )));
        }
    };
    let Some(group) = group else {
        return Ok((uid, primary));
    };
    let number = group.parse::<u32>().ok();
    let named = groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let id: u32 = fields.nth(1)?.parse().ok()?;
        (name == group || number == Some(id)).then_some(id)
    });
    match named.or(number) {
        Some(gid) => Ok((uid, gid)),
        None => Err(Error::invalid(format!(
            "unable to find group {group}: no matching entries in group file"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_name_and_number() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\napp:x:12:34::/:/bin/sh\nbad line\n";
        let groups = "root:x:0:\nstaff:x:50:app\n";
        for (text, expected) in [
            ("root", (0, 0)),
            ("app", (12, 34)),
            ("12", (12, 34)),
            ("99", (99, 0)),
            ("app:staff", (12, 50)),
            ("app:77", (12, 77)),
            ("app:", (12, 34)),
        ] {
            assert_eq!(
                resolve(text, passwd, groups).expect(text),
                expected,
                "{text}"
            );
        }
        for text in ["nobody", "app:nobodies"] {
            assert!(resolve(text, passwd, groups).is_err(), "{text}");
        }
    }
}
