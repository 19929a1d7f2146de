//! Instructions grouped: what stands before the first FROM, and the stages.

use serde::Serialize;

use crate::instruction::{Arg, From, Instruction};
use crate::{Dockerfile, Error, Lines};

/// A whole file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stages {
    /// The ARGs before the first FROM: for the FROM lines, and for the stages that declare them again.
    pub arguments: Vec<Step<Arg>>,
    /// In their order; at least one.
    pub stages: Vec<Stage>,
}

/// From one FROM to the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stage {
    /// How it begins.
    pub from: Step<From>,
    /// What it does.
    pub steps: Vec<Step<Instruction>>,
}

/// An instruction and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step<T> {
    /// What it means.
    #[serde(flatten)]
    pub instruction: T,
    /// Its keyword, as written.
    pub keyword: String,
    /// Its text without here-documents.
    pub original: String,
    /// Its lines.
    pub lines: Lines,
    /// The comments right above.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub comments: Vec<String>,
}

impl Stages {
    /// Groups the statements of a file.
    ///
    /// # Errors
    /// What [`Instruction::parse`] says, instructions that belong to no stage, and a file without stages.
    pub fn parse(file: &Dockerfile) -> Result<Self, Error> {
        let mut arguments = Vec::new();
        let mut stages: Vec<Stage> = Vec::new();
        for statement in &file.statements {
            let instruction = Instruction::parse(statement)
                .map_err(|error| error.of_instruction(statement.lines))?;
            match (instruction, stages.last_mut()) {
                (Instruction::From(from), _) => stages.push(Stage {
                    from: step(statement, from),
                    steps: Vec::new(),
                }),
                (instruction, Some(stage)) => stage.steps.push(step(statement, instruction)),
                (Instruction::Arg(arg), None) => arguments.push(step(statement, arg)),
                (_, None) => {
                    return Err(Error::new("no build stage in current context").at(statement.lines));
                }
            }
        }
        if stages.is_empty() {
            return Err(Error::new("dockerfile contains no stages to build"));
        }
        Ok(Self { arguments, stages })
    }

    /// The number of the stage that the stage `number` is built on; `None` if it is built on an image.
    pub fn below(&self, number: usize) -> Option<usize> {
        let base = self.stages.get(number)?.from.instruction.base.as_str();
        // The last earlier one of this name: later ones are not there yet.
        self.stages[..number]
            .iter()
            .rposition(|stage| stage.is_named(base))
    }

    /// The number of the stage of this name, in any case; the last of several.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.stages.iter().rposition(|stage| stage.is_named(name))
    }
}

impl Stage {
    fn is_named(&self, name: &str) -> bool {
        let own = self.from.instruction.name.as_deref();
        own.is_some_and(|own| own.eq_ignore_ascii_case(name))
    }
}

fn step<T>(statement: &crate::Statement, instruction: T) -> Step<T> {
    Step {
        instruction,
        keyword: statement.keyword.clone(),
        original: statement.original.trim().to_owned(),
        lines: statement.lines,
        comments: statement.comments.clone(),
    }
}
