//! What a build needs, as far as its text tells: stages, the order among them, and images.

use std::collections::BTreeSet;

use onggi_dockerfile::expand::Lexer;
use onggi_dockerfile::instruction::{Instruction, Mount};
use onggi_dockerfile::{Dockerfile, Lines, Stages};
use onggi_model::{Platform, quote};

use crate::{Arguments, Error, Request};

/// The stages of a build that are needed, and what they stand on.
#[derive(Clone, Debug)]
pub struct Outline {
    /// The text.
    pub stages: Stages,
    /// How words are read.
    pub lexer: Lexer,
    /// What stands before the first FROM.
    pub global: Arguments,
    /// What each stage begins with, needed or not.
    pub bases: Vec<Base>,
    /// What each stage takes from elsewhere, in the order of its steps.
    pub uses: Vec<Vec<Use>>,
    /// The stage that is wanted.
    pub target: usize,
    /// The stages that are needed, each behind those it uses; the wanted one is the last.
    pub order: Vec<usize>,
}

/// What a stage begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// From where.
    pub source: Source,
    /// For which platform, unless that of the build.
    pub platform: Option<Platform>,
}

/// Where files come from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Nothing: `scratch`.
    Nothing,
    /// The context of the build.
    Context,
    /// A stage of the file.
    Stage(usize),
    /// A context with a name: what `--build-context` says of it.
    Named(String),
    /// An image.
    Image(String),
}

/// A step that takes files from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// The number of the step in its stage.
    pub step: usize,
    /// From where; of a RUN one for each of its mounts.
    pub source: Source,
}

impl Outline {
    /// Reads what a build needs.
    ///
    /// # Errors
    /// A target that is not there, names that are blank, stages that need each other.
    pub fn of(file: &Dockerfile, request: &Request) -> Result<Self, Error> {
        let stages = Stages::parse(file)?;
        let lexer = Lexer::new(file.directives.escape);
        let mut global = Arguments::of_platforms(request);
        for step in &stages.arguments {
            for declared in &step.instruction.arguments {
                global
                    .declare(declared, request, None, lexer, &|_| None)
                    .map_err(|error| error.at(step.lines))?;
            }
        }
        let mut outline = Self {
            bases: Vec::new(),
            uses: Vec::new(),
            target: 0,
            order: Vec::new(),
            stages,
            lexer,
            global,
        };
        for number in 0..outline.stages.stages.len() {
            let lines = outline.stages.stages[number].from.lines;
            let base = outline
                .base(number, request)
                .map_err(|error| error.at(lines))?;
            outline.bases.push(base);
            let uses = outline.uses_of(number, request)?;
            outline.uses.push(uses);
        }
        outline.target = outline.find_target(request)?;
        let mut open = Vec::new();
        outline.need(outline.target, &mut open)?;
        Ok(outline)
    }

    /// The images that are needed, each once.
    #[must_use]
    pub fn images(&self) -> BTreeSet<(String, Option<String>)> {
        let mut images = BTreeSet::new();
        for &stage in &self.order {
            let base = &self.bases[stage];
            if let Source::Image(image) = &base.source {
                images.insert((
                    image.clone(),
                    base.platform.as_ref().map(Platform::to_string),
                ));
            }
            for used in &self.uses[stage] {
                if let Source::Image(image) = &used.source {
                    images.insert((image.clone(), None));
                }
            }
        }
        images
    }

    /// Where an image is needed first.
    #[must_use]
    pub fn lines_of(&self, image: &str) -> Option<Lines> {
        let is_it = |source: &Source| matches!(source, Source::Image(name) if name == image);
        self.order.iter().find_map(|&number| {
            let stage = &self.stages.stages[number];
            if is_it(&self.bases[number].source) {
                return Some(stage.from.lines);
            }
            let used = self.uses[number].iter().find(|used| is_it(&used.source))?;
            Some(stage.steps[used.step].lines)
        })
    }

    fn base(&self, number: usize, request: &Request) -> Result<Base, Error> {
        let from = &self.stages.stages[number].from.instruction;
        let value = |name: &str| self.global.get(name);
        let name = self.lexer.expand(&from.base, &value)?.text;
        if name.is_empty() {
            return Err(Error::new(format!(
                "base name ({}) should not be blank",
                from.base
            )));
        }
        let platform = match &from.platform {
            None => None,
            Some(text) => {
                let text = self.lexer.expand(text, &value)?.text;
                if text.is_empty() {
                    return Err(Error::new(
                        "empty platform value from expression ".to_owned()
                            + from.platform.as_deref().unwrap_or_default(),
                    ));
                }
                let platform = Platform::parse(&text).map_err(|error| {
                    Error::new(format!("failed to parse platform {text}: {error}"))
                })?;
                Some(platform)
            }
        };
        let below = self.stages.stages[..number].iter().rposition(|stage| {
            stage
                .from
                .instruction
                .name
                .as_deref()
                .is_some_and(|own| own.eq_ignore_ascii_case(&name))
        });
        let source = match below {
            _ if request.contexts.contains_key(&name) => request.context(&name)?,
            Some(below) => Source::Stage(below),
            None if name == "scratch" => Source::Nothing,
            None => Source::Image(name),
        };
        Ok(Base { source, platform })
    }

