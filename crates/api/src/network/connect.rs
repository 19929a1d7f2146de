//! Into a network and out of it.

use super::EndpointSettings;
use crate::go::document;

document! {
    /// The body of `POST /networks/{id}/connect`.
    pub struct ConnectRequest {
        /// Id or name.
        pub container: String => "Container";
        /// What the container wants there.
        pub endpoint_config: Option<EndpointSettings> => "EndpointConfig" @omitempty;
    }
}

document! {
    /// The body of `POST /networks/{id}/disconnect`.
    pub struct DisconnectRequest {
        /// Id or name.
        pub container: String => "Container";
        /// Also where the container cannot be found, or does not let go.
        pub force: bool => "Force";
    }
}
