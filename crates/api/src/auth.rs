//! Credentials for registries, as the CLI sends them in `X-Registry-Auth`.

use onggi_model::Secret;

use crate::go::document;

crate::go::never_zero!(Secret<String>);

document! {
    /// Who the caller is to a registry. Printing it with `Debug` shows no secret.
    pub struct AuthConfig {
        pub username: String => "username" @omitempty;
        pub password: Option<Secret<String>> => "password" @omitempty;
        /// `base64(user:password)`, as configuration files keep it.
        pub auth: Option<Secret<String>> => "auth" @omitempty;
        pub email: String => "email" @omitempty;
        pub server_address: String => "serveraddress" @omitempty;
        /// Given instead of a password: buys access tokens.
        pub identity_token: Option<Secret<String>> => "identitytoken" @omitempty;
        /// Sent to the registry as it is.
        pub registry_token: Option<Secret<String>> => "registrytoken" @omitempty;
    }
}

document! {
    /// What became of a login.
    pub struct LoginReply {
        pub status: String => "Status";
        /// A token that stands for the password from now on.
        pub identity_token: Secret<String> => "IdentityToken";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_print() {
        let auth: AuthConfig =
            crate::decode(br#"{"username":"u","password":"canary","identitytoken":"canary"}"#)
                .unwrap();
        assert!(!format!("{auth:?}").contains("canary"));
        assert_eq!(
            auth.password.as_ref().map(|p| p.expose().as_str()),
            Some("canary")
        );
        assert_eq!(
            serde_json::to_string(&auth).unwrap(),
            r#"{"username":"u","password":"canary","identitytoken":"canary"}"#
        );
    }
}
