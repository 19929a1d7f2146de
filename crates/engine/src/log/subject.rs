//! Whose lines they are: the container as tags and extra attributes see it.

use std::collections::BTreeMap;

use onggi_gotmpl::{Data, Template};
use regex_lite::Regex;
use serde_json::json;

use crate::container::Record;
use crate::error::{Error, Result};

/// The container as log drivers see it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subject {
    pub(crate) id: String,
    /// Without the leading slash.
    pub(crate) name: String,
    pub(crate) image_id: String,
    pub(crate) image_name: String,
    pub(crate) command: String,
    pub(crate) created: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) env: Vec<String>,
}

impl Subject {
    pub(crate) fn of(record: &Record) -> Self {
        let command = std::iter::once(&record.path).chain(&record.args);
        Self {
            id: record.id.to_string(),
            name: record.name.clone(),
            image_id: record.image.to_string(),
            image_name: record.config.image.clone(),
            command: command.cloned().collect::<Vec<_>>().join(" "),
            created: record.created.to_string(),
            labels: record
                .config
                .labels
                .iter()
                .flatten()
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect(),
            env: record.config.env.clone().unwrap_or_default(),
        }
    }

    /// The id as people see it.
    pub(crate) fn short(&self) -> &str {
        self.id.get(..12).unwrap_or(&self.id)
    }

    /// A tag from its template, with Docker's names.
    ///
    /// # Errors
    /// `InvalidParameter`: the template cannot be parsed or filled.
    pub(crate) fn tag(&self, template: &str) -> Result<String> {
        let failed = |error: onggi_gotmpl::Error| {
            Error::invalid(format!("failed to parse log tag: {error}"))
        };
        let data = json!({
            "ID": self.short(),
            "FullID": self.id,
            "Name": self.name,
            "ImageID": self.image_id.get(..12).unwrap_or(&self.image_id),
            "ImageFullID": self.image_id,
            "ImageName": self.image_name,
            "Command": self.command,
            "DaemonName": "onggi",
            "ContainerID": self.id,
            "ContainerName": format!("/{}", self.name),
            "ContainerImageID": self.image_id,
            "ContainerImageName": self.image_name,
            "ContainerCreated": self.created,
            "ContainerLabels": self.labels,
            "ContainerEnv": self.env,
        });
        let template = Template::named("log-tag", template).map_err(failed)?;
        template.render(&Data::plain(&data)).map_err(failed)
    }

    /// What `labels`, `labels-regex`, `env` and `env-regex` choose.
    ///
    /// # Errors
    /// `InvalidParameter`: an expression that is none.
    pub(crate) fn attributes(
        &self,
        options: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>> {
        let variables: BTreeMap<_, _> = self
            .env
            .iter()
            .filter_map(|variable| variable.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let mut chosen = BTreeMap::new();
        for (list, regex, from) in [
            ("labels", "labels-regex", &self.labels),
            ("env", "env-regex", &variables),
        ] {
            for name in options.get(list).map_or("", String::as_str).split(',') {
                if let Some(value) = from.get(name) {
                    chosen.insert(name.to_owned(), value.clone());
                }
            }
            let Some(pattern) = options.get(regex).filter(|pattern| !pattern.is_empty()) else {
                continue;
            };
            let pattern = Regex::new(pattern)
                .map_err(|error| Error::invalid(format!("log opt {regex}: {error}")))?;
            for (name, value) in from.iter().filter(|(name, _)| pattern.is_match(name)) {
                chosen.insert(name.clone(), value.clone());
            }
        }
        Ok(chosen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject() -> Subject {
        Subject {
            id: "0123456789abcdef".repeat(4),
            name: "web".to_owned(),
            image_id: "sha256:0011".to_owned(),
            image_name: "busybox:1".to_owned(),
            labels: [("team", "kiln"), ("tier", "front")]
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .into(),
            env: vec!["A=1".to_owned(), "AB=2".to_owned(), "C".to_owned()],
            ..Subject::default()
        }
    }

    #[test]
    fn tags_are_templates() {
        for (template, wanted) in [
            ("{{.ID}}", "0123456789ab"),
            (
                "{{.ImageName}}/{{.Name}}/{{.ID}}",
                "busybox:1/web/0123456789ab",
            ),
            ("plain", "plain"),
            ("{{.DaemonName}}.{{.Name | upper}}", "onggi.WEB"),
        ] {
            assert_eq!(subject().tag(template).expect(template), wanted);
        }
        assert!(subject().tag("{{.ID").is_err());
    }

    #[test]
    fn attributes_by_name_and_by_pattern() {
        let chosen = |pairs: &[(&str, &str)]| {
            let options = pairs.iter().map(|&(k, v)| (k.to_owned(), v.to_owned()));
            let chosen = subject().attributes(&options.collect());
            let chosen = chosen.expect("options hold").into_iter();
            chosen
                .map(|(k, v)| format!("{k}={v}"))
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(
            chosen(&[("labels", "team,none"), ("env", "AB,C")]),
            "AB=2 team=kiln"
        );
        assert_eq!(
            chosen(&[("labels-regex", "^t"), ("env-regex", "^A$")]),
            "A=1 team=kiln tier=front"
        );
        let bad = [("env-regex".to_owned(), "(".to_owned())].into();
        assert!(subject().attributes(&bad).is_err());
    }
}
