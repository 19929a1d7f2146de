//! Volumes before 1.55.

use onggi_api::ApiVersion;
use onggi_model::Filters;

/// What an old client's `prune` means: until 1.42 it took volumes with names, too.
pub(crate) fn prune_filters(filters: &mut Filters, version: ApiVersion) {
    if version < ApiVersion::new(1, 42) && !filters.contains("all") {
        filters.add("all", "true");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::compat::tests::recorded;
    use onggi_api::volume::{List, Volume};

    #[test]
    fn prune_meant_all() {
        for (minor, all) in [(41, Some(true)), (42, None)] {
            let mut filters = Filters::default();
            prune_filters(&mut filters, ApiVersion::new(1, minor));
            assert_eq!(filters.boolean("all").unwrap(), all, "1.{minor}");
        }
    }

    /// They did not change: every version gets the newest document.
    #[test]
    fn volumes_are_as_recorded() {
        for minor in [44, 47, 51, 52, 55] {
            let api = format!("1.{minor}");
            let (_, one) = &recorded(&api, "/volumes/recvol")[0];
            let ours: Volume = serde_json::from_value(one.clone()).unwrap();
            assert_eq!(serde_json::to_string(&ours).unwrap(), one.to_string());
            let all = recorded(&api, "/volumes");
            let (_, list) = all
                .iter()
                .find(|(key, _)| key.ends_with("/volumes"))
                .unwrap();
            let ours: List = serde_json::from_value(list.clone()).unwrap();
            assert_eq!(serde_json::to_string(&ours).unwrap(), list.to_string());
        }
    }
}
