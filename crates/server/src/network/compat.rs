//! Networks before 1.55.

use onggi_api::ApiVersion;
use onggi_api::network::Inspect;

/// A network as a client of `version` knows it: its status came with 1.52.
pub(crate) fn inspect(mut inspect: Inspect, version: ApiVersion) -> Inspect {
    if version < ApiVersion::new(1, 52) {
        inspect.status = None;
    }
    inspect
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::compat::tests::recorded;

    #[test]
    fn networks_are_as_recorded() {
        for name in ["bridge", "recnet"] {
            let path = format!("/networks/{name}");
            let newest: Inspect =
                serde_json::from_value(recorded("1.55", &path)[0].1.clone()).unwrap();
            for minor in [44, 47, 51, 52] {
                let version = ApiVersion::new(1, minor);
                let ours = serde_json::to_value(super::inspect(newest.clone(), version)).unwrap();
                assert_eq!(
                    ours,
                    recorded(&version.to_string(), &path)[0].1,
                    "1.{minor}"
                );
            }
        }
    }
}
