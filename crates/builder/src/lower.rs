//! From stages to steps: variables get their values, configurations grow, files are changed one step after the other.

use std::collections::{BTreeMap, BTreeSet};

use onggi_dockerfile::expand::Quotes;
use onggi_dockerfile::instruction::{
    Add, Arg, Command, Copy, Instruction, Mount, MountKind, PROXIES, Run, Sources,
};
use onggi_dockerfile::{Dockerfile, Form, Lines};
use onggi_oci::image::History;

use crate::plan::{
    AddOptions, BaseImage, Built, CopyFiles, Directory, Exec, ImageFiles, Input, MountFrom, Op,
    Plan, Step, Told,
};
use crate::{Arguments, Error, Outline, Request, Source};

/// What says that an entry of the history is ours, as BuildKit's are.
const REMARK: &str = "buildkit.dockerfile.v0";

/// Where programs are looked for unless an image says so.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Arguments that change how something is built, declared or not.
const OURS: [&str; 2] = ["BUILDKIT_INLINE_CACHE", "SOURCE_DATE_EPOCH"];

/// Images that something is built on, by name and platform as [`Outline::images`] has them.
pub type BaseImages = BTreeMap<(String, Option<String>), BaseImage>;

impl Outline {
    /// The steps of the stages that are needed.
    ///
    /// # Errors
    /// With the line: variables, ports, signals and mounts that are wrong.
    pub fn plan(&self, request: &Request, images: &BaseImages) -> Result<Plan, Error> {
        let mut lowering = Lowering {
            outline: self,
            request,
            images,
            plan: Plan::default(),
            built: BTreeMap::new(),
            shared: BTreeMap::new(),
            used: BTreeSet::new(),
        };
        for &stage in &self.order {
            lowering.stage(stage)?;
        }
        let mut plan = lowering.plan;
        plan.image = lowering.built.remove(&self.target).unwrap_or_default();
        let is_known = |name: &&String| {
            self.global.is_declared(name)
                || self.global.get(name).is_some()
                || PROXIES.contains(&name.as_str())
                || OURS.contains(&name.as_str())
                || lowering.used.contains(*name)
        };
        let unused = request.arguments.keys().filter(|name| !is_known(name));
        plan.unused_arguments = unused.cloned().collect();
        Ok(plan)
    }
}

struct Lowering<'a> {
    outline: &'a Outline,
    request: &'a Request,
    images: &'a BaseImages,
    plan: Plan,
    /// What each stage has become.
    built: BTreeMap<usize, Built>,
    /// The step of each image that files are taken from.
    shared: BTreeMap<(String, Option<String>), usize>,
    /// Arguments that some stage declared.
    used: BTreeSet<String>,
}

/// A stage on its way.
struct State {
    built: Built,
    /// What it is for.
    platform: String,
    arguments: Arguments,
    cmd_is_set: bool,
    /// `[name 2/5] `, with the number of the step to come.
    number: usize,
    name: String,
    steps: usize,
}

