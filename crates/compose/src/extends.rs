//! `extends`: a service over another one, of the same file or of another. What it extends is read with the folder of its
//! own file, and may extend another one in turn.

use std::path::{Path, PathBuf};

use crate::error::{Error, Problem};
use crate::files::{self, Text};
use crate::load::{Loader, Scope, services, take};
use crate::merge::{merge, merge_service};
use crate::node::{Map, Node};
use crate::paths::{self, Base};
use crate::yaml;

/// A service, and the file it stands in.
type Link = (PathBuf, String);

impl Loader<'_> {
    /// Lays every service of a document over what it extends.
    pub(crate) fn extends(
        &mut self,
        document: &mut Node,
        file: &Text,
        scope: &Scope<'_>,
    ) -> Result<(), Error> {
        let Some(map) = services(document) else {
            return Ok(());
        };
        if !map
            .iter()
            .any(|(_, service)| service.get("extends").is_some())
        {
            return Ok(());
        }
        let all = map.clone();
        for (name, service) in map.iter_mut() {
            *service = self.extended(&all, name, &file.path, scope, &mut Vec::new())?;
        }
        Ok(())
    }

    fn extended(
        &mut self,
        all: &Map,
        name: &str,
        file: &PathBuf,
        scope: &Scope<'_>,
        chain: &mut Vec<Link>,
    ) -> Result<Node, Error> {
        let mut service = match all.get(name) {
            Some(service) => service.clone(),
            None => return Err(not_found(name, file, chain)),
        };
        let Some(extends) = take(&mut service, "extends") else {
            return Ok(service);
        };
        let link = (file.clone(), name.to_owned());
        if chain.contains(&link) {
            chain.push(link);
            return Err(Problem::new(&extends.place, "", circle(chain)).into());
        }
        chain.push(link);
        let base_name = extends.text("service").ok_or_else(|| {
            let path = format!("services.{name}.extends");
            Problem::new(&extends.place, path, "missing property 'service'")
        })?;
        let mut base = match extends
            .get("file")
            .and_then(|node| Some((node, node.as_str()?)))
        {
            None => self.extended(all, base_name, file, scope, chain)?,
            Some((node, text)) => self.foreign(node, text, base_name, scope, chain)?,
        };
        chain.pop();
        base.settle();
        merge_service(&mut base, service, name)?;
        Ok(base)
    }

    /// A service of another file, with its paths.
    fn foreign(
        &mut self,
        at: &Node,
        file: &str,
        name: &str,
        scope: &Scope<'_>,
        chain: &mut Vec<Link>,
    ) -> Result<Node, Error> {
        if paths::is_remote(file) {
            let problem = Problem::new(
                &at.place,
                "",
                format!("cannot extend a service of {file}: remote files are not fetched"),
            )
            .hint("fetch it and name the local file");
            return Err(problem.into());
        }
        let start = Base {
            folder: &scope.folder,
            home: self.home.as_deref(),
        };
        let path = paths::join(&start, file);
        let folder = path.parent().unwrap_or(&scope.folder).to_owned();
        let scope = Scope {
            folder,
            ..scope.clone()
        };
        let document = match self.extended.get(&path) {
            Some(document) => document.clone(),
            None => {
                let document = self.extended_file(path.clone(), at, &scope)?;
                self.extended.insert(path.clone(), document.clone());
                document
            }
        };
        let none = Map::new();
        let all = document
            .get("services")
            .and_then(Node::as_map)
            .unwrap_or(&none);
        let mut base = self.extended(all, name, &path, &scope, chain)?;
        if self.resolves(&scope.folder) {
            crate::defaults::context(&mut base);
            let own = Base {
                folder: &scope.folder,
                home: self.home.as_deref(),
            };
            paths::resolve_service(&mut base, &own);
        }
        Ok(base)
    }

    fn extended_file(
        &mut self,
        path: PathBuf,
        at: &Node,
        scope: &Scope<'_>,
    ) -> Result<Node, Error> {
        let file = files::read(path).map_err(|mut error| {
            for problem in &mut error.problems {
                problem.place = Some(at.place.clone());
            }
            error
        })?;
        let mut whole: Option<Node> = None;
        for document in yaml::parse(&file.text, &file.name())? {
            let layer = self.layer(document, &file, scope)?;
            match &mut whole {
                None => whole = Some(layer),
                Some(whole) => merge(whole, layer)?,
            }
        }
        whole.ok_or_else(|| Problem::new(&at.place, "", format!("{} is empty", file.name())).into())
    }
}

fn not_found(name: &str, file: &Path, chain: &[Link]) -> Error {
    let message = match chain.last() {
        Some((from, extending)) => format!(
            "cannot extend service \"{extending}\" in {}: service \"{name}\" not found in {}",
            from.display(),
            file.display()
        ),
        None => format!("no such service: {name}"),
    };
    Problem::general(message).into()
}

fn circle(chain: &[Link]) -> String {
    let mut text = "Circular reference:".to_owned();
    for (index, (file, service)) in chain.iter().enumerate() {
        let word = if index == 0 { "" } else { "extends " };
        text.push_str(&format!("\n  {word}{service} in {}", file.display()));
    }
    text
}
