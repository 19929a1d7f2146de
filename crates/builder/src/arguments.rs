//! Variables that are none of the image: ARG and its values, and those set for everybody.

use std::collections::{BTreeMap, BTreeSet};

use onggi_dockerfile::expand::Lexer;
use onggi_dockerfile::instruction::Declared;
use onggi_model::Platform;

use crate::{Error, Request};

/// The arguments of one scope: before the first FROM, or of a stage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arguments {
    /// Those with a value.
    values: BTreeMap<String, String>,
    /// Those that were declared, with a value or without.
    declared: BTreeSet<String>,
}

impl Arguments {
    /// What every FROM sees: the platforms.
    pub(crate) fn of_platforms(request: &Request) -> Self {
        let mut arguments = Self::default();
        let mut add = |prefix: &str, platform: &Platform| {
            let variant = platform.variant.clone().unwrap_or_default();
            let parts = [
                ("PLATFORM", platform.to_string()),
                ("OS", platform.os.clone()),
                ("ARCH", platform.architecture.clone()),
                ("VARIANT", variant),
            ];
            for (part, value) in parts {
                // They can be set like others.
                let name = format!("{prefix}{part}");
                let given = request.arguments.get(&name).cloned().flatten();
                arguments.values.insert(name, given.unwrap_or(value));
            }
        };
        add("BUILD", &request.build_platform);
        add("TARGET", &request.platform);
        arguments
    }

    /// Declares one: what whoever builds gave, else what `global` has, else its default. `known` are the variables that
    /// its default may use besides.
    ///
    /// # Errors
    /// A default that cannot be expanded.
    pub(crate) fn declare(
        &mut self,
        declared: &Declared,
        request: &Request,
        global: Option<&Self>,
        lexer: Lexer,
        known: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(), Error> {
        let name = &declared.name;
        self.declared.insert(name.clone());
        let default = || -> Result<Option<String>, Error> {
            let Some(default) = &declared.default else {
                return Ok(global.and_then(|global| global.get(name)));
            };
            let value = |name: &str| known(name).or_else(|| self.get(name));
            Ok(Some(lexer.expand(default, &value)?.text))
        };
        let value = match request.arguments.get(name) {
            Some(Some(given)) => Some(given.clone()),
            // Named without a value, which whoever builds has none of: as if it were not.
            Some(None) | None => default()?,
        };
        match value {
            Some(value) => self.values.insert(name.clone(), value),
            // Declared again without a value it keeps the one it has.
            None => None,
        };
        Ok(())
    }

    /// The value, if it has one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        self.values.get(name).cloned()
    }

    /// Whether somebody declared it.
    #[must_use]
    pub fn is_declared(&self, name: &str) -> bool {
        self.declared.contains(name)
    }

    /// Names and values of those that were declared here.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let values = self
            .values
            .iter()
            .filter(|(name, _)| self.declared.contains(*name));
        values.map(|(name, value)| (name.as_str(), value.as_str()))
    }
}
