//! Users and groups by the container's own passwd and group files, parsed by us: no name service, no library of the host or of
//! the image runs. The rules are Docker's.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

use rustix::fs::OFlags;

use crate::Error;
use crate::launch::UserSpec;
use crate::root::{Links, Root};

/// Largest id: what fits a signed 32-bit number, so that -1 ("no change" to the kernel) can never be meant.
const MAX_ID: i64 = i32::MAX as i64;
/// Files of images are not trusted to be small.
const MAX_FILE: u64 = 64 << 20;

/// Who a process runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// All supplementary groups, the primary one among them (CVE-2022-36109).
    pub(crate) groups: Vec<u32>,
    /// Home directory, for `HOME` when the environment has none.
    pub(crate) home: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Account {
    name: String,
    uid: u32,
    gid: u32,
    home: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    name: String,
    gid: u32,
    members: Vec<String>,
}

/// Resolves `spec` inside `root`.
pub(crate) fn resolve(root: &Root, spec: &UserSpec) -> Result<Credentials, Error> {
    let accounts = read(root, "/etc/passwd", account)?;
    let groups = read(root, "/etc/group", group)?;
    by_files(spec, accounts.as_deref(), groups.as_deref())
}

/// The home directory of `uid` inside `root`, `/` when it has none.
pub(crate) fn home(root: &Root, uid: u32) -> String {
    read(root, "/etc/passwd", account)
        .ok()
        .flatten()
        .and_then(|accounts| accounts.into_iter().find(|a| a.uid == uid))
        .map(|account| account.home)
        .filter(|home| !home.is_empty())
        .unwrap_or_else(|| "/".to_owned())
}

fn by_files(
    spec: &UserSpec,
    accounts: Option<&[Account]>,
    groups: Option<&[Group]>,
) -> Result<Credentials, Error> {
    let (user, group) = match spec.user.split_once(':') {
        Some((user, group)) => (user, group),
        None => (spec.user.as_str(), ""),
    };
    let number = user.parse::<i64>().ok();
    let found = accounts.unwrap_or_default().iter().find(|a| {
        if user.is_empty() {
            a.uid == 0
        } else if let Some(number) = number {
            i64::from(a.uid) == number
        } else {
            a.name == user
        }
    });
    let mut credentials = match (found, number) {
        (Some(account), _) => Credentials {
            uid: account.uid,
            gid: account.gid,
            groups: Vec::new(),
            home: Some(account.home.clone())
                .filter(|home| !home.is_empty())
                .unwrap_or_else(|| "/".to_owned()),
        },
        (None, Some(number)) => Credentials {
            uid: in_range(number)?,
            gid: 0,
            groups: Vec::new(),
            home: "/".to_owned(),
        },
        (None, None) if user.is_empty() => Credentials {
            uid: 0,
            gid: 0,
            groups: Vec::new(),
            home: "/".to_owned(),
        },
        (None, None) => {
            return Err(Error::User(format!(
                "unable to find user {user}: no matching entries in passwd file"
            )));
        }
    };
    if group.is_empty() {
        if let Some(account) = found {
            credentials.groups.extend(
                groups
                    .unwrap_or_default()
                    .iter()
                    .filter(|g| g.members.contains(&account.name))
                    .map(|g| g.gid),
            );
        }
    } else {
        credentials.gid = one_group(group, groups.unwrap_or_default())?.ok_or_else(|| {
            Error::User(format!(
                "unable to find group {group}: no matching entries in group file"
            ))
        })?;
    }
    for name in &spec.groups {
        let gid = one_group(name, groups.unwrap_or_default())?.ok_or_else(|| {
            Error::User(format!(
                "unable to find group {name}: no matching entries in group file"
            ))
        })?;
        credentials.groups.push(gid);
    }
    credentials.groups.insert(0, credentials.gid);
    dedup(&mut credentials.groups);
    Ok(credentials)
}

fn one_group(name: &str, groups: &[Group]) -> Result<Option<u32>, Error> {
    let number = name.parse::<i64>().ok();
    let found = groups.iter().find(|g| match number {
        Some(number) => i64::from(g.gid) == number,
        None => g.name == name,
    });
    match (found, number) {
        (Some(group), _) => Ok(Some(group.gid)),
        (None, Some(number)) => in_range(number).map(Some),
        (None, None) => Ok(None),
    }
}

fn in_range(number: i64) -> Result<u32, Error> {
    if !(0..=MAX_ID).contains(&number) {
        return Err(Error::User(format!(
            "uids and gids must be in range 0-{MAX_ID}"
        )));
    }
    Ok(number as u32)
}

/// Removes later copies, keeps the order.
pub(crate) fn dedup(groups: &mut Vec<u32>) {
    let mut seen = std::collections::HashSet::new();
    groups.retain(|gid| seen.insert(*gid));
}

