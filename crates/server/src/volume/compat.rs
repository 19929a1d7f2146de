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
    use onggi_api::volume::{List, Volume};

    #[test]
    fn prune_meant_all() {
        for (minor, all) in [(41, Some(true)), (42, None)] {
            let mut filters = Filters::default();
            prune_filters(&mut filters, ApiVersion::new(1, minor));
            assert_eq!(filters.boolean("all").unwrap(), all, "1.{minor}");
        }
    }

    /// As moby answered from 1.44 to 1.55: they did not change, and every version gets the newest document.
    #[test]
    fn volumes_are_as_recorded() {
        let one = r#"{"CreatedAt":"2026-11-21T03:32:59Z","Driver":"local","Labels":{"a":"b"},"Mountpoint":"/var/lib/docker/volumes/recvol/_data","Name":"recvol","Options":null,"Scope":"local"}"#;
        let volume: Volume = serde_json::from_str(one).unwrap();
        assert_eq!(serde_json::to_string(&volume).unwrap(), one);
        let used = one.replace(
            r#""Scope":"local"}"#,
            r#""Scope":"local","UsageData":{"RefCount":0,"Size":0}}"#,
        );
        let volume: Volume = serde_json::from_str(&used).unwrap();
        assert_eq!(serde_json::to_string(&volume).unwrap(), used);
        let none = r#"{"Volumes":[],"Warnings":null}"#;
        let list: List = serde_json::from_str(none).unwrap();
        assert_eq!(serde_json::to_string(&list).unwrap(), none);
    }
}
