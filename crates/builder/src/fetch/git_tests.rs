use std::fs;

use tempfile::TempDir;

use super::super::git_source;
use super::*;

/// Makes a repository; `file:` is spoken with it here, and nowhere else.
fn repository(commands: &[&[&str]]) -> TempDir {
    let directory = TempDir::new().unwrap();
    for arguments in commands {
        match arguments {
            ["write", path, text] => {
                let path = directory.path().join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            ["link", path, target] => {
                std::os::unix::fs::symlink(target, directory.path().join(path)).unwrap();
            }
            arguments => {
                let done = std::process::Command::new("git")
                    .args([
                        "-c",
                        "user.name=a",
                        "-c",
                        "user.email=a@b",
                        "-c",
                        "init.defaultBranch=main",
                    ])
                    .args(*arguments)
                    .current_dir(directory.path())
                    .env("GIT_CONFIG_GLOBAL", "/dev/null")
                    .output()
                    .unwrap();
                assert!(done.status.success(), "{arguments:?} {done:?}");
            }
        }
    }
    directory
}

const HISTORY: &[&[&str]] = &[
    &["init", "-q"],
    &["write", "a", "1"],
    &["write", "d/b", "2"],
    &["link", "out", "/etc/passwd"],
    &["link", "away", "../../.."],
    &["add", "."],
    &["commit", "-qm", "one"],
    &["tag", "v1"],
    &["write", "a", "2"],
    &["commit", "-qam", "two"],
    &["branch", "next"],
];

async fn fetched(
    source: &Path,
    fragment: &str,
    options: AddOptions,
    protocols: &str,
) -> (TempDir, Result<Tree, String>) {
    let into = TempDir::new().unwrap();
    let text = format!("file://{}{fragment}", source.display());
    let repository = git_source::parse(&text).unwrap().unwrap();
    let tree = fetch_over(&repository, &options, into.path(), protocols).await;
    (into, tree.map_err(|error| error.to_string()))
}

fn options() -> AddOptions {
    AddOptions {
        checksum: None,
        keep_git_dir: false,
        unpack: None,
    }
}

fn read(tree: &Tree, path: &str) -> Option<String> {
    let bytes = tree.read(path, 100).unwrap()?;
    Some(String::from_utf8(bytes).unwrap())
}

#[tokio::test]
async fn what_is_meant_comes() {
    if !has_git() {
        return;
    }
    let source = repository(HISTORY);
    let head = fs::read_to_string(source.path().join(".git/refs/heads/main")).unwrap();
    let head = head.trim();
    for (fragment, path, expected) in [
        ("", "a", Some("2")),
        ("#v1", "a", Some("1")),
        ("#refs/heads/next:d", "b", Some("2")),
        ("?tag=v1&subdir=d", "b", Some("2")),
        (&format!("#{head}"), "a", Some("2")),
        (&format!("#{}", &head[..10]), "a", Some("2")),
        (&format!("##ref=main,commit={head}"), "a", Some("2")),
        // Links lead nowhere out of it.
        ("", "out", None),
        ("#:away", "a", Some("2")),
    ] {
        let (_keep, tree) = fetched(source.path(), fragment, options(), "file").await;
        assert_eq!(
            read(&tree.unwrap(), path).as_deref(),
            expected,
            "{fragment}"
        );
    }
    for (fragment, expected) in [
        ("#:nothing", "subdir not found: \"nothing\""),
        ("#:a", "subdir not a directory: \"a\""),
        ("#none", "couldn't find remote ref none"),
        (
            &format!("##ref=v1,commit={head}"),
            "expected checksum to match",
        ),
    ] {
        let (_keep, tree) = fetched(source.path(), fragment, options(), "file").await;
        let error = tree.unwrap_err();
        assert!(error.contains(expected), "{fragment} {error}");
    }
}

#[tokio::test]
async fn the_repository_itself_comes_if_asked_for() {
    if !has_git() {
        return;
    }
    let source = repository(HISTORY);
    for keep_git_dir in [false, true] {
        let asked = AddOptions {
            keep_git_dir,
            ..options()
        };
        let (into, tree) = fetched(source.path(), "", asked, "file").await;
        let tree = tree.unwrap();
        assert_eq!(into.path().join(".git").exists(), keep_git_dir);
        assert_eq!(tree.identity.is_some(), keep_git_dir);
    }
    // A repository in it has one, too.
    let url = format!("file://{}", source.path().display());
    let with_another = repository(&[
        &["init", "-q"],
        &[
            "-c",
            "protocol.file.allow=always",
            "submodule",
            "--quiet",
            "add",
            &url,
            "in/it",
        ],
        &["commit", "-qm", "sub"],
    ]);
    let (into, tree) = fetched(with_another.path(), "", options(), "file").await;
    assert_eq!(read(&tree.unwrap(), "in/it/a").as_deref(), Some("2"));
    assert!(!into.path().join("in/it/.git").exists());
    let pinned = AddOptions {
        checksum: Some("0000000000".to_owned()),
        ..options()
    };
    let (_keep, tree) = fetched(source.path(), "", pinned, "file").await;
    assert!(
        tree.unwrap_err()
            .starts_with("expected checksum to match 0000000000, got ")
    );
}

/// No file of this machine is a repository, whoever says so, and no setting of anybody counts.
#[tokio::test]
async fn only_the_network_is_asked() {
    if !has_git() {
        return;
    }
    let source = repository(HISTORY);
    let (_keep, tree) = fetched(source.path(), "", options(), PROTOCOLS).await;
    let error = tree.unwrap_err();
    assert!(error.contains("transport 'file' not allowed"), "{error}");
    // A part of it that is to be had by a command.
    let mark = source.path().join("ran");
    let module = format!(
        "[submodule \"sub\"]\n\tpath = sub\n\turl = ext::touch {}\n",
        mark.display()
    );
    let outer = repository(&[
        &["init", "-q"],
        &["write", ".gitmodules", &module],
        &["add", ".gitmodules"],
        &["update-index", "--add", "--cacheinfo", MODULE],
        &["commit", "-qm", "sub"],
    ]);
    let (_keep, tree) = fetched(outer.path(), "", options(), "file").await;
    let error = tree.unwrap_err();
    assert!(error.contains("transport 'ext' not allowed"), "{error}");
    assert!(!mark.exists());
}

/// A submodule as the index has it.
const MODULE: &str = "160000,0123456789012345678901234567890123456789,sub";

fn has_git() -> bool {
    std::process::Command::new("git")
        .arg("--version")
        .output()
        .is_ok()
}