    /// What the steps of a stage take from elsewhere.
    fn uses_of(&self, number: usize, request: &Request) -> Result<Vec<Use>, Error> {
        let mut uses = Vec::new();
        for (step, it) in self.stages.stages[number].steps.iter().enumerate() {
            let at = |error: Error| error.at(it.lines);
            match &it.instruction {
                Instruction::Add(_) => uses.push(Use {
                    step,
                    source: Source::Context,
                }),
                Instruction::Copy(copy) => {
                    let source = self.source(copy.from.as_deref(), request).map_err(at)?;
                    uses.push(Use { step, source });
                }
                Instruction::Run(run) => {
                    for text in &run.mounts {
                        uses.extend(self.mount(step, text, request).map_err(at)?);
                    }
                }
                _ => {}
            }
        }
        Ok(uses)
    }

    /// What a mount needs: its `from` is written out, also where the rest waits for variables.
    fn mount(&self, step: usize, text: &str, request: &Request) -> Result<Option<Use>, Error> {
        let fields = onggi_model::csv(text);
        let of = |key: &str| {
            let found = fields.iter().filter_map(|field| field.split_once('='));
            found
                .filter(|(name, _)| name.eq_ignore_ascii_case(key))
                .map(|(_, value)| value.to_owned())
                .next_back()
        };
        if !text.contains('$') {
            Mount::parse(text)?;
        }
        let from = of("from");
        let source = match of("type").map(|kind| kind.to_lowercase()).as_deref() {
            None | Some("bind") => self.source(from.as_deref(), request)?,
            Some("cache") => match from {
                None => return Ok(None),
                Some(from) => self.source(Some(&from), request)?,
            },
            Some(_) => return Ok(None),
        };
        Ok(Some(Use { step, source }))
    }

    /// What `--from` means.
    fn source(&self, from: Option<&str>, request: &Request) -> Result<Source, Error> {
        let Some(from) = from else {
            return Ok(Source::Context);
        };
        if from.contains('$') {
            return Err(Error::new(
                "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround",
            ));
        }
        if request.contexts.contains_key(from) {
            return request.context(from);
        }
        if let Ok(number) = from.parse::<usize>() {
            return match number < self.stages.stages.len() {
                true => Ok(Source::Stage(number)),
                false => Err(Error::new(format!("invalid stage index {number}"))),
            };
        }
        Ok(match self.stages.find(from) {
            Some(stage) => Source::Stage(stage),
            None if from == "scratch" => Source::Nothing,
            None => Source::Image(from.to_owned()),
        })
    }

    fn find_target(&self, request: &Request) -> Result<usize, Error> {
        let last = self.stages.stages.len() - 1;
        let Some(target) = request
            .target
            .as_deref()
            .filter(|target| !target.is_empty())
        else {
            return Ok(last);
        };
        let by_number = || {
            target
                .parse::<usize>()
                .ok()
                .filter(|number| *number <= last)
        };
        self.stages
            .find(target)
            .or_else(by_number)
            .ok_or_else(|| Error::new(format!("target stage {} could not be found", quote(target))))
    }

    /// Puts a stage behind those it uses. `open` are those that wait for this one.
    fn need(&mut self, stage: usize, open: &mut Vec<usize>) -> Result<(), Error> {
        if self.order.contains(&stage) {
            return Ok(());
        }
        let from = &self.stages.stages[stage].from;
        if open.contains(&stage) {
            let name = from
                .instruction
                .name
                .clone()
                .unwrap_or_else(|| stage.to_string());
            let lines: Lines = from.lines;
            return Err(
                Error::new(format!("circular dependency detected on stage: {name}")).at(lines),
            );
        }
        open.push(stage);
        let uses = self.uses[stage].iter().map(|used| used.source.clone());
        let sources: Vec<Source> = std::iter::once(self.bases[stage].source.clone())
            .chain(uses)
            .collect();
        for source in sources {
            if let Source::Stage(needed) = source {
                self.need(needed, open)?;
            }
        }
        open.pop();
        self.order.push(stage);
        Ok(())
    }
}

#[cfg(test)]
#[path = "outline_tests.rs"]
mod tests;
