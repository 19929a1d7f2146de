//! Resources to control files. One function a controller; where the two versions differ, one for each.

pub mod convert;
mod v1;
mod v2;

use crate::dir::{Dir, is_gone};
use crate::group::Group;
use crate::{Error, Result};
use onggi_oci::runtime::Resources;
use rustix::io::Errno;

/// What is asked of a controller that the machine does not have, or that the layout cannot do.
pub(crate) struct Warnings(Vec<String>);

impl Warnings {
    pub(crate) fn add(&mut self, text: impl Into<String>) {
        self.0.push(text.into());
    }

    /// Writes; a file that the kernel does not have becomes a warning about `what`.
    pub(crate) fn write(
        &mut self,
        dir: &Dir,
        file: &str,
        value: impl AsRef<str>,
        what: &str,
    ) -> Result<()> {
        match dir.write(file, value) {
            Err(error) if is_gone(&error) => {
                self.add(format!(
                    "The kernel does not support {what}; it is not applied."
                ));
                Ok(())
            }
            other => other,
        }
    }
}

/// Sets the limits of a group (devices are set apart); returns what cannot be had.
pub(crate) fn apply(group: &Group, resources: &Resources) -> Result<Vec<String>> {
    let mut warnings = Warnings(Vec::new());
    let w = &mut warnings;
    macro_rules! controller {
        ($name:literal, $asked:expr, $v1:path, $v2:path, $values:expr) => {
            if $asked {
                match group.place($name) {
                    Some(place) if place.hierarchy.unified => {
                        reaches(group, &place.dir, $name)?;
                        $v2(&place.dir, $values, w)?;
                    }
                    Some(place) => $v1(&place.dir, $values, w)?,
                    None => w.add(concat!(
                        "The ",
                        $name,
                        " controller is not available; its limits are not applied."
                    )),
                }
            }
        };
    }
    if let Some(memory) = &resources.memory {
        let asked = *memory != Default::default();
        controller!("memory", asked, v1::memory, v2::memory, memory);
    }
    if let Some(cpu) = &resources.cpu {
        let time = onggi_oci::runtime::Cpu {
            cpus: None,
            mems: None,
            ..cpu.clone()
        };
        controller!("cpu", time != Default::default(), v1::cpu, v2::cpu, cpu);
        let placed = [&cpu.cpus, &cpu.mems]
            .iter()
            .any(|list| list.as_deref().is_some_and(|l| !l.is_empty()));
        controller!("cpuset", placed, v1::cpuset, v2::cpuset, cpu);
    }
    if let Some(pids) = &resources.pids {
        controller!("pids", pids.limit != 0, v1::pids, v2::pids, pids);
    }
    if let Some(block) = &resources.block_io {
        let asked = *block != Default::default();
        let name = if group.place("blkio").is_some() {
            "blkio"
        } else {
            "io"
        };
        match group.place(name) {
            _ if !asked => {}
            Some(place) if place.hierarchy.unified => {
                reaches(group, &place.dir, "io")?;
                v2::block_io(&place.dir, block, w)?;
            }
            Some(place) => v1::block_io(&place.dir, block, w)?,
            None => w.add("The blkio controller is not available; its limits are not applied."),
        }
    }
    let huge = &resources.hugepage_limits;
    controller!("hugetlb", !huge.is_empty(), v1::hugetlb, v2::hugetlb, huge);
    let rdma = &resources.rdma;
    controller!("rdma", !rdma.is_empty(), v2::rdma, v2::rdma, rdma);
    if let Some(network) = &resources.network {
        controller!(
            "net_cls",
            network.class_id.is_some(),
            v1::net_class,
            v2::net_class,
            network
        );
        controller!(
            "net_prio",
            !network.priorities.is_empty(),
            v1::net_prio,
            v2::net_prio,
            network
        );
    }
    if !resources.unified.is_empty() {
        let only_v2 = || Error::InvalidLimit("unified resources need cgroup v2".into());
        let place = group.place("unified").ok_or_else(only_v2)?;
        v2::unified(&place.dir, &resources.unified)?;
    }
    Ok(warnings.0)
}

/// v2: a controller has its files in a group once the group above lets it through.
fn reaches(group: &Group, dir: &Dir, controller: &'static str) -> Result<()> {
    let here = dir.read("cgroup.controllers")?;
    match here.split_whitespace().any(|name| name == controller) {
        true => Ok(()),
        false => Err(Error::NotDelegated {
            controller,
            group: group.path().to_owned(),
        }),
    }
}

/// v2: lets the groups below `dir` use the controllers. A group with processes of its own cannot do that.
pub(crate) fn delegate(
    dir: &Dir,
    controllers: &[String],
    warnings: &mut Vec<String>,
) -> Result<()> {
    const USED: &[&str] = &[
        "cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma", "misc",
    ];
    let enabled = dir.read("cgroup.subtree_control")?;
    let available = dir.read("cgroup.controllers")?;
    let missing = |name: &&String| {
        USED.contains(&name.as_str())
            && !enabled.split_whitespace().any(|e| e == name.as_str())
            && available.split_whitespace().any(|a| a == name.as_str())
    };
    let wanted: Vec<String> = controllers
        .iter()
        .filter(missing)
        .map(|c| format!("+{c}"))
        .collect();
    if wanted.is_empty()
        || dir
            .write("cgroup.subtree_control", wanted.join(" "))
            .is_ok()
    {
        return Ok(());
    }
    // All or nothing failed: take what can be had, one by one.
    for one in wanted {
        if let Err(error) = dir.write("cgroup.subtree_control", &one) {
            let name = &one[1..];
            let path = dir.path().display();
            warnings.push(match error.errno().map(Errno::from_raw_os_error) {
                Some(Errno::BUSY) => format!(
                    "The {name} controller cannot be used below {path}: that cgroup has processes of its own."
                ),
                _ => format!("The {name} controller cannot be used below {path}."),
            });
        }
    }
    Ok(())
}

/// v1: a new cpuset is empty, and nobody can join an empty one; it gets what its parent has.
pub(crate) fn inherit_cpuset(parent: &Dir, child: &Dir) -> Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        if child.read(file)?.trim().is_empty() {
            let value = parent.read(file)?;
            match value.trim() {
                "" => {}
                value => child.write(file, value)?,
            }
        }
    }
    Ok(())
}

/// A limit for the user's eyes and the kernel's: -1 is none.
pub(crate) fn or_max(value: i64) -> String {
    if value < 0 {
        "max".to_owned()
    } else {
        value.to_string()
    }
}
