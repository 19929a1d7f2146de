//! Who asks, and what they may do.

mod htpasswd; // users and their passwords
pub(crate) mod rules; // who may do what where
mod slow; // wrong passwords slow down
mod token; // bearer tokens

use std::net::IpAddr;
use std::path::Path;
use std::time::Instant;

use base64::Engine as _;
use http::StatusCode;
use http::header::{self, HeaderMap};
use onggi_model::{Secret, Timestamp};
use onggi_oci::distribution::code;

use crate::config::{self, ConfigError};
use crate::refusal::Refusal;
use htpasswd::Htpasswd;
use rules::{Action, Rule};
use slow::Slow;
use token::{Claims, Grant, Tokens};

pub(crate) use htpasswd::line as htpasswd_line;

/// What stands at the door.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    htpasswd: Option<Htpasswd>,
    tokens: Option<Tokens>,
    anonymous: bool,
    rules: Vec<Rule>,
    slow: Slow,
    /// Nobody is asked.
    open: bool,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    /// Anybody: nobody is asked who they are.
    Everybody,
    /// Somebody who did not say.
    Anonymous,
    /// A user with the right password.
    User(String),
    /// The bearer of a good token.
    Bearer {
        /// The user, where the token names one.
        user: String,
        /// What it is good for.
        grants: Vec<Grant>,
    },
}

impl Identity {
    /// The name for the log.
    pub(crate) fn name(&self) -> &str {
        match self {
            Identity::Everybody | Identity::Anonymous => "",
            Identity::User(name) => name,
            Identity::Bearer { user, .. } => user,
        }
    }
}

/// Where a request came from and where it thinks it went.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// The peer's address, unless it is on this machine's socket.
    pub(crate) address: Option<IpAddr>,
    /// `https://HOST`: this registry, in the client's words.
    pub(crate) base: String,
}

/// What is wrong with who asks; clients tell their users by it (RFC 6750, 3.1).
#[derive(Clone, Copy, Debug)]
enum Lack {
    /// Nobody said who they are.
    Credentials,
    /// What they said is not right.
    Right,
    /// Their token is good for something else.
    Scope,
}

impl Gate {
    /// With the files the configuration names.
    ///
    /// # Errors
    /// When one is not what it should be.
    pub(crate) fn open(config: Option<&config::Auth>, storage: &Path) -> Result<Gate, ConfigError> {
        let Some(config) = config else {
            return Ok(Gate {
                open: true,
                ..Gate::default()
            });
        };
        let htpasswd = config.htpasswd.as_deref().map(Htpasswd::open).transpose()?;
        let tokens = config
            .token
            .as_ref()
            .map(|token| Tokens::open(token, storage))
            .transpose()?;
        Ok(Gate {
            htpasswd,
            tokens,
            anonymous: config.anonymous,
            rules: config.access.clone(),
            slow: Slow::default(),
            open: false,
        })
    }

    /// Who sent this.
    ///
    /// # Errors
    /// 401 for credentials that are wrong or not understood, 429 for too many of them.
    pub(crate) async fn identify(
        &self,
        headers: &HeaderMap,
        origin: &Origin,
    ) -> Result<Identity, Refusal> {
        if self.open {
            return Ok(Identity::Everybody);
        }
        let Some(value) = headers.get(header::AUTHORIZATION) else {
            return Ok(Identity::Anonymous);
        };
        let refuse = || self.unauthorized(origin, None, Lack::Right);
        let (scheme, value) = value
            .to_str()
            .ok()
            .and_then(|text| text.split_once(' '))
            .ok_or_else(refuse)?;
        if scheme.eq_ignore_ascii_case("bearer") {
            let claims = self
                .tokens
                .as_ref()
                .and_then(|tokens| tokens.verify(value.trim()));
            let Claims { sub, access } = claims.ok_or_else(refuse)?;
            return Ok(Identity::Bearer {
                user: sub,
                grants: access,
            });
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return Err(refuse());
        }
        let (user, password) = basic(value).ok_or_else(refuse)?;
        if self.check(&user, &password, origin).await? {
            Ok(Identity::User(user))
        } else {
            Err(refuse())
        }
    }

