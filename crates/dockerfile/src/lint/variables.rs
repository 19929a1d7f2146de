//! Variables that are used and nobody declared, and what FROM makes of those that are.

use std::collections::{BTreeMap, BTreeSet};

use onggi_model::{ImageRef, quote};

use super::{BaseVariables, Findings, rules};
use crate::expand::Lexer;
use crate::instruction::{Instruction, PROXIES};
use crate::{Dockerfile, Lines, Stage, Stages, Step, suggest};

/// Set for every FROM; a stage declares them to see them.
pub(crate) const PLATFORM_ARGUMENTS: [&str; 8] = [
    "BUILDPLATFORM",
    "BUILDOS",
    "BUILDARCH",
    "BUILDVARIANT",
    "TARGETPLATFORM",
    "TARGETOS",
    "TARGETARCH",
    "TARGETVARIANT",
];

/// Known without being declared, beside [`PROXIES`].
const PREDEFINED: [&str; 2] = ["PATH", "SOURCE_DATE_EPOCH"];

pub(super) fn check(
    file: &Dockerfile,
    stages: &Stages,
    base: &BaseVariables<'_>,
    findings: &mut Findings,
) {
    let lexer = Lexer::new(file.directives.escape);
    let global = global(lexer, stages);
    // What each stage leaves to those on top of it; `None` when a base is not known.
    let mut left: Vec<Option<BTreeSet<String>>> = Vec::new();
    for (number, stage) in stages.stages.iter().enumerate() {
        from(lexer, stages, stage, number, &global, findings);
        let below = match stages.below(number) {
            Some(below) => left[below].clone(),
            None if stage.from.instruction.base == "scratch" => Some(BTreeSet::new()),
            None => base(&stage.from.instruction.base).map(|env| env.into_iter().collect()),
        };
        left.push(below.map(|known| steps(lexer, stage, known, findings)));
    }
}

/// The ARGs before the first FROM and their defaults, as far as they have one.
fn global(lexer: Lexer, stages: &Stages) -> BTreeMap<String, Option<String>> {
    let mut global: BTreeMap<String, Option<String>> = PLATFORM_ARGUMENTS
        .iter()
        .map(|name| ((*name).to_owned(), Some("linux/amd64".to_owned())))
        .collect();
    for declared in stages
        .arguments
        .iter()
        .flat_map(|step| &step.instruction.arguments)
    {
        let default = declared.default.as_ref().and_then(|default| {
            let known = |name: &str| global.get(name).cloned().flatten();
            lexer
                .expand(default, &known)
                .ok()
                .map(|expanded| expanded.text)
        });
        global.insert(declared.name.clone(), default);
    }
    global
}

fn from(
    lexer: Lexer,
    stages: &Stages,
    stage: &Stage,
    number: usize,
    global: &BTreeMap<String, Option<String>>,
    findings: &mut Findings,
) {
    let (from, lines) = (&stage.from.instruction, stage.from.lines);
    let known = |name: &str| global.get(name).cloned().flatten();
    let texts = [Some(&from.base), from.platform.as_ref()];
    for text in texts.into_iter().flatten() {
        let Ok(expanded) = lexer.expand(text, &known) else {
            continue;
        };
        for name in expanded
            .unset
            .iter()
            .filter(|name| !global.contains_key(*name))
        {
            let message = format!("FROM argument '{name}' is not declared");
            let message = suggest::with(message, name, global.keys().map(String::as_str));
            findings.add(&rules::UNDEFINED_ARG_IN_FROM, lines, message);
        }
    }
    if let Ok(expanded) = lexer.expand(&from.base, &known)
        && from.base.contains('$')
        && expanded.unset.iter().all(|name| global.contains_key(name))
        && stages.below(number).is_none()
        && expanded.text.parse::<ImageRef>().is_err()
    {
        let message = format!(
            "Default value for ARG {} results in empty or invalid base image name",
            from.base
        );
        findings.add(&rules::INVALID_DEFAULT_ARG_IN_FROM, lines, message);
    }
    let Some(platform) = &from.platform else {
        return;
    };
    if platform == "$TARGETPLATFORM" || platform == "${TARGETPLATFORM}" {
        let message = format!(
            "Setting platform to predefined {platform} in FROM is redundant as this is the default behavior"
        );
        findings.add(&rules::REDUNDANT_TARGET_PLATFORM, lines, message);
    }
    // A stage that is there for one platform says so in its name.
    let name = from.name.clone().unwrap_or_default();
    let names_it = platform.split('/').any(|part| name.contains(part));
    if !platform.contains('$') && !names_it {
        let message = format!(
            "FROM --platform flag should not use constant value {}",
            quote(platform)
        );
        findings.add(&rules::FROM_PLATFORM_FLAG_CONST_DISALLOWED, lines, message);
    }
}

