//! From options to a project: files are read, their variables replaced, their short forms made long, one is laid over the
//! other, and what comes out is checked and completed.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use onggi_model::ErrorKind;

use crate::canonical::{Unreadable, canonical};
use crate::defaults::defaults;
use crate::environment::{Candidate, Environment, Notes, Source, interpolate};
use crate::error::{Error, Problem};
use crate::files::{self, Text};
use crate::merge::{merge, unique};
use crate::node::{Map, Node, Place, Value};
use crate::options::{Options, Step};
use crate::paths::{self, Base};
use crate::project::{Project, Said};
use crate::schema::{self, Part};
use crate::{check, env_files, name, normalize, profiles, values, yaml};

/// Makes a project of its files.
///
/// # Errors
/// [`Error`], with everything that the schema refuses, or the first thing that is wrong otherwise.
pub fn load(options: &Options) -> Result<Project, Error> {
    let mut beginning = files::begin(options)?;
    let documents = beginning
        .files
        .iter()
        .map(|file| yaml::parse(&file.text, &file.name()));
    let documents: Vec<Vec<Node>> = documents.collect::<Result<_, _>>()?;
    let name = project_name(
        options,
        &beginning.environment,
        &documents,
        &beginning.folder,
    )?;
    let own = Candidate {
        value: name.clone(),
        source: Source::Project,
    };
    if beginning.environment.get("COMPOSE_PROJECT_NAME") != Some(&name) {
        beginning.environment.put_over("COMPOSE_PROJECT_NAME", own);
    }
    let mut loader = Loader::new(options, &beginning.folder);
    let layers = beginning.files.iter().zip(documents);
    let layers = layers
        .flat_map(|(file, documents)| documents.into_iter().map(move |document| (file, document)));
    let scope = Scope {
        folder: beginning.folder.clone(),
        environment: &beginning.environment,
        including: Vec::new(),
    };
    let mut document = loader.model(layers, &scope)?;
    let Some(map) = document.as_map_mut() else {
        return Err(Problem::general("top-level object must be a mapping").into());
    };
    map.set("name", Node::new(name.as_str(), &Place::nowhere()));
    loader.finish(document, name, beginning)
}

/// `-p`, `COMPOSE_PROJECT_NAME`, the last `name:`, the folder.
fn project_name(
    options: &Options,
    environment: &Environment,
    documents: &[Vec<Node>],
    folder: &Path,
) -> Result<String, Error> {
    let given = options
        .project_name
        .as_deref()
        .filter(|name| !name.is_empty());
    let given = given.or_else(|| {
        environment
            .get("COMPOSE_PROJECT_NAME")
            .filter(|name| !name.is_empty())
    });
    if let Some(name) = given {
        return Ok(name::check(name)?.to_owned());
    }
    let mut written = documents
        .iter()
        .flatten()
        .filter_map(|document| document.get("name"));
    if let Some(written) = written.rfind(|node| node.as_str().is_some()) {
        let mut node = written.clone();
        if options.interpolation == Step::Done
            || node.as_str().is_some_and(|text| text.contains('$'))
        {
            interpolate(&mut node, environment, &mut Notes::default())?;
        }
        let text = node.as_str().unwrap_or_default();
        if !text.is_empty() {
            let at = |problem: Problem| Problem::new(&written.place, "name", problem.message);
            return Ok(name::check(text).map_err(at)?.to_owned());
        }
    }
    Ok(name::of_folder(folder)?)
}

/// Where a file stands: what its paths begin at and what its variables are.
#[derive(Clone, Debug)]
pub(crate) struct Scope<'a> {
    /// The folder its relative paths begin at.
    pub(crate) folder: PathBuf,
    /// The variables.
    pub(crate) environment: &'a Environment,
    /// The files that include this one, the outermost first.
    pub(crate) including: Vec<PathBuf>,
}

/// A project while it is made.
pub(crate) struct Loader<'a> {
    pub(crate) options: &'a Options,
    pub(crate) notes: Notes,
    /// What files say of the variables of services, in the order it was read.
    pub(crate) said: Vec<Said>,
    /// Files that services of others extend, read already.
    pub(crate) extended: HashMap<PathBuf, Node>,
    pub(crate) home: Option<PathBuf>,
    root: PathBuf,
}

impl<'a> Loader<'a> {
    fn new(options: &'a Options, root: &Path) -> Self {
        let home = options.environment.iter().find(|(name, _)| name == "HOME");
        Self {
            options,
            notes: Notes::default(),
            said: Vec::new(),
            extended: HashMap::new(),
            home: home.map(|(_, home)| PathBuf::from(home)),
            root: root.to_owned(),
        }
    }

