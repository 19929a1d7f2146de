//! What registries have: one image's descriptor, and repositories by a word.

use crate::go::document;
use crate::image::{Descriptor, Platform};

document! {
    /// What a registry has under a name.
    pub struct DistributionInspect {
        pub descriptor: Descriptor => "Descriptor";
        /// What it is for; `null` when nobody says.
        pub platforms: Option<Vec<Platform>> => "Platforms";
    }
}

document! {
    /// One repository that was found.
    pub struct SearchResult {
        pub star_count: i64 => "star_count";
        pub is_official: bool => "is_official";
        pub name: String => "name";
        /// Always false since nobody builds that way any more.
        pub is_automated: bool => "is_automated";
        pub description: String => "description";
    }
}
