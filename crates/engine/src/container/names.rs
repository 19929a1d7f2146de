//! Names for containers whose users gave none: an adjective and a word of the pottery.

const ADJECTIVES: [&str; 48] = [
    "amber", "ample", "ancient", "ashen", "bold", "breezy", "bright", "bronze", "calm", "cheerful",
    "clear", "clever", "cobalt", "cool", "copper", "crisp", "curious", "dapper", "deep", "eager",
    "earthen", "fair", "fine", "gentle", "glad", "golden", "grand", "happy", "honest", "humble",
    "jade", "keen", "kind", "lively", "lucky", "mellow", "mild", "noble", "patient", "plain",
    "proud", "quick", "quiet", "rustic", "silent", "steady", "sunny", "warm",
];

const NOUNS: [&str; 48] = [
    "amphora",
    "basin",
    "beaker",
    "bisque",
    "bowl",
    "brick",
    "burner",
    "carafe",
    "celadon",
    "charcoal",
    "clay",
    "coil",
    "crock",
    "crucible",
    "cup",
    "dish",
    "ember",
    "ewer",
    "flask",
    "glaze",
    "goblet",
    "hearth",
    "jar",
    "jug",
    "kiln",
    "ladle",
    "lid",
    "loam",
    "mortar",
    "mug",
    "onggi",
    "oven",
    "pestle",
    "pitcher",
    "plate",
    "porcelain",
    "pot",
    "potter",
    "saucer",
    "shard",
    "slip",
    "spout",
    "stoneware",
    "terracotta",
    "tile",
    "tureen",
    "urn",
    "wheel",
];

/// The name that `seed` stands for.
pub(crate) fn pick(seed: u64) -> String {
    let at = |n: u64, words: &[&'static str]| {
        words[usize::try_from(n % words.len() as u64).unwrap_or_default()]
    };
    format!(
        "{}_{}",
        at(seed, &ADJECTIVES),
        at(seed / ADJECTIVES.len() as u64, &NOUNS)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_valid_and_differ() {
        let names: std::collections::BTreeSet<_> = (0..2304).map(pick).collect();
        assert_eq!(names.len(), 2304);
        assert!(
            names
                .iter()
                .all(|name| onggi_model::check_container_name(name).is_ok())
        );
    }
}