    async fn check(
        &self,
        user: &str,
        password: &Secret<String>,
        origin: &Origin,
    ) -> Result<bool, Refusal> {
        let Some(htpasswd) = &self.htpasswd else {
            return Ok(false);
        };
        if let Some(pause) = self.slow.wait(origin.address, user, Instant::now()) {
            let seconds = pause.as_secs() + 1;
            let message = format!("too many wrong passwords: try again in {seconds} seconds");
            let refusal = Refusal::new(
                StatusCode::TOO_MANY_REQUESTS,
                code::TOOMANYREQUESTS,
                message,
            );
            return Err(refusal.header(header::RETRY_AFTER, seconds.to_string()));
        }
        let right = htpasswd.verify(user, password.expose()).await;
        self.slow.note(origin.address, user, right, Instant::now());
        if !right {
            tracing::warn!(user, address = ?origin.address, "wrong password");
        }
        Ok(right)
    }

    /// Lets somebody in who may do that.
    ///
    /// # Errors
    /// 401 for those who can say more about themselves, 403 for those who cannot.
    pub(crate) fn admit(
        &self,
        identity: &Identity,
        repository: &str,
        action: Action,
        origin: &Origin,
    ) -> Result<(), Refusal> {
        if self.allows(identity, repository, action) {
            return Ok(());
        }
        if let Identity::User(_) = identity {
            let message = "requested access to the resource is denied";
            return Err(Refusal::new(StatusCode::FORBIDDEN, code::DENIED, message));
        }
        // Who writes reads as well.
        let actions = match action {
            Action::Write => "pull,push",
            other => other.scope(),
        };
        let scope = format!("repository:{repository}:{actions}");
        let lack = match identity {
            Identity::Bearer { .. } => Lack::Scope,
            _ => Lack::Credentials,
        };
        Err(self.unauthorized(origin, Some(&scope), lack))
    }

    /// Whether this identity may do that.
    pub(crate) fn allows(&self, identity: &Identity, repository: &str, action: Action) -> bool {
        let by_rules = |user| rules::allows(&self.rules, self.anonymous, user, repository, action);
        match identity {
            Identity::Everybody => true,
            Identity::Anonymous => by_rules(None),
            Identity::User(user) => by_rules(Some(user)),
            Identity::Bearer { grants, .. } => {
                grants.iter().any(|g| g.covers(repository, action)) || by_rules(None)
            }
        }
    }

    /// Whether a name may be shown to this identity in the catalogue.
    pub(crate) fn shows(&self, identity: &Identity, repository: &str) -> bool {
        match identity {
            Identity::Bearer { user, grants } => {
                let catalog = |g: &Grant| g.kind == "registry" && g.name == "catalog";
                let ours = self
                    .tokens
                    .as_ref()
                    .is_some_and(|tokens| tokens.realm.is_none());
                let user = (!user.is_empty()).then_some(user.as_str());
                grants.iter().any(catalog)
                    && (!ours
                        || rules::allows(
                            &self.rules,
                            self.anonymous,
                            user,
                            repository,
                            Action::Read,
                        ))
            }
            other => self.allows(other, repository, Action::Read),
        }
    }

    /// Lets in who said who they are, for what belongs to no repository.
    ///
    /// # Errors
    /// 401 for those who did not.
    pub(crate) fn known(
        &self,
        identity: &Identity,
        scope: Option<&str>,
        origin: &Origin,
    ) -> Result<(), Refusal> {
        match identity {
            // Also where anybody may read: clients learn here that they can say who they are.
            Identity::Anonymous => Err(self.unauthorized(origin, scope, Lack::Credentials)),
            _ => Ok(()),
        }
    }