impl Lowering<'_> {
    fn stage(&mut self, stage: usize) -> Result<(), Error> {
        let it = &self.outline.stages.stages[stage];
        let base = &self.outline.bases[stage];
        let name = it
            .from
            .instruction
            .name
            .clone()
            .unwrap_or_else(|| format!("stage-{stage}"));
        let mut built = match &base.source {
            Source::Stage(below) => self.built[below].clone(),
            Source::Image(image) => {
                let key = (
                    image.clone(),
                    base.platform.as_ref().map(ToString::to_string),
                );
                let step = self.image(&key, it.from.lines);
                let image = self.images.get(&key).cloned().unwrap_or_default();
                Built {
                    files: Some(step),
                    triggers: image.config.on_build.clone(),
                    config: image.config,
                    inherited: image.history.len(),
                    history: image.history,
                    author: image.author,
                    platform: image.platform,
                }
            }
            Source::Named(name) => {
                let text =
                    format!("FROM {name}: only images can be built upon, {name} is a directory");
                return Err(Error::new(text).at(it.from.lines));
            }
            Source::Nothing | Source::Context => Built::default(),
        };
        built.config.on_build.clear();
        // What containers get anyway is part of the image, as with Docker.
        if value(&built.config.env, "PATH").is_none() {
            built.config.env.push(format!("PATH={DEFAULT_PATH}"));
        }
        let triggers = std::mem::take(&mut built.triggers);
        let changes = |instruction: &Instruction| {
            matches!(
                instruction,
                Instruction::Add(_)
                    | Instruction::Copy(_)
                    | Instruction::Run(_)
                    | Instruction::Workdir(_)
            )
        };
        let steps = it
            .steps
            .iter()
            .filter(|step| changes(&step.instruction))
            .count();
        let from_image = matches!(base.source, Source::Image(_));
        self.plan.instructions.push(Told {
            text: it.from.original.trim().to_owned(),
            step: built.files.filter(|_| from_image),
            files: built.files,
        });
        let platform = built.platform.as_ref().or(base.platform.as_ref());
        let mut state = State {
            platform: platform.unwrap_or(&self.request.platform).to_string(),
            built,
            arguments: Arguments::default(),
            cmd_is_set: false,
            number: 2,
            name,
            steps: steps + 1,
        };
        for trigger in &triggers {
            let file = Dockerfile::parse(trigger)?;
            for statement in &file.statements {
                let instruction = Instruction::parse(statement)
                    .map_err(|error| Error::from(error).at(it.from.lines))?;
                self.step(
                    &mut state,
                    &instruction,
                    &statement.original,
                    it.from.lines,
                    Input::Context(None),
                )?;
            }
        }
        for (number, step) in it.steps.iter().enumerate() {
            let uses = self.outline.uses[stage]
                .iter()
                .filter(|used| used.step == number);
            let sources: Vec<Source> = uses.map(|used| used.source.clone()).collect();
            let inputs: Vec<Input> = sources
                .iter()
                .map(|source| self.input(source, step.lines))
                .collect();
            self.told(
                &mut state,
                &step.instruction,
                &step.original,
                step.lines,
                &inputs,
            )?;
        }
        // What builds on top of it are to do is for them, not for stages of this file.
        self.built.insert(stage, state.built);
        Ok(())
    }

    /// The step that has the files of an image.
    fn image(&mut self, key: &(String, Option<String>), lines: Lines) -> usize {
        if let Some(step) = self.shared.get(key) {
            return *step;
        }
        let op = Op::Image(ImageFiles {
            name: key.0.clone(),
            platform: key.1.clone(),
        });
        self.plan.steps.push(Step {
            name: format!("FROM {}", key.0),
            lines,
            stage: key.0.clone(),
            below: None,
            op,
        });
        let step = self.plan.steps.len() - 1;
        self.shared.insert(key.clone(), step);
        step
    }

    fn input(&mut self, source: &Source, lines: Lines) -> Input {
        match source {
            Source::Nothing => Input::Nothing,
            Source::Context => Input::Context(None),
            Source::Named(name) => Input::Context(Some(name.clone())),
            Source::Stage(stage) => match self.built.get(stage).and_then(|built| built.files) {
                Some(step) => Input::Step(step),
                None => Input::Nothing,
            },
            Source::Image(name) => Input::Step(self.image(&(name.clone(), None), lines)),
        }
    }

    /// An instruction of a base's ONBUILD: its files come from the context.
    fn step(
        &mut self,
        state: &mut State,
        instruction: &Instruction,
        original: &str,
        lines: Lines,
        input: Input,
    ) -> Result<(), Error> {
        let inputs = match instruction {
            Instruction::Run(run) => vec![input; run.mounts.len()],
            _ => vec![input],
        };
        self.told(state, instruction, original, lines, &inputs)
    }

    /// An instruction, and what people are told of it.
    fn told(
        &mut self,
        state: &mut State,
        instruction: &Instruction,
        original: &str,
        lines: Lines,
        inputs: &[Input],
    ) -> Result<(), Error> {
        let steps = self.plan.steps.len();
        self.instruction(state, instruction, original, lines, inputs)
            .map_err(|error| error.at(lines))?;
        let files = state.built.files;
        self.plan.instructions.push(Told {
            text: original.trim().to_owned(),
            step: files.filter(|_| self.plan.steps.len() > steps),
            files,
        });
        Ok(())
    }

    fn instruction(
        &mut self,
        state: &mut State,
        instruction: &Instruction,
        original: &str,
        lines: Lines,
        inputs: &[Input],
    ) -> Result<(), Error> {
        let words = state.words(self.outline);
        match instruction {
            Instruction::Arg(arg) => return self.arg(state, arg),
            Instruction::Run(run) => {
                let op = Op::Run(words.exec(run, state, self.request, inputs)?);
                let by = format!("RUN {} # buildkit", words.told(run, state));
                self.push(state, op, original, lines, by);
            }
            Instruction::Copy(copy) => {
                let op = Op::Copy(words.copy(copy, state, inputs)?);
                self.push(
                    state,
                    op,
                    original,
                    lines,
                    words.told_files("COPY", original),
                );
            }
            Instruction::Add(add) => {
                let op = Op::Copy(words.add(add, state, inputs)?);
                self.push(
                    state,
                    op,
                    original,
                    lines,
                    words.told_files("ADD", original),
                );
            }
            Instruction::Workdir(_) => {
                self.configure(state, instruction)?;
                let path = state.built.config.working_dir.clone();
                let user = Some(state.built.config.user.clone()).filter(|user| !user.is_empty());
                let by = format!("WORKDIR {path}");
                if path == "/" {
                    // It is there, as BuildKit knows as well.
                    state.note(by, Layer::None);
                    return Ok(());
                }
                self.push(
                    state,
                    Op::Directory(Directory { path, user }),
                    original,
                    lines,
                    by,
                );
            }
            Instruction::Maintainer(maintainer) => {
                state.built.author = Some(maintainer.maintainer.clone());
                state.note(format!("MAINTAINER {}", maintainer.maintainer), Layer::None);
            }
            Instruction::Entrypoint(_) => {
                self.configure(state, instruction)?;
                // A command of the base is for the base's entrypoint.
                if !state.cmd_is_set {
                    state.built.config.cmd = None;
                }
                state.note(words.told_config(original), Layer::None);
            }
            Instruction::Cmd(_) => {
                self.configure(state, instruction)?;
                state.cmd_is_set = true;
                state.note(words.told_config(original), Layer::None);
            }
            Instruction::From(_) => {}
            _ => {
                self.configure(state, instruction)?;
                state.note(words.told_config(original), Layer::None);
            }
        }
        Ok(())
    }

    /// What the instruction does to the configuration.
    fn configure(&self, state: &mut State, instruction: &Instruction) -> Result<(), Error> {
        let env = state.built.config.env.clone();
        let arguments = &state.arguments;
        let variables = |name: &str| value(&env, name).or_else(|| arguments.get(name));
        onggi_image::configure(
            &mut state.built.config,
            instruction,
            self.outline.lexer,
            &variables,
        )
        .map_err(|error| Error::new(error.to_string()))
    }

    fn arg(&mut self, state: &mut State, arg: &Arg) -> Result<(), Error> {
        let env = state.built.config.env.clone();
        let mut told = Vec::new();
        for declared in &arg.arguments {
            self.used.insert(declared.name.clone());
            let known = |name: &str| value(&env, name);
            state.arguments.declare(
                declared,
                self.request,
                Some(&self.outline.global),
                self.outline.lexer,
                &known,
            )?;
            told.push(match state.arguments.get(&declared.name) {
                Some(value) => format!("{}={value}", declared.name),
                None => declared.name.clone(),
            });
        }
        state.note(format!("ARG {}", told.join(" ")), Layer::None);
        Ok(())
    }

    fn push(&mut self, state: &mut State, op: Op, original: &str, lines: Lines, by: String) {
        let text = original.trim();
        let name = format!("[{} {}/{}] {text}", state.name, state.number, state.steps);
        state.number += 1;
        self.plan.steps.push(Step {
            name,
            lines,
            stage: state.name.clone(),
            below: state.built.files,
            op,
        });
        state.built.files = Some(self.plan.steps.len() - 1);
        state.note(by, Layer::One);
    }
}

