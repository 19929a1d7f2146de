//! Upper and lower case of keywords and stage names.

use super::{Findings, rules};
use crate::instruction::Instruction;
use crate::{Dockerfile, Stages};

/// Names that mean something else.
const RESERVED: [&str; 2] = ["context", "scratch"];

pub(super) fn check(file: &Dockerfile, stages: &Stages, findings: &mut Findings) {
    keywords(stages, findings);
    for statement in &file.statements {
        if !statement.keyword.eq_ignore_ascii_case("FROM") {
            continue;
        }
        let [_, word, name] = statement.arguments.as_slice() else {
            continue;
        };
        let from = &statement.keyword;
        let matches = match case(from) {
            Some(Case::Lower) => case(word) == Some(Case::Lower),
            Some(Case::Upper) => case(word) == Some(Case::Upper),
            // That is found elsewhere.
            None => true,
        };
        if !matches {
            let message = format!("'{word}' and '{from}' keywords' casing do not match");
            findings.add(&rules::FROM_AS_CASING, statement.lines, message);
        }
        if *name != name.to_lowercase() {
            let message = format!("Stage name '{name}' should be lowercase");
            findings.add(&rules::STAGE_NAME_CASING, statement.lines, message);
        }
    }
    let mut seen = Vec::new();
    for stage in &stages.stages {
        let Some(name) = &stage.from.instruction.name else {
            continue;
        };
        if RESERVED.contains(&name.as_str()) {
            let message =
                format!("Stage name should not use the same name as reserved stage \"{name}\"");
            findings.add(&rules::RESERVED_STAGE_NAME, stage.from.lines, message);
        }
        if seen.contains(&name) {
            let message = format!("Duplicate stage name \"{name}\", stage names should be unique");
            findings.add(&rules::DUPLICATE_STAGE_NAME, stage.from.lines, message);
        }
        seen.push(name);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    Lower,
    Upper,
}

/// `None` for a mixture.
fn case(word: &str) -> Option<Case> {
    if word == word.to_lowercase() {
        Some(Case::Lower)
    } else if word == word.to_uppercase() {
        Some(Case::Upper)
    } else {
        None
    }
}

/// All keywords should have the case that most of them have.
fn keywords(stages: &Stages, findings: &mut Findings) {
    let of_stages = stages.stages.iter().flat_map(|stage| {
        let steps = stage.steps.iter().map(|step| (&step.keyword, step.lines));
        std::iter::once((&stage.from.keyword, stage.from.lines)).chain(steps)
    });
    let all: Vec<_> = of_stages.collect();
    let count = |wanted| {
        all.iter()
            .filter(|(word, _)| case(word) == Some(wanted))
            .count()
    };
    let (most, name) = if count(Case::Lower) > count(Case::Upper) {
        (Case::Lower, "lowercase")
    } else {
        (Case::Upper, "uppercase")
    };
    for (word, lines) in all {
        if case(word) != Some(most) {
            let message =
                format!("Command '{word}' should match the case of the command majority ({name})");
            findings.add(&rules::CONSISTENT_INSTRUCTION_CASING, lines, message);
        }
    }
}

/// The comments above a stage or an argument, which tools show as its description.
pub(super) fn descriptions(stages: &Stages, findings: &mut Findings) {
    let mut wrong = |what: &str, name: &str, comments: &[String], lines| {
        let fits = |comment: &String| {
            comment
                .split_once(' ')
                .is_some_and(|(first, _)| first.eq_ignore_ascii_case(name))
        };
        if !comments.is_empty() && !comments.iter().any(fits) {
            let message =
                format!("Comment for {what} should follow the format: `# {name} <description>`");
            findings.add(&rules::INVALID_DEFINITION_DESCRIPTION, lines, message);
        }
    };
    for step in &stages.arguments {
        for declared in &step.instruction.arguments {
            wrong("argument", &declared.name, &step.comments, step.lines);
        }
    }
    for stage in &stages.stages {
        if let Some(name) = &stage.from.instruction.name {
            wrong("build stage", name, &stage.from.comments, stage.from.lines);
        }
        for step in &stage.steps {
            if let Instruction::Arg(arg) = &step.instruction {
                for declared in &arg.arguments {
                    wrong("argument", &declared.name, &step.comments, step.lines);
                }
            }
        }
    }
}
