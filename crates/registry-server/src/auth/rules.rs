//! Who may do what where: a list of rules, whose grants add up.

use serde::Deserialize;

use crate::config::{ConfigError, wrong};

/// What can be done with a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Action {
    /// Pull, and list.
    Read,
    /// Push.
    Write,
    /// Delete tags, manifests and blobs.
    Delete,
}

impl Action {
    /// The word of token scopes.
    pub(crate) fn scope(self) -> &'static str {
        match self {
            Action::Read => "pull",
            Action::Write => "push",
            Action::Delete => "delete",
        }
    }

    /// The action of a scope's word.
    pub(crate) fn from_scope(text: &str) -> Option<Self> {
        match text {
            "pull" => Some(Action::Read),
            "push" => Some(Action::Write),
            "delete" => Some(Action::Delete),
            _ => None,
        }
    }

    /// All of them.
    pub(crate) const ALL: [Action; 3] = [Action::Read, Action::Write, Action::Delete];
}

/// One rule.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Rule {
    /// A name, or `*` for all, or `a/*` for everything below `a/`.
    repository: String,
    /// Names of users; `*` for every user.
    users: Vec<String>,
    /// What they may do.
    actions: Vec<Action>,
}

impl Rule {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let plain = match self.repository.as_str() {
            "*" => return Ok(()),
            text => text.strip_suffix("/*").unwrap_or(text),
        };
        if crate::name::RepositoryName::parse(plain).is_none() {
            let message = format!(
                "repository {:?}: write a name, NAME/* for all below it, or * for all",
                self.repository
            );
            return Err(wrong("auth.access", message));
        }
        Ok(())
    }

    fn covers(&self, repository: &str) -> bool {
        match self.repository.strip_suffix('*') {
            Some(prefix) => repository.len() > prefix.len() && repository.starts_with(prefix),
            None => self.repository == repository,
        }
    }
}

/// Whether a user may do that. Without rules users may do everything; those without a name never write.
pub(crate) fn allows(
    rules: &[Rule],
    anonymous: bool,
    user: Option<&str>,
    repository: &str,
    action: Action,
) -> bool {
    let Some(user) = user else {
        return anonymous && action == Action::Read;
    };
    if anonymous && action == Action::Read || rules.is_empty() {
        return true;
    }
    rules.iter().any(|rule| {
        rule.covers(repository)
            && rule.actions.contains(&action)
            && rule.users.iter().any(|name| name == "*" || name == user)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_add_up() {
        let rules: Vec<Rule> = serde_json::from_str(
            r#"[{"repository": "*", "users": ["root"], "actions": ["read", "write", "delete"]},
                {"repository": "team/*", "users": ["a", "b"], "actions": ["read"]},
                {"repository": "team/app", "users": ["a"], "actions": ["write"]},
                {"repository": "open", "users": ["*"], "actions": ["read"]}]"#,
        )
        .unwrap();
        let may = |user, repository, action| allows(&rules, false, Some(user), repository, action);
        for (user, repository, expected) in [
            ("root", "x/y", [true, true, true]),
            ("a", "team/app", [true, true, false]),
            ("b", "team/app", [true, false, false]),
            ("b", "team", [false, false, false]),
            ("b", "teams/app", [false, false, false]),
            ("c", "team/app", [false, false, false]),
            ("c", "open", [true, false, false]),
            ("*", "team/app", [false, false, false]),
        ] {
            let found = Action::ALL.map(|action| may(user, repository, action));
            assert_eq!(found, expected, "{user} {repository}");
        }
        assert!(!allows(&rules, false, None, "open", Action::Read));
        assert!(allows(&rules, true, None, "x", Action::Read));
        assert!(!allows(&[], true, None, "x", Action::Write));
        assert!(allows(&[], false, Some("a"), "x", Action::Delete));
    }
}