/// Whether a layer belongs to an entry of the history.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layer {
    None,
    One,
}

impl State {
    fn note(&mut self, by: String, layer: Layer) {
        self.built.history.push(History {
            created: None,
            created_by: Some(by),
            author: self.built.author.clone(),
            comment: Some(REMARK.to_owned()),
            empty_layer: layer == Layer::None,
        });
    }

    fn words<'a>(&self, outline: &'a Outline) -> Words<'a> {
        Words {
            outline,
            env: self.built.config.env.clone(),
            arguments: self.arguments.clone(),
        }
    }
}

/// Words with the values of one place in a stage.
struct Words<'a> {
    outline: &'a Outline,
    env: Vec<String>,
    arguments: Arguments,
}

impl Words<'_> {
    fn word(&self, text: &str) -> Result<String, Error> {
        let variables = |name: &str| value(&self.env, name).or_else(|| self.arguments.get(name));
        Ok(self.outline.lexer.expand(text, &variables)?.text)
    }

    fn option(&self, text: Option<&str>) -> Result<Option<String>, Error> {
        text.map(|text| self.word(text)).transpose()
    }

    fn all(&self, texts: &[String]) -> Result<Vec<String>, Error> {
        texts.iter().map(|text| self.word(text)).collect()
    }

    /// Environment of a command: arguments, and what the image has, which wins.
    fn environment(&self) -> Vec<String> {
        let has = |name: &str| value(&self.env, name).is_some();
        let arguments = self.arguments.iter().filter(|(name, _)| !has(name));
        let arguments = arguments.map(|(name, value)| format!("{name}={value}"));
        self.env.iter().cloned().chain(arguments).collect()
    }

    fn exec(
        &self,
        run: &Run,
        state: &State,
        request: &Request,
        inputs: &[Input],
    ) -> Result<Exec, Error> {
        let mut mounts = Vec::new();
        let mut inputs = inputs.iter();
        for text in &run.mounts {
            let mount = Mount::parse(&self.mount_text(text)?)?;
            let wants = match mount.kind {
                MountKind::Bind => true,
                MountKind::Cache => mount.from.is_some(),
                MountKind::Tmpfs | MountKind::Secret | MountKind::Ssh => false,
            };
            let input = if wants { inputs.next().cloned() } else { None };
            mounts.push(MountFrom { mount, input });
        }
        let proxies = PROXIES.iter().filter_map(|name| {
            let value = request.arguments.get(*name)?.as_ref()?;
            Some(format!("{name}={value}"))
        });
        let (arguments, scripts) = command(&run.command, state.built.config.shell.as_deref());
        Ok(Exec {
            arguments,
            environment: self.environment(),
            proxies: proxies.collect(),
            directory: match state.built.config.working_dir.as_str() {
                "" => "/".to_owned(),
                directory => directory.to_owned(),
            },
            user: state.built.config.user.clone(),
            platform: state.platform.clone(),
            network: run.network,
            security: run.security,
            mounts,
            scripts,
        })
    }

    /// A mount with values in it: its quotes are those of its list, not of a shell.
    fn mount_text(&self, text: &str) -> Result<String, Error> {
        let variables = |name: &str| value(&self.env, name).or_else(|| self.arguments.get(name));
        Ok(self
            .outline
            .lexer
            .quotes(Quotes::Plain)
            .expand(text, &variables)?
            .text)
    }

    fn copy(&self, copy: &Copy, state: &State, inputs: &[Input]) -> Result<CopyFiles, Error> {
        checked(CopyFiles {
            chown: self.option(copy.chown.as_deref())?,
            chmod: self.option(copy.chmod.as_deref())?,
            exclude: self.all(&copy.exclude)?,
            parents: copy.parents,
            link: copy.link,
            ..self.files(&copy.sources, state, inputs)?
        })
    }

    fn add(&self, add: &Add, state: &State, inputs: &[Input]) -> Result<CopyFiles, Error> {
        checked(CopyFiles {
            chown: self.option(add.chown.as_deref())?,
            chmod: self.option(add.chmod.as_deref())?,
            exclude: self.all(&add.exclude)?,
            link: add.link,
            add: Some(AddOptions {
                checksum: self.option(add.checksum.as_deref())?,
                keep_git_dir: add.keep_git_dir,
                unpack: add.unpack,
            }),
            ..self.files(&add.sources, state, inputs)?
        })
    }

    fn files(
        &self,
        sources: &Sources,
        state: &State,
        inputs: &[Input],
    ) -> Result<CopyFiles, Error> {
        let variables = |name: &str| value(&self.env, name).or_else(|| self.arguments.get(name));
        let document = self.outline.lexer.quotes(Quotes::Plain);
        let files = sources.files.iter().map(|file| {
            let content = match file.expand {
                true => document.expand(&file.content, &variables)?.text,
                false => file.content.clone(),
            };
            Ok((file.name.clone(), content))
        });
        let destination = self.word(&sources.destination)?;
        Ok(CopyFiles {
            input: inputs.first().cloned().unwrap_or(Input::Nothing),
            sources: self.all(&sources.sources)?,
            files: files.collect::<Result<_, Error>>()?,
            destination: absolute(&state.built.config.working_dir, &destination),
            chown: None,
            chmod: None,
            exclude: Vec::new(),
            parents: false,
            link: false,
            add: None,
        })
    }

    /// A command as the history has it: what the shell is given, after the arguments it sees.
    fn told(&self, run: &Run, state: &State) -> String {
        let visible: Vec<String> = self
            .arguments
            .iter()
            .filter(|(name, _)| !PROXIES.contains(name) && value(&self.env, name).is_none())
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let (arguments, _) = command(&run.command, state.built.config.shell.as_deref());
        let arguments = arguments.join(" ");
        match visible.len() {
            0 => arguments,
            count => format!("|{count} {} {arguments}", visible.join(" ")),
        }
    }

    fn told_files(&self, name: &str, original: &str) -> String {
        let rest = original.trim();
        let rest = rest.get(name.len()..).unwrap_or_default().trim_start();
        format!("{name} {} # buildkit", self.shown(rest))
    }

    /// An instruction of the configuration as the history has it.
    fn told_config(&self, original: &str) -> String {
        let text = original.trim();
        let (keyword, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        format!(
            "{} {}",
            keyword.to_uppercase(),
            self.shown(rest.trim_start())
        )
    }

    /// With values, and quotes as they are written.
    fn shown(&self, text: &str) -> String {
        let variables = |name: &str| value(&self.env, name).or_else(|| self.arguments.get(name));
        let lexer = self.outline.lexer.quotes(Quotes::Kept).keeping_unset();
        lexer
            .expand(text, &variables)
            .map_or_else(|_| text.to_owned(), |expanded| expanded.text)
    }
}

