//! Bearer tokens: ours, signed with a key of this registry, or those of another issuer whose public keys we know.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, EncodingKey, Header, Validation};
use onggi_model::Timestamp;
use serde::{Deserialize, Serialize};

use super::rules::Action;
use crate::config::{self, ConfigError, wrong};

/// The longest token that is looked at.
const LONGEST: usize = 64 * 1024;

/// What a token lets its bearer do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Grant {
    /// `repository` or `registry`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// Of the repository, or `catalog`.
    pub(crate) name: String,
    /// `pull`, `push`, `delete`, `*`.
    pub(crate) actions: Vec<String>,
}

impl Grant {
    /// Parses one scope, `repository:NAME:pull,push`; the name may have colons.
    pub(crate) fn parse(scope: &str) -> Option<Grant> {
        let (kind, rest) = scope.split_once(':')?;
        let (name, actions) = rest.rsplit_once(':')?;
        Some(Grant {
            kind: kind.split('(').next()?.to_owned(),
            name: name.to_owned(),
            actions: actions
                .split(',')
                .filter(|a| !a.is_empty())
                .map(str::to_owned)
                .collect(),
        })
    }

    /// Whether it covers this.
    pub(crate) fn covers(&self, repository: &str, action: Action) -> bool {
        let word = |word: &String| word == "*" || word == action.scope();
        self.kind == "repository" && self.name == repository && self.actions.iter().any(word)
    }
}

/// What is in a token, of what we look at ourselves.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Claims {
    /// The user; empty for nobody in particular.
    #[serde(default)]
    pub(crate) sub: String,
    /// What it lets its bearer do.
    #[serde(default)]
    pub(crate) access: Vec<Grant>,
}

#[derive(Serialize)]
struct Full<'a> {
    iss: &'a str,
    aud: &'a str,
    iat: i64,
    nbf: i64,
    exp: i64,
    #[serde(flatten)]
    claims: Claims,
}

/// Verifies tokens, and issues them where they are ours.
pub(crate) struct Tokens {
    pub(crate) service: String,
    issuer: String,
    /// Where another issuer is.
    pub(crate) realm: Option<String>,
    /// How long ours are good for, in seconds.
    pub(crate) lifetime: i64,
    signing: Option<EncodingKey>,
    keys: Vec<Key>,
}

struct Key {
    id: Option<String>,
    key: DecodingKey,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens")
            .field("service", &self.service)
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

impl Tokens {
    /// With a key of our own below `storage`, made when there is none; or with the keys of the other issuer.
    ///
    /// # Errors
    /// When a key cannot be read, or is no public key.
    pub(crate) fn open(config: &config::Token, storage: &Path) -> Result<Tokens, ConfigError> {
        let (signing, keys) = match config.realm {
            None => own(&storage.join("token.key"))?,
            Some(_) => {
                let mut keys = Vec::new();
                for path in &config.keys {
                    keys.extend(foreign(path)?);
                }
                (None, keys)
            }
        };
        Ok(Tokens {
            service: config.service.clone(),
            issuer: config.issuer.clone(),
            realm: config.realm.clone(),
            lifetime: i64::try_from(config.lifetime.as_secs()).unwrap_or(i64::MAX),
            signing,
            keys,
        })
    }

    /// A token; `None` when another issuer makes them.
    pub(crate) fn issue(&self, claims: Claims, now: Timestamp) -> Option<String> {
        let now = now.seconds();
        let full = Full {
            iss: &self.issuer,
            aud: &self.service,
            iat: now,
            nbf: now,
            exp: now.saturating_add(self.lifetime),
            claims,
        };
        let header = Header::new(Algorithm::ES256);
        jsonwebtoken::encode(&header, &full, self.signing.as_ref()?).ok()
    }

