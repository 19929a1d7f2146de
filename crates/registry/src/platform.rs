//! The manifest of an index that fits a platform best.

use onggi_model::{ErrorKind, Fault, Platform};
use onggi_oci::image::{Descriptor, Index, annotation, media_type};

/// An index that has nothing for a platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "no matching manifest for {0} in the manifest list entries: no match for platform in manifest: not found"
)]
pub struct NoMatch(pub String);

impl Fault for NoMatch {
    fn kind(&self) -> ErrorKind {
        ErrorKind::NotFound
    }
}

/// The entry of `index` to run on `wanted`: the same variant first, then the best older one that the
/// machine can run as well; of equals the one the publisher put first.
///
/// # Errors
/// [`NoMatch`] when nothing fits.
pub fn select<'a>(index: &'a Index, wanted: &Platform) -> Result<&'a Descriptor, NoMatch> {
    let mut best: Option<(u32, &Descriptor)> = None;
    for entry in &index.manifests {
        if let Some(rank) = rank(entry, wanted)
            && best.is_none_or(|(held, _)| rank < held)
        {
            best = Some((rank, entry));
        }
    }
    best.map(|(_, entry)| entry)
        .ok_or_else(|| NoMatch(wanted.to_string()))
}

/// How well an entry fits, 0 best; `None` when it does not.
fn rank(entry: &Descriptor, wanted: &Platform) -> Option<u32> {
    // Attestations are in the list as `unknown/unknown`, artifacts with media types of their own.
    if entry.annotations.contains_key(annotation::REFERENCE_TYPE)
        || !(media_type::is_manifest(&entry.media_type) || entry.media_type.is_empty())
    {
        return None;
    }
    let Some(platform) = &entry.platform else {
        // An index of one entry that does not say what it is for: its configuration will.
        return Some(u32::MAX);
    };
    let offered = Platform::new(
        &platform.os,
        &platform.architecture,
        platform.variant.as_deref(),
    );
    wanted.matches(&offered).then(|| wanted.distance(&offered))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b85";

    fn index(platforms: &[&str]) -> Index {
        let entries: Vec<String> = platforms
            .iter()
            .enumerate()
            .map(|(at, platform)| {
                let mut parts = platform.split('/');
                let (os, architecture) = (parts.next().unwrap(), parts.next().unwrap());
                let variant = parts
                    .next()
                    .map_or(String::new(), |v| format!(r#","variant":"{v}""#));
                format!(
                    r#"{{"mediaType":"{}","digest":"sha256:{HEX}{at}","size":1,
                        "platform":{{"os":"{os}","architecture":"{architecture}"{variant}}}}}"#,
                    media_type::MANIFEST
                )
            })
            .collect();
        serde_json::from_str(&format!(
            r#"{{"schemaVersion":2,"manifests":[{}]}}"#,
            entries.join(",")
        ))
        .unwrap()
    }

    fn chosen(platforms: &[&str], wanted: &str) -> Option<usize> {
        let index = index(platforms);
        let wanted: Platform = wanted.parse().unwrap();
        let entry = select(&index, &wanted).ok()?;
        index.manifests.iter().position(|e| e == entry)
    }

    #[test]
    fn the_best_variant_a_machine_can_run() {
        let all = [
            "linux/arm/v5",
            "linux/arm/v7",
            "linux/arm64/v8",
            "linux/amd64",
            "linux/386",
        ];
        assert_eq!(chosen(&all, "linux/amd64"), Some(3));
        assert_eq!(chosen(&all, "linux/arm64"), Some(2));
        assert_eq!(chosen(&all, "linux/arm/v7"), Some(1));
        assert_eq!(chosen(&all, "linux/arm/v6"), Some(0));
        assert_eq!(chosen(&all, "linux/s390x"), None);
        assert_eq!(chosen(&["windows/amd64"], "linux/amd64"), None);
        // A level above the machine's own is not taken.
        assert_eq!(chosen(&["linux/amd64/v3"], "linux/amd64"), None);
        assert_eq!(
            chosen(&["linux/amd64/v3", "linux/amd64"], "linux/amd64"),
            Some(1)
        );
    }

    #[test]
    fn attestations_are_no_images() {
        let mut list = index(&["linux/amd64"]);
        list.manifests[0].annotations.insert(
            annotation::REFERENCE_TYPE.to_owned(),
            "attestation-manifest".to_owned(),
        );
        let error = select(&list, &"linux/amd64".parse().unwrap()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no matching manifest for linux/amd64 in the manifest list entries: \
             no match for platform in manifest: not found"
        );
    }
}
