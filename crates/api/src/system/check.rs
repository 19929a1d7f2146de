//! `GET` and `POST /system/check`: whether everything on disk is whole and somebody's. Docker has no such thing.

use crate::go::document;

document! {
    /// What looking at everything gave.
    pub struct StoreCheck {
        /// What is not as it should be, a line each; after a repair, what still is not.
        pub defects: Vec<String> => "Defects";
        /// What a repair found before it began.
        pub found: Vec<String> => "Found" @omitempty;
        /// What a repair did, a line each.
        pub done: Vec<String> => "Done" @omitempty;
        pub checked: StoreChecked => "Checked";
    }
}

document! {
    /// What was looked at.
    pub struct StoreChecked {
        pub images: i64 => "Images";
        pub blobs: i64 => "Blobs";
        /// Their bytes.
        pub blob_bytes: i64 => "BlobBytes";
        /// Whether every one of them was hashed.
        pub hashed: bool => "Hashed";
        pub layers: i64 => "Layers";
        /// Layers that were compared with what their blob holds.
        pub compared: i64 => "Compared";
        pub containers: i64 => "Containers";
        pub volumes: i64 => "Volumes";
        /// Blobs that came in part.
        pub partials: i64 => "Partials";
        /// Their bytes.
        pub partial_bytes: i64 => "PartialBytes";
    }
}
