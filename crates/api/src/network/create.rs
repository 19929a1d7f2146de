//! A network to make.

use std::collections::BTreeMap;

use super::{ConfigReference, Ipam};
use crate::go::document;

document! {
    /// The body of `POST /networks/create`.
    pub struct CreateRequest {
        /// Empty for `bridge`.
        pub driver: String => "Driver";
        /// `local`, or empty.
        pub scope: String => "Scope";
        /// `None`: as the daemon has it. Since 1.48.
        pub enable_ipv4: Option<bool> => "EnableIPv4" @omitempty;
        /// `None`: as the daemon has it.
        pub enable_ipv6: Option<bool> => "EnableIPv6" @omitempty;
        pub ipam: Option<Ipam> => "IPAM";
        pub internal: bool => "Internal";
        pub attachable: bool => "Attachable";
        pub ingress: bool => "Ingress";
        pub config_only: bool => "ConfigOnly";
        pub config_from: Option<ConfigReference> => "ConfigFrom";
        pub options: Option<BTreeMap<String, String>> => "Options";
        pub labels: Option<BTreeMap<String, String>> => "Labels";
        pub name: String => "Name";
        /// Before 1.44: whether a name that exists is refused. Since then it always is.
        pub check_duplicate: Option<bool> => "CheckDuplicate" @omitempty;
    }
}

document! {
    /// What was made.
    pub struct CreateResponse {
        pub id: String => "Id";
        /// Empty where there is nothing to say.
        pub warning: String => "Warning";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_written_as_clients_of_docker_write_it() {
        let request = CreateRequest {
            name: "n".to_owned(),
            enable_ipv6: Some(true),
            ..CreateRequest::default()
        };
        assert_eq!(
            serde_json::to_string(&request).unwrap(),
            r#"{"Driver":"","Scope":"","EnableIPv6":true,"IPAM":null,"Internal":false,"Attachable":false,"Ingress":false,"ConfigOnly":false,"ConfigFrom":null,"Options":null,"Labels":null,"Name":"n"}"#
        );
    }
}