    /// What a token says, if it is good: signed by a key we know, for us, from the issuer, and not too old.
    pub(crate) fn verify(&self, token: &str) -> Option<Claims> {
        if token.len() > LONGEST {
            return None;
        }
        let header = jsonwebtoken::decode_header(token).ok()?;
        let fits = |key: &&Key| match (&key.id, &header.kid) {
            (Some(id), Some(kid)) => id == kid,
            _ => true,
        };
        // Issuers that name their keys otherwise than their files do: every key gets a try.
        let named = self.keys.iter().filter(fits);
        let others = self.keys.iter().filter(|key| !fits(key));
        named.chain(others).find_map(|key| {
            let mut validation = Validation::new_for_family(key.key.family());
            validation.validate_nbf = true;
            validation.set_audience(&[&self.service]);
            validation.set_issuer(&[&self.issuer]);
            validation.set_required_spec_claims(&["exp", "aud", "iss"]);
            jsonwebtoken::decode::<Claims>(token, &key.key, &validation)
                .map(|data| data.claims)
                .ok()
        })
    }
}

/// Our own key, from the file or new.
fn own(path: &Path) -> Result<(Option<EncodingKey>, Vec<Key>), ConfigError> {
    let bad = |what: &str| wrong("auth.token", format!("{}: {what}", path.display()));
    let fail = |source| ConfigError::File {
        path: path.to_owned(),
        source,
    };
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let document = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let random = aws_lc_rs::rand::SystemRandom::new();
            let made = EcdsaKeyPair::generate_pkcs8(algorithm, &random);
            let bytes = made
                .map_err(|_| bad("no key can be made"))?
                .as_ref()
                .to_vec();
            let new = path.with_extension("new");
            let write = || {
                let mut options = std::fs::File::options();
                let mut file = options
                    .write(true)
                    .create(true)
                    .truncate(true)
                    .mode(0o600)
                    .open(&new)?;
                file.write_all(&bytes)?;
                file.sync_all()?;
                std::fs::rename(&new, path)
            };
            write().map_err(fail)?;
            bytes
        }
        Err(error) => return Err(fail(error)),
    };
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, &document);
    let pair =
        pair.map_err(|_| bad("is no P-256 key in PKCS #8: remove it, and a new one is made"))?;
    let key = DecodingKey::from_ec_der(pair.public_key().as_ref());
    Ok((
        Some(EncodingKey::from_ec_der(&document)),
        vec![Key { id: None, key }],
    ))
}

