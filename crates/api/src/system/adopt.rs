//! `POST /system/adopt`, an endpoint of our own.

use crate::go::document;

document! {
    /// What became of one thing of another engine's.
    pub struct AdoptedItem {
        /// `image`, `volume` or `container`.
        pub kind: String => "Kind";
        pub id: String => "ID" @omitempty;
        pub name: String => "Name";
        /// `taken`, `present` or `skipped`.
        pub outcome: String => "Outcome";
        /// Why it was skipped, or what there is to know.
        pub detail: String => "Detail" @omitempty;
    }
}
