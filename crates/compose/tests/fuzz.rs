//! Compose files and files of variables, bent by chance: they are refused or understood, and what was understood is printed
//! as something that is understood again.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;

use onggi_compose::{Options, Step, config, dotenv, load, template};
use onggi_testkit::Fuzz;

fn options(folder: &std::path::Path, text: String) -> Options {
    Options {
        directory: folder.to_owned(),
        files: vec![PathBuf::from("-")],
        stdin: Some(text),
        project_name: Some("p".to_owned()),
        env_files: vec![PathBuf::from("/dev/null")],
        environment: vec![("A".to_owned(), "a".to_owned())],
        env_resolution: Step::Skipped,
        ..Options::default()
    }
}

#[test]
fn fuzz_files() {
    let folder = tempfile::tempdir().unwrap();
    let fuzz = Fuzz {
        seeds: &[
            b"services:\n  web:\n    image: ${A:-x}\n    ports: ['80-82:80-82', 443]\n    volumes: ['./a:/b:ro', 'v:/c']\nvolumes: {v: }\n",
            b"x-a: &a {image: x, labels: [a=b]}\nservices:\n  web: {<<: *a, build: .}\n  db: *a\n",
            b"services:\n  a: {extends: b, ports: !reset [], environment: !override {A: 1}}\n  b: {image: x}\n---\nservices:\n  a: {image: y}\n",
            b"services: {w: {image: x, mem_limit: 1g, ulimits: {nofile: 5}, healthcheck: {test: a, interval: 5s}}}\n",
            b"services: {w: {image: x, depends_on: [z], links: ['z:y'], extra_hosts: ['a=::1']}, z: {image: x}}\n",
            b"secrets: {s: {file: ~/x}}\nconfigs: {c: {content: \"a\\nb\"}}\nservices: {w: {image: x, secrets: [s], configs: [{source: c, mode: 0440}]}}\n",
            b"services:\n  w:\n    image: |\n      a\n      b\n    command: run 'a b' \"c\"\n    environment: {A: , B: 1e9, C: yes}\n",
        ],
        words: &[
            "services:", "image: x", "\n", "  ", "- ", ": ", "{", "}", "[", "]", "&a ", "*a", "<<: *a", "!reset ", "$", "${A",
            "${A:-", "'", "\"", "|", ">", "#", "null", "ports:", "extends: ", "include: ", "0444", "::", "---\n", "~", "x-", "é한",
        ],
    };
    fuzz.run(|input| {
        let text = String::from_utf8_lossy(input).into_owned();
        let Ok(project) = load(&options(folder.path(), text)) else {
            return;
        };
        let printed = config::yaml(&project, Step::Done);
        if let Err(error) = load(&options(folder.path(), printed.clone())) {
            // What a key refuses only when it is printed in full is refused in words, never in panic.
            assert!(!error.to_string().is_empty(), "{printed}");
        }
        let names: Vec<String> = config::services(&project);
        for name in names {
            assert_eq!(
                config::hash(&project, &name).map(|hash| hash.len()),
                Some(64)
            );
        }
    });
}

#[test]
fn fuzz_variables() {
    let fuzz = Fuzz {
        seeds: &[
            b"A=1\nexport B='x y' # c\nC=\"$A\\n${B:-d}\"\nD\nE: f\n",
            b"${A:-${B:+${C?x}}}$$ $D",
        ],
        words: &[
            "=", "\n", "'", "\"", "\\", "${", "}", "$", ":-", ":?", "#", " #", "export ", "\r\n",
        ],
    };
    fuzz.run(|input| {
        let text = String::from_utf8_lossy(input);
        let outer = |name: &str| (name == "A").then(|| "a".to_owned());
        let _ = dotenv::parse(&text, &outer);
        let _ = dotenv::raw(&text, &outer);
        let _ = template::variables(&text);
    });
}