/// Looks at the words of a stage; `known` are variables of its base. What it leaves to stages on top of it.
fn steps(
    lexer: Lexer,
    stage: &Stage,
    known: BTreeSet<String>,
    findings: &mut Findings,
) -> BTreeSet<String> {
    let mut environment = known;
    let mut arguments: BTreeSet<String> = BTreeSet::new();
    for step in &stage.steps {
        let mut missing = BTreeSet::new();
        for word in words(&step.instruction) {
            let is_known = |name: &str| {
                let declared = environment.contains(name) || arguments.contains(name);
                (declared || PROXIES.contains(&name) || PREDEFINED.contains(&name))
                    .then(String::new)
            };
            if let Ok(expanded) = lexer.expand(word, &is_known) {
                missing.extend(expanded.unset);
            }
        }
        undefined(step, &missing, &environment, &arguments, findings);
        match &step.instruction {
            Instruction::Env(env) => {
                environment.extend(env.variables.iter().map(|pair| pair.name.clone()))
            }
            Instruction::Arg(arg) => {
                arguments.extend(arg.arguments.iter().map(|it| it.name.clone()))
            }
            _ => {}
        }
    }
    environment
}

fn undefined(
    step: &Step<Instruction>,
    missing: &BTreeSet<String>,
    environment: &BTreeSet<String>,
    arguments: &BTreeSet<String>,
    findings: &mut Findings,
) {
    let lines: Lines = step.lines;
    for name in missing {
        let mut message = format!("Usage of undefined variable '${name}'");
        let known = environment.iter().chain(arguments).map(String::as_str);
        if let Some(near) = suggest::nearest(name, known) {
            message += &format!(" (did you mean ${near}?)");
        }
        findings.add(&rules::UNDEFINED_VAR, lines, message);
    }
}

/// The words of an instruction in which variables have values.
fn words(instruction: &Instruction) -> Vec<&str> {
    let mut words: Vec<&str> = Vec::new();
    match instruction {
        Instruction::Add(it) => {
            words.extend(it.sources.sources.iter().map(String::as_str));
            words.push(&it.sources.destination);
            words.extend(it.chown.as_deref());
            words.extend(it.chmod.as_deref());
            words.extend(it.checksum.as_deref());
        }
        Instruction::Copy(it) => {
            words.extend(it.sources.sources.iter().map(String::as_str));
            words.push(&it.sources.destination);
            words.extend(it.chown.as_deref());
            words.extend(it.chmod.as_deref());
        }
        Instruction::Arg(it) => {
            words.extend(
                it.arguments
                    .iter()
                    .filter_map(|declared| declared.default.as_deref()),
            );
        }
        Instruction::Env(it) => words.extend(it.variables.iter().map(|pair| pair.value.as_str())),
        Instruction::Label(it) => words.extend(it.labels.iter().map(|pair| pair.value.as_str())),
        Instruction::Expose(it) => words.extend(it.ports.iter().map(String::as_str)),
        Instruction::Run(it) => words.extend(it.mounts.iter().map(String::as_str)),
        Instruction::Stopsignal(it) => words.push(&it.signal),
        Instruction::User(it) => words.push(&it.user),
        Instruction::Volume(it) => words.extend(it.volumes.iter().map(String::as_str)),
        Instruction::Workdir(it) => words.push(&it.path),
        // Variables in these are the shell's, or the image's that is built on this one.
        Instruction::Cmd(_)
        | Instruction::Entrypoint(_)
        | Instruction::From(_)
        | Instruction::Healthcheck(_)
        | Instruction::Maintainer(_)
        | Instruction::Onbuild(_)
        | Instruction::Shell(_) => {}
    }
    words
}
