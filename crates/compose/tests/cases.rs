//! The cases of the model: each folder of `tests/cases/SECTION/NAME` is a project with the document it becomes
//! (`expected.json`) or the error it is refused with (`error.txt`). `options.json` has what the command line would say. The
//! folder's own path is written `/case` in what is expected, the one above it `/above`. `ONGGI_BLESS=1` writes what comes
//! out; read it before you believe it.

#![expect(
    clippy::unwrap_used,
    reason = "tests say what they expect by panicking"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use onggi_compose::{Options, Project, Step, config, load};
use serde_json::Value as Json;

fn cases() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let folders = |path: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
        folders.sort();
        folders
    };
    folders(&root)
        .iter()
        .flat_map(|section| folders(section))
        .collect()
}

fn options(case: &Path) -> Options {
    let said: Json = match fs::read_to_string(case.join("options.json")) {
        Ok(text) => serde_json::from_str(&text).unwrap(),
        Err(_) => Json::Null,
    };
    let texts = |key: &str| -> Vec<String> {
        let items = said[key].as_array().into_iter().flatten();
        items
            .map(|item| item.as_str().unwrap().to_owned())
            .collect()
    };
    let text = |key: &str| said[key].as_str().map(str::to_owned);
    let skip = texts("skip");
    let step = |name: &str| match skip.iter().any(|one| one == name) {
        true => Step::Skipped,
        false => Step::Done,
    };
    let environment = said["environment"].as_object().into_iter().flatten();
    let mut environment: Vec<(String, String)> = environment
        .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
        .collect();
    environment.push(("HOME".to_owned(), "/home/me".to_owned()));
    Options {
        directory: case.to_owned(),
        environment,
        files: texts("files").into_iter().map(PathBuf::from).collect(),
        stdin: text("stdin"),
        env_files: texts("env_files").into_iter().map(PathBuf::from).collect(),
        project_name: text("project_name"),
        project_directory: text("project_directory").map(PathBuf::from),
        profiles: texts("profiles"),
        interpolation: step("interpolation"),
        normalization: step("normalization"),
        path_resolution: step("path_resolution"),
        consistency: step("consistency"),
        env_resolution: step("env_resolution"),
        pruning: step("pruning"),
    }
}

fn expected(case: &Path, name: &str) -> Option<String> {
    fs::read_to_string(case.join(name)).ok()
}

fn bless(case: &Path, result: &Result<String, String>) {
    let (write, remove, text) = match result {
        Ok(json) => ("expected.json", "error.txt", json),
        Err(error) => ("error.txt", "expected.json", error),
    };
    fs::write(case.join(write), text).unwrap();
    let _ = fs::remove_file(case.join(remove));
}

fn outcome(case: &Path) -> (Result<String, String>, Option<Project>) {
    let options = options(case);
    let here = case.to_string_lossy().into_owned();
    let above = case.parent().unwrap().to_string_lossy().into_owned();
    let unplace = |text: String| text.replace(&here, "/case").replace(&above, "/above");
    match load(&options) {
        Ok(project) => {
            let json = unplace(config::json(&project, options.interpolation));
            (Ok(json), Some(project))
        }
        Err(error) => (Err(unplace(format!("{error}\n"))), None),
    }
}

#[test]
fn each_case_becomes_what_is_expected() {
    let mut wrong = Vec::new();
    let cases = cases();
    for case in &cases {
        let (result, _) = outcome(case);
        if std::env::var_os("ONGGI_BLESS").is_some() {
            bless(case, &result);
            continue;
        }
        let wanted = match (expected(case, "expected.json"), expected(case, "error.txt")) {
            (Some(json), None) => Ok(json),
            (None, Some(error)) => Err(error),
            _ => panic!(
                "{}: expected.json or error.txt, one of them",
                case.display()
            ),
        };
        if result != wanted {
            wrong.push(format!(
                "{}:\n{result:#?}\nis not\n{wanted:#?}",
                case.display()
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n\n")
    );
    assert!(cases.len() >= 200, "{} cases", cases.len());
}

/// What we print is a Compose file by the schema; and a project is what its printed form is.
#[test]
fn what_is_expected_is_a_compose_file() {
    let schema = include_str!("../src/schema/compose-spec.json");
    let schema: Json = serde_json::from_str(schema).unwrap();
    let validator = jsonschema::draft7::new(&schema).unwrap();
    for case in cases() {
        let Some(text) = expected(&case, "expected.json") else {
            continue;
        };
        let json: Json = serde_json::from_str(&text).unwrap();
        let errors: Vec<String> = validator
            .iter_errors(&json)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{}: {errors:#?}", case.display());
    }
}

/// The YAML and the JSON that are printed are read back as the same project.
#[test]
fn what_is_printed_reads_back() {
    let mut wrong = Vec::new();
    for case in cases() {
        let options = options(&case);
        let (_, Some(project)) = outcome(&case) else {
            continue;
        };
        if options.interpolation == Step::Skipped || options.normalization == Step::Skipped {
            continue;
        }
        let first = config::json_value(&project, Step::Done);
        for text in [
            config::yaml(&project, Step::Done),
            config::json(&project, Step::Done),
        ] {
            let again = Options {
                directory: case.clone(),
                files: vec![PathBuf::from("-")],
                stdin: Some(text.clone()),
                environment: options.environment.clone(),
                env_files: vec![PathBuf::from("/dev/null")],
                project_name: Some(project.name.clone()),
                profiles: vec!["*".to_owned()],
                path_resolution: options.path_resolution,
                consistency: options.consistency,
                env_resolution: options.env_resolution,
                pruning: options.pruning,
                ..Options::default()
            };
            let project =
                load(&again).unwrap_or_else(|error| panic!("{}: {error}\n{text}", case.display()));
            let second = config::json_value(&project, Step::Done);
            if second != first {
                wrong.push(format!("{}:\n{text}\n{first}\n{second}", case.display()));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n\n")
    );
}

/// Every section of the specification has its cases.
#[test]
fn sections_are_counted() {
    let mut sections: BTreeMap<String, usize> = BTreeMap::new();
    for case in cases() {
        let section = case.parent().unwrap().file_name().unwrap();
        *sections
            .entry(section.to_string_lossy().into_owned())
            .or_default() += 1;
    }
    for section in [
        "services",
        "merge",
        "extends",
        "include",
        "interpolation",
        "profiles",
        "environment",
        "yaml",
    ] {
        assert!(
            sections.get(section).is_some_and(|count| *count >= 5),
            "{section}: {sections:?}"
        );
    }
}
