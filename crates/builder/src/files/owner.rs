//! `--chown`, and the user a working directory is made for: names are those of the root that files go to.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::BorrowedFd;

use rustix::fs::OFlags;

use super::{Error, tree};

/// The most of a file of accounts that is read.
const LIMIT: u64 = 4 << 20;

/// User and group of `user[:group]`, by name or number, below `root`. A number alone is the group's too; a name's group
/// is the one it has.
///
/// # Errors
/// Names that the root does not know.
pub(crate) fn find(root: BorrowedFd<'_>, text: &str) -> Result<(u32, u32), Error> {
    resolve(text, &|path| read(root, path))
}

fn read(root: BorrowedFd<'_>, path: &[u8]) -> String {
    let mut bytes = Vec::new();
    if let Ok(file) = tree::open(root, path, OFlags::RDONLY | OFlags::NONBLOCK) {
        // What cannot be read knows nobody.
        let _ = File::from(file).take(LIMIT).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn resolve(text: &str, read: &dyn Fn(&[u8]) -> String) -> Result<(u32, u32), Error> {
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (text, None),
    };
    let unknown = |what: &str, kind: &str, name: &str| {
        Error::wrong(format!(
            "unable to convert uid/gid chown string to host mapping: can't find {what} for {kind} {name}: no such {kind}: {name}"
        ))
    };
    let (uid, own) = match number(user)? {
        _ if user.is_empty() => (0, 0),
        Some(number) => (number, number),
        None => {
            let passwd = read(b"etc/passwd");
            let account = passwd.lines().find_map(|line| {
                let mut fields = line.split(':');
                (fields.next()? == user).then_some(())?;
                let id = number(fields.nth(1)?).ok()??;
                Some((id, number(fields.next()?).ok()??))
            });
            account.ok_or_else(|| unknown("uid", "user", user))?
        }
    };
    let Some(group) = group else {
        return Ok((uid, own));
    };
    if let Some(number) = number(group)? {
        return Ok((uid, number));
    }
    let groups = read(b"etc/group");
    let found = groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == group).then_some(())?;
        number(fields.nth(1)?).ok()?
    });
    let gid = found.ok_or_else(|| unknown("gid", "group", group))?;
    Ok((uid, gid))
}

/// A number, if it is one; the kernel takes the last one of all for nobody in particular (chown(2)).
fn number(text: &str) -> Result<Option<u32>, Error> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    match text.parse() {
        Ok(number) if i32::try_from(number).is_ok() => Ok(Some(number)),
        _ => Err(Error::wrong("uids and gids must be in range 0-2147483647")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_found_by_name_and_number() {
        let read = |path: &[u8]| {
            match path {
            b"etc/passwd" => "root:x:0:0:root:/:/bin/sh\napp:x:12:34::/:/bin/sh\nbad\nlast:x:4294967295:0::/:/x\n".to_owned(),
            _ => "root:x:0:\nstaff:x:50:app\n".to_owned(),
        }
        };
        for (text, expected) in [
            ("root", (0, 0)),
            ("app", (12, 34)),
            ("12", (12, 12)),
            ("12:0", (12, 0)),
            ("app:staff", (12, 50)),
            ("app:77", (12, 77)),
            ("app:", (12, 34)),
            (":staff", (0, 50)),
        ] {
            assert_eq!(resolve(text, &read).unwrap(), expected, "{text}");
        }
        for (text, expected) in [
            ("who", "can't find uid for user who: no such user: who"),
            ("last", "no such user: last"),
            ("bad", "can't find uid for user bad: no such user: bad"),
            ("4294967295", "must be in range 0-2147483647"),
            ("0:99999999999", "must be in range 0-2147483647"),
            ("0:who", "can't find gid for group who: no such group: who"),
        ] {
            let error = resolve(text, &read).unwrap_err().to_string();
            assert!(error.ends_with(expected), "{error}");
        }
    }
}
