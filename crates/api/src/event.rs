//! Events: what happened to containers, images, networks.

use std::collections::BTreeMap;

use crate::go::document;

document! {
    /// One event. `status`, `id` and `from` were dropped in 1.52; older clients get them.
    pub struct Message {
        /// The action, for images and containers.
        pub status: Option<String> => "status" @omitempty;
        /// The actor's id, for images and containers.
        pub id: Option<String> => "id" @omitempty;
        /// The container's image.
        pub from: Option<String> => "from" @omitempty;
        /// `container`, `image`, `network`, ...
        pub kind: String => "Type";
        /// `create`, `start`, `die`, ...
        pub action: String => "Action";
        pub actor: Actor => "Actor";
        /// `local` or `swarm`.
        pub scope: String => "scope" @omitempty;
        /// Seconds since the epoch.
        pub time: i64 => "time" @omitempty;
        /// Nanoseconds since the epoch.
        pub time_nano: i64 => "timeNano" @omitempty;
    }
}

document! {
    /// What the event happened to.
    pub struct Actor {
        pub id: String => "ID";
        pub attributes: BTreeMap<String, String> => "Attributes";
    }
}