/// `None` when the image has no such file.
fn read<T>(root: &Root, path: &str, parse: fn(&str) -> Option<T>) -> Result<Option<Vec<T>>, Error> {
    // Not blocking: an image may have a pipe or a terminal there.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = match root.open(path, flags, Links::Follow) {
        Ok(file) => File::from(file),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(None);
        }
        Err(error) => {
            return Err(Error::User(format!(
                "{path}: {}",
                crate::error::reason(&error)
            )));
        }
    };
    if !file.metadata().is_ok_and(|meta| meta.is_file()) {
        return Ok(None);
    }
    lines(BufReader::new(file.take(MAX_FILE)), parse)
        .map(Some)
        .map_err(|error| Error::User(format!("{path}: {}", crate::error::reason(&error))))
}

fn lines<T>(mut reader: impl BufRead, parse: fn(&str) -> Option<T>) -> io::Result<Vec<T>> {
    let mut entries = Vec::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(entries);
        }
        if let Some(entry) = std::str::from_utf8(&line)
            .ok()
            .map(str::trim)
            .and_then(parse)
        {
            entries.push(entry);
        }
    }
}

fn account(line: &str) -> Option<Account> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty())?;
    let uid = fields
        .nth(1)?
        .parse()
        .ok()
        .filter(|id| *id <= MAX_ID as u32)?;
    let gid = fields
        .next()?
        .parse()
        .ok()
        .filter(|id| *id <= MAX_ID as u32)?;
    Some(Account {
        name: name.to_owned(),
        uid,
        gid,
        home: fields.nth(1).unwrap_or_default().to_owned(),
    })
}

fn group(line: &str) -> Option<Group> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty())?;
    let gid = fields
        .nth(1)?
        .parse()
        .ok()
        .filter(|id| *id <= MAX_ID as u32)?;
    let members = fields.next().unwrap_or_default();
    Some(Group {
        name: name.to_owned(),
        gid,
        members: members
            .split(',')
            .filter(|member| !member.is_empty())
            .map(str::to_owned)
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n# comment\n\ndaemon:x:1:1::/usr/sbin:\nann:x:1000:1000:Ann:/home/ann:/bin/sh\nbroken:x:nan:1::/:\nneg:x:-1:0::/:\nbig:x:4294967295:0::/:\n";
    const GROUP: &str = "root:x:0:\nwheel:x:10:root,ann\nann:x:1000:\naudio:x:29:ann\n";

    fn resolve(user: &str, extra: &[&str]) -> Result<Credentials, Error> {
        let accounts = lines(PASSWD.as_bytes(), account).expect("reads");
        let groups = lines(GROUP.as_bytes(), group).expect("reads");
        let spec = UserSpec {
            user: user.to_owned(),
            groups: extra.iter().map(|g| (*g).to_owned()).collect(),
        };
        by_files(&spec, Some(&accounts), Some(&groups))
    }

    #[test]
    fn users_as_docker_resolves_them() {
        for (user, extra, uid, gid, groups, home) in [
            ("", &[][..], 0, 0, vec![0, 10], "/root"),
            ("root", &[], 0, 0, vec![0, 10], "/root"),
            ("ann", &[], 1000, 1000, vec![1000, 10, 29], "/home/ann"),
            ("1000", &[], 1000, 1000, vec![1000, 10, 29], "/home/ann"),
            ("1000:29", &[], 1000, 29, vec![29], "/home/ann"),
            ("ann:audio", &[], 1000, 29, vec![29], "/home/ann"),
            ("4000", &[], 4000, 0, vec![0], "/"),
            ("4000:5000", &[], 4000, 5000, vec![5000], "/"),
            (
                "ann",
                &["wheel", "77"],
                1000,
                1000,
                vec![1000, 10, 29, 77],
                "/home/ann",
            ),
            (":29", &[], 0, 29, vec![29], "/root"),
        ] {
            let got = resolve(user, extra).expect(user);
            let wanted = Credentials {
                uid,
                gid,
                groups,
                home: home.to_owned(),
            };
            assert_eq!(got, wanted, "{user}");
        }
    }

    #[test]
    fn what_cannot_be_is_said_in_dockers_words() {
        for (user, extra, text) in [
            (
                "bob",
                &[][..],
                "unable to find user bob: no matching entries in passwd file",
            ),
            (
                "broken",
                &[],
                "unable to find user broken: no matching entries in passwd file",
            ),
            (
                "ann:nope",
                &[],
                "unable to find group nope: no matching entries in group file",
            ),
            (
                "ann",
                &["nope"],
                "unable to find group nope: no matching entries in group file",
            ),
            ("-1", &[], "uids and gids must be in range 0-2147483647"),
            (
                "4294967296",
                &[],
                "uids and gids must be in range 0-2147483647",
            ),
            (
                "1:4294967295",
                &[],
                "uids and gids must be in range 0-2147483647",
            ),
        ] {
            assert_eq!(resolve(user, extra).expect_err(user).to_string(), text);
        }
    }

    #[test]
    fn no_files_leave_numbers() {
        let spec = |user: &str| UserSpec {
            user: user.to_owned(),
            groups: Vec::new(),
        };
        assert_eq!(
            by_files(&spec("7:8"), None, None).map(|c| (c.uid, c.gid)),
            Ok((7, 8))
        );
        assert_eq!(by_files(&spec(""), None, None).map(|c| c.uid), Ok(0));
        assert!(by_files(&spec("ann"), None, None).is_err());
    }
}
