//! What single instructions say, and which are there more than once.

use super::{Findings, casing, rules};
use crate::instruction::{Instruction, Pair};
use crate::{Form, Lines, Stage, Stages, Step};
use onggi_model::quote;

/// Parts of names that speak of secrets.
const SECRET: [&str; 10] = [
    "apikey",
    "auth",
    "credential",
    "credentials",
    "key",
    "password",
    "pword",
    "passwd",
    "secret",
    "token",
];

pub(super) fn check(stages: &Stages, findings: &mut Findings) {
    casing::descriptions(stages, findings);
    for step in &stages.arguments {
        for declared in &step.instruction.arguments {
            secret("ARG", &declared.name, step.lines, findings);
        }
    }
    for (number, stage) in stages.stages.iter().enumerate() {
        once(stage, findings);
        let mut has_workdir = inherits_workdir(stages, number);
        let mut has_shell = false;
        for step in &stage.steps {
            let lines = step.lines;
            match &step.instruction {
                Instruction::Maintainer(_) => {
                    let message = "Maintainer instruction is deprecated in favor of using label";
                    findings.add(&rules::MAINTAINER_DEPRECATED, lines, message.to_owned());
                }
                Instruction::Shell(_) => has_shell = true,
                Instruction::Cmd(cmd) if !has_shell && cmd.command.form == Form::Shell => {
                    json_recommended("CMD", lines, findings);
                }
                Instruction::Entrypoint(it) if !has_shell && it.command.form == Form::Shell => {
                    json_recommended("ENTRYPOINT", lines, findings);
                }
                Instruction::Workdir(workdir) => {
                    // What a variable holds is not known here.
                    if !has_workdir && !workdir.path.starts_with(['/', '$', '"', '\'']) {
                        let message = format!(
                            "Relative workdir {} can have unexpected results if the base image changes",
                            quote(&workdir.path)
                        );
                        findings.add(&rules::WORKDIR_RELATIVE_PATH, lines, message);
                    }
                    has_workdir = true;
                }
                Instruction::Env(env) => {
                    legacy("ENV", &env.variables, lines, findings);
                    for pair in &env.variables {
                        secret("ENV", &pair.name, lines, findings);
                    }
                }
                Instruction::Label(label) => legacy("LABEL", &label.labels, lines, findings),
                Instruction::Arg(arg) => {
                    for declared in &arg.arguments {
                        secret("ARG", &declared.name, lines, findings);
                    }
                }
                Instruction::Expose(expose) => ports(&expose.ports, lines, findings),
                _ => {}
            }
        }
    }
}

/// Whether a stage below it has set a working directory.
fn inherits_workdir(stages: &Stages, mut number: usize) -> bool {
    let sets = |stage: &Stage| {
        stage
            .steps
            .iter()
            .any(|step| matches!(step.instruction, Instruction::Workdir(_)))
    };
    while let Some(below) = stages.below(number) {
        if sets(&stages.stages[below]) {
            return true;
        }
        number = below;
    }
    false
}

/// Only the last of these counts; told where one is that does not.
fn once(stage: &Stage, findings: &mut Findings) {
    for name in ["CMD", "ENTRYPOINT", "HEALTHCHECK"] {
        let is_one = |step: &&Step<Instruction>| step.keyword.eq_ignore_ascii_case(name);
        let all: Vec<_> = stage.steps.iter().filter(is_one).collect();
        for step in all.iter().rev().skip(1) {
            let message = format!(
                "Multiple {name} instructions should not be used in the same stage because only the last one will be used"
            );
            findings.add(
                &rules::MULTIPLE_INSTRUCTIONS_DISALLOWED,
                step.lines,
                message,
            );
        }
    }
}

fn json_recommended(name: &str, lines: Lines, findings: &mut Findings) {
    let message = format!(
        "JSON arguments recommended for {name} to prevent unintended behavior related to OS signals"
    );
    findings.add(&rules::JSON_ARGS_RECOMMENDED, lines, message);
}

fn legacy(name: &str, pairs: &[Pair], lines: Lines, findings: &mut Findings) {
    if pairs.iter().any(|pair| pair.is_legacy) {
        let message = format!(
            "\"{name} key=value\" should be used instead of legacy \"{name} key value\" format"
        );
        findings.add(&rules::LEGACY_KEY_VALUE_FORMAT, lines, message);
    }
}

fn secret(instruction: &str, name: &str, lines: Lines, findings: &mut Findings) {
    let lower = name.to_lowercase();
    let has = |words: &[&str]| lower.split('_').any(|part| words.contains(&part));
    if has(&SECRET) && !has(&["public"]) {
        let message = format!(
            "Do not use ARG or ENV instructions for sensitive data ({instruction} {})",
            quote(name)
        );
        findings.add(&rules::SECRETS_USED_IN_ARG_OR_ENV, lines, message);
    }
}

fn ports(ports: &[String], lines: Lines, findings: &mut Findings) {
    for port in ports {
        let (number, protocol) = port.split_once('/').unwrap_or((port, ""));
        if protocol != protocol.to_lowercase() && !protocol.contains('$') {
            let message =
                format!("Defined protocol '{port}' in EXPOSE instruction should be lowercase");
            findings.add(&rules::EXPOSE_PROTO_CASING, lines, message);
        }
        if number.contains(':') && !number.contains('$') {
            let message = format!(
                "EXPOSE instruction should not define an IP address or host-port mapping, found '{port}'"
            );
            findings.add(&rules::EXPOSE_INVALID_FORMAT, lines, message);
        }
    }
}