    fn unauthorized(&self, origin: &Origin, scope: Option<&str>, lack: Lack) -> Refusal {
        let (message, error) = match lack {
            Lack::Credentials => ("authentication required", ""),
            Lack::Right => ("the credentials are not good", ",error=\"invalid_token\""),
            Lack::Scope => (
                "requested access to the resource is denied",
                ",error=\"insufficient_scope\"",
            ),
        };
        let challenge = match &self.tokens {
            None => "Basic realm=\"onggi-registry\", charset=\"UTF-8\"".to_owned(),
            Some(tokens) => {
                let own = || format!("{}/token", origin.base);
                let realm = tokens.realm.clone().unwrap_or_else(own);
                let scope = scope
                    .map(|scope| format!(",scope=\"{scope}\""))
                    .unwrap_or_default();
                format!(
                    "Bearer realm=\"{realm}\",service=\"{}\"{scope}{error}",
                    tokens.service
                )
            }
        };
        Refusal::new(StatusCode::UNAUTHORIZED, code::UNAUTHORIZED, message)
            .header(header::WWW_AUTHENTICATE, challenge)
    }

    /// Whether tokens are issued here.
    pub(crate) fn issues(&self) -> bool {
        self.tokens
            .as_ref()
            .is_some_and(|tokens| tokens.realm.is_none())
    }

    /// A token for these scopes, as far as the identity may; and its seconds.
    pub(crate) fn issue(
        &self,
        identity: &Identity,
        scopes: &[&str],
        now: Timestamp,
    ) -> Option<(String, i64)> {
        let tokens = self.tokens.as_ref()?;
        let user = match identity {
            Identity::User(user) => Some(user.as_str()),
            _ => None,
        };
        let mut access = Vec::new();
        for mut grant in scopes.iter().filter_map(|scope| Grant::parse(scope)) {
            if grant.kind == "registry" && grant.name == "catalog" {
                access.extend(user.map(|_| grant));
                continue;
            }
            let all = grant.actions.iter().any(|word| word == "*");
            let asked = Action::ALL.into_iter().filter(|action| {
                all || grant
                    .actions
                    .iter()
                    .any(|word| Action::from_scope(word) == Some(*action))
            });
            grant.actions = asked
                .filter(|action| self.allows(identity, &grant.name, *action))
                .map(|action| action.scope().to_owned())
                .collect();
            if !grant.actions.is_empty() {
                access.push(grant);
            }
        }
        let sub = user.unwrap_or_default().to_owned();
        let token = tokens.issue(Claims { sub, access }, now)?;
        Some((token, tokens.lifetime))
    }

    /// The service tokens are for.
    pub(crate) fn service(&self) -> &str {
        self.tokens.as_ref().map_or("", |tokens| &tokens.service)
    }

    /// Who this is, by name and password.
    ///
    /// # Errors
    /// 401 and 429 as [`Gate::identify`].
    pub(crate) async fn user(
        &self,
        user: &str,
        password: &Secret<String>,
        origin: &Origin,
    ) -> Result<Identity, Refusal> {
        match self.check(user, password, origin).await? {
            true => Ok(Identity::User(user.to_owned())),
            false => Err(asked_for_password("incorrect username or password")),
        }
    }

    /// Whether those without a name get a token.
    pub(crate) fn is_anonymous_welcome(&self) -> bool {
        self.anonymous
    }
}

/// 401 at the token service itself.
pub(crate) fn asked_for_password(message: &str) -> Refusal {
    Refusal::new(StatusCode::UNAUTHORIZED, code::UNAUTHORIZED, message).header(
        header::WWW_AUTHENTICATE,
        "Basic realm=\"onggi-registry\", charset=\"UTF-8\"",
    )
}

/// User and password of a `Basic` header's value.
pub(crate) fn basic(value: &str) -> Option<(String, Secret<String>)> {
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(value.trim())
        .ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), Secret::new(password.to_owned())))
}