/// Program and arguments, and the files they need.
fn command(command: &Command, shell: Option<&[String]>) -> (Vec<String>, BTreeMap<String, String>) {
    let mut scripts = BTreeMap::new();
    if command.form == Form::Exec {
        return (command.command.clone(), scripts);
    }
    let mut text = command.command.join(" ");
    let chomped = |content: &str, chomp: bool| -> String {
        let lines = content.split_inclusive('\n');
        lines
            .map(|line| {
                if chomp {
                    line.trim_start_matches('\t')
                } else {
                    line
                }
            })
            .collect()
    };
    match command.scripts.as_slice() {
        // The document is all there is: it is the script.
        [script]
            if text.trim_start().starts_with("<<")
                && !text.trim().contains(char::is_whitespace) =>
        {
            let content = chomped(&script.content, script.chomp);
            if content.starts_with("#!") {
                let path = format!("/dev/pipes/{}", script.name);
                scripts.insert(script.name.clone(), content);
                return (vec![path], scripts);
            }
            text = content;
        }
        // The shell reads them.
        documents => {
            for script in documents {
                text += &format!("\n{}{}", script.content, script.name);
            }
        }
    }
    let shell = match shell {
        Some(shell) => shell.to_vec(),
        None => vec!["/bin/sh".to_owned(), "-c".to_owned()],
    };
    (shell.into_iter().chain([text]).collect(), scripts)
}

/// What cannot be meant is told with its line, before anything is done.
fn checked(copy: CopyFiles) -> Result<CopyFiles, Error> {
    crate::fetch::check(&copy).map_err(|fault| Error::of(&fault))?;
    crate::files::check(&copy)?;
    Ok(copy)
}

/// The last value of a name in `NAME=value` lines.
fn value(env: &[String], name: &str) -> Option<String> {
    let found = env
        .iter()
        .rev()
        .find_map(|entry| entry.strip_prefix(name)?.strip_prefix('='));
    found.map(str::to_owned)
}

/// A destination from the working directory on; that it is a directory stays said.
fn absolute(directory: &str, path: &str) -> String {
    if path.starts_with('/') {
        return path.to_owned();
    }
    let directory = directory.trim_end_matches('/');
    match path.trim_start_matches("./") {
        "." | "" => format!("{directory}/"),
        path => format!("{directory}/{path}"),
    }
}

#[cfg(test)]
#[path = "lower_tests.rs"]
mod tests;