/// The public keys of a file: PEM (RSA, EC or Ed25519) or a set of JSON web keys.
fn foreign(path: &Path) -> Result<Vec<Key>, ConfigError> {
    let bytes = std::fs::read(path).map_err(|source| ConfigError::File {
        path: path.to_owned(),
        source,
    })?;
    let bad = |what: &str| wrong("auth.token.keys", format!("{}: {what}", path.display()));
    if bytes.trim_ascii_start().starts_with(b"{") {
        let set: JwkSet =
            serde_json::from_slice(&bytes).map_err(|error| bad(&error.to_string()))?;
        let mut keys = Vec::new();
        for jwk in &set.keys {
            let key = DecodingKey::from_jwk(jwk).map_err(|error| bad(&error.to_string()))?;
            if key.family() == AlgorithmFamily::Hmac {
                return Err(bad(
                    "has a secret key; who verifies tokens should not be able to make them",
                ));
            }
            let id = jwk.common.key_id.clone();
            keys.push(Key { id, key });
        }
        if keys.is_empty() {
            return Err(bad("has no key"));
        }
        return Ok(keys);
    }
    let read = [
        DecodingKey::from_ec_pem,
        DecodingKey::from_rsa_pem,
        DecodingKey::from_ed_pem,
    ];
    let key = read.iter().find_map(|read| read(&bytes).ok());
    let key =
        key.ok_or_else(|| bad("is neither a public key in PEM nor a set of JSON web keys"))?;
    Ok(vec![Key { id: None, key }])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn grant() -> Grant {
        Grant::parse("repository:team/app:pull,push").unwrap()
    }

    fn claims() -> Claims {
        Claims {
            sub: "a".to_owned(),
            access: vec![grant()],
        }
    }

    fn config() -> config::Token {
        config::Token::default()
    }

    #[test]
    fn scopes() {
        let g = Grant::parse("repository:localhost:5000/a:pull").unwrap();
        assert_eq!((g.name.as_str(), g.actions.len()), ("localhost:5000/a", 1));
        assert_eq!(
            Grant::parse("repository(plugin):a:pull").unwrap().kind,
            "repository"
        );
        assert!(Grant::parse("repository").is_none() && Grant::parse("a:b").is_none());
        assert!(grant().covers("team/app", Action::Write));
        assert!(!grant().covers("team/app", Action::Delete));
        assert!(!grant().covers("team", Action::Read));
        assert!(
            Grant::parse("repository:a:*")
                .unwrap()
                .covers("a", Action::Delete)
        );
        assert!(
            !Grant::parse("registry:a:*")
                .unwrap()
                .covers("a", Action::Read)
        );
    }

    #[test]
    fn our_own_are_good_for_us_and_for_a_while() {
        let folder = tempfile::tempdir().unwrap();
        let tokens = Tokens::open(&config(), folder.path()).unwrap();
        let now = Timestamp::now();
        let token = tokens.issue(claims(), now).unwrap();
        assert_eq!(tokens.verify(&token).unwrap().access, [grant()]);
        // The key stays over a restart.
        let again = Tokens::open(&config(), folder.path()).unwrap();
        assert!(again.verify(&token).is_some());
        let past = Timestamp::from_unix(now.seconds() - 3600, 0).unwrap();
        assert!(
            tokens
                .verify(&tokens.issue(claims(), past).unwrap())
                .is_none()
        );
        let future = Timestamp::from_unix(now.seconds() + 3600, 0).unwrap();
        assert!(
            tokens
                .verify(&tokens.issue(claims(), future).unwrap())
                .is_none()
        );
        let elsewhere = tempfile::tempdir().unwrap();
        let stranger = Tokens::open(&config(), elsewhere.path()).unwrap();
        assert!(
            tokens
                .verify(&stranger.issue(claims(), now).unwrap())
                .is_none()
        );
        for other in [
            config::Token {
                service: "other".to_owned(),
                ..config()
            },
            config::Token {
                issuer: "other".to_owned(),
                ..config()
            },
        ] {
            let other = Tokens::open(&other, folder.path()).unwrap();
            assert!(
                tokens
                    .verify(&other.issue(claims(), now).unwrap())
                    .is_none()
            );
        }
        // Broken, unsigned, and signed with the public key as if it were a secret.
        let mut parts: Vec<&str> = token.split('.').collect();
        for bad in ["", ".", "..", "a.b.c", token.trim_end_matches(|c| c != '.')] {
            assert!(tokens.verify(bad).is_none(), "{bad}");
        }
        parts[0] = "eyJhbGciOiJub25lIn0";
        assert!(tokens.verify(&parts.join(".")).is_none());
        let public = tokens.keys[0].key.try_get_as_bytes().unwrap().to_vec();
        let full = serde_json::json!({"iss": "onggi-registry", "aud": "onggi-registry", "exp": now.seconds() + 100});
        let forged = jsonwebtoken::encode(
            &Header::new(Algorithm::HS256),
            &full,
            &EncodingKey::from_secret(&public),
        );
        assert!(tokens.verify(&forged.unwrap()).is_none());
        assert!(tokens.verify(&"a".repeat(LONGEST + 1)).is_none());
        std::fs::write(folder.path().join("token.key"), "x").unwrap();
        assert!(Tokens::open(&config(), folder.path()).is_err());
    }

    #[test]
    fn those_of_another_issuer_by_public_key_and_by_set() {
        let theirs = tempfile::tempdir().unwrap();
        let issuer = Tokens::open(&config(), theirs.path()).unwrap();
        let token = issuer.issue(claims(), Timestamp::now()).unwrap();
        let public = issuer.keys[0].key.try_get_as_bytes().unwrap().to_vec();
        let coded = |bytes: &[u8]| {
            use base64::Engine as _;
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
        };
        let set = serde_json::json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "1", "x": coded(&public[1..33]), "y": coded(&public[33..])}]});
        let set_file = theirs.path().join("set.json");
        std::fs::write(&set_file, set.to_string()).unwrap();
        // SubjectPublicKeyInfo of a P-256 point.
        let mut info = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00".to_vec();
        info.extend(&public);
        let pem = {
            use base64::Engine as _;
            let text = base64::engine::general_purpose::STANDARD.encode(info);
            format!(
                "-----BEGIN PUBLIC KEY-----\n{}\n{}\n-----END PUBLIC KEY-----\n",
                &text[..64],
                &text[64..]
            )
        };
        let pem_file = theirs.path().join("key.pem");
        std::fs::write(&pem_file, pem).unwrap();
        let secret = serde_json::json!({"keys": [{"kty": "oct", "k": "AAAA"}]});
        let secret_file = theirs.path().join("secret.json");
        std::fs::write(&secret_file, secret.to_string()).unwrap();
        let verifier = |file: &Path| {
            let config = config::Token {
                realm: Some("https://issuer.example/token".to_owned()),
                keys: vec![file.to_owned()],
                lifetime: Duration::from_secs(60),
                ..config()
            };
            Tokens::open(&config, Path::new("/nowhere"))
        };
        for file in [&set_file, &pem_file] {
            let verifier = verifier(file).unwrap();
            assert_eq!(
                verifier.verify(&token).unwrap().sub,
                "a",
                "{}",
                file.display()
            );
            assert!(verifier.issue(claims(), Timestamp::now()).is_none());
        }
        assert!(verifier(&secret_file).is_err());
        assert!(verifier(Path::new("/nowhere")).is_err());
    }
}