    /// One model of several files, a later one over an earlier one.
    pub(crate) fn model<'f>(
        &mut self,
        layers: impl Iterator<Item = (&'f Text, Node)>,
        scope: &Scope<'_>,
    ) -> Result<Node, Error> {
        let mut whole: Option<Node> = None;
        for (file, document) in layers {
            let mut layer = self.layer(document, file, scope)?;
            self.extends(&mut layer, file, scope)?;
            self.includes(&mut layer, file, scope)?;
            match &mut whole {
                None => whole = Some(layer),
                Some(whole) => merge(whole, layer)?,
            }
            if let Some(whole) = &mut whole {
                whole.settle();
                unique(whole);
            }
        }
        let mut whole = whole.ok_or_else(|| Problem::general("empty compose file"))?;
        refuse(schema::check(&whole, Part::Whole))?;
        check::declarations(&whole)?;
        defaults(&mut whole);
        if self.resolves(&scope.folder) {
            let base = Base {
                folder: &scope.folder,
                home: self.home.as_deref(),
            };
            paths::resolve(&mut whole, &base);
        }
        Ok(whole)
    }

    /// One document, made long; alone it need not be complete.
    pub(crate) fn layer(
        &mut self,
        mut document: Node,
        file: &Text,
        scope: &Scope<'_>,
    ) -> Result<Node, Error> {
        if document.as_map().is_none() {
            return Err(
                Problem::new(&document.place, "", "top-level object must be a mapping").into(),
            );
        }
        let interpolated = self.options.interpolation == Step::Done;
        if interpolated {
            interpolate(&mut document, scope.environment, &mut self.notes)?;
            values::cast(&mut document, &mut self.notes.warnings)?;
        }
        refuse(schema::check(&document, Part::File))?;
        if let Some(map) = document.as_map_mut()
            && map.remove("version").is_some()
        {
            self.notes.warn(format!(
                "{}: the attribute `version` is obsolete, it will be ignored, please remove it to avoid potential \
                 confusion",
                file.name()
            ));
        }
        let unreadable = if interpolated {
            Unreadable::Refused
        } else {
            Unreadable::Kept
        };
        canonical(&mut document, unreadable)?;
        if interpolated {
            values::finish(&mut document)?;
        }
        self.note_variables(&document);
        Ok(document)
    }

    /// Do the paths of a folder become absolute? Those of other folders than the project's always do, since they would
    /// mean something else otherwise.
    pub(crate) fn resolves(&self, folder: &Path) -> bool {
        self.options.path_resolution == Step::Done || folder != self.root
    }

    fn note_variables(&mut self, document: &Node) {
        for (service, node) in document.entries("services") {
            for (name, value) in node.entries("environment") {
                self.said.push(Said {
                    service: service.to_owned(),
                    name: name.to_owned(),
                    value: value.as_str().map(str::to_owned),
                    place: value.place.clone(),
                });
            }
        }
    }

    fn finish(
        mut self,
        mut document: Node,
        name: String,
        beginning: files::Beginning,
    ) -> Result<Project, Error> {
        let environment = beginning.environment;
        if self.options.normalization == Step::Done {
            normalize::normalize(&mut document, &name, &environment);
        }
        let all = profiles::all(&document);
        // What still has its variables cannot be judged.
        let known = self.options.interpolation == Step::Done;
        let consistent = known && self.options.consistency == Step::Done;
        if consistent {
            check::consistency(&document)?;
        }
        let active = profiles::active(&self.options.profiles, &environment);
        let disabled = match known {
            true => profiles::disable(&mut document, &active),
            false => Map::new(),
        };
        if consistent {
            check::dependencies(&mut document, &disabled)?;
        }
        if known && self.options.env_resolution == Step::Done {
            for (name, service) in services(&mut document).into_iter().flat_map(Map::iter_mut) {
                let folder = &beginning.folder;
                env_files::resolve(service, name, &environment, folder, &mut self.said)?;
            }
        }
        if known && self.options.pruning == Step::Done {
            normalize::prune(&mut document);
        }
        Ok(Project {
            name,
            directory: beginning.folder,
            files: beginning.files.into_iter().map(|file| file.path).collect(),
            document,
            disabled,
            profiles: all,
            active,
            environment,
            warnings: self.notes.warnings,
            uses: self.notes.uses,
            said: self.said,
        })
    }
}

/// Everything the schema refuses is one error.
fn refuse(problems: Vec<Problem>) -> Result<(), Error> {
    match problems.is_empty() {
        true => Ok(()),
        false => Err(Error {
            kind: ErrorKind::InvalidParameter,
            problems,
        }),
    }
}

/// The services of a document.
pub(crate) fn services(document: &mut Node) -> Option<&mut Map> {
    document.as_map_mut()?.get_mut("services")?.as_map_mut()
}

/// Takes a key out of a document.
pub(crate) fn take(document: &mut Node, key: &str) -> Option<Node> {
    match &mut document.value {
        Value::Map(map) => map.remove(key),
        _ => None,
    }
}
