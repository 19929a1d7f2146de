//! `include`: whole projects within a project, each with a folder and variables of its own. What they bring may not be
//! there already.

use std::path::PathBuf;

use crate::env_files;
use crate::error::{Error, Problem};
use crate::files::{self, Text};
use crate::load::{Loader, Scope, take};
use crate::node::{Map, Node, Value};
use crate::options::Step;
use crate::paths::{self, Base};
use crate::{normalize, yaml};

/// The sections that are brought along.
const SECTIONS: [&str; 6] = [
    "services", "networks", "volumes", "configs", "secrets", "models",
];

impl Loader<'_> {
    /// Brings into a document what it includes.
    pub(crate) fn includes(
        &mut self,
        document: &mut Node,
        file: &Text,
        scope: &Scope<'_>,
    ) -> Result<(), Error> {
        let Some(include) = take(document, "include") else {
            return Ok(());
        };
        for entry in include.items() {
            let model = self.included(entry, file, scope)?;
            import(document, model, entry)?;
        }
        Ok(())
    }

    fn included(&mut self, entry: &Node, file: &Text, scope: &Scope<'_>) -> Result<Node, Error> {
        let base = Base {
            folder: &scope.folder,
            home: self.home.as_deref(),
        };
        let names = match entry.as_str() {
            Some(path) => vec![path],
            None => texts(entry.get("path")),
        };
        if let Some(remote) = names.iter().find(|name| paths::is_remote(name)) {
            let message = format!("cannot include {remote}: remote files are not fetched");
            return Err(Problem::new(&entry.place, "include", message)
                .hint("fetch it and include the local file")
                .into());
        }
        let names: Vec<PathBuf> = names.iter().map(|name| paths::join(&base, name)).collect();
        let Some(first) = names.first() else {
            return Err(Problem::new(&entry.place, "include", "missing property 'path'").into());
        };
        let mut including = scope.including.clone();
        including.push(file.path.clone());
        if including.contains(first) {
            let lines: Vec<String> = including
                .iter()
                .chain([first])
                .map(|path| path.display().to_string())
                .collect();
            let message = format!("include cycle detected:\n{}", lines.join("\n include "));
            return Err(Problem::new(&entry.place, "", message).into());
        }
        let folder = match entry.text("project_directory") {
            Some(folder) => paths::join(&base, folder),
            None => first.parent().unwrap_or(&scope.folder).to_owned(),
        };
        let mut environment = scope.environment.clone();
        match entry.get("env_file") {
            Some(env_file) => {
                let env_files: Vec<PathBuf> = texts(Some(env_file))
                    .iter()
                    .filter(|name| **name != "/dev/null")
                    .map(|name| paths::join(&base, name))
                    .collect();
                files::read_env_files(&mut environment, &env_files)
                    .map_err(|error| at(error, entry))?;
            }
            None if folder != scope.folder => files::dotenv(&mut environment, &folder)?,
            None => (),
        }
        let mut layers = Vec::new();
        for name in names {
            let text = files::read(name).map_err(|error| at(error, entry))?;
            for document in yaml::parse(&text.text, &text.name())? {
                layers.push((text.clone(), document));
            }
        }
        let inner = Scope {
            folder,
            environment: &environment,
            including,
        };
        // Files that are extended are read with these variables, not with those outside.
        let outside = std::mem::take(&mut self.extended);
        let layers = layers
            .iter()
            .map(|(text, document)| (text, document.clone()));
        let mut model = self.model(layers, &inner)?;
        self.extended = outside;
        if self.options.interpolation == Step::Done {
            normalize::resolve_variables(&mut model, &environment);
            if self.options.env_resolution == Step::Done
                && let Some(services) = crate::load::services(&mut model)
            {
                for (name, service) in services.iter_mut() {
                    env_files::resolve(service, name, &environment, &inner.folder, &mut self.said)?;
                }
            }
        }
        Ok(model)
    }
}

fn texts(node: Option<&Node>) -> Vec<&str> {
    match node {
        Some(node) => match node.as_str() {
            Some(text) => vec![text],
            None => node.items().iter().filter_map(Node::as_str).collect(),
        },
        None => Vec::new(),
    }
}

fn at(mut error: Error, entry: &Node) -> Error {
    for problem in error
        .problems
        .iter_mut()
        .filter(|problem| problem.place.is_none())
    {
        problem.place = Some(entry.place.clone());
        problem.path = "include".to_owned();
    }
    error
}

fn import(document: &mut Node, mut model: Node, entry: &Node) -> Result<(), Error> {
    let Some(into) = document.as_map_mut() else {
        return Ok(());
    };
    for section in SECTIONS {
        let Some(Value::Map(parts)) = take(&mut model, section).map(|node| node.value) else {
            continue;
        };
        if !into.has(section) {
            into.set(section, Node::new(Map::new(), &entry.place));
        }
        let Some(own) = into.get_mut(section).and_then(Node::as_map_mut) else {
            continue;
        };
        for part in parts.into_entries() {
            match own.entry(&part.key) {
                Some(there) if there.value == part.value => (),
                Some(there) => {
                    let path = format!("{section}.{}", part.key);
                    let message = format!("conflicts with imported resource of {}", part.place);
                    return Err(Problem::new(&there.place, path, message).into());
                }
                None => own.push(part),
            }
        }
    }
    Ok(())
}
