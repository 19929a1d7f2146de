//! Whether the kernel's table of neighbours is large enough for the containers that run.
//!
//! There is one table of each family for all network namespaces: each container has an entry of its own for everyone that
//! it speaks to. A table that is full loses packets, and nobody is told why.

use std::collections::HashMap;

use onggi_netlink::neighbours::{self, Table};
use onggi_netlink::{Protocol, Socket};

use crate::error::{Error, Result};
use crate::inner::Inner;

/// How many others of its network a container is thought to speak to.
const PEERS: usize = 16;

impl Inner {
    /// What is to be said of the tables.
    pub(crate) fn crowded(&self) -> Result<Vec<String>> {
        let mut v4: HashMap<String, usize> = HashMap::new();
        let mut v6 = v4.clone();
        for entry in self.state().endpoints.values().flatten() {
            for (family, address) in [
                (&mut v4, entry.endpoint.ipv4.is_some()),
                (&mut v6, entry.endpoint.ipv6.is_some()),
            ] {
                if address {
                    *family.entry(entry.endpoint.network_id.clone()).or_default() += 1;
                }
            }
        }
        if v4.is_empty() && v6.is_empty() {
            return Ok(Vec::new());
        }
        let failed = || Error::kernel("look at the tables of neighbours");
        let mut socket = Socket::open(Protocol::Route).map_err(failed())?;
        let tables = neighbours::tables(&mut socket).map_err(failed())?;
        let families = [("arp_cache", "ipv4", v4), ("ndisc_cache", "ipv6", v6)];
        Ok(families
            .into_iter()
            .filter_map(|(name, family, networks)| {
                let table = tables.iter().find(|table| table.name == name)?;
                warning(table, family, networks.values().copied())
            })
            .collect())
    }
}

/// `networks`: how many containers each has.
fn warning(table: &Table, family: &str, networks: impl Iterator<Item = usize>) -> Option<String> {
    // Its gateway, the host's of it, and some of the others.
    let needed: usize = networks
        .map(|count| count * (2 + PEERS.min(count.saturating_sub(1))))
        .sum();
    let most = usize::try_from(table.most).unwrap_or(usize::MAX);
    let full = u64::from(table.entries) * 10 >= u64::from(table.most) * 9;
    if needed <= most && !full {
        return None;
    }
    let enough = needed.max(2 * most).next_power_of_two();
    Some(format!(
        "the table of neighbours may be too small for the containers that run: {} of at most {most} entries are taken, \
         packets are lost when it is full; set net.{family}.neigh.default.gc_thresh3={enough}",
        table.entries
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_table_is_spoken_of() {
        let table = |entries| Table {
            name: "arp_cache".to_owned(),
            entries,
            most: 1024,
        };
        let said = |entries, networks: &[usize]| {
            warning(&table(entries), "ipv4", networks.iter().copied())
        };
        assert_eq!(said(10, &[]), None);
        assert_eq!(said(10, &[30, 1, 1]), None);
        let many = said(10, &[500]).unwrap_or_default();
        assert!(
            many.contains("10 of at most 1024") && many.ends_with("gc_thresh3=16384"),
            "{many}"
        );
        // One in each of many networks has nobody but its gateway.
        assert_eq!(said(10, &[1; 400]), None);
        assert!(said(1000, &[3]).is_some_and(|text| text.ends_with("gc_thresh3=2048")));
    }
}
