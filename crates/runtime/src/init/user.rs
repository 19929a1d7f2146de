//! Who the process runs as, by the files of the container, and its HOME.

use super::Child;
use crate::Error;
use crate::plan::UserPlan;
use crate::user::{self, Credentials};

pub(super) fn resolve(child: &mut Child<'_>) -> Result<(), Error> {
    let has_home = child
        .environment
        .iter()
        .any(|entry| entry.starts_with("HOME=") && entry.len() > "HOME=".len());
    let root = child.root()?;
    let credentials = match &child.given.process.user {
        UserPlan::Named(spec) => user::resolve(root, spec)?,
        UserPlan::Numbers(numbers) => {
            let mut groups = vec![numbers.gid];
            groups.extend(&numbers.additional_gids);
            user::dedup(&mut groups);
            Credentials {
                uid: numbers.uid,
                gid: numbers.gid,
                groups,
                home: if has_home {
                    String::new()
                } else {
                    user::home(root, numbers.uid)
                },
            }
        }
    };
    if [credentials.uid, credentials.gid]
        .iter()
        .chain(&credentials.groups)
        .any(|id| *id > i32::MAX as u32)
    {
        return Err(Error::User(format!(
            "uids and gids must be in range 0-{}",
            i32::MAX
        )));
    }
    if !has_home {
        child
            .environment
            .retain(|entry| !entry.starts_with("HOME="));
        child.environment.push(format!("HOME={}", credentials.home));
    }
    child.credentials = Some(credentials);
    Ok(())
}
