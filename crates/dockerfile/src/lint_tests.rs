use super::*;

/// `Rule:line: message` of each finding.
fn found(text: &str, checks: &str) -> Vec<String> {
    let file = Dockerfile::parse(text).unwrap();
    let stages = Stages::parse(&file).unwrap();
    let base = |name: &str| (name == "known").then(|| vec!["HOME".to_owned()]);
    let findings = lint(&file, &stages, &Checks::parse(checks).unwrap(), &base);
    let told = |it: &Finding| format!("{}:{}: {}", it.rule.name, it.lines.first, it.message);
    findings.iter().map(told).collect()
}

#[test]
fn what_each_rule_finds() {
    for (text, expected) in [
        ("FROM a\nRUN b\nCOPY c d\nCMD [\"e\"]\n", vec![]),
        (
            "FROM a AS Build\n",
            vec!["StageNameCasing:1: Stage name 'Build' should be lowercase"],
        ),
        (
            "FROM a as b\n",
            vec!["FromAsCasing:1: 'as' and 'FROM' keywords' casing do not match"],
        ),
        ("from a as b\n", vec![]),
        (
            "FROM a\nRUN b \\\n\n c\n",
            vec!["NoEmptyContinuation:4: Empty continuation line"],
        ),
        (
            "FROM a\nrun b\nRUN c\n",
            vec![
                "ConsistentInstructionCasing:2: Command 'run' should match the case of the command majority (uppercase)",
            ],
        ),
        (
            "from a\nrun b\nRun c\n",
            vec![
                "ConsistentInstructionCasing:3: Command 'Run' should match the case of the command majority (lowercase)",
            ],
        ),
        (
            "FROM a AS b\nFROM a AS b\n",
            vec!["DuplicateStageName:2: Duplicate stage name \"b\", stage names should be unique"],
        ),
        (
            "FROM a AS scratch\n",
            vec![
                "ReservedStageName:1: Stage name should not use the same name as reserved stage \"scratch\"",
            ],
        ),
        (
            "FROM a\nCMD b\n",
            vec![
                "JSONArgsRecommended:2: JSON arguments recommended for CMD to prevent unintended behavior related to OS signals",
            ],
        ),
        ("FROM a\nSHELL [\"b\"]\nENTRYPOINT c\n", vec![]),
        (
            "FROM a\nMAINTAINER b\n",
            vec![
                "MaintainerDeprecated:2: Maintainer instruction is deprecated in favor of using label",
            ],
        ),
        (
            "ARG VERSION=1\nFROM a:${VERSOIN}\n",
            vec![
                "UndefinedArgInFrom:2: FROM argument 'VERSOIN' is not declared (did you mean VERSION?)",
            ],
        ),
        (
            "ARG V\nFROM a:$V\n",
            vec![
                "InvalidDefaultArgInFrom:2: Default value for ARG a:$V results in empty or invalid base image name",
            ],
        ),
        ("ARG V=1\nFROM --platform=$BUILDPLATFORM a:$V\n", vec![]),
        (
            "FROM a\nWORKDIR b\nWORKDIR c\n",
            vec![
                "WorkdirRelativePath:2: Relative workdir \"b\" can have unexpected results if the base image changes",
            ],
        ),
        ("FROM a AS b\nWORKDIR /c\nFROM b\nWORKDIR d\n", vec![]),
        (
            "FROM scratch\nENV NAME=1\nCOPY $NMAE /x\n",
            vec!["UndefinedVar:3: Usage of undefined variable '$NMAE' (did you mean $NAME?)"],
        ),
        (
            "FROM scratch\nARG A\nLABEL b=$A c=$PATH\nRUN echo $Z\n",
            vec![],
        ),
        (
            "FROM known\nWORKDIR $HOME\nUSER $WHO\n",
            vec!["UndefinedVar:3: Usage of undefined variable '$WHO'"],
        ),
        ("FROM unknown\nWORKDIR $HOME\n", vec![]),
        (
            "FROM a\nCMD [\"b\"]\nCMD [\"c\"]\nHEALTHCHECK NONE\n",
            vec![
                "MultipleInstructionsDisallowed:2: Multiple CMD instructions should not be used in the same stage because only the last one will be used",
            ],
        ),
        (
            "FROM a\nENV b c\n",
            vec![
                "LegacyKeyValueFormat:2: \"ENV key=value\" should be used instead of legacy \"ENV key value\" format",
            ],
        ),
        (
            "FROM --platform=$TARGETPLATFORM a\n",
            vec![
                "RedundantTargetPlatform:1: Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
            ],
        ),
        (
            "FROM --platform=linux/amd64 a\n",
            vec![
                "FromPlatformFlagConstDisallowed:1: FROM --platform flag should not use constant value \"linux/amd64\"",
            ],
        ),
        ("FROM --platform=linux/amd64 a AS build-amd64\n", vec![]),
        (
            "FROM a\nARG DB_PASSWORD\nENV PUBLIC_KEY=1 KEYBOARD=us\n",
            vec![
                "SecretsUsedInArgOrEnv:2: Do not use ARG or ENV instructions for sensitive data (ARG \"DB_PASSWORD\")",
            ],
        ),
        (
            "FROM a\nEXPOSE 80/TCP\n",
            vec![
                "ExposeProtoCasing:2: Defined protocol '80/TCP' in EXPOSE instruction should be lowercase",
            ],
        ),
        (
            "FROM a\nEXPOSE 127.0.0.1:80:80\n",
            vec![
                "ExposeInvalidFormat:2: EXPOSE instruction should not define an IP address or host-port mapping, found '127.0.0.1:80:80'",
            ],
        ),
    ] {
        assert_eq!(found(text, ""), expected, "{text}");
    }
}

#[test]
fn rules_are_chosen() {
    let text = "# about\nFROM a AS b\nMAINTAINER c\nCMD d\n";
    assert!(found(text, "skip=all").is_empty());
    let rest = found(
        text,
        "skip=MaintainerDeprecated,stagenamecasing;experimental=InvalidDefinitionDescription",
    );
    assert_eq!(rest.len(), 2, "{rest:?}");
    assert_eq!(
        rest[0],
        "InvalidDefinitionDescription:2: Comment for build stage should follow the format: `# b <description>`"
    );
    assert!(Checks::parse("error=true").unwrap().fail);
    assert!(Checks::parse("error=x").is_err() && Checks::parse("other=1").is_err());
}
