//! The policy in `devices.allow` and `devices.deny`.

use super::Policy;
use crate::Result;
use crate::dir::Dir;

/// Writes the policy: the default first, which clears what was there, then the exceptions.
pub(crate) fn apply(dir: &Dir, policy: &Policy) -> Result<()> {
    let (same, other) = if policy.allow {
        ("devices.allow", "devices.deny")
    } else {
        ("devices.deny", "devices.allow")
    };
    dir.write(same, "a")?;
    for (devices, access) in &policy.exceptions {
        dir.write(other, format!("{devices} {access}"))?;
    }
    Ok(())
}
