//! Who we are towards one registry. Whose registry it is, the caller knows: these credentials are sent
//! to the registry of the reference they are handed in with and to the token server it names.

use aws_lc_rs::digest;
use onggi_model::Secret;

/// Credentials for one registry, as the `X-Registry-Auth` header carries them. Empty fields are unset.
#[derive(Debug, Clone, Default)]
pub struct Auth {
    /// The user's name, for basic authentication and for the token server.
    pub username: String,
    /// The password that goes with it.
    pub password: Secret<String>,
    /// A refresh token from an earlier login, traded for access tokens.
    pub identity_token: Secret<String>,
    /// An access token that is sent as it is.
    pub registry_token: Secret<String>,
}

impl Auth {
    /// Nobody in particular.
    pub fn anonymous() -> Self {
        Auth::default()
    }

    /// A user with a password.
    pub fn basic(username: impl Into<String>, password: impl Into<String>) -> Self {
        Auth {
            username: username.into(),
            password: Secret::new(password.into()),
            ..Auth::default()
        }
    }

    /// Whether there is nothing to send.
    pub fn is_anonymous(&self) -> bool {
        self.username.is_empty()
            && self.password.expose().is_empty()
            && self.identity_token.expose().is_empty()
            && self.registry_token.expose().is_empty()
    }

    /// The value of an `Authorization` header for basic authentication, when there is a user.
    pub(crate) fn basic_header(&self) -> Option<String> {
        use base64::Engine as _;
        if self.username.is_empty() {
            return None;
        }
        let plain = format!("{}:{}", self.username, self.password.expose());
        Some(format!(
            "Basic {}",
            base64::engine::general_purpose::STANDARD.encode(plain)
        ))
    }

    /// Tells two sets of credentials apart without keeping them: the key of the token cache.
    pub(crate) fn fingerprint(&self) -> [u8; 32] {
        let mut context = digest::Context::new(&digest::SHA256);
        for part in [
            &self.username,
            self.password.expose(),
            self.identity_token.expose(),
            self.registry_token.expose(),
        ] {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part.as_bytes());
        }
        let mut out = [0; 32];
        out.copy_from_slice(context.finish().as_ref());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_told_apart_and_never_printed() {
        let auth = Auth::basic("me", "hunter2");
        assert!(!format!("{auth:?}").contains("hunter2"));
        assert_ne!(
            auth.fingerprint(),
            Auth::basic("meh", "unter2").fingerprint()
        );
        assert_eq!(
            auth.basic_header().as_deref(),
            Some("Basic bWU6aHVudGVyMg==")
        );
        assert!(Auth::anonymous().is_anonymous() && Auth::anonymous().basic_header().is_none());
    }
}
